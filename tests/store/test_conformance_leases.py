"""Leases of recipients: in which order, to whom, and for how long."""

import asyncio

import pytest

from passband.domain.message import Priority
from passband.domain.report import Deferred
from passband.store import Line
from store.nodes import HOUR, NOW, Node, Stores, a_group, a_recipient


@pytest.fixture
async def free(stores: Stores) -> Node:
    """A node without room: what it accepts is free."""
    return await stores.open(room=0)


async def test_recipients_are_leased_first_in_first_out(free: Node) -> None:
    recipients = [a_recipient() for _ in range(10)]
    await free.accept(*recipients[5:])
    await free.accept(*recipients[:5])
    assert await free.lease(4) == recipients[:4]
    assert await free.lease(4) == recipients[4:8]
    assert await free.lease(4) == recipients[8:]
    assert await free.lease(4) == []


async def test_a_default_priority_given_or_not_is_one_line_first_in_first_out(free: Node) -> None:
    recipients = [a_recipient(priority=priority) for priority in (None, Priority.DEFAULT) * 3]
    await free.accept(*recipients)
    assert await free.lease(3) == recipients[:3]
    assert await free.lease(3) == recipients[3:]


async def test_high_priority_is_a_line_of_its_own(free: Node) -> None:
    low, high = a_recipient(), a_recipient(high=True)
    await free.accept(low, high)
    assert set(await free.store.lines(NOW)) == {
        Line("carrier", "5500123", high=False),
        Line("carrier", "5500123", high=True),
    }
    assert await free.lease(high=True) == [high]
    assert await free.store.lines(NOW) == [Line("carrier", "5500123", high=False)]
    assert await free.lease() == [low]


async def test_the_recipients_of_a_group_come_in_the_order_of_the_request(free: Node) -> None:
    group = a_group(*(f"+1408555014{n}" for n in range(9)))
    await free.accept(*reversed(group))
    assert await free.lease() == group


async def test_every_line_is_told_once(free: Node) -> None:
    await free.accept(*(a_recipient(account="5500123", carrier=carrier) for carrier in ("a", "b", "b")))
    await free.accept(*(a_recipient(account="5500999", carrier="b") for _ in range(3)))
    await free.accept(a_recipient(account="5500999", carrier="a", high=True))
    assert sorted(map(str, await free.store.lines(NOW))) == sorted(
        map(str, [Line("a", "5500123", False), Line("b", "5500123", False), Line("b", "5500999", False),
                  Line("a", "5500999", True)])
    )  # fmt: skip


async def test_a_line_gives_only_its_own_recipients(free: Node) -> None:
    mine = a_recipient()
    await free.accept(a_recipient(carrier="another"), mine, a_recipient(account="5500999"))
    assert await free.lease() == [mine]


async def test_recipients_are_not_leased_before_they_are_due(free: Node) -> None:
    later, now = a_recipient(due_at=NOW + 5), a_recipient(due_at=NOW)
    await free.accept(later, now)
    assert await free.lease() == [now]
    assert await free.store.lines(NOW + 4.9) == []
    assert await free.lease(now=NOW + 4.9) == []
    assert await free.store.lines(NOW + 5) == [Line("carrier", "5500123", False)]
    assert await free.lease(now=NOW + 5) == [later]


async def test_two_nodes_never_lease_the_same_recipient(stores: Stores, free: Node) -> None:
    other = await stores.open()
    recipients = [a_recipient() for _ in range(100)]
    await free.accept(*recipients)
    leases = await asyncio.gather(*(node.lease(7) for node in (free, other) * 10))
    leased = [recipient.message.id for lease in leases for recipient in lease]
    assert len(leased) == len(set(leased)) == 100


async def test_a_released_recipient_keeps_its_place(stores: Stores, free: Node) -> None:
    other = await stores.open()
    recipients = [a_recipient() for _ in range(4)]
    await free.accept(*recipients)
    first, second = await free.lease(2)
    await free.store.release([second, first], ())
    assert await other.lease() == recipients


async def test_only_the_holder_releases(stores: Stores, node: Node) -> None:
    other = await stores.open()
    recipient = a_recipient()
    await node.accept(recipient)
    await other.store.release([recipient], ())
    assert await other.lease() == []


async def test_what_is_handed_over_is_in_no_line(node: Node) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.hand_over(recipient, "1")
    await node.store.release([recipient], ())
    assert await node.store.lines(NOW) == []
    assert await node.lease() == []


async def test_a_deferred_recipient_is_behind_nobody_once_it_is_due(node: Node) -> None:
    first, second = a_recipient(), a_recipient()
    await node.accept(first, second)
    await node.outcome(first, Deferred(5600, 10.0))
    await node.store.release([second], ())
    assert [r.message.id for r in await node.lease(now=NOW + 10)] == [first.message.id, second.message.id]


async def test_depths_count_what_waits_and_what_is_handed_for_each_carrier(node: Node) -> None:
    assert list(await node.store.depths()) == []
    recipients = [a_recipient(now=NOW + n) for n in range(3)]
    await node.accept(*recipients, a_recipient(now=NOW - HOUR, carrier="another"))
    await node.hand_over(recipients[0], "1")
    depths = {d.carrier: (d.waiting, d.handed, d.oldest_at) for d in await node.store.depths()}
    assert depths == {"carrier": (2, 1, NOW + 1), "another": (1, 0, NOW - HOUR)}
    await node.hand_over(recipients[1], "2")
    await node.hand_over(recipients[2], "3")
    assert {d.carrier: d.oldest_at for d in await node.store.depths()}["carrier"] is None
