"""What a carrier calls the segments that it has taken: kept exactly as it gave it while their receipts are awaited."""

import pytest

from passband.domain.report import PAIR, Accepted, Answer, Deciding, Deferred, Report
from passband.store import CarrierRef
from store.nodes import HOUR, NOW, THEIRS, Node, a_group, a_recipient

WINDOW = 2 * HOUR
TAKEN: dict[str, tuple[Accepted, list[tuple[int | None, str]]]] = {
    # what the carrier said, and what it calls the segments
    "it is its own key": (Accepted(("12",), WINDOW), [(None, "12")]),
    "zeros and small letters": (Accepted(("AB12",), WINDOW, given=("00ab12",)), [(None, "00ab12")]),
    "any characters": (Accepted(("K ÿ",), WINDOW, given=("\x01k ÿ'\" ",)), [(None, "\x01k ÿ'\" ")]),
    "no name": (Accepted((PAIR,), WINDOW, given=("",)), []),
    "several, all the same": (Accepted(("1", "2"), WINDOW), [(0, "1"), (1, "2")]),
    "several, one differs": (Accepted(("1", "AB"), WINDOW, given=(None, "ab")), [(0, "1"), (1, "ab")]),
    "several, one without": (Accepted(("A", PAIR), WINDOW, given=("0a", "")), [(0, "0a")]),
    "several names of one": (
        Accepted(("A", "#ours", PAIR), WINDOW, Deciding.FIRST, given=("0a", "", "")),
        [(0, "0a")],
    ),
    "its answer is owed": (Accepted(("A",), WINDOW, Deciding.FIRST, 5630, given=("0a",)), [(0, "0a")]),
    "no receipt will come": (Accepted(("A",), None, given=("0a",)), []),
}


async def named(node: Node, id_: str, account: str = "5500123") -> list[tuple[int | None, str]]:
    found = await node.store.carrier_refs(account, id_)
    assert {ref.number for ref in found} <= {THEIRS}
    return [(ref.segment, ref.ref) for ref in found]


@pytest.mark.parametrize("case", TAKEN)
async def test_an_identifier_is_kept_as_the_carrier_gave_it(case: str, node: Node, other: Node) -> None:
    outcome, expected = TAKEN[case]
    recipient, another = a_recipient(segment_count=len(outcome.refs)), a_recipient()
    await node.accept(recipient, another)
    assert await named(node, recipient.message.id) == []
    await node.store.record(Report(outcomes=[(recipient, outcome), (another, Accepted(("9",), WINDOW))]), NOW)
    assert await named(other, recipient.message.id) == expected
    assert await named(other, another.message.id) == [(None, "9")]
    assert await named(other, recipient.message.id, "5500999") == []


async def test_a_receipt_finds_its_segment_by_the_key_and_the_identifier_goes_with_it(node: Node) -> None:
    recipient = a_recipient(segment_count=3)
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("A", "B", "C"), WINDOW, given=("0a", "0b", "0c")))
    await node.receipt("0b")  # nothing is looked for by what was given
    await node.receipt("B")
    assert await named(node, recipient.message.id) == [(0, "0a"), (2, "0c")]
    await node.receipt("A")
    await node.receipt("C")
    assert await named(node, recipient.message.id) == []
    assert node.events[-1] == ("delivered", 0)


async def test_recipients_of_a_group_are_told_apart(node: Node) -> None:
    recipients = a_group("+14085550142", "+14085550143")
    await node.accept(*recipients)
    for recipient, ref in zip(recipients, ("a", "b"), strict=True):
        await node.outcome(recipient, Accepted((ref.upper(),), WINDOW, given=(ref,)))
    assert await node.store.carrier_refs("5500123", recipients[0].message.id) == [
        CarrierRef("+14085550142", None, "a"),
        CarrierRef("+14085550143", None, "b"),
    ]


async def test_an_answer_may_bring_a_further_name(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("transaction",), WINDOW, Deciding.FIRST, 5630))
    theirs = Accepted(("theirs",), WINDOW, Deciding.FIRST, given=("<Theirs>",))
    await node.store.record(Report(answers=[Answer("carrier", "transaction", theirs)]), NOW)
    assert await named(node, recipient.message.id) == [(0, "transaction"), (1, "<Theirs>")]


async def test_a_name_that_came_before_its_outcome_is_kept_as_given(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    theirs = Accepted(("theirs",), WINDOW, Deciding.FIRST, given=("<Theirs>",))
    await node.store.record(Report(answers=[Answer("carrier", "transaction", theirs)]), NOW)
    await node.outcome(recipient, Accepted(("transaction",), WINDOW, Deciding.FIRST, 5630))
    assert await named(node, recipient.message.id) == [(0, "transaction"), (1, "<Theirs>")]


async def test_the_next_attempt_begins_without_names(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("A",), WINDOW, Deciding.FIRST, 5630, given=("0a",)))
    await node.store.record(Report(answers=[Answer("carrier", "A", Deferred(5620, 0.0))]), NOW)
    assert await named(node, recipient.message.id) == []
    (again,) = await node.lease()
    await node.outcome(again, Accepted(("B",), WINDOW))
    assert await named(node, recipient.message.id) == [(None, "B")]


async def test_what_is_awaited_no_more_has_no_name(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("A",), WINDOW, given=("0a",)))
    await node.store.expire(NOW + 3 * HOUR)
    assert node.events[-1] == ("failed", 9902)
    assert await named(node, recipient.message.id) == []
