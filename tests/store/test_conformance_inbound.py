"""Inbound messages: one event for each of our numbers, once for each message."""

from passband.domain.report import Inbound, Report
from passband.store import Attempted
from store.nodes import DAY, IN, NOW, OURS, OURS_TOO, THEIRS, Node, Stores

FOREIGN = "+14085550199"


def inbound(
    *to: str, ref: str | None = "ref", carrier: str = "carrier", text: str = "On my way\0 \U0001f697"
) -> Report:
    return Report(inbound=[Inbound(carrier, THEIRS, to or (OURS,), text, ref=ref)])


async def test_a_message_for_one_of_our_numbers_is_told_with_its_text(stores: Stores) -> None:
    node, other = await stores.open(room=0), await stores.open()
    await node.store.record(inbound(), NOW)
    (callback,) = await other.callbacks(endpoint=IN)
    assert (callback.kind, callback.number, callback.code) == ("message-received", OURS, 0)
    assert (callback.message.text, callback.message.sender) == ("On my way\0 \U0001f697", THEIRS)


async def test_a_message_for_several_of_our_numbers_is_told_for_each_with_an_identifier_of_its_own(node: Node) -> None:
    await node.store.record(inbound(OURS, FOREIGN, OURS_TOO), NOW)
    callbacks = node.births.callbacks
    assert [c.number for c in callbacks] == [OURS, OURS_TOO]
    assert {c.message.to for c in callbacks} == {(OURS, FOREIGN, OURS_TOO)}
    assert len({c.message.id for c in callbacks}) == 2


async def test_a_message_for_foreign_numbers_alone_is_told_to_nobody(node: Node) -> None:
    await node.store.record(inbound(FOREIGN), NOW)
    assert node.events == []
    assert await node.store.oldest_callback() is None


async def test_a_repeat_is_known_by_the_carriers_identifier_on_every_node(node: Node, other: Node) -> None:
    await node.store.record(inbound(), NOW)
    await node.acknowledge(*node.births.callbacks)
    await node.store.record(inbound(), NOW + 1)
    await other.store.record(inbound(text="the same again"), NOW + 2)
    assert len(node.births.callbacks + other.births.callbacks) == 1


async def test_a_repeat_within_one_report_is_known(node: Node) -> None:
    report = inbound()
    await node.store.record(Report(inbound=[*report.inbound, *report.inbound]), NOW)
    assert len(node.births.callbacks) == 1


async def test_identifiers_of_two_carriers_are_apart(node: Node) -> None:
    await node.store.record(inbound(), NOW)
    await node.store.record(inbound(carrier="another"), NOW)
    assert len(node.births.callbacks) == 2


async def test_messages_without_an_identifier_are_never_taken_for_repeats(node: Node) -> None:
    for _ in range(2):
        await node.store.record(inbound(ref=None), NOW)
    assert len(node.births.callbacks) == 2


async def test_a_repeat_is_known_for_a_day(node: Node) -> None:
    await node.store.record(inbound(), NOW)
    await node.store.expire(NOW + DAY)
    await node.store.record(inbound(), NOW + DAY)
    assert len(node.births.callbacks) == 1
    await node.store.expire(NOW + DAY + 1)
    await node.store.record(inbound(), NOW + DAY + 1)
    assert len(node.births.callbacks) == 2


async def test_a_carriers_note_is_kept_as_long_as_the_event_and_no_longer(stores: Stores) -> None:
    node, other = await stores.open(room=0), await stores.open()
    await node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "hi", note='["<44@x>"]')]), NOW)
    [callback] = await other.callbacks(endpoint=IN)
    assert (callback.carrier, callback.message.tag) == ("carrier", '["<44@x>"]')
    await other.store.attempted([Attempted(callback, None, NOW, True)])
    assert not await other.callbacks(endpoint=IN, now=NOW + DAY)
