"""Hurry: callbacks that wait for their next try become due now."""

from typing import Any

import msgspec
import pytest

from passband.domain.event import Callback, CallbackKey, Endpoint, EventKind
from passband.domain.message import Direction
from passband.store import Attempted
from passband.store import postgres as postgres_engine
from passband.store import sqlite as sqlite_engine
from store.nodes import NOW, OUT, Node, a_recipient

LATER = NOW + 100


async def waiting(node: Node, count: int = 1, *, tried_at: float = NOW, **fields: Any) -> list[Callback]:
    """Return callbacks of which one try has failed; the next is after LATER, one a second."""
    recipients = [a_recipient(**fields) for _ in range(count)]
    before = len(node.births.callbacks)
    await node.accept(*recipients)
    await node.store.announce(recipients, NOW)
    callbacks = node.births.callbacks[before:]
    assert len(callbacks) == count
    await node.store.attempted([Attempted(c, LATER + n, tried_at, False) for n, c in enumerate(callbacks)])
    return [
        msgspec.structs.replace(c, due_at=LATER + n, attempts=1, tried_at=tried_at) for n, c in enumerate(callbacks)
    ]


def now_due(callbacks: list[Callback]) -> list[Callback]:
    return [msgspec.structs.replace(c, due_at=NOW + 1) for c in callbacks]


async def test_all_that_waits_for_an_endpoint_becomes_due_for_every_node(node: Node, other: Node) -> None:
    callbacks = await waiting(node, 3)
    await waiting(node, account="5500999")
    assert await other.callbacks(now=NOW + 1) == []
    assert await other.store.hurry(OUT, NOW + 1) == 3
    assert dict(await node.store.endpoints(NOW + 1)) == {OUT: NOW + 1, Endpoint("5500999", "app", Direction.OUT): LATER}
    leased = await node.callbacks(now=NOW + 1)
    assert sorted(leased, key=str) == sorted(now_due(callbacks), key=str)


async def test_one_callback_becomes_due(node: Node, other: Node) -> None:
    first, second = await waiting(node, 2)
    assert await other.store.hurry(second.key, NOW + 1) == 1
    assert await other.callbacks(now=NOW + 1) == now_due([second])
    assert await other.callbacks(now=LATER) == [first]


async def test_nothing_becomes_due_for(node: Node) -> None:
    (callback,) = await waiting(node)
    key = callback.key
    strangers: dict[str, Endpoint | CallbackKey] = {
        "another kind": msgspec.structs.replace(key, kind=EventKind.DELIVERED),
        "another account": msgspec.structs.replace(key, account="5500999"),
        "another place": msgspec.structs.replace(key, n=1),
        "another message": CallbackKey(key.account, "", 0, key.kind),
        "another direction": Endpoint("5500123", "app", Direction.IN),
        "another application": Endpoint("5500123", "", Direction.OUT),
    }
    assert {name: await node.store.hurry(what, NOW + 1) for name, what in strangers.items()} == dict.fromkeys(
        strangers, 0
    )
    assert await node.callbacks(now=NOW + 1) == []


async def test_what_is_due_or_under_way_is_left_alone(node: Node, other: Node) -> None:
    held, due = await waiting(node, 2)
    assert await other.callbacks(now=LATER, limit=1) == [held]
    for what in (OUT, held.key, due.key):
        assert await node.store.hurry(what, LATER + 1) == 0
    assert await node.callbacks(now=LATER + 1) == [due]


async def test_what_was_tried_since_waits_on(node: Node) -> None:
    """An endpoint that is down fails faster than its callbacks become due."""
    (callback,) = await waiting(node, tried_at=NOW + 2)
    assert await node.store.hurry(OUT, NOW + 1) == 0
    assert await node.store.hurry(callback.key, NOW + 1) == 0
    assert await node.store.hurry(OUT, NOW + 2) == 1


async def test_however_many_wait_all_become_due(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_engine, "HURRY_ROWS", 4)
    monkeypatch.setattr(postgres_engine, "HURRY_ROWS", 4)
    for count in (8, 3):
        await waiting(node, count)
        assert await node.store.hurry(OUT, NOW + 1) == count
        assert len(await node.callbacks(now=NOW + 1)) == count
