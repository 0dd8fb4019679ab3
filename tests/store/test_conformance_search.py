"""Search: metadata of what is alive, and of what is over where history is kept."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from passband.domain.account import Directory
from passband.domain.event import EventKind
from passband.domain.message import Direction, Kind
from passband.domain.report import Accepted, Inbound, Rejected, Report
from passband.domain.rules import Rules
from passband.store import Found, Query
from store.nodes import DAY, HOUR, IN, NOW, OURS, OURS_TOO, THEIRS, Node, Stores, a_group, a_recipient, an_account

ENDINGS = {
    "queued": (None, (), "QUEUED", 0),
    "handed over": (Accepted(("1",), 2 * HOUR), (), "SENDING", 0),
    "handed over for good": (Accepted(("1",), None), (), "DELIVERED", 0),
    "delivered": (Accepted(("1",), 2 * HOUR), (("1", 0),), "DELIVERED", 0),
    "rejected": (Rejected(4720), (), "FAILED", 4720),
    "undelivered": (Accepted(("1",), 2 * HOUR), (("1", 5620),), "UNDELIVERED", 5620),
}


async def found(node: Node, **fields: Any) -> list[Found]:
    total, page = await node.store.search(Query("5500123", **fields), NOW)
    assert total >= len(page)
    return page


def ids(rows: Sequence[Found]) -> list[str]:
    return [row.id for row in rows]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("days", [0, 14], ids=["without history", "with history"])
async def test_the_status_of_an_outbound_message_from_its_queue_to_its_history(
    ending: str, days: int, stores: Stores
) -> None:
    outcome, receipts, status, code = ENDINGS[ending]
    node = await stores.open(history_days=days)
    recipient = a_recipient()
    await node.accept(recipient)
    if outcome:
        await node.outcome(recipient, outcome)
    for ref, receipt in receipts:
        await node.receipt(ref, code=receipt)
    (row,) = await found(node)
    assert (row.status, row.code) == (status, code)
    await node.acknowledge(*node.births.callbacks)
    alive = status in ("QUEUED", "SENDING")
    assert await found(node) == ([row] if alive or days else [])


async def test_a_row_tells_all_metadata_and_no_text(stores: Stores) -> None:
    node = await stores.open(history_days=14)
    group = [
        msgspec.structs.replace(r, message=msgspec.structs.replace(r.message, media=("http://a/1", "http://a/2")))
        for r in a_group("+14085550142", "+14085550143", "+14085550144")
    ]
    await node.accept(*group)
    m = group[1].message
    expected = Found(
        m.id, "5500123", OURS, "+14085550143", "QUEUED", Direction.OUT, Kind.MMS, 1, 0, m.created_at, "carrier", 19,
        2, 3,
    )  # fmt: skip
    assert (await found(node, destinations=("+14085550143",))) == [expected]
    await node.outcome(group[1], Rejected(4720))
    await node.acknowledge(*node.births.callbacks)
    expected = msgspec.structs.replace(expected, status="FAILED", code=4720)
    assert (await found(node, destinations=("+14085550143",))) == [expected]


@pytest.mark.parametrize(("acknowledged", "status"), [(True, "ACCEPTED"), (False, "FAILED")])
async def test_the_status_of_an_inbound_message(acknowledged: bool, status: str, stores: Stores) -> None:
    node = await stores.open(room=0, history_days=14)
    await node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi", segment_count=2)]), NOW)
    (row,) = await found(node)
    assert (row.status, row.direction, row.segment_count, row.length) == ("SENDING", Direction.IN, 2, 2)
    if acknowledged:
        await node.acknowledge(*await node.callbacks(endpoint=IN))
    else:
        await node.store.expire(NOW + DAY)
    assert await found(node) == [msgspec.structs.replace(row, status=status)]


async def test_an_event_that_nobody_wants_is_in_the_history_at_once(stores: Stores) -> None:
    rules = Rules(Directory([an_account(requested=frozenset({EventKind.SENT}))]))
    node = await stores.open(history_days=14, rules=rules)
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Rejected(4720))
    assert node.events == []
    assert [row.status for row in await found(node)] == ["FAILED"]


async def test_history_is_kept_for_its_days(stores: Stores) -> None:
    node = await stores.open(history_days=14)
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Rejected(4720))
    await node.acknowledge(*node.births.callbacks)
    await node.store.expire(NOW + 14 * DAY)
    assert len(await found(node)) == 1
    await node.store.expire(NOW + 14 * DAY + 1)
    assert await found(node) == []


async def test_what_is_pending_for_a_non_terminal_event_is_found_once(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.announce([recipient], NOW)
    await node.outcome(recipient, Accepted(("1",), None))
    assert len(node.events) == 3
    assert len(await found(node)) == 1


@dataclasses.dataclass(frozen=True)
class Some:
    """Five rows that differ in everything, in the order of their reception."""

    node: Node
    ids: list[str]


@pytest.fixture
async def some(stores: Stores) -> Some:
    node = await stores.open(history_days=14)
    rows = [
        a_recipient(now=NOW),
        a_recipient(now=NOW + 1, sender=OURS_TOO, to=("+14085550143",), segment_count=3, length=400, carrier="another"),
        a_recipient(now=NOW + 2, sender="46645", to=("+442071838750",), length=0),
        a_recipient(now=NOW + 3, sender=OURS, to=("+14085550145",), kind=Kind.MMS, media=("http://a/1",), length=7),
    ]
    await node.accept(*rows, a_recipient(account="5500999"))
    await node.hand_over(rows[1], "1")
    await node.outcome(rows[2], Rejected(4720))
    await node.outcome(rows[3], Rejected(4432))
    await node.acknowledge(*(c for c in node.births.callbacks if c.code == 4432))
    await node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "Hello")]), NOW + 4)
    last = node.births.callbacks[-1].message.id
    return Some(node, [*(row.message.id for row in rows), last])


FILTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "nothing": ({}, [0, 1, 2, 3, 4]),
    "another account": ({"account": "5500777"}, []),
    "one sender": ({"sources": (OURS,)}, [0, 3]),
    "several senders": ({"sources": (OURS_TOO, "46645", "+1")}, [1, 2]),
    "senders by prefix": ({"sources": ("+1919555011*",)}, [0, 1, 3]),
    "every sender by an empty prefix": ({"sources": ("*",)}, [0, 1, 2, 3, 4]),
    "a prefix is no pattern": ({"sources": ("_1919*",)}, []),
    "a percent sign is no pattern": ({"sources": ("%",)}, []),
    "one recipient": ({"destinations": (OURS,)}, [4]),
    "recipients by prefix": ({"destinations": ("+1408*",)}, [0, 1, 3]),
    "waiting": ({"status": "QUEUED"}, [0]),
    "handed over, or being told": ({"status": "SENDING"}, [1, 4]),
    "failed, alive and in the history": ({"status": "FAILED"}, [2, 3]),
    "no such status": ({"status": "SENT"}, []),
    "outbound": ({"direction": Direction.OUT}, [0, 1, 2, 3]),
    "inbound": ({"direction": Direction.IN}, [4]),
    "SMS": ({"kind": Kind.SMS}, [0, 1, 2, 4]),
    "MMS": ({"kind": Kind.MMS}, [3]),
    "one carrier": ({"carrier": "another"}, [1]),
    "one code": ({"code": 4720}, [2]),
    "no failure": ({"code": 0}, [0, 1, 4]),
    "since": ({"received_from": NOW + 2}, [2, 3, 4]),
    "until": ({"received_to": NOW + 2}, [0, 1, 2]),
    "a span": ({"received_from": NOW + 1, "received_to": NOW + 3}, [1, 2, 3]),
    "many segments": ({"min_segments": 2}, [1]),
    "few segments": ({"max_segments": 1}, [0, 2, 3, 4]),
    "long": ({"min_length": 19}, [0, 1]),
    "short": ({"max_length": 7}, [2, 3, 4]),
    "neither long nor short": ({"min_length": 5, "max_length": 7}, [3, 4]),
    "several filters": ({"direction": Direction.OUT, "kind": Kind.SMS, "code": 0, "max_length": 100}, [0]),
    "an injected value": ({"carrier": "' OR 1=1 --"}, []),
}


@pytest.mark.parametrize("case", FILTERS)
async def test_filter_by(case: str, some: Some) -> None:
    fields, places = FILTERS[case]
    total, page = await some.node.store.search(Query(**{"account": "5500123", **fields, "descending": False}), NOW)
    assert ids(page) == [some.ids[place] for place in places]
    assert total == len(places)


async def test_filter_by_identifier(some: Some) -> None:
    for id_ in some.ids:
        assert ids(await found(some.node, id=id_)) == [id_]
    assert await found(some.node, id="1773044142317kq4zt7m2xw6yb3hd") == []


@pytest.mark.parametrize(
    "sort", ["received_at", "source", "destination", "status", "direction", "kind", "carrier", "code", "segment_count",
             "length", "id"],
)  # fmt: skip
async def test_sort_by(sort: str, some: Some) -> None:
    """What is equal comes in the order of the identifiers."""
    rows = await found(some.node, sort=sort, descending=False)
    assert rows == sorted(rows, key=lambda row: (getattr(row, sort), row.id))
    assert len(rows) == 5
    assert await found(some.node, sort=sort) == rows[::-1]


async def test_an_unknown_sort_is_by_reception(some: Some) -> None:
    assert ids(await found(some.node, sort="text; DROP TABLE recipients", descending=False)) == some.ids


async def test_pages_cover_everything_once(some: Some) -> None:
    pages = [await some.node.store.search(Query("5500123", sort="kind", offset=n, limit=2), NOW) for n in (0, 2, 4, 6)]
    assert [total for total, _ in pages] == [5, 5, 5, 5]
    assert [len(page) for _, page in pages] == [2, 2, 1, 0]
    assert sorted(ids([row for _, page in pages for row in page])) == sorted(some.ids)


async def test_the_recipients_of_a_group_are_paged_one_by_one(node: Node) -> None:
    await node.accept(*a_group("+14085550142", "+14085550143", "+14085550144"))
    pages = [(await found(node, offset=n, limit=1))[0] for n in range(3)]
    assert sorted(row.destination for row in pages) == ["+14085550142", "+14085550143", "+14085550144"]
    assert len({row.id for row in pages}) == 1
