"""Expire: what waited too long is settled, by any node, once."""

import asyncio

import pytest

from passband.domain.report import Accepted, Deferred
from store.nodes import DAY, HOUR, NOW, Node, Stores, a_recipient


async def test_a_recipient_whose_receipt_did_not_come_fails_with_9902(node: Node, other: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.hand_over(recipient, "1", now=NOW + 10)
    assert await other.store.expire(NOW + 2 * HOUR + 9) == 0
    assert await other.store.expire(NOW + 2 * HOUR + 10) == 1
    assert other.events == [("failed", 9902)]
    assert other.births.callbacks[0].receipted
    assert await node.store.expire(NOW + 2 * HOUR + 10) == 0


async def test_each_carriers_receipt_window_counts(node: Node) -> None:
    short, long = a_recipient(), a_recipient()
    await node.accept(short, long)
    await node.outcome(short, Accepted(("1",), 2 * HOUR), NOW + 1)
    await node.outcome(long, Accepted(("2",), 73 * HOUR), NOW + 1)
    assert await node.store.expire(NOW + 2 * HOUR + 1) == 1
    assert await node.store.expire(NOW + 73 * HOUR) == 0
    assert await node.store.expire(NOW + 73 * HOUR + 1) == 1


async def test_a_segment_without_a_receipt_fails_the_message(node: Node) -> None:
    recipient = a_recipient(segment_count=2)
    await node.accept(recipient)
    await node.hand_over(recipient, "1", "2")
    await node.receipt("1")
    assert await node.store.expire(NOW + 2 * HOUR + 1) == 1
    await node.receipt("2", now=NOW + 2 * HOUR + 1)
    assert node.events == [("sent", 0), ("failed", 9902)]


@pytest.mark.parametrize(("refusal", "code"), [(None, 5501), (Deferred(5600, 60.0), 5600)], ids=["never tried", "5600"])
async def test_a_recipient_past_the_retry_window_fails_with_its_last_code(
    refusal: Deferred | None, code: int, node: Node, other: Node
) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    if refusal:
        await node.outcome(recipient, refusal)
    else:
        await node.store.release([recipient], ())
    assert await other.store.expire(NOW + 4 * HOUR - 1) == 0
    assert await other.store.expire(NOW + 4 * HOUR + 1) == 1
    assert other.events == [("failed", code)]
    assert await other.lease(now=NOW + 4 * HOUR + 1) == []


async def test_a_recipient_that_a_node_holds_is_left_to_it(node: Node, other: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    assert await other.store.expire(NOW + 5 * HOUR) == 0
    await node.hand_over(recipient, "1", now=NOW + 5 * HOUR)
    assert node.events == [("sent", 0)]


async def test_all_accounts_are_looked_through(node: Node) -> None:
    recipients = [a_recipient(account=account, application="app") for account in ("5500123", "5500999") * 2]
    await node.accept(*recipients)
    await node.store.release(recipients[:2], ())
    for recipient in recipients[2:]:
        await node.hand_over(recipient, recipient.message.id)
    assert await node.store.expire(NOW + 5 * HOUR) == 4
    failures = [(c.message.account, c.code) for c in node.births.callbacks if c.code]
    assert sorted(failures) == [("5500123", 5501), ("5500123", 9902), ("5500999", 5501), ("5500999", 9902)]


async def test_a_backlog_is_expired_in_several_steps(stores: Stores) -> None:
    node = await stores.open(room=0)
    await node.accept(*(a_recipient() for _ in range(1200)))
    counts = []
    while count := await node.store.expire(NOW + 4 * HOUR + 1):
        counts.append(count)
    assert sum(counts) == 1200
    assert len(counts) > 1
    assert len(await node.callbacks(2000, now=NOW + DAY)) == 1200


async def test_two_nodes_expire_the_same_once(node: Node, other: Node) -> None:
    recipients = [a_recipient() for _ in range(20)]
    await node.accept(*recipients)
    for recipient in recipients:
        await node.hand_over(recipient, recipient.message.id)
    node.births.callbacks.clear()
    counts = await asyncio.gather(*(n.store.expire(NOW + 3 * HOUR) for n in (node, other) * 3))
    assert sum(counts) == 20
    assert len(node.events + other.events) == 20


async def test_a_receipt_that_comes_just_when_its_window_is_over_is_the_only_end(node: Node) -> None:
    """Both in one transaction."""
    recipient, late = a_recipient(segment_count=2), NOW + 3 * HOUR
    await node.accept(recipient)
    await node.hand_over(recipient, "1", "2")
    await node.receipt("1")
    await asyncio.gather(node.receipt("2", now=late), node.store.expire(late))
    assert [event for event in node.events if event[0] in ("delivered", "failed")] == [("delivered", 0)]
    assert await node.store.depths() == []
