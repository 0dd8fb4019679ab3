"""Callbacks: leased by one node, tried until acknowledged, forgotten after 24 hours."""

import asyncio

import msgspec
import pytest

from passband.domain.event import Callback, Endpoint
from passband.domain.message import Direction
from passband.domain.report import Inbound, Rejected, Report
from passband.domain.status import Cause, State
from passband.store import Attempted
from store.nodes import DAY, HOUR, IN, NOW, OURS, OUT, THEIRS, Node, Stores, a_recipient, the_rules


def told(now: float = NOW, account: str = "5500123") -> Callback:
    (callback,) = the_rules().tell(
        a_recipient(account=account, application="app"), State.QUEUED, Cause.REFUSED_BY_RULE, now, 4432
    )
    return callback


@pytest.fixture
async def free(stores: Stores) -> Node:
    """A node without room: the callbacks of its events are free."""
    return await stores.open(room=0)


async def retry(node: Node, callback: Callback, due_at: float, tried_at: float = NOW) -> None:
    await node.store.attempted([Attempted(callback, due_at, tried_at, False)])


async def test_an_acknowledged_callback_is_gone(node: Node, other: Node) -> None:
    await node.store.accept((), [told()], ())
    await node.acknowledge(*node.births.callbacks)
    assert await node.store.oldest_callback() is None
    assert await other.store.endpoints(NOW) == []


async def test_a_callback_given_up_by_its_schedule_is_gone(node: Node) -> None:
    await node.store.accept((), [told()], ())
    await node.store.attempted([Attempted(node.births.callbacks[0], None, NOW, False)])
    assert await node.store.oldest_callback() is None


async def test_a_callback_to_be_tried_again_is_free_and_waits_with_its_attempts(node: Node, other: Node) -> None:
    callback = told()
    await node.store.accept((), [callback], ())
    await retry(node, callback, NOW + 5, tried_at=NOW + 0.5)
    assert await other.callbacks(now=NOW + 4.9) == []
    again = msgspec.structs.replace(callback, due_at=NOW + 5, attempts=1, tried_at=NOW + 0.5)
    assert await other.callbacks(now=NOW + 5) == [again]
    await retry(other, again, NOW + 20, tried_at=NOW + 5)
    (third,) = await node.callbacks(now=NOW + 20)
    assert (third.attempts, third.tried_at) == (2, NOW + 5)


async def test_only_the_holder_records_an_attempt(node: Node, other: Node) -> None:
    callback = told()
    await node.store.accept((), [callback], ())
    await other.acknowledge(callback)
    await retry(other, callback, NOW + 5)
    assert await node.store.oldest_callback() == NOW
    assert await node.callbacks(now=NOW + 5) == []
    await node.store.release((), [callback])
    await node.acknowledge(callback)
    assert await other.callbacks() == [callback]


async def test_callbacks_are_leased_the_longest_due_first(free: Node) -> None:
    callbacks = [told(NOW + n) for n in range(5)]
    await free.store.accept((), [callbacks[n] for n in (3, 1, 4, 0, 2)], ())
    (first,) = await free.callbacks(1, now=NOW + 9)
    await retry(free, first, NOW + 2.5)
    leased = await free.callbacks(now=NOW + 9)
    assert [c.due_at for c in leased] == [NOW + 1, NOW + 2, NOW + 2.5, NOW + 3, NOW + 4]


async def test_the_events_of_one_moment_come_in_their_order(free: Node) -> None:
    recipient = a_recipient()
    rules = the_rules()
    events = rules.tell(recipient, State.SENDING, Cause.ACCEPTED_FOR_GOOD, NOW)
    await free.store.accept((), events[::-1], ())
    assert await free.callbacks() == list(events)


async def test_callbacks_are_leased_by_endpoint(free: Node) -> None:
    mine, theirs = told(), told(account="5500999")
    await free.store.accept((), [mine, theirs], ())
    await free.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi")]), NOW)
    (received,) = await free.callbacks(endpoint=IN)
    assert received.kind == "message-received"
    assert await free.callbacks() == [mine]
    assert await free.callbacks(endpoint=Endpoint("5500999", "app", Direction.OUT)) == [theirs]
    assert await free.callbacks(endpoint=Endpoint("5500123", "other", Direction.OUT)) == []


async def test_two_nodes_never_lease_the_same_callback(stores: Stores, free: Node) -> None:
    other = await stores.open()
    await free.store.accept((), [told() for _ in range(100)], ())
    leases = await asyncio.gather(*(node.callbacks(7) for node in (free, other) * 10))
    leased = [callback.message.id for lease in leases for callback in lease]
    assert len(leased) == len(set(leased)) == 100


async def test_endpoints_are_told_with_the_earliest_moment_one_is_due(free: Node) -> None:
    await free.store.accept((), [told(NOW + 7), told(NOW + 3), told(NOW + 5, "5500999")], ())
    await free.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi")]), NOW + 9)
    assert dict(await free.store.endpoints(NOW)) == {
        OUT: NOW + 3,
        IN: NOW + 9,
        Endpoint("5500999", "app", Direction.OUT): NOW + 5,
    }
    await free.callbacks(now=NOW + 3)
    assert dict(await free.store.endpoints(NOW))[OUT] == NOW + 7
    await free.callbacks(now=NOW + 7)
    assert OUT not in dict(await free.store.endpoints(NOW))


async def test_what_was_not_tried_since_a_moment_can_be_leased_whether_due_or_not(free: Node) -> None:
    """An endpoint that has recovered gets everything at once, but nothing twice."""
    early, late, never = told(NOW), told(NOW + 1), told(NOW + 50)
    await free.store.accept((), [early, late, never], ())
    for callback, tried_at in zip(await free.callbacks(now=NOW + 1), (NOW + 10, NOW + 20), strict=True):
        await retry(free, callback, NOW + HOUR, tried_at)
    assert await free.callbacks(now=NOW + 20) == []
    leased = await free.store.lease_callbacks(OUT, 100, NOW + 20, untried_since=NOW + 20)
    assert [c.message.id for c in leased] == [never.message.id, early.message.id]
    assert await free.store.lease_callbacks(OUT, 100, NOW + 20, untried_since=NOW + 20) == []


async def test_released_callbacks_may_be_leased_by_any_node(stores: Stores, node: Node) -> None:
    other = await stores.open()
    callback = told()
    await node.store.accept((), [callback], ())
    await other.store.release((), [callback])
    assert await other.callbacks() == []
    await node.store.release((), [callback])
    assert await other.callbacks() == [callback]


async def test_the_oldest_pending_event_is_told_whoever_holds_it(node: Node) -> None:
    assert await node.store.oldest_callback() is None
    await node.store.accept((), [told(NOW + 2), told(NOW + 1)], ())
    assert await node.store.oldest_callback() == NOW + 1
    await node.acknowledge(node.births.callbacks[1])
    assert await node.store.oldest_callback() == NOW + 2


async def test_a_free_callback_is_forgotten_after_24_hours_and_a_held_one_is_its_holders(node: Node) -> None:
    await node.store.accept((), [told(), told()], ())
    await node.store.release((), node.births.callbacks[:1])
    assert await node.store.expire(NOW + DAY - 1) == 0
    assert await node.store.expire(NOW + DAY) == 1
    assert await node.store.expire(NOW + DAY) == 0
    assert await node.store.oldest_callback() == NOW
    await node.store.release((), node.births.callbacks[1:])
    assert await node.store.expire(NOW + DAY) == 1
    assert await node.store.oldest_callback() is None


async def test_the_events_of_many_outcomes_are_all_told(node: Node) -> None:
    recipients = [a_recipient() for _ in range(300)]
    await node.accept(*recipients)
    await asyncio.gather(*(node.outcome(recipient, Rejected(4720)) for recipient in recipients))
    assert {c.message.id for c in node.births.callbacks} == {r.message.id for r in recipients}
