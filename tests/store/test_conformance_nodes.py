"""Nodes: what a silent one held is taken over, and it finds out."""

import asyncio
import os
import socket
from typing import Any

import msgspec
import pytest

from passband.domain.errors import StoreUnavailable
from passband.domain.report import Rejected
from passband.domain.status import Cause, State
from passband.store import operations as op
from passband.store.open import read_nodes
from passband.store.processes import machine, names_of_machines
from store.nodes import DAY, IN, NOW, OUT, Node, Stores, a_recipient, the_rules

SILENT = NOW + 60


async def test_nodes_have_numbers_of_their_own(stores: Stores) -> None:
    first = await stores.open()
    await stores.close(first)
    nodes = [await stores.open() for _ in range(3)]
    assert len({first.store.node, *(node.store.node for node in nodes)}) == 4


async def test_nodes_that_beat_keep_what_they_hold(node: Node, other: Node) -> None:
    await node.accept(a_recipient())
    for second in range(0, 100, 5):
        assert await node.store.beat(NOW + second)
        assert await other.store.beat(NOW + second)
    assert await other.lease() == []


async def test_what_a_silent_node_held_is_taken_over(node: Node, other: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.announce([recipient], NOW)
    assert await other.store.beat(SILENT)
    assert await other.lease() == [msgspec.structs.replace(recipient, announced=True)]
    assert await other.callbacks() == node.births.callbacks


async def test_a_node_that_was_given_up_is_told_and_changes_nothing_of_what_it_held(node: Node, other: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.announce([recipient], NOW)
    number = node.store.node
    await other.store.beat(SILENT)
    await other.lease()
    await other.callbacks()
    assert not await node.store.beat(SILENT)
    assert node.store.node != number
    assert await node.store.beat(SILENT)
    await node.outcome(recipient, Rejected(4720))
    await node.acknowledge(*node.births.callbacks)
    assert node.events == [("sending", 0)]
    assert await node.store.oldest_callback() == NOW


async def test_a_node_that_was_given_up_works_on_under_its_new_number(node: Node, other: Node) -> None:
    await other.store.beat(SILENT)
    await node.store.beat(SILENT)
    recipient = a_recipient()
    await node.accept(recipient)
    assert node.births.recipients == [recipient]
    await other.store.beat(SILENT)
    assert await other.lease() == []
    await node.outcome(recipient, Rejected(4720))
    assert node.events == [("failed", 4720)]


async def test_a_paused_node_takes_no_leases_before_it_knows_that_it_was_given_up(node: Node, other: Node) -> None:
    """Nobody would ever free what it took under its old number."""
    await other.store.beat(SILENT)
    recipient, waiting = a_recipient(), a_recipient()
    await node.accept(recipient)
    (failed,) = the_rules().tell(a_recipient(), State.QUEUED, Cause.REFUSED_BY_RULE, NOW, 4432)
    await node.store.accept((), [failed], ())
    assert (node.births.recipients, node.births.callbacks) == ([], [])
    await other.accept(waiting)
    await other.store.release([waiting], ())
    assert await node.lease() == []
    assert await node.callbacks() == []
    assert await other.lease() == [recipient, waiting]
    assert await other.callbacks() == [failed]


async def test_what_is_accepted_while_a_node_is_being_given_up_is_not_lost(node: Node, other: Node) -> None:
    before = [a_recipient() for _ in range(4100)]
    await node.accept(*before)
    given_up = asyncio.create_task(other.store.beat(SILENT))
    recipients = []
    known = False
    while not (known and given_up.done()):
        recipients.append(a_recipient())
        await node.accept(recipients[-1])
        if not known and recipients[-1] not in node.births.recipients:  # it takes no leases: it was given up just now
            assert not await node.store.beat(SILENT)
            known = True
    await other.store.beat(SILENT + 60)
    assert {r.message.id for r in await other.lease(10_000)} == {r.message.id for r in before + recipients}


async def test_what_a_silent_node_held_is_taken_over_however_much_it_is(stores: Stores) -> None:
    node, other = await stores.open(), await stores.open()
    await node.accept(*(a_recipient() for _ in range(4500)))
    await other.store.beat(SILENT)
    assert len(await other.lease(5000)) == 4500


async def test_what_a_silent_node_held_is_looked_for_once_however_much_it_is(
    node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is a walk through all that waits, a million rows maybe, within the 15 s that taking over may take."""
    reads: Any = other.store._reads  # type: ignore[attr-defined]
    held = reads.held
    walks: list[int] = []

    def counted(number: int) -> Any:
        walks.append(number)
        return held(number)

    monkeypatch.setattr(reads, "held", counted)
    await node.accept(*(a_recipient() for _ in range(4500)))
    number = node.store.node
    assert await other.store.beat(SILENT)
    assert walks == [number, number]  # and once more, which finds nothing
    assert [n.number for n in await other.store.nodes(SILENT)] == [other.store.node]


async def test_what_a_paused_node_changes_while_it_is_being_freed_is_taken_over_too(
    node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipients = [a_recipient() for _ in range(3)]
    await node.accept(*recipients)
    commit: Any = other.store._commit  # type: ignore[attr-defined]
    submit = commit.submit

    async def submit_later(operation: Any) -> Any:
        if isinstance(operation, op.Bury) and operation.recipients and not node.events:
            await node.store.announce(recipients, NOW)
        return await submit(operation)

    monkeypatch.setattr(commit, "submit", submit_later)
    assert await other.store.beat(SILENT)
    assert await other.lease() == [msgspec.structs.replace(r, announced=True) for r in recipients]


async def test_a_heartbeat_tells_where_nodes_run(node: Node) -> None:
    assert node.store.hosts == frozenset()
    await node.store.beat(NOW)
    assert node.store.hosts == {machine()}


def test_containers_of_one_machine_are_one() -> None:
    places = ["web-1 boot-1 pid:[1]", "web-2 boot-1 pid:[2]", "web-3 boot-2 pid:[1]", "web-4"]
    assert names_of_machines(places) == ["web-1", "web-3", "web-4"]


async def test_two_nodes_may_take_over_from_a_third(stores: Stores) -> None:
    silent, *others = [await stores.open() for _ in range(3)]
    recipients = [a_recipient() for _ in range(50)]
    await silent.accept(*recipients)
    await asyncio.gather(*(other.store.beat(SILENT) for other in others))
    assert await others[0].lease() == recipients


async def test_a_node_that_closes_frees_what_it_held(stores: Stores, other: Node) -> None:
    node = await stores.open()
    recipients = [a_recipient() for _ in range(3)]
    await node.accept(*recipients)
    await node.store.announce(recipients[:1], NOW)
    await stores.close(node)
    assert [r.message.id for r in await other.lease()] == [r.message.id for r in recipients]
    assert len(await other.callbacks()) == 1


async def test_what_is_accepted_while_a_node_closes_is_kept_and_free(stores: Stores, other: Node) -> None:
    node = await stores.open()
    recipients = [a_recipient() for _ in range(50)]
    accepting = [asyncio.create_task(node.accept(recipient)) for recipient in recipients]
    await asyncio.sleep(0)
    await stores.close(node)
    await asyncio.gather(*accepting)
    assert await other.lease() == recipients


async def test_nodes_are_told_with_what_they_hold(node: Node, other: Node) -> None:
    await node.accept(*(recipients := [a_recipient() for _ in range(5)]))
    await node.store.announce(recipients[:2], NOW)
    await node.hand_over(recipients[4], "1")
    await other.accept(a_recipient())
    await other.store.lease_slots("carrier", 3, NOW)
    await other.store.lease_slots("another", 1, NOW)
    told = await node.store.nodes(NOW + 2)
    assert [(n.number, n.recipients, n.callbacks, n.slots) for n in told] == [
        (node.store.node, 4, len(node.births.callbacks), ()),
        (other.store.node, 1, 0, (("another", 0), ("carrier", 0), ("carrier", 1))),
    ]
    assert {(n.host, n.pid) for n in told} == {(socket.gethostname(), os.getpid())}


async def test_a_silent_node_is_told_as_such_until_it_is_forgotten(stores: Stores) -> None:
    node, other = await stores.open(), await stores.open(now=NOW + 5)
    await other.store.beat(NOW + 5)
    first, second = await other.store.nodes(NOW + 5)
    assert 5 <= first.silent < 6
    assert 0 <= second.silent < 1
    assert abs(second.started_at - first.started_at) < 6
    await other.store.beat(SILENT)
    assert [n.number for n in await other.store.nodes(SILENT)] == [other.store.node]
    await stores.close(node)


async def test_nodes_are_read_without_becoming_one(stores: Stores, node: Node) -> None:
    assert [n.number for n in await read_nodes(stores.engine.url, NOW)] == [node.store.node]
    assert len(await node.store.nodes(NOW)) == 1


async def test_no_nodes_are_read_where_there_is_no_store(stores: Stores) -> None:
    url = stores.engine.unopened()
    for _ in range(2):  # nor is one made
        with pytest.raises(StoreUnavailable):
            await read_nodes(url, NOW)


async def test_counters_of_the_group_commit_are_told(node: Node) -> None:
    before = node.store.statistics()["operations"]
    await asyncio.gather(*(node.accept(a_recipient()) for _ in range(50)))
    after = node.store.statistics()
    assert after["operations"] == before + 50
    assert 0 < after["commits"] < after["operations"]
    assert after["largest"] > 1
    assert after["seconds"] > 0


async def test_nothing_waits_in_an_empty_store(node: Node) -> None:
    assert await node.store.lines(NOW) == []
    assert await node.store.endpoints(NOW) == []
    assert await node.lease() == []
    assert await node.callbacks(endpoint=IN) == []
    assert await node.callbacks(endpoint=OUT) == []
    assert list(await node.store.depths()) == []
    assert await node.store.expire(NOW + DAY) == 0
