"""Outcomes: what a carrier's answer makes of a recipient, and that only the holder of its lease may tell."""

import msgspec
import pytest

from passband.domain.report import Accepted, Deferred, Outcome, Rejected, Report
from store.nodes import HOUR, NOW, Node, Stores, a_group, a_recipient

ANY: dict[str, Outcome] = {
    "accepted": Accepted(("1",), 2 * HOUR),
    "accepted in segments": Accepted(("1", "2"), 2 * HOUR),
    "accepted for good": Accepted((), None),
    "deferred": Deferred(5600, 0.0),
    "deferred for the last time": Deferred(5600, 0.0, max_attempts=1),
    "rejected": Rejected(4720),
}


async def test_an_accepted_recipient_was_sent_and_waits_for_its_receipt(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.hand_over(recipient, "1")
    assert node.events == [("sent", 0)]
    await node.receipt("1")
    assert node.events == [("sent", 0), ("delivered", 0)]


async def test_a_recipient_accepted_for_good_is_sent_and_delivered(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(("1",), None))
    assert node.events == [("sent", 0), ("delivered", 0)]
    assert list(await node.store.depths()) == []


async def test_a_rejected_recipient_fails_with_its_code(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Rejected(4720))
    assert node.events == [("failed", 4720)]
    assert not node.births.callbacks[0].receipted
    assert list(await node.store.depths()) == []


async def test_no_event_of_an_outbound_message_carries_its_text(node: Node) -> None:
    for ending in ANY.values():
        recipient = a_recipient()
        await node.accept(recipient)
        await node.store.announce([recipient], NOW)
        await node.outcome(recipient, ending)
    assert {c.message.text for c in node.births.callbacks} == {""}
    assert {c.message.length for c in node.births.callbacks} == {19}


@pytest.mark.parametrize("refs", [("1",), ("1", "2"), ()], ids=["one segment", "several", "no identifier"])
async def test_the_text_goes_with_the_hand_over(refs: tuple[str, ...], stores: Stores) -> None:
    """Seen through its last event, which is made of the row."""
    node, other = await stores.open(), await stores.open()
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(refs, 2 * HOUR))
    assert await other.store.expire(NOW + 2 * HOUR + 1) == 1
    (failed,) = other.births.callbacks
    assert (failed.code, failed.message.text) == (9902, "")
    assert failed.message == msgspec.structs.replace(recipient.message, text="")


async def test_a_deferred_recipient_waits_for_its_next_attempt(stores: Stores, node: Node) -> None:
    other = await stores.open()
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Deferred(5600, 10.0, max_attempts=3))
    assert node.events == []
    assert await other.lease(now=NOW + 9.9) == []
    again = msgspec.structs.replace(recipient, due_at=NOW + 10, attempts=1, code=5600)
    assert await other.lease(now=NOW + 10) == [again]


async def test_a_deferral_that_does_not_count_adds_no_attempt(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Deferred(5501, 1.0))
    (again,) = await node.lease(now=NOW + 1)
    assert (again.attempts, again.code) == (0, 5501)


async def test_the_last_of_its_attempts_fails_a_recipient_with_the_code_of_the_last_refusal(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Deferred(5600, 1.0, max_attempts=2))
    (again,) = await node.lease(now=NOW + 1)
    await node.outcome(again, Deferred(5201, 1.0, max_attempts=2), NOW + 1)
    assert node.events == [("failed", 5201)]


async def test_a_deferral_beyond_the_retry_window_fails_a_recipient(node: Node) -> None:
    within, beyond = a_recipient(now=NOW - 4 * HOUR + 60), a_recipient(now=NOW - 4 * HOUR + 60)
    await node.accept(within, beyond)
    await node.outcome(within, Deferred(5501, 60.0))
    await node.outcome(beyond, Deferred(5501, 60.1))
    assert node.events == [("failed", 5501)]
    assert node.births.callbacks[0].message.id == beyond.message.id


async def test_refusals_of_our_own_fail_recipients_each_with_its_code(node: Node) -> None:
    recipients = [a_recipient() for _ in range(3)]
    await node.accept(*recipients)
    await node.store.fail([(recipients[0], 4360), (recipients[1], 5501)], NOW)
    assert node.events == [("failed", 4360), ("failed", 5501)]
    await node.store.release([recipients[2]], ())
    assert await node.lease() == recipients[2:]


async def test_leaving_the_queue_is_announced_once(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.announce([recipient], NOW)
    assert node.events == [("sending", 0)]
    await node.acknowledge(*node.births.callbacks)
    await node.store.announce([recipient], NOW + 1)
    assert node.events == [("sending", 0)]
    await node.store.release([recipient], ())
    assert await node.lease() == [msgspec.structs.replace(recipient, announced=True)]


async def test_the_recipients_of_a_group_end_each_for_itself(node: Node) -> None:
    group = a_group("+14085550142", "+14085550143", "+14085550144", "+14085550145")
    await node.accept(*group)
    outcomes: list[Outcome] = [
        Accepted(("1",), None), Rejected(4720), Accepted(("2",), 2 * HOUR), Deferred(5600, 1.0)
    ]  # fmt: skip
    await node.store.record(Report(outcomes=list(zip(group, outcomes, strict=True))), NOW)
    assert [(c.n, c.kind.removeprefix("message-"), c.number) for c in node.births.callbacks] == [
        (0, "sent", "+14085550142"),
        (0, "delivered", "+14085550142"),
        (1, "failed", "+14085550143"),
        (2, "sent", "+14085550144"),
    ]
    assert all(c.message.to == group[0].message.to for c in node.births.callbacks)


@pytest.mark.parametrize("outcome", ANY)
async def test_a_node_that_lost_its_lease_changes_nothing(outcome: str, stores: Stores) -> None:
    node, other = await stores.open(), await stores.open()
    recipient = a_recipient()
    await node.accept(recipient)
    await node.store.release([recipient], ())
    assert await other.lease() == [recipient]
    await node.outcome(recipient, ANY[outcome])
    await node.store.announce([recipient], NOW)
    await node.store.fail([(recipient, 4360)], NOW)
    assert node.events == []
    await other.hand_over(recipient, "theirs")
    await node.outcome(recipient, ANY[outcome])
    await node.receipt("1")
    assert node.events == []
    assert other.events == [("sent", 0)]
    await node.receipt("theirs")
    assert node.events == [("delivered", 0)]


@pytest.mark.parametrize("outcome", ANY)
async def test_an_outcome_of_what_is_free_changes_nothing(outcome: str, stores: Stores) -> None:
    node = await stores.open(room=0)
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, ANY[outcome])
    await node.store.fail([(recipient, 4360)], NOW)
    assert await node.callbacks() == []
    assert await node.lease() == [recipient]


async def test_an_outcome_is_told_once_however_often_it_is_recorded(node: Node) -> None:
    for outcome in ANY.values():
        recipient = a_recipient()
        await node.accept(recipient)
        await node.outcome(recipient, outcome)
        seen = len(node.births.callbacks)
        await node.outcome(recipient, outcome)
        assert len(node.births.callbacks) == seen
