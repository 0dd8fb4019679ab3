"""From the 202 to the terminal event, verb by verb."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from flow.world import APPLICATION, PICTURE, RECIPIENT, SENDER, World, an_account
from passband.domain.message import Priority
from passband.domain.report import Deferred, Receipt, Rejected, Report
from passband.testing import accepted

MakeWorld = Callable[..., Awaitable[World]]


def receipt(world: World, message_id: str, code: int = 0, *, n: int = 0, segment: int = 0) -> Report:
    return Report(receipts=[Receipt(world.carrier.name, (f"{message_id}-{n}-{segment}",), RECIPIENT, code)])


async def test_a_message_is_delivered_told_once_and_gone(world: World) -> None:
    message = await world.send("Your table is ready", tag="booking 4711")
    await world.settle()
    assert world.carrier.texts == ["Your table is ready"]
    await world.report(world.carrier.take())
    await world.settle()
    assert world.events == []
    await world.report(receipt(world, message.id))
    await world.settle()
    (event,) = world.events
    assert (event["type"], event["to"], event["description"]) == ("message-delivered", RECIPIENT, "ok")
    assert event["message"]["tag"] == "booking 4711"
    assert event["message"]["text"] == ""
    await world.advance(24 * 3600)
    assert len(world.events) == 1
    assert await world.store.depths() == []
    assert await world.store.oldest_callback() is None


async def test_without_receipts_the_hand_over_is_the_delivery(world: World) -> None:
    await world.send()
    await world.settle()
    await world.report(world.carrier.take(lambda r: accepted(r, None)))
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-delivered", RECIPIENT, 0)]


async def test_a_negative_receipt_fails_with_its_code(world: World) -> None:
    message = await world.send()
    await world.settle()
    await world.report(world.carrier.take())
    await world.report(receipt(world, message.id, 4720))
    await world.settle()
    (event,) = world.events
    assert (event["errorCode"], event["description"]) == (4720, "invalid-destination-address")


async def test_a_receipt_may_arrive_before_the_response(world: World) -> None:
    message = await world.send()
    await world.settle()
    await world.report(receipt(world, message.id))
    await world.settle()
    assert world.events == []
    await world.report(world.carrier.take())
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-delivered", RECIPIENT, 0)]


async def test_nothing_changes_a_terminal_event(world: World) -> None:
    message = await world.send()
    await world.settle()
    await world.report(world.carrier.take())
    for code in (4720, 0, 4720, 0):
        await world.report(receipt(world, message.id, code))
    await world.settle()
    await world.advance(3 * 3600)
    await world.expire.step(world.clock.now())
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 4720)]


async def test_a_receipt_that_never_comes_is_9902_and_a_late_one_changes_nothing(world: World) -> None:
    message = await world.send()
    await world.settle()
    await world.report(world.carrier.take())
    await world.advance(7199)
    await world.expire.step(world.clock.now())
    await world.settle()
    assert world.events == []
    await world.advance(2)
    await world.expire.step(world.clock.now())
    await world.report(receipt(world, message.id))
    await world.settle()
    (event,) = world.events
    assert (event["errorCode"], event["description"]) == (9902, "delivery-receipt-expired")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((0, 0, 0), ("message-delivered", 0)),
        ((0, 4720, 0), ("message-failed", 4720)),
        ((4720, 4770, 0), ("message-failed", 4720)),
    ],
)
async def test_segments_decide_together(world: World, codes: tuple[int, ...], expected: tuple[str, int]) -> None:
    message = await world.send("x" * 400)
    assert message.segment_count == 3
    await world.settle()
    await world.report(world.carrier.take())
    for segment, code in enumerate(codes):
        await world.report(receipt(world, message.id, code, segment=segment))
    await world.settle()
    assert [(e["type"], e.get("errorCode", 0)) for e in world.events] == [expected]


async def test_a_forged_receipt_is_ignored(world: World) -> None:
    message = await world.send()
    await world.settle()
    await world.report(world.carrier.take())
    forged = Receipt(world.carrier.name, (f"{message.id}-0-0",), "+14085550143", 0)
    await world.report(Report(receipts=[forged]))
    await world.settle()
    assert world.events == []


async def test_a_busy_carrier_is_tried_again_and_at_last_given_up(world: World) -> None:
    await world.send()
    for delay in (5, 15):
        await world.settle()
        await world.report(world.carrier.take(lambda r: Deferred(5620, 5, max_attempts=3)))
        await world.advance(delay)
    assert len(world.carrier.submitted) == 3
    await world.report(world.carrier.take(lambda r: Deferred(5620, 5, max_attempts=3)))
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 5620)]


async def test_the_retry_window_ends_with_the_code_of_the_last_refusal(world: World) -> None:
    await world.send()
    await world.settle()
    await world.report(world.carrier.take(lambda r: Deferred(5600, 4 * 3600 + 1)))
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 5600)]


async def test_a_refusal_for_good_is_final(world: World) -> None:
    await world.send()
    await world.settle()
    await world.report(world.carrier.take(lambda r: Rejected(4750)))
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 4750)]


async def test_expiration_is_looked_at_when_the_message_leaves_the_queue(world: World) -> None:
    world.carrier.window = 0
    await world.send(expires_at=world.clock.now() + 10)
    await world.settle()
    await world.advance(11)
    assert world.events == []
    world.carrier.window = 10
    await world.settle()
    assert world.carrier.submitted == []
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 4360)]


class Refusal(NamedTuple):
    what: str
    fields: dict[str, Any]
    code: int


REFUSALS = [
    Refusal("an unknown application", {"application": "nobody's"}, 4452),
    Refusal("an unknown sender", {"sender": "+19195550199"}, 4405),
    Refusal("an impossible sender", {"sender": "+1919555"}, 4302),
    Refusal("an impossible recipient", {"to": ("+1408555014",)}, 4303),
    Refusal("an impossible area code", {"to": ("+10085550142",)}, 4303),
    Refusal("itself", {"to": (SENDER,)}, 4401),
    Refusal("an unpaired surrogate", {"text": "\ud83d"}, 4301),
    Refusal("an escape character", {"text": "\x1b"}, 4301),
    Refusal("an emergency number", {"to": ("911",)}, 4492),
    Refusal("more media than allowed", {"media": (PICTURE,) * 11}, 4411),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda r: r.what)
async def test_what_is_wrong_beyond_syntax_becomes_an_event(world: World, refusal: Refusal) -> None:
    await world.send(**refusal.fields)
    await world.settle()
    assert world.carrier.submitted == []
    assert [(e["type"], e.get("errorCode")) for e in world.events] == [("message-failed", refusal.code)]


@pytest.mark.parametrize(("sender", "code"), [("+18005550100", 4433), ("72345", 4431)])
async def test_groups_go_from_long_codes_only(world: World, sender: str, code: int) -> None:
    await world.send(sender=sender, to=(RECIPIENT, "+14085550143"))
    await world.settle()
    assert [e["errorCode"] for e in world.events] == [code, code]


async def test_an_event_of_an_unknown_application_goes_to_the_sender_numbers_one(world: World) -> None:
    await world.send(application="nobody's")
    await world.settle()
    assert world.poster.requests[0].url == "http://app.example/status"
    assert world.events[0]["message"]["applicationId"] == "nobody's"


async def test_a_group_with_an_impossible_number_has_one_event_each(world: World) -> None:
    to = (RECIPIENT, "+1408555014", "+14085550177")
    message = await world.send(to=to)
    await world.settle()
    (submission,) = world.carrier.submitted
    assert [r.number for r in submission.recipients] == [RECIPIENT, "+14085550177"]
    await world.report(world.carrier.take(lambda r: accepted(r, None)))
    await world.settle()
    assert sorted(world.told(e) for e in world.events) == [
        ("message-delivered", RECIPIENT, 0),
        ("message-delivered", "+14085550177", 0),
        ("message-failed", "+1408555014", 4303),
    ]
    assert all(e["message"]["to"] == list(to) and e["message"]["id"] == message.id for e in world.events)
    delivered = next(e for e in world.events if e["type"] == "message-delivered")
    assert delivered["description"] == "Message delivered to carrier"


async def test_sending_and_sent_are_told_only_where_asked_for(make_world: MakeWorld) -> None:
    every = ["message-sending", "message-sent", "message-delivered", "message-failed"]
    for requested, media, expected in (
        (None, (), ["message-delivered"]),
        (None, (PICTURE,), ["message-delivered"]),
        (every, (), ["message-sent", "message-delivered"]),
        (every, (PICTURE,), ["message-sending", "message-sent", "message-delivered"]),
        (["message-failed"], (), []),
    ):
        application = {"requested": None if requested is None else frozenset(requested)}
        world = await make_world(an_account(application=application))
        await world.send(media=media)
        await world.settle()
        await world.report(world.carrier.take(lambda r: accepted(r, None)))
        await world.settle()
        assert [e["type"] for e in world.events] == expected, (requested, media)


async def test_an_mms_waits_while_its_node_is_out_of_touch_with_the_store(world: World) -> None:
    """Its leases may have gone, or not: while nobody has told, the message is still this node's."""
    certain = iter([True, False])  # when it leaves the queue, and when its files have come
    world.dispatch._holds_leases = lambda: next(certain, True)
    await world.send(media=(PICTURE,))
    await world.settle()
    assert len(world.carrier.submitted) == 1


async def test_high_priority_goes_first_and_each_priority_is_first_in_first_out(world: World) -> None:
    world.carrier.window = 0
    for text, priority in (("a", None), ("B", Priority.HIGH), ("c", Priority.DEFAULT), ("D", Priority.HIGH)):
        await world.send(text, priority=priority)
    await world.settle()
    world.carrier.window = 10
    await world.settle()
    assert world.carrier.texts == ["B", "D", "a", "c"]


async def test_a_message_between_our_numbers_is_delivered_and_received(world: World) -> None:
    """On-net: the sender is told of the delivery, the receiver of the message, in one transaction."""
    await world.send("between us", to=("+19195550118",))
    await world.settle()
    assert world.carrier.submitted == []
    kinds = {e["type"]: e for e in world.events}
    assert set(kinds) == {"message-delivered", "message-received"}
    assert kinds["message-received"]["message"]["text"] == "between us"
    assert kinds["message-received"]["message"]["owner"] == "+19195550118"
    assert kinds["message-received"]["message"]["applicationId"] == APPLICATION
