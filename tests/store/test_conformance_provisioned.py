"""What is set while the platform runs: one for all nodes, and cheap to look at."""

import asyncio

import pytest

from passband.store import Provision, Provisions
from store.nodes import Node, Stores

APPLICATION = Provision("5500123", "application", "app", '{"name":"é😀","secret":"s"}')
NUMBER = Provision("5500123", "number", "+19195550119", '{"application":"app"}')
THE_SAME_OF_ANOTHER = Provision("5500999", "number", "+19195550119", "null")


def gone(entry: Provision) -> Provision:
    return Provision(entry.account, entry.kind, entry.name, None)


async def test_nothing_is_set_at_first(node: Node) -> None:
    assert await node.store.provisioned() == Provisions(0, ())
    assert await node.store.provisioned(0) is None


async def test_what_one_node_sets_every_node_finds(node: Node, other: Node) -> None:
    assert await node.store.provision([NUMBER, THE_SAME_OF_ANOTHER, APPLICATION], 0) == 1
    assert await other.store.provisioned(0) == Provisions(1, (APPLICATION, NUMBER, THE_SAME_OF_ANOTHER))
    assert await other.store.provisioned(1) is None


async def test_an_entry_is_changed_and_taken_away(node: Node) -> None:
    changed = Provision("5500123", "application", "app", "{}")
    await node.store.provision([APPLICATION, NUMBER], 0)
    assert await node.store.provision([changed, gone(NUMBER), gone(THE_SAME_OF_ANOTHER)], 1) == 2
    assert await node.store.provisioned(1) == Provisions(2, (changed,))
    assert await node.store.provision([gone(changed)], 2) == 3
    assert await node.store.provisioned(2) == Provisions(3, ())


async def test_of_several_words_on_an_entry_the_last_counts(node: Node) -> None:
    await node.store.provision([APPLICATION, gone(APPLICATION), gone(NUMBER), NUMBER], 0)
    assert await node.store.provisioned() == Provisions(1, (NUMBER,))


@pytest.mark.parametrize("at", [-1, 0, 2])
async def test_who_does_not_know_what_is_set_changes_nothing(at: int, node: Node, other: Node) -> None:
    await node.store.provision([APPLICATION], 0)
    assert await other.store.provision([gone(APPLICATION), NUMBER], at) is None
    assert await other.store.provisioned() == Provisions(1, (APPLICATION,))


async def test_of_those_who_change_at_once_one_is_first(node: Node, other: Node) -> None:
    entries = [Provision("5500123", "number", f"{n}", "{}") for n in range(6)]
    made = await asyncio.gather(*((node, other)[n % 2].store.provision([e], 0) for n, e in enumerate(entries)))
    assert sorted(made, key=str) == [1, None, None, None, None, None]
    assert await node.store.provisioned() == Provisions(1, (entries[made.index(1)],))


async def test_it_outlives_the_nodes(stores: Stores) -> None:
    await (await stores.open()).store.provision([APPLICATION], 0)
    await stores.close()
    assert await (await stores.open()).store.provisioned() == Provisions(1, (APPLICATION,))
