"""How many times the PostgreSQL engine waits for the server in one commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Deferred, Inbound, Receipt, Rejected, Report
from passband.store import Charge, Line, Pace, Provision
from passband.store.postgres import PostgresStore
from store.nodes import DAY, HOUR, NOW, OURS, OUT, THEIRS, Node, Stores, a_recipient
from store.postgres_proxy import PORT, Proxy, proxy_before
from store.postgres_server import PostgresEngine


@pytest.fixture
async def proxy(postgres: PostgresEngine) -> AsyncIterator[Proxy]:
    async with proxy_before(postgres.server.folder) as proxy:
        yield proxy


@pytest.fixture
async def node(postgres: PostgresEngine, proxy: Proxy) -> AsyncIterator[Node]:
    postgres.url += f"&port={PORT}"
    stores = Stores(postgres)
    yield await stores.open()
    await stores.close()


def receipts(recipients: Sequence[Recipient]) -> Report:
    return Report(receipts=[Receipt("carrier", (f"?{r.message.id}", r.message.id), THEIRS, 0) for r in recipients])


async def handed(node: Node, recipients: Sequence[Recipient], *suffixes: str) -> None:
    refs = suffixes or ("",)
    accepted = [(r, Accepted(tuple(f"{r.message.id}{s}" for s in refs), 2 * HOUR)) for r in recipients]
    await node.store.record(Report(outcomes=accepted), NOW)


Call = Callable[[Node, list[Recipient]], Awaitable[Any]]


async def prepare_nothing(node: Node, recipients: list[Recipient]) -> None: ...


async def prepare_accepted(node: Node, recipients: list[Recipient]) -> None:
    await node.accept(*recipients)


async def prepare_handed(node: Node, recipients: list[Recipient]) -> None:
    await node.accept(*recipients)
    await handed(node, recipients)


async def prepare_to_expire(node: Node, recipients: list[Recipient]) -> None:
    await prepare_handed(node, recipients)
    assert isinstance(node.store, PostgresStore)
    node.store._vacuumed = NOW + DAY  # a vacuum is not part of the commit


async def prepare_segments(node: Node, recipients: list[Recipient]) -> None:
    await node.accept(*recipients)
    await handed(node, recipients, "", "b")


async def prepare_free(node: Node, recipients: list[Recipient]) -> None:
    await node.accept(*recipients)
    await node.store.release(recipients, ())


async def accept_limited(node: Node, recipients: list[Recipient]) -> None:
    await node.store.accept(recipients, (), [Charge("5500123", Kind.SMS, 1, 9, 1)])


async def reserve(node: Node, recipients: list[Recipient]) -> None:
    await node.store.reserve([Pace("5500123", "sms", 1, 1, 1)] * 3, NOW)


async def prepare_limited(node: Node, recipients: list[Recipient]) -> None:
    await accept_limited(node, [a_recipient()])
    await reserve(node, [])


CASES: dict[str, tuple[int, Call, Call]] = {
    "accept": (1, prepare_nothing, lambda node, rs: node.accept(*rs)),
    "hand over, with message-sent": (1, prepare_accepted, handed),
    "hand over in segments": (1, prepare_accepted, lambda node, rs: handed(node, rs, "", "b")),
    "refused for now, and for good": (
        1,
        prepare_accepted,
        lambda node, rs: node.store.record(
            Report(outcomes=[(r, Rejected(4720) if n % 2 else Deferred(5600, 1.0)) for n, r in enumerate(rs)]), NOW
        ),
    ),
    "announce": (1, prepare_accepted, lambda node, rs: node.store.announce(rs, NOW)),
    "receipts": (2, prepare_handed, lambda node, rs: node.store.record(receipts(rs), NOW)),
    "receipts of segments": (2, prepare_segments, lambda node, rs: node.store.record(receipts(rs), NOW)),
    "acknowledge": (1, prepare_handed, lambda node, _: node.acknowledge(*node.births.callbacks)),
    "release": (1, prepare_accepted, lambda node, rs: node.store.release(rs, ())),
    "lease": (1, prepare_free, lambda node, _: node.store.lease_recipients(Line("carrier", "5500123", False), 9, NOW)),
    "lease callbacks": (1, prepare_nothing, lambda node, _: node.store.lease_callbacks(OUT, 9, NOW)),
    "inbound": (
        2,
        prepare_nothing,
        lambda node, _: node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi", ref="1")]), NOW),
    ),
    "accept for a limited account": (2, prepare_limited, accept_limited),
    "accept for a limited account, the first": (3, prepare_nothing, accept_limited),
    "lease slots": (2, prepare_nothing, lambda node, _: node.store.lease_slots("carrier", 4, NOW)),
    "release slots": (1, prepare_nothing, lambda node, _: node.store.release_slots("carrier", [0])),
    "hurry": (1, prepare_nothing, lambda node, _: node.store.hurry(OUT, NOW)),
    "provision": (2, prepare_nothing, lambda node, _: node.store.provision([Provision("5500123", "a", "b", "c")], 0)),
    "reserve": (2, prepare_limited, reserve),
    "reserve, the first": (3, prepare_nothing, reserve),
    "expire": (2, prepare_to_expire, lambda node, _: node.store.expire(NOW + DAY)),
    "an early receipt": (4, prepare_nothing, lambda node, rs: node.store.record(receipts(rs), NOW)),
}


@pytest.mark.parametrize("case", CASES)
async def test_round_trips_of_a_commit(case: str, node: Node, proxy: Proxy) -> None:
    turns, prepare, call = CASES[case]
    recipients = [a_recipient() for _ in range(20)]
    await prepare(node, recipients)
    before = proxy.turns
    await call(node, recipients)
    assert proxy.turns - before == turns


async def test_a_mixed_commit_takes_two(node: Node, proxy: Proxy) -> None:
    """Whatever comes together is sent together."""
    old, new, next_ = ([a_recipient() for _ in range(5)] for _ in range(3))
    await prepare_handed(node, old)
    await prepare_accepted(node, new)
    sent = list(node.births.callbacks)
    before, commits = proxy.turns, node.store.statistics()["commits"]
    await asyncio.gather(
        node.accept(*next_), handed(node, new), node.store.record(receipts(old), NOW), node.acknowledge(*sent),
        node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi", ref="1")]), NOW),
    )  # fmt: skip
    assert node.store.statistics()["commits"] - commits == 1
    assert proxy.turns - before == 2
