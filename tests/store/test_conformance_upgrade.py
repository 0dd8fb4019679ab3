"""Two versions of the schema on one database: the older nodes work on while newer ones start."""

import asyncio

import psycopg
import pytest

from passband.domain.errors import StoreUnavailable
from passband.store.schema import Migration, level_of, to_make
from store.nodes import NOW, Node, Stores, a_recipient

FIRST = "0001_pre_first"
ADD = ("0002_pre_add", "CREATE TABLE colours (colour int); ALTER TABLE recipients ADD COLUMN colour int")
# Only nodes that keep a history need it: the older ones here, no newer one.
TAKE_AWAY = ("0002_post_take_away", "ALTER TABLE history DROP COLUMN attachments")
LATER: list[Migration] = [TAKE_AWAY, ADD]


async def an_older_node(stores: Stores) -> Node:
    return await stores.open(history_days=1)


async def a_newer_node(stores: Stores, now: float = NOW) -> Node:
    return await stores.open(changes=LATER, now=now)


def made(stores: Stores) -> set[str]:
    rows = stores.engine.execute("SELECT name FROM migrations")
    assert len(set(rows)) == len(rows)
    return {name for (name,) in rows}


async def a_life(first: Node, second: Node) -> None:
    """A message is accepted at one node, told of at another, and over; both keep their hearts beating."""
    recipient = a_recipient()
    await first.accept(recipient)
    await first.store.release([recipient], ())
    assert await second.lease() == [recipient]
    await second.hand_over(recipient, recipient.message.id)
    await first.receipt(recipient.message.id)
    delivered = [c for c in first.births.callbacks if c.message.id == recipient.message.id and c.kind.terminal]
    assert len(delivered) == 1
    await first.acknowledge(*delivered)
    assert await first.store.beat(NOW)
    assert await second.store.beat(NOW)


async def test_nodes_of_both_versions_pass_messages_to_each_other(stores: Stores) -> None:
    older = await an_older_node(stores)
    newer = await a_newer_node(stores)
    assert made(stores) == {FIRST, ADD[0]}
    await a_life(older, newer)
    await a_life(newer, older)
    assert made(stores) == {FIRST, ADD[0]}


async def test_what_older_nodes_need_is_taken_away_once_none_of_them_lives(stores: Stores) -> None:
    older = [await an_older_node(stores) for _ in range(2)]
    newer = await a_newer_node(stores)
    for node in older:
        assert TAKE_AWAY[0] not in made(stores)
        await stores.close(node)
        assert await newer.store.beat(NOW)
    assert made(stores) == {FIRST, ADD[0], TAKE_AWAY[0]}
    await a_life(newer, newer)
    with pytest.raises(StoreUnavailable, match=r"newer version of Passband \(0002_post_take_away\)"):
        await an_older_node(stores)


async def test_messages_pass_while_nodes_are_replaced_one_by_one(stores: Stores) -> None:
    nodes = [await an_older_node(stores) for _ in range(3)]
    replaced = asyncio.Event()
    lives = 0

    async def traffic() -> None:
        nonlocal lives
        while not replaced.is_set():
            await a_life(nodes[0], nodes[0])
            lives += 1

    passing = asyncio.create_task(traffic())
    for place in (2, 1):
        newer = await a_newer_node(stores)
        await stores.close(nodes[place])
        nodes[place] = newer
        before = lives
        while lives < before + 3 and not passing.done():
            await asyncio.sleep(0)
    replaced.set()
    await passing
    assert made(stores) == {FIRST, ADD[0]}
    await stores.close(nodes[0])
    await newer.store.beat(NOW)
    assert TAKE_AWAY[0] in made(stores)
    await a_life(nodes[1], nodes[2])


async def test_a_silent_older_node_holds_nothing_up(stores: Stores) -> None:
    await an_older_node(stores)
    newer = await a_newer_node(stores, now=NOW + 60)
    await newer.store.beat(NOW + 60)
    assert TAKE_AWAY[0] in made(stores)


@pytest.mark.parametrize("empty", [True, False], ids=["an empty database", "a database of the version before"])
async def test_nodes_that_start_at_once_make_each_change_once_on(empty: bool, stores: Stores) -> None:
    if not empty:
        await stores.close(await an_older_node(stores))
    nodes = await asyncio.gather(*(a_newer_node(stores) for _ in range(4)))
    assert made(stores) == {FIRST, ADD[0], TAKE_AWAY[0]}
    assert len({node.store.node for node in nodes}) == 4
    await a_life(nodes[0], nodes[1])


async def test_a_change_that_fails_leaves_everything_as_it_was(stores: Stores) -> None:
    older = await an_older_node(stores)
    with pytest.raises((StoreUnavailable, psycopg.ProgrammingError)):
        await stores.open(changes=[ADD, ("0003_pre_wrong", "ALTER TABLE colours ADD COLUMN colour int")])
    assert made(stores) == {FIRST}
    await a_life(older, older)
    newer = await a_newer_node(stores)
    await a_life(older, newer)


# ── which changes are made ─────────────────────────────────────────────────────────────────────────────────────────

ALL = [(name, "") for name in (FIRST, "0002_post_b", "0002_pre_a", "0003_pre_c", "0004_post_d")]
NAMES = [FIRST, "0002_pre_a", "0002_post_b", "0003_pre_c", "0004_post_d"]

TO_MAKE: dict[str, tuple[list[str], int | None, list[str], bool]] = {
    "all, each version's additions first": ([], None, NAMES, True),
    "none twice": (NAMES[:3], None, NAMES[3:], True),
    "nothing": (NAMES, 4, [], True),
    "no post change that a node lacks": (NAMES[:1], 1, ["0002_pre_a", "0003_pre_c"], False),
    "the post changes that every node knows": (NAMES[:1], 3, ["0002_pre_a", "0002_post_b", "0003_pre_c"], False),
    "what was left": (["0001_pre_first", "0002_pre_a", "0003_pre_c"], 4, ["0002_post_b", "0004_post_d"], True),
}


@pytest.mark.parametrize("case", TO_MAKE)
def test_made_is(case: str) -> None:
    done, oldest, expected, complete = TO_MAKE[case]
    changes, is_complete = to_make(ALL, done, oldest)
    assert ([name for name, _ in changes], is_complete) == (expected, complete)


def test_later_pre_changes_are_borne_and_later_post_changes_are_not() -> None:
    assert to_make(ALL[:1], [FIRST, "0002_pre_a"], 1) == ([], True)
    with pytest.raises(StoreUnavailable, match="0002_post_b"):
        to_make(ALL[:1], [FIRST, "0002_pre_a", "0002_post_b"], None)


def test_the_level_is_the_number_of_the_newest_change() -> None:
    assert level_of(ALL) == 4
