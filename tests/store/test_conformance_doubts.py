"""What carriers do not name: receipts that tell only their numbers, messages that come again without identifier."""

import pytest

from passband.domain.report import Accepted, Deciding, Doubt, Inbound, Receipt, Report
from store.nodes import NOW, OURS, THEIRS, Node, Stores, a_recipient

PAIR = "~0123456789abcdef01234567"


def receipt(*refs: str, code: int = 0, pair: str = PAIR) -> Report:
    return Report(receipts=[Receipt("carrier", refs, THEIRS, code, pair=pair)])


async def handed(node: Node, *refs: str, deciding: Deciding = Deciding.EVERY) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    await node.outcome(recipient, Accepted(refs, 7200.0, deciding))


@pytest.mark.parametrize("refs", [(), ("1A2B",)], ids=["no id", "an id that nothing has"])
async def test_a_receipt_without_an_id_means_the_one_recipient_between_its_numbers(
    node: Node, refs: tuple[str, ...]
) -> None:
    await handed(node, PAIR)
    await node.store.record(receipt(*refs, code=4720), NOW)
    assert node.events[-1] == ("failed", 4720)


async def test_of_two_recipients_between_the_same_numbers_it_means_none(node: Node) -> None:
    await handed(node, PAIR)
    await handed(node, PAIR)
    before = list(node.events)
    await node.store.record(receipt(), NOW)
    assert node.events == before


async def test_segments_of_one_recipient_are_not_several(node: Node) -> None:
    await handed(node, PAIR, PAIR)
    await node.store.record(receipt(), NOW)
    await node.store.record(receipt(), NOW)
    assert [kind for kind, _ in node.events].count("delivered") == 1


async def test_an_id_that_is_known_comes_before_the_pair(node: Node) -> None:
    await handed(node, PAIR)
    await handed(node, "1A2B")
    await node.store.record(receipt("1A2B"), NOW)
    assert (await node.store.depths())[0].handed == 1


async def test_a_pair_never_means_a_later_message(node: Node) -> None:
    await node.store.record(receipt(), NOW - 1)  # its message is over, or its receipt came twice
    await handed(node, PAIR)
    assert "delivered" not in [kind for kind, _ in node.events]


@pytest.mark.parametrize("refs", [(), ("1A2B",)], ids=["no id", "an id that nothing has"])
@pytest.mark.parametrize("segments", [1, 3])
async def test_receipts_without_an_id_may_come_before_the_outcome(
    node: Node, other: Node, segments: int, refs: tuple[str, ...]
) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    for n in range(segments):
        await other.store.record(receipt(*(f"{ref}{n}" for ref in refs)), NOW + 1)
    assert "delivered" not in [kind for kind, _ in node.events]
    await node.outcome(recipient, Accepted((PAIR,) * segments, 7200.0))
    assert node.events[-1] == ("delivered", 0)


async def test_a_receipt_that_came_early_counts_for_one_message(node: Node) -> None:
    first, second = a_recipient(), a_recipient()
    await node.accept(first, second)
    await node.store.record(receipt(), NOW + 1)
    for recipient in (first, second):
        await node.outcome(recipient, Accepted((PAIR,), 7200.0))
    assert [kind for kind, _ in node.events].count("delivered") == 1
    assert (await node.store.depths())[0].handed == 1


async def test_what_may_mean_two_recipients_is_not_kept_for_a_third(node: Node) -> None:
    third = a_recipient()
    await node.accept(third)
    await handed(node, PAIR)
    await handed(node, PAIR)
    await node.store.record(receipt(), NOW + 1)
    await node.outcome(third, Accepted((PAIR,), 7200.0))
    assert "delivered" not in [kind for kind, _ in node.events]


# ── messages that come again ─────────────────────────────────────────────────────────────────────────────────────────


def inbound(digest: str = "ab" * 16) -> Report:
    return Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "yes", digest=digest)])


DOUBT = Report(doubts=[Doubt("carrier", "ab" * 16)])


async def test_equal_messages_are_two(node: Node, other: Node) -> None:
    for at in (node, other, node):
        await at.store.record(inbound(), NOW)
    assert len(node.births.callbacks + other.births.callbacks) == 3


async def test_a_message_whose_answer_is_in_doubt_is_known_when_it_comes_again_to_any_node_and_once(
    node: Node, other: Node
) -> None:
    await node.store.record(inbound(), NOW)
    await node.store.record(DOUBT, NOW + 1)
    await other.store.record(inbound("cd" * 16), NOW + 2)
    await other.store.record(inbound(), NOW + 2)
    assert len(other.births.callbacks) == 1
    await other.store.record(inbound(), NOW + 3)
    assert len(other.births.callbacks) == 2


async def test_a_doubt_is_over_after_five_minutes(node: Node) -> None:
    await node.store.record(inbound(), NOW)
    await node.store.record(DOUBT, NOW)
    await node.store.expire(NOW + 250)
    await node.store.record(inbound(), NOW + 301)
    assert len(node.births.callbacks) == 2


async def test_what_a_node_took_in_its_last_minute_is_known_after_it_has_ended(stores: Stores) -> None:
    first = await stores.open()
    await first.store.record(inbound("cd" * 16), NOW - 100)
    await first.store.record(inbound(), NOW)
    await stores.close(first)
    again = await stores.open()
    await again.store.expire(NOW + 1)
    await again.store.record(inbound(), NOW + 2)
    assert again.births.callbacks == []
    await again.store.record(inbound("cd" * 16), NOW + 2)
    assert len(again.births.callbacks) == 1
