"""Slots of carriers' links: spread over the nodes, and none leased twice."""

import asyncio
import itertools
from collections import Counter

import pytest

from passband.store import Slots
from passband.store.sharing import share
from store.nodes import NOW, Node, Stores

SILENT = NOW + 60


async def lease(node: Node, slots: int, carrier: str = "carrier") -> Slots:
    return await node.store.lease_slots(carrier, slots, NOW)


async def give_back(node: Node, slots: int) -> None:
    await node.store.release_slots("carrier", (await lease(node, slots)).surplus)


async def test_one_node_holds_all_slots(node: Node) -> None:
    assert await lease(node, 4) == Slots((0, 1, 2, 3), ())
    assert await lease(node, 4) == Slots((0, 1, 2, 3), ())


async def test_two_nodes_hold_half_of_the_slots_each(node: Node, other: Node) -> None:
    assert await lease(node, 4) == Slots((0, 1), ())
    assert await lease(other, 4) == Slots((2, 3), ())


async def test_carriers_are_apart(node: Node) -> None:
    await lease(node, 2)
    assert await lease(node, 1, "another") == Slots((0,), ())


async def test_a_node_that_joins_gets_its_share_once_it_is_given_back(stores: Stores, node: Node) -> None:
    await lease(node, 5)
    other = await stores.open()
    assert await lease(other, 5) == Slots((), ())
    assert await lease(node, 5) == Slots((0, 1, 2, 3, 4), (3, 4))
    await node.store.release_slots("carrier", [3, 4])
    assert await lease(node, 5) == Slots((0, 1, 2), ())
    assert await lease(other, 5) == Slots((3, 4), ())


async def test_of_more_nodes_than_slots_some_hold_none_and_nothing_moves(stores: Stores) -> None:
    nodes = [await stores.open() for _ in range(4)]
    for _ in range(2):
        held = [await lease(node, 2) for node in reversed(nodes)]
        assert held == [Slots((0,), ()), Slots((1,), ()), Slots((), ()), Slots((), ())]


async def test_a_node_that_never_asks_keeps_no_slot_from_the_others_that_need_just_one(node: Node, other: Node) -> None:
    assert await lease(other, 1) == Slots((0,), ())
    assert await lease(node, 1) == Slots((), ())


async def test_slots_that_the_carrier_has_no_more_are_surplus(node: Node) -> None:
    await lease(node, 4)
    assert await lease(node, 2) == Slots((0, 1, 2, 3), (2, 3))
    await give_back(node, 2)
    assert await lease(node, 2) == Slots((0, 1), ())
    assert await lease(node, 0) == Slots((0, 1), (0, 1))


async def test_only_the_holder_releases_a_slot(node: Node, other: Node) -> None:
    await lease(node, 2)
    await other.store.release_slots("carrier", [0, 7])
    assert await lease(other, 2) == Slots((1,), ())


async def test_the_slots_of_a_silent_node_are_taken_over(node: Node, other: Node) -> None:
    await lease(node, 4)
    assert await lease(other, 4) == Slots((2, 3), ())
    await other.store.beat(SILENT)
    assert await lease(other, 4) == Slots((0, 1, 2, 3), ())


async def test_a_node_that_was_given_up_holds_nothing_and_takes_nothing(stores: Stores, node: Node) -> None:
    await lease(node, 2)
    other = await stores.open()
    await other.store.beat(SILENT)
    assert await lease(node, 2) == Slots((), ())
    await node.store.release_slots("carrier", [0, 1])
    assert await lease(other, 2) == Slots((0, 1), ())
    assert not await node.store.beat(SILENT)
    assert await lease(node, 2) == Slots((), ())
    await give_back(other, 2)
    assert await lease(node, 2) == Slots((1,), ())


async def test_the_slots_of_a_node_that_closes_are_free(stores: Stores) -> None:
    node, other = await stores.open(), await stores.open()
    assert await lease(node, 3) == Slots((0, 1), ())
    await stores.close(node)
    assert await lease(other, 3) == Slots((0, 1, 2), ())


async def test_nodes_that_ask_at_once_never_hold_the_same_slot(stores: Stores) -> None:
    nodes = [await stores.open() for _ in range(4)]
    for _ in range(3):
        held = await asyncio.gather(*(lease(node, 10) for node in nodes))
        assert max(Counter(slot for slots in held for slot in slots.held).values()) == 1
    assert sorted(slot for slots in held for slot in slots.held) == list(range(10))
    assert sorted(len(slots.held) for slots in held) == [2, 2, 3, 3]


# ── the shares themselves ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("nodes", "slots"), [*itertools.product(range(1, 6), range(8))])
def test_shares_become_fair_and_stay_whoever_holds_what_at_first(nodes: int, slots: int) -> None:
    for beginning in range(2 * nodes):
        held: dict[int, set[int]] = {node: set() for node in range(nodes)}
        for slot in range(slots + 2):  # two more than there are now
            held[(beginning + slot * slot) % nodes].add(slot)
        for asks in [*range(nodes)] * 3:
            got = share(held, asks, slots)
            assert not any(set(got.held) & held[other] for other in held if other != asks)
            held[asks] = set(got.held) - set(got.surplus)
        assert sorted(slot for of in held.values() for slot in of) == list(range(slots))
        assert max(map(len, held.values())) - min(map(len, held.values())) <= 1
        assert all(share(held, node, slots) == Slots(tuple(sorted(held[node])), ()) for node in held)
