"""Accept: what a 202 stands for."""

import asyncio

import pytest

from passband.domain.errors import QueueFull
from passband.domain.message import Kind
from passband.domain.report import Accepted, Deferred, Outcome, Rejected
from passband.domain.rules import Rules
from passband.domain.status import Cause, State
from passband.store import Charge
from store.nodes import HOUR, NOW, OURS, THEIRS, Node, Stores, a_group, a_recipient, the_rules

ENDINGS: dict[str, Outcome] = {
    "hand-over": Accepted(("1",), 2 * HOUR),
    "hand-over in segments": Accepted(("1", "2"), 2 * HOUR),
    "hand-over for good": Accepted(("1",), None),
    "rejection": Rejected(4720),
    "the last attempt": Deferred(5600, 1.0, max_attempts=1),
}


def charge(segments: int, capacity: float = 10, kind: Kind = Kind.SMS, account: str = "5500123") -> Charge:
    return Charge(account, kind, segments, capacity, capacity / 900)


async def is_charged(node: Node, segments: int) -> bool:
    """Tell whether exactly so many segments count against a capacity of ten."""
    return not await _refused(node, charge(10 - segments)) and await _refused(node, charge(1))


async def _refused(node: Node, charge: Charge) -> bool:
    try:
        await node.store.accept((), (), [charge])
    except QueueFull:
        return True
    return False


async def test_what_was_accepted_is_seen_by_another_node(stores: Stores) -> None:
    node, other = await stores.open(room=0), await stores.open()
    recipients = [a_recipient(text=f"text {n}") for n in range(3)]
    await node.accept(*recipients)
    assert await other.lease() == recipients


async def test_what_was_accepted_outlives_all_nodes(stores: Stores) -> None:
    node = await stores.open()
    recipient = a_recipient()
    await node.accept(recipient)
    await stores.close(node)
    assert await (await stores.open()).lease() == [recipient]


async def test_a_group_is_kept_with_all_its_recipients_and_the_failures_of_the_others(stores: Stores) -> None:
    node = await stores.open(room=0)
    group = a_group("+14085550142", "+14085550143", "+14085550144")
    rules: Rules = the_rules()
    failed = rules.tell(group[1], State.QUEUED, Cause.REFUSED_BY_RULE, NOW, 4303)
    await node.store.accept([group[0], group[2]], failed, ())
    assert await node.lease() == [group[0], group[2]]
    assert await node.callbacks() == list(failed)


async def test_rows_are_born_to_the_node_that_stored_them(node: Node, other: Node) -> None:
    recipient = a_recipient()
    failed = the_rules().tell(a_recipient(), State.QUEUED, Cause.REFUSED_BY_RULE, NOW, 4432)
    await node.store.accept([recipient], failed, ())
    assert (node.births.recipients, node.births.callbacks) == ([recipient], list(failed))
    assert await other.lease() == []
    assert await other.callbacks() == []


async def test_rows_that_find_no_room_are_born_free(stores: Stores) -> None:
    node, other = await stores.open(room=1), await stores.open()
    recipients = [a_recipient() for _ in range(3)]
    await node.accept(*recipients)
    assert node.births.recipients == recipients[:1]
    assert await other.lease() == recipients[1:]


async def test_a_queue_may_be_filled_to_the_last_segment_and_no_further(node: Node) -> None:
    await node.store.accept([a_recipient(charge=7)], (), [charge(7)])
    await node.store.accept([a_recipient(charge=3)], (), [charge(3)])
    with pytest.raises(QueueFull, match="sms queue full: 10 segments"):
        await node.store.accept([a_recipient(charge=1)], (), [charge(1)])
    assert len(node.births.recipients) == 2


async def test_a_message_larger_than_the_capacity_is_refused_by_an_empty_queue(node: Node) -> None:
    with pytest.raises(QueueFull):
        await node.store.accept([a_recipient(charge=11)], (), [charge(11)])
    assert await is_charged(node, 0)


async def test_nothing_of_a_refused_request_is_kept(stores: Stores) -> None:
    node = await stores.open(room=0)
    failed = the_rules().tell(a_recipient(), State.QUEUED, Cause.REFUSED_BY_RULE, NOW, 4303)
    with pytest.raises(QueueFull) as refusal:
        await node.store.accept([a_recipient()], failed, [charge(4), charge(11, kind=Kind.MMS)])
    assert refusal.value.kind == "mms"
    assert await node.lease() == []
    assert await node.callbacks() == []
    assert await is_charged(node, 0)


async def test_a_refusal_does_not_touch_those_accepted_with_it(node: Node) -> None:
    results = await asyncio.gather(
        *(node.store.accept([a_recipient(charge=4)], (), [charge(4)]) for _ in range(4)), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), type(None), QueueFull, QueueFull]
    assert len(node.births.recipients) == 2
    assert await is_charged(node, 8)


async def test_queues_of_kinds_and_accounts_are_apart_and_those_of_nodes_are_not(node: Node, other: Node) -> None:
    await node.store.accept((), (), [charge(10)])
    await node.store.accept((), (), [charge(10, kind=Kind.MMS)])
    await node.store.accept((), (), [charge(10, account="5500999")])
    with pytest.raises(QueueFull):
        await other.store.accept((), (), [charge(1)])


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_queue_is_discharged_once_by(ending: str, node: Node) -> None:
    recipient = a_recipient(charge=6)
    await node.store.accept([recipient], (), [charge(6)])
    await node.store.accept((), (), [charge(3)])
    await node.outcome(recipient, ENDINGS[ending])
    await node.outcome(recipient, ENDINGS[ending])
    await node.receipt("1")
    await node.receipt("2")
    assert await is_charged(node, 3)


async def test_a_queue_stays_charged_while_a_message_waits_for_a_further_attempt(stores: Stores) -> None:
    node = await stores.open()
    recipient = a_recipient(charge=6)
    await node.store.accept([recipient], (), [charge(6)])
    await node.outcome(recipient, Deferred(5600, 1.0))
    (again,) = await node.lease(now=NOW + 1)
    assert again.charge == 6
    assert await is_charged(node, 6)


async def test_a_queue_is_discharged_by_our_own_refusal_and_by_the_retry_window(node: Node) -> None:
    first, second = a_recipient(charge=2), a_recipient(charge=3)
    await node.store.accept([first], (), [charge(2)])
    await node.store.accept([second], (), [charge(3)])
    await node.store.fail([(first, 4360)], NOW)
    await node.store.release([second], ())
    assert await node.store.expire(NOW + 4 * HOUR + 1) == 1
    assert await is_charged(node, 0)


async def test_a_queue_never_holds_less_than_nothing(node: Node) -> None:
    recipient = a_recipient(charge=6)
    await node.accept(recipient)  # charged by nobody: its account had no limit then
    await node.store.accept((), (), [charge(2)])
    await node.hand_over(recipient, "1")
    assert await is_charged(node, 0)


async def test_requests_of_two_nodes_at_once_never_overfill_a_queue(node: Node, other: Node) -> None:
    results = await asyncio.gather(
        *(n.store.accept([a_recipient(charge=1)], (), [charge(1)]) for n in (node, other) * 15), return_exceptions=True
    )
    assert [type(result) for result in results].count(QueueFull) == 20
    assert len(node.births.recipients) + len(other.births.recipients) == 10


async def test_every_plane_of_unicode_and_nul_come_back_from_the_store(stores: Stores) -> None:
    node = await stores.open(room=0)
    text = "\0 é € 漢 \U0001f600 \U000e0001 \U0010ffff " * 100
    recipient = a_recipient(text=text, length=len(text), tag="\0'\"🏷", sender=OURS, to=(THEIRS,))
    await node.accept(recipient)
    assert await node.lease() == [recipient]
