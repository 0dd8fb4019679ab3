"""Receipts: which recipient they mean, which decides, and that they may come early, twice, late or forged."""

from typing import Any

import pytest

from passband.domain.report import Accepted, Deciding, Inbound, Matched, Receipt, Report
from store.nodes import HOUR, NOW, OURS, THEIRS, Node, Stores, a_group, a_recipient, the_rules

DELIVERED, FAILED = ("delivered", 0), ("failed", 4720)


async def a_handed_one(node: Node, *refs: str, **fields: Any) -> None:
    """A recipient that the carrier has taken; its message-sent is forgotten."""
    recipient = a_recipient(**fields)
    await node.accept(recipient)
    await node.hand_over(recipient, *refs)
    node.births.callbacks.clear()


@pytest.mark.parametrize(("code", "event"), [(0, DELIVERED), (4720, FAILED)])
async def test_a_receipt_decides_and_is_told(code: int, event: tuple[str, int], node: Node) -> None:
    await a_handed_one(node, "1")
    await node.receipt("1", code=code)
    assert node.events == [event]
    assert node.births.callbacks[0].receipted
    assert list(await node.store.depths()) == []


async def test_a_receipt_may_come_to_any_node(node: Node, other: Node) -> None:
    await a_handed_one(node, "1")
    await other.receipt("1")
    assert (node.events, other.events) == ([], [DELIVERED])


Receipts = list[tuple[str, int]]
SEGMENTS: dict[str, tuple[Receipts, Receipts, Receipts, tuple[str, int]]] = {
    "all delivered": ([("1", 0), ("2", 0)], [], [("3", 0)], DELIVERED),
    "delivered in another order": ([("3", 0), ("1", 0)], [], [("2", 0)], DELIVERED),
    "the first fails": ([], [], [("1", 4720)], FAILED),
    "the last fails": ([("1", 0), ("2", 0)], [], [("3", 4720)], FAILED),
    "one delivered twice": ([("1", 0), ("1", 0), ("2", 0)], [], [("3", 0)], DELIVERED),
    "delivered after a failure": ([], [], [("2", 4720), ("1", 0), ("3", 0)], FAILED),
    "two failures, the first counts": ([], [], [("2", 4720), ("1", 5620)], FAILED),
}


@pytest.mark.parametrize("case", SEGMENTS)
async def test_the_first_failed_segment_decides_or_the_last_delivered_one(case: str, node: Node) -> None:
    before, told, decisive, event = SEGMENTS[case]
    await a_handed_one(node, "1", "2", "3", segment_count=3)
    for ref, code in before:
        await node.receipt(ref, code=code)
    assert node.events == told
    for ref, code in decisive:
        await node.receipt(ref, code=code)
    assert node.events == [event]


async def test_segments_may_share_a_reference(node: Node) -> None:
    """Some message centres give one identifier for all segments."""
    await a_handed_one(node, "1", "1", segment_count=2)
    await node.receipt("1")
    assert node.events == []
    await node.receipt("1")
    assert node.events == [DELIVERED]


@pytest.mark.parametrize("refs", [("1",), ("1", "2")], ids=["one segment", "two segments"])
async def test_a_receipt_for_another_number_is_ignored(refs: tuple[str, ...], node: Node) -> None:
    await a_handed_one(node, *refs)
    for ref in refs:
        await node.receipt(ref, code=4720, number="+14085550199")
    assert node.events == []
    for ref in refs:
        await node.receipt(ref)
    assert node.events == [DELIVERED]


async def test_a_receipt_from_another_carrier_is_ignored(node: Node) -> None:
    await a_handed_one(node, "1")
    await node.receipt("1", carrier="another")
    assert node.events == []


async def test_the_recipients_of_a_group_are_told_apart_by_their_numbers(node: Node) -> None:
    first, second = a_group("+14085550142", "+14085550143")
    await node.accept(first, second)
    await node.hand_over(first, "1")
    await node.hand_over(second, "1")
    await node.receipt("1", number="+14085550143", code=4720)
    assert [(c.n, c.code) for c in node.births.callbacks][2:] == [(1, 4720)]


async def test_a_reference_that_a_carrier_uses_again_means_the_newer_message(node: Node) -> None:
    old, new = a_recipient(), a_recipient()
    await node.accept(old, new)
    await node.hand_over(new, "1")
    await node.hand_over(old, "1")
    await node.receipt("1")
    await node.receipt("1", code=4720)
    assert [c.message.id for c in node.births.callbacks[2:]] == [new.message.id, old.message.id]


async def test_a_receipt_may_name_its_segment_in_several_ways(node: Node) -> None:
    await a_handed_one(node, "3039")
    await node.receipt("12345", "3039")
    assert node.events == [DELIVERED]
    await a_handed_one(node, "A", "B")
    await node.receipt("10", "A")
    await node.receipt("11", "B")
    assert node.events == [DELIVERED]


# ── by which reference ─────────────────────────────────────────────────────────────────────────────────────────────


async def a_wanting_node(stores: Stores) -> tuple[Node, list[Matched]]:
    """A node, and what its carrier was told of how its receipts matched."""
    told: list[Matched] = []
    rules = the_rules()
    rules.matched["carrier"] = told.append
    return await stores.open(rules=rules), told


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_carrier_is_told_by_which_reference_its_receipts_match(
    segments: int, place: int, stores: Stores
) -> None:
    node, told = await a_wanting_node(stores)
    taken = [f"T{n}" for n in range(segments)]
    await a_handed_one(node, *taken, segment_count=segments)
    expected = []
    for n, ref in enumerate(taken):
        refs = [f"X{n}", f"Y{n}", f"Z{n}"]
        refs[place] = ref
        await node.receipt(*refs)
        expected.append(Matched(0, {place: [tuple(refs)]}) if place else Matched(1, {}))
    assert told == expected
    assert node.events == [DELIVERED]


async def test_it_is_told_of_a_whole_report_at_once(stores: Stores) -> None:
    node, told = await a_wanting_node(stores)
    for ref in ("1", "2", "3", "4", "5"):
        await a_handed_one(node, ref)
    await a_handed_one(node, "6", "7", segment_count=2)
    named = [("1",), ("2", "B"), ("C", "3"), ("C", "D", "4"), ("5",), ("E", "6"), ("7", "C"), ("8", "9"), ("1",)]
    await node.store.record(Report(receipts=[Receipt("carrier", refs, THEIRS, 0) for refs in named]), NOW)
    assert told == [Matched(4, {1: [("C", "3"), ("E", "6")], 2: [("C", "D", "4")]})]
    assert node.events == [DELIVERED] * 6


async def test_what_matches_nothing_comes_early_or_names_two_numbers_only_is_not_told(stores: Stores) -> None:
    node, told = await a_wanting_node(stores)
    recipient = a_recipient()
    await node.accept(recipient)
    await node.receipt("X", "1")
    await node.hand_over(recipient, "1")
    await a_handed_one(node, "~pair")
    await node.store.record(Report(receipts=[Receipt("carrier", ("Y", "Z"), THEIRS, 0, pair="~pair")]), NOW)
    assert node.events == [DELIVERED]
    await a_handed_one(node, "2", carrier="another")
    await node.receipt("Y", "2", carrier="another")
    assert node.events == [DELIVERED]
    assert told == []


# ── other ways to decide ───────────────────────────────────────────────────────────────────────────────────────────


async def handed_deciding(node: Node, deciding: Deciding, *refs: str) -> None:
    recipient = a_recipient(segment_count=len(refs))
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(refs, 2 * HOUR, deciding))
    node.births.callbacks.clear()


@pytest.mark.parametrize(("code", "event"), [(0, DELIVERED), (4720, FAILED)])
async def test_the_first_receipt_may_decide(code: int, event: tuple[str, int], node: Node) -> None:
    await handed_deciding(node, Deciding.FIRST, "1", "2", "3")
    await node.receipt("2", code=code)
    await node.receipt("1", code=4720)
    assert node.events == [event]


@pytest.mark.parametrize(("receipts", "event"), [("", ("failed", 9902)), ("1", DELIVERED), ("13", DELIVERED)])
async def test_some_delivered_segments_may_be_enough_when_the_window_is_over(
    receipts: str, event: tuple[str, int], node: Node
) -> None:
    await handed_deciding(node, Deciding.SOME, "1", "2", "3")
    for ref in receipts:
        await node.receipt(ref)
    assert node.events == []
    assert await node.store.expire(NOW + 2 * HOUR + 1) == 1
    assert node.events == [event]


async def test_a_failed_segment_decides_although_some_would_be_enough(node: Node) -> None:
    await handed_deciding(node, Deciding.SOME, "1", "2", "3")
    await node.receipt("1")
    await node.receipt("3", code=4720)
    assert node.events == [FAILED]


async def test_all_delivered_segments_decide_at_once_although_some_would_be_enough(node: Node) -> None:
    await handed_deciding(node, Deciding.SOME, "1", "2")
    await node.receipt("1")
    await node.receipt("2")
    assert node.events == [DELIVERED]


async def test_what_only_looks_like_a_receipt_is_a_message_if_it_matches_nothing(node: Node) -> None:
    await a_handed_one(node, "1")
    message = Inbound("carrier", THEIRS, (OURS,), "id:1 stat:DELIVRD", ref="r")
    for ref in ("2", "1", "2"):
        receipt = Receipt("carrier", (ref,), THEIRS, 0, otherwise=message)
        await node.store.record(Report(receipts=[receipt]), NOW)
    assert node.events == [("received", 0), DELIVERED]
    assert node.births.callbacks[0].message.text == "id:1 stat:DELIVRD"


# ── early ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [0, 4720])
async def test_a_receipt_may_come_before_its_outcome_and_to_another_node(code: int, node: Node, other: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await other.receipt("1", code=code)
    await node.hand_over(recipient, "1")
    assert node.events == [("sent", 0), FAILED if code else DELIVERED]
    assert list(await node.store.depths()) == []


@pytest.mark.parametrize("early", ["12", "13", "21", "23", "31", "32"])
async def test_some_segments_receipts_may_come_before_the_outcome(early: str, node: Node) -> None:
    recipient = a_recipient(segment_count=3)
    await node.accept(recipient)
    for ref in early:
        await node.receipt(ref)
    await node.hand_over(recipient, "1", "2", "3")
    assert node.events == [("sent", 0)]
    await node.receipt(*set("123").difference(early))
    assert node.events == [("sent", 0), DELIVERED]


async def test_all_segments_receipts_may_come_before_the_outcome(node: Node) -> None:
    recipient = a_recipient(segment_count=3)
    await node.accept(recipient)
    for ref, code in (("2", 0), ("3", 4720), ("1", 0)):
        await node.receipt(ref, code=code)
    await node.hand_over(recipient, "1", "2", "3")
    assert node.events == [("sent", 0), FAILED]


async def test_an_outcome_and_its_receipt_may_come_in_one_report(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.record(
        Report(outcomes=[(recipient, Accepted(("1",), 2 * HOUR))], receipts=[Receipt("carrier", ("1",), THEIRS, 0)]),
        NOW,
    )
    assert node.events == [("sent", 0), DELIVERED]


async def test_an_early_receipt_may_name_its_segment_in_several_ways(node: Node) -> None:
    recipients = [a_recipient(), a_recipient()]
    await node.accept(*recipients)
    await node.receipt("12345", "3039")
    await node.hand_over(recipients[0], "3039")
    await node.hand_over(recipients[1], "12345")
    assert node.events == [("sent", 0), DELIVERED, ("sent", 0)]


async def test_an_early_forgery_does_not_take_the_place_of_the_true_receipt(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.receipt("1", code=4720, number="+14085550199")
    await node.receipt("1")
    await node.hand_over(recipient, "1")
    assert node.events == [("sent", 0), DELIVERED]


async def test_early_receipts_of_two_carriers_with_one_reference_are_kept_apart(node: Node) -> None:
    first, second = a_recipient(), a_recipient(carrier="another")
    await node.accept(first, second)
    await node.receipt("1", code=4720)
    await node.receipt("1", carrier="another")
    await node.hand_over(first, "1")
    await node.hand_over(second, "1")
    assert node.events == [("sent", 0), FAILED, ("sent", 0), DELIVERED]


async def test_the_first_of_two_early_receipts_counts(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.receipt("1", code=4720)
    await node.receipt("1", now=NOW + 1)
    await node.hand_over(recipient, "1")
    assert node.events == [("sent", 0), FAILED]


@pytest.mark.parametrize(("age", "told"), [(600.0, [DELIVERED]), (600.1, [])], ids=["kept", "dropped"])
async def test_an_early_receipt_is_dropped_after_ten_minutes(
    age: float, told: list[tuple[str, int]], node: Node
) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.receipt("1")
    await node.store.expire(NOW + age)
    await node.hand_over(recipient, "1", now=NOW + age)
    assert node.events == [("sent", 0), *told]


async def test_receipts_that_match_nothing_are_counted_when_they_are_dropped(node: Node) -> None:
    await a_handed_one(node, "1")
    await node.receipt("1", "01", number="+14085550199")  # forged: one receipt, whatever it may name
    await node.receipt("2")
    await node.receipt("2")  # repeated
    await node.store.expire(NOW + 600)
    assert node.store.statistics()["unmatched_receipts"] == 0
    await node.store.expire(NOW + 600.1)
    assert node.store.statistics()["unmatched_receipts"] == 2
    assert node.events == []


# ── twice and late ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [0, 4720])
@pytest.mark.parametrize("then", [0, 4720])
async def test_a_further_receipt_changes_nothing(first: int, then: int, node: Node, other: Node) -> None:
    await a_handed_one(node, "1")
    await node.receipt("1", code=first)
    await node.receipt("1", code=then)
    await other.receipt("1", code=then)
    assert node.events == [FAILED if first else DELIVERED]
    assert other.events == []


async def test_a_receipt_after_the_acknowledgement_of_the_last_event_changes_nothing(node: Node) -> None:
    await a_handed_one(node, "1")
    await node.receipt("1")
    await node.acknowledge(*node.births.callbacks)
    await node.receipt("1", code=4720)
    assert node.events == [DELIVERED]


async def test_a_positive_receipt_after_the_receipt_window_changes_nothing(node: Node) -> None:
    await a_handed_one(node, "1")
    assert await node.store.expire(NOW + 2 * HOUR + 1) == 1
    await node.receipt("1", now=NOW + 2 * HOUR + 1)
    assert node.events == [("failed", 9902)]


async def test_two_nodes_with_the_same_receipt_tell_it_once(stores: Stores) -> None:
    nodes = [await stores.open() for _ in range(3)]
    await a_handed_one(nodes[0], "1")
    for node in nodes * 2:
        await node.receipt("1")
    assert [event for node in nodes for event in node.events] == [DELIVERED]
