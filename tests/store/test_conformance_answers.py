"""Answers: what a carrier says later about what it took, and what becomes of a recipient whose answer is owed."""

import msgspec
import pytest

from passband.domain.report import Accepted, Answer, Deciding, Deferred, Outcome, Rejected, Report
from store.nodes import HOUR, NOW, OURS, THEIRS, Node, a_group, a_recipient

OWED = Accepted(("transaction", "message"), 2 * HOUR, Deciding.FIRST, unanswered=5630)
DELIVERED, FAILED = ("delivered", 0), ("failed", 4720)


async def an_owed_one(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, OWED)
    node.births.callbacks.clear()


async def answer(
    node: Node, outcome: Outcome, *numbers: str, ref: str = "transaction", now: float = NOW, carrier: str = "carrier"
) -> None:
    await node.store.record(Report(answers=[Answer(carrier, ref, outcome, numbers)]), now)


@pytest.mark.parametrize(("outcome", "event"), [(Accepted((), None), DELIVERED), (Rejected(4720), FAILED)])
async def test_an_answer_decides_and_is_no_receipt(outcome: Outcome, event: tuple[str, int], node: Node) -> None:
    await an_owed_one(node)
    await answer(node, outcome)
    assert node.events == [event]
    assert not node.births.callbacks[0].receipted
    assert list(await node.store.depths()) == []


async def test_an_answer_may_come_to_any_node(node: Node, other: Node) -> None:
    await an_owed_one(node)
    await answer(other, Accepted((), None))
    assert (node.events, other.events) == ([], [DELIVERED])


async def test_an_answer_may_come_before_the_outcome(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await answer(node, Rejected(4720))
    await node.outcome(recipient, OWED)
    assert node.events == [("sent", 0), FAILED]


async def test_only_the_first_answer_counts(node: Node) -> None:
    await an_owed_one(node)
    await answer(node, Accepted((), None))
    await answer(node, Rejected(4720))
    assert node.events == [DELIVERED]


async def test_another_carriers_answer_counts_for_nothing(node: Node) -> None:
    await an_owed_one(node)
    await answer(node, Rejected(4720), carrier="another")
    await answer(node, Rejected(4720), ref="another")
    await answer(node, Rejected(4720), OURS)
    assert node.events == []


async def test_an_answer_that_names_nobody_is_about_all_of_a_group(node: Node) -> None:
    recipients = a_group(THEIRS, "+14085550177", "+14085550178")
    await node.accept(*recipients)
    for recipient in recipients:
        await node.outcome(recipient, OWED)
    node.births.callbacks.clear()
    await answer(node, Rejected(4720), recipients[1].number)
    assert node.events == [FAILED]
    await answer(node, Accepted((), None))
    assert node.events == [FAILED, DELIVERED, DELIVERED]


async def test_an_answer_may_be_to_come_again_and_then_the_text_is_there(node: Node) -> None:
    await an_owed_one(node)
    await answer(node, Deferred(5620, 15.0, 3))
    assert await node.lease(now=NOW + 14) == []
    [again] = await node.lease(now=NOW + 16)
    assert (again.attempts, again.code, again.message.text) == (1, 5620, a_recipient().message.text)
    await node.outcome(again, msgspec.structs.replace(OWED, refs=("second", "message")), NOW + 16)
    await answer(node, Rejected(4720))  # of the first attempt
    assert node.events == []
    await answer(node, Accepted((), None), ref="second")
    assert node.events == [DELIVERED]


async def test_what_comes_again_too_often_fails(node: Node) -> None:
    await an_owed_one(node)
    for attempt in (1, 2):
        await answer(node, Deferred(5620, 15.0, 3))
        [again] = await node.lease(now=NOW + 20)
        assert again.attempts == attempt
        await node.outcome(again, OWED, NOW + 20)
    node.births.callbacks.clear()
    await answer(node, Deferred(5620, 15.0, 3))
    assert node.events == [("failed", 5620)]


async def test_an_answer_that_never_comes(node: Node) -> None:
    await an_owed_one(node)
    assert await node.store.expire(NOW + 2 * HOUR - 1) == 0
    await node.store.expire(NOW + 2 * HOUR + 1)
    assert node.events == [("failed", 5630)]


async def test_after_the_answer_receipts_are_awaited_under_both_references(node: Node) -> None:
    await an_owed_one(node)
    await answer(node, Accepted(("theirs",), 2 * HOUR, Deciding.FIRST), now=NOW + HOUR)
    assert node.events == []
    await node.store.expire(NOW + 2 * HOUR + 1)
    assert node.events == []
    await node.receipt("theirs")
    assert node.events == [DELIVERED]
    assert node.births.callbacks[0].receipted


async def test_after_the_answer_a_receipt_that_never_comes(node: Node) -> None:
    await an_owed_one(node)
    await answer(node, Accepted((), 2 * HOUR, Deciding.FIRST), now=NOW + HOUR)
    await node.store.expire(NOW + 3 * HOUR + 1)
    assert node.events == [("failed", 9902)]


async def test_a_receipt_may_come_instead_of_the_answer(node: Node) -> None:
    await an_owed_one(node)
    await node.receipt("message", number=THEIRS)
    await answer(node, Rejected(4720))
    assert node.events == [DELIVERED]
