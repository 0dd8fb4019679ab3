"""Receipts that decide nothing: their code counts if nothing better comes before the receipt window is over."""

import asyncio

import pytest

from passband.domain.report import Accepted, Deciding, Deferred, Inbound, Receipt, Report, Unclear
from store.nodes import HOUR, NOW, OURS, THEIRS, Node, a_recipient

LATE = NOW + 2 * HOUR + 1
DELIVERED, UNKNOWN, EXPIRED = ("delivered", 0), ("failed", 9999), ("failed", 9902)


def an_unclear(*refs: str, code: int = 9999, number: str = THEIRS, carrier: str = "carrier", pair: str = "") -> Unclear:
    return Unclear(carrier, refs, number, code, pair=pair)


async def say(node: Node, *unclear: Unclear) -> None:
    await node.store.record(Report(unclear=unclear), NOW)


async def a_handed_one(node: Node, *refs: str, deciding: Deciding = Deciding.EVERY) -> None:
    recipient = a_recipient(segment_count=len(refs))
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(refs, 2 * HOUR, deciding))
    node.births.callbacks.clear()


async def over(node: Node) -> list[tuple[str, int]]:
    """What was told when the receipt window is over."""
    await node.store.expire(LATE)
    assert list(await node.store.depths()) == []
    return node.events


@pytest.mark.parametrize("refs", [("1",), ("1", "2")], ids=["one segment", "two segments"])
async def test_after_it_nothing_comes_and_its_code_is_told(refs: tuple[str, ...], node: Node, other: Node) -> None:
    await a_handed_one(node, *refs)
    await say(other, an_unclear("1"))
    assert await node.store.expire(LATE - 2) == 0
    assert await over(node) == [UNKNOWN]
    assert node.births.callbacks[0].receipted
    assert other.events == []


@pytest.mark.parametrize("code", [0, 4720])
@pytest.mark.parametrize("refs", [("1",), ("1", "2")], ids=["one segment", "two segments"])
async def test_a_later_receipt_decides(refs: tuple[str, ...], code: int, node: Node, other: Node) -> None:
    await a_handed_one(node, *refs)
    await say(other, an_unclear("1"))
    for ref in refs:
        await node.receipt(ref, code=code)
    await say(other, an_unclear("1"))
    assert await over(node) == [("failed", 4720) if code else DELIVERED]


async def test_a_receipt_in_the_same_report_decides(node: Node) -> None:
    await a_handed_one(node, "1")
    await node.store.record(Report(receipts=[Receipt("carrier", ("1",), THEIRS, 0)], unclear=[an_unclear("1")]), NOW)
    assert node.events == [DELIVERED]


async def test_the_first_of_several_counts(node: Node) -> None:
    await a_handed_one(node, "1", "2")
    await say(node, an_unclear("1"), an_unclear("1"), an_unclear("2"))
    await say(node, an_unclear("1", code=5999))
    assert await over(node) == [UNKNOWN]


@pytest.mark.parametrize(
    ("deciding", "event"),
    [(Deciding.EVERY, UNKNOWN), (Deciding.SOME, DELIVERED)],
    ids=["every segment decides", "some are enough"],
)
async def test_of_one_segment_while_the_others_are_delivered(
    deciding: Deciding, event: tuple[str, int], node: Node
) -> None:
    await a_handed_one(node, "1", "2", "3", deciding=deciding)
    await node.receipt("1")
    await say(node, an_unclear("2"))
    await node.receipt("3")
    assert node.events == []
    assert await over(node) == [event]


async def test_of_a_segment_where_the_first_receipt_decides_it_does_not(node: Node) -> None:
    await a_handed_one(node, "1", "2", deciding=Deciding.FIRST)
    await say(node, an_unclear("1"))
    assert node.events == []
    await node.receipt("2")
    assert node.events == [DELIVERED]


async def test_a_segment_is_found_as_by_any_receipt(node: Node) -> None:
    await a_handed_one(node, "1")
    await a_handed_one(node, "A", "B")
    await say(node, an_unclear("X", "1"), an_unclear("Y", "Z", "B"))
    assert await over(node) == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    "unclear",
    [an_unclear("2"), an_unclear("1", number="+14085550199"), an_unclear("1", carrier="another"), an_unclear()],
    ids=["reference", "number", "carrier", "nothing named"],
)
async def test_of_something_else_it_means_nothing(unclear: Unclear, node: Node) -> None:
    await a_handed_one(node, "1")
    await say(node, unclear)
    assert await over(node) == [EXPIRED]


async def test_a_reference_that_a_carrier_uses_again_means_the_newer_message(node: Node) -> None:
    old, new = a_recipient(), a_recipient()
    await node.accept(old, new)
    await node.hand_over(new, "1")
    await node.hand_over(old, "1")
    await say(node, an_unclear("1"))
    await node.store.expire(LATE)
    ends = {c.message.id: c.code for c in node.births.callbacks if c.kind.terminal}
    assert ends == {old.message.id: 9902, new.message.id: 9999}


@pytest.mark.parametrize(("open_ones", "event"), [(1, UNKNOWN), (2, EXPIRED)])
async def test_without_a_name_it_means_the_only_one_between_its_numbers(
    open_ones: int, event: tuple[str, int], node: Node
) -> None:
    for _ in range(open_ones):
        await a_handed_one(node, "~pair")
    await say(node, an_unclear(pair="~pair"), an_unclear("1", pair="~pair"))
    assert set(await over(node)) == {event}


async def test_before_the_outcome_it_is_not_kept(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await say(node, an_unclear("1"))
    await node.hand_over(recipient, "1")
    assert await over(node) == [("sent", 0), EXPIRED]
    assert node.store.statistics()["unmatched_receipts"] == 0


async def test_before_the_outcome_it_does_not_take_the_place_of_a_receipt(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await say(node, an_unclear("1"))
    await node.receipt("1")
    await node.hand_over(recipient, "1")
    assert node.events == [("sent", 0), DELIVERED]


async def test_with_its_outcome_in_one_report_it_counts(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    outcome = (recipient, Accepted(("1",), 2 * HOUR))
    await node.store.record(Report(outcomes=[outcome], unclear=[an_unclear("1")]), NOW)
    assert await over(node) == [("sent", 0), UNKNOWN]


async def test_just_when_the_window_is_over_it_still_counts(node: Node) -> None:
    """Both in one transaction."""
    await a_handed_one(node, "1")
    await asyncio.gather(say(node, an_unclear("1")), node.store.expire(LATE))
    assert node.events == [UNKNOWN]


async def test_a_refusal_before_the_carrier_took_it_is_forgotten(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Deferred(9999, 0.0))
    (again,) = await node.lease()
    assert again.code == 9999
    await node.hand_over(again, "1")
    assert await over(node) == [("sent", 0), EXPIRED]


async def test_while_an_answer_is_owed_that_is_what_it_fails_for(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("1",), 2 * HOUR, unanswered=5630))
    await say(node, an_unclear("1"))
    assert await over(node) == [("sent", 0), ("failed", 5630)]


async def test_what_only_looks_like_one_is_a_message_if_it_matches_nothing(node: Node) -> None:
    await a_handed_one(node, "1")
    message = Inbound("carrier", THEIRS, (OURS,), "id:1 stat:ODD", ref="r")
    for ref in ("2", "1", "2"):
        await say(node, Unclear("carrier", (ref,), THEIRS, 9999, otherwise=message))
    assert await over(node) == [("received", 0), UNKNOWN]


async def test_a_receipt_that_another_node_gets_at_the_same_moment_decides(node: Node, other: Node) -> None:
    refs = [str(n) for n in range(60)]
    for ref in refs:
        await a_handed_one(node, ref)
    await asyncio.gather(
        *(say(other, *map(an_unclear, refs)) for _ in range(3)),
        *(node.receipt(ref) for ref in refs),
        *(say(other, *map(an_unclear, reversed(refs))) for _ in range(3)),
    )
    assert node.events == [DELIVERED] * len(refs)
