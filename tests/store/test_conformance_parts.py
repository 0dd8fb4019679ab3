"""Parts of longer inbound messages: joined once, whatever comes twice, late, elsewhere or never."""

import itertools
from collections.abc import Sequence

import pytest

from passband.domain.report import Inbound, Part, Report
from passband.domain.rules import Rules
from store.nodes import DAY, HOUR, NOW, OURS, THEIRS, Node, Stores, the_rules


def join(parts: Sequence[Part]) -> Inbound:
    text = b"".join(part.octets for part in parts).decode()
    return Inbound(parts[0].carrier, parts[0].sender, (parts[0].to,), text, segment_count=len(parts))


def rules_that_join() -> Rules:
    rules = the_rules()
    rules.joins = {"carrier": join, "another": join}
    return rules


@pytest.fixture
async def node(stores: Stores) -> Node:
    return await stores.open(rules=rules_that_join())


@pytest.fixture
async def other(stores: Stores) -> Node:
    return await stores.open(rules=rules_that_join())


def a_part(sequence: int, octets: str = "", key: str = "key", total: int = 3, carrier: str = "carrier") -> Part:
    return Part(carrier, key, sequence, total, (octets or f"part {sequence} ").encode(), 0, THEIRS, OURS)


async def record(node: Node, *parts: Part, now: float = NOW) -> None:
    await node.store.record(Report(parts=parts), now)


def texts(*nodes: Node) -> list[str]:
    return [c.message.text for node in nodes for c in node.births.callbacks]


@pytest.mark.parametrize("order", ["123", "132", "213", "231", "312", "321"])
async def test_parts_are_joined_in_their_order_when_the_last_has_come(order: str, node: Node) -> None:
    for sequence in order[:2]:
        await record(node, a_part(int(sequence)))
        assert texts(node) == []
    await record(node, a_part(int(order[2])))
    assert texts(node) == ["part 1 part 2 part 3 "]
    assert node.births.callbacks[0].message.segment_count == 3


async def test_all_parts_may_come_in_one_report(node: Node) -> None:
    await record(node, a_part(2), a_part(1), a_part(3))
    assert texts(node) == ["part 1 part 2 part 3 "]


async def test_parts_may_come_to_different_nodes(node: Node, other: Node) -> None:
    for sequence, receiver in zip((3, 1, 2), itertools.cycle((node, other)), strict=False):
        await record(receiver, a_part(sequence))
    assert texts(node, other) == ["part 1 part 2 part 3 "]


async def test_a_repeated_part_is_dropped_before_and_after_the_message_is_complete(node: Node, other: Node) -> None:
    for sequence in (1, 1, 2, 1, 3, 3, 2):
        await record(node, a_part(sequence))
        await record(other, a_part(sequence))
    assert texts(node, other) == ["part 1 part 2 part 3 "]


async def test_repeats_of_a_joined_message_are_known_for_an_hour(node: Node) -> None:
    parts = [a_part(sequence) for sequence in (1, 2, 3)]
    await record(node, *parts)
    await node.store.expire(NOW + HOUR - 1)
    await record(node, *parts, now=NOW + HOUR - 1)
    assert len(texts(node)) == 1
    await node.store.expire(NOW + HOUR + 1)
    await record(node, *parts, now=NOW + HOUR + 1)
    assert len(texts(node)) == 2


async def test_keys_and_carriers_are_apart(node: Node) -> None:
    for sequence in (1, 2, 3):
        await record(
            node,
            a_part(sequence, f"a{sequence}", key="a"),
            a_part(sequence, f"b{sequence}", key="b"),
            a_part(sequence, f"c{sequence}", key="a", carrier="another"),
        )
    assert sorted(texts(node)) == ["a1a2a3", "b1b2b3", "c1c2c3"]


async def test_another_part_with_a_known_number_begins_another_message(node: Node) -> None:
    """The reference was used again: what there is of the old message is told, and the new one is complete."""
    await record(node, a_part(1, "old 1 "), a_part(2, "old 2 "))
    await record(node, a_part(2, "new 2 "))
    assert texts(node) == ["old 1 old 2 "]
    await record(node, a_part(1, "new 1 "), a_part(3, "new 3"))
    assert texts(node) == ["old 1 old 2 ", "new 1 new 2 new 3"]


async def test_a_message_whose_parts_do_not_all_come_is_told_as_it_is_ten_minutes_after_the_last(
    node: Node, other: Node
) -> None:
    await record(node, a_part(3))
    await record(node, a_part(1), now=NOW + 300)
    assert await other.store.expire(NOW + 899) == 0
    assert await other.store.expire(NOW + 900) == 1
    assert texts(node, other) == ["part 1 part 3 "]
    assert await node.store.expire(NOW + 900) == 0


async def test_many_incomplete_messages_are_told_in_several_steps(node: Node) -> None:
    await record(node, *(a_part(1, f"text {n}", key=f"key {n}") for n in range(1200)))
    counts = []
    while count := await node.store.expire(NOW + 600):
        counts.append(count)
    assert sum(counts) == len(set(texts(node))) == 1200


async def test_a_part_of_a_carrier_that_is_configured_no_more_harms_nobody(stores: Stores, node: Node) -> None:
    await record(node, a_part(1), a_part(1, key="b", carrier="another"))
    rules = rules_that_join()
    del rules.joins["another"]
    later = await stores.open(rules=rules)
    assert await later.store.expire(NOW + DAY) == 1
    assert await later.store.expire(NOW + DAY) == 0
    assert texts(later) == ["part 1 "]
