"""Who is told what: the application's wishes, unknown applications, and the words of the events."""

import uuid
from typing import Any

import msgspec
import pytest

from passband.domain.account import Account, Application, Directory, Number
from passband.domain.event import Callback, EventKind
from passband.domain.message import Direction, Kind, Message, Recipient
from passband.domain.report import Accepted, Deferred, Inbound, Outcome, Rejected
from passband.domain.rules import Handed, Requeued, Rules, Settled
from passband.domain.status import Cause, State

NOW = 1_773_044_142.5
HOUR = 3600.0
OURS, OURS_TOO, UNLINKED, THEIRS = "+19195550117", "+19195550118", "+19195550119", "+14085550142"
EVERY = frozenset({EventKind.SENDING, EventKind.SENT, EventKind.DELIVERED, EventKind.FAILED})


def an_application(id_: str = "app", **fields: Any) -> Application:
    urls = {"inbound_url": f"http://{id_}.example/in", "outbound_url": f"http://{id_}.example/out"}
    return Application(id_, **urls | fields)


def the_rules(*applications: Application, **account: Any) -> Rules:
    applications = applications or (an_application(), an_application("linked"))
    numbers = {
        OURS: Number(OURS, "5500123", "app"),
        OURS_TOO: Number(OURS_TOO, "5500123", "linked"),
        UNLINKED: Number(UNLINKED, "5500123"),
    }
    by_id = {application.id: application for application in applications}
    return Rules(
        Directory([Account("5500123", applications=by_id, numbers=numbers, **account)]),
        new_uuid=lambda: uuid.UUID(int=7),
    )


def a_recipient(kind: Kind = Kind.SMS, **fields: Any) -> Recipient:
    values: dict[str, Any] = {
        "account": "5500123", "id": "1773044142317kq4zt7m2xw6yb3hd", "direction": Direction.OUT, "kind": kind,
        "application": "app", "created_at": NOW, "sender": OURS, "to": (THEIRS,), "text": "Hello", "length": 5,
        "media": (), "tag": "tag", "priority": None, "expires_at": None, "segment_count": 1,
    }  # fmt: skip
    return Recipient(Message(**values | fields), 0, "carrier")


def told(callbacks: tuple[Callback, ...]) -> list[tuple[str, str]]:
    """Return who is told what; nobody is an empty name."""
    return [(c.application, c.kind.removeprefix("message-")) for c in callbacks]


def life(rules: Rules, recipient: Recipient) -> list[tuple[str, str]]:
    """Everything that is told of a recipient which is sent and delivered by a receipt."""
    sending = rules.tell(recipient, State.QUEUED, Cause.LEFT_QUEUE, NOW)
    sent = rules.tell(recipient, State.SENDING, Cause.ACCEPTED_AWAITING_RECEIPT, NOW)
    return told(sending + sent + rules.on_receipt(recipient, 0, NOW))


WISHES = {
    "no list, SMS": (None, Kind.SMS, False, ["delivered"]),
    "no list, MMS without receipts": (None, Kind.MMS, False, ["delivered"]),
    "no list, MMS with receipts": (None, Kind.MMS, True, ["sending", "delivered"]),
    "no list, SMS of an account with MMS receipts": (None, Kind.SMS, True, ["delivered"]),
    "everything, SMS": (EVERY, Kind.SMS, False, ["sending", "sent", "delivered"]),
    "everything, MMS": (EVERY, Kind.MMS, False, ["sending", "sent", "delivered"]),
    "sent alone": ({EventKind.SENT}, Kind.SMS, False, ["sent"]),
    "failed alone": ({EventKind.FAILED}, Kind.SMS, True, []),
    "nothing": ((), Kind.MMS, True, []),
}


@pytest.mark.parametrize("case", WISHES)
def test_an_application_is_told_what_it_asked_for(case: str) -> None:
    requested, kind, mms_receipts, expected = WISHES[case]
    application = an_application(requested=None if requested is None else frozenset(requested))
    rules = the_rules(application, mms_receipts=mms_receipts)
    events = [event for name, event in life(rules, a_recipient(kind)) if name]
    assert events == expected


@pytest.mark.parametrize("requested", [None, frozenset({EventKind.FAILED}), frozenset()])
def test_a_terminal_event_exists_even_if_nobody_wants_it(requested: frozenset[EventKind] | None) -> None:
    """The history needs it."""
    rules = the_rules(an_application(requested=requested))
    assert [event for _, event in life(rules, a_recipient())] == ["delivered"]


TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "the application named": ({}, "app"),
    "the one named, not the number's": ({"sender": OURS_TOO}, "app"),
    "the number's, for an unknown one": ({"application": "unknown", "sender": OURS_TOO}, "linked"),
    "nobody, for an unknown one and a number without one": ({"application": "unknown", "sender": UNLINKED}, ""),
    "nobody, for an unknown one and a foreign number": ({"application": "unknown", "sender": THEIRS}, ""),
    "the one named, for an unknown account: other nodes may know both": ({"account": "5500999"}, "app"),
}


@pytest.mark.parametrize("case", TOLD)
def test_told_is(case: str) -> None:
    fields, name = TOLD[case]
    callbacks = the_rules().tell(a_recipient(**fields), State.QUEUED, Cause.REFUSED_BY_RULE, NOW, 4452)
    assert told(callbacks) == [(name, "failed")]
    assert callbacks[0].message.application == fields.get("application", "app")


def test_without_a_url_nobody_is_told() -> None:
    rules = the_rules(an_application(outbound_url=None, requested=EVERY))
    assert life(rules, a_recipient()) == [("", "delivered")]


def test_no_text_leaves_with_an_event() -> None:
    (callback,) = the_rules().on_receipt(a_recipient(), 0, NOW)
    assert (callback.message.text, callback.message.length, callback.message.tag) == ("", 5, "tag")


def test_an_event_carries_what_it_is_about() -> None:
    recipient = msgspec.structs.replace(a_recipient(to=("+14085550141", THEIRS)), n=1)
    (callback,) = the_rules().tell(recipient, State.SENDING, Cause.REJECTED, NOW, 4720)
    assert (callback.n, callback.number, callback.code, callback.carrier) == (1, THEIRS, 4720, "carrier")
    assert (callback.at, callback.due_at, callback.expires_at) == (NOW, NOW, NOW + 24 * HOUR)
    assert (callback.attempts, callback.tried_at) == (0, None)


DESCRIPTIONS = {
    "SMS delivered by hand-over": (Kind.SMS, Cause.ACCEPTED_FOR_GOOD, 0, "ok"),
    "SMS delivered by receipt": (Kind.SMS, Cause.RECEIPT_POSITIVE, 0, "ok"),
    "MMS delivered by hand-over": (Kind.MMS, Cause.ACCEPTED_FOR_GOOD, 0, "Message delivered to carrier"),
    "MMS delivered by receipt": (Kind.MMS, Cause.RECEIPT_POSITIVE, 0, "ok"),
    "SMS sent": (Kind.SMS, Cause.ACCEPTED_AWAITING_RECEIPT, 0, "Message sent to carrier"),
    "MMS sending": (Kind.MMS, Cause.LEFT_QUEUE, 0, "Message is sending to carrier"),
    "failed": (Kind.SMS, Cause.REJECTED, 4720, "invalid-destination-address"),
    "failed without a receipt": (Kind.SMS, Cause.RECEIPT_WINDOW_OVER, 9902, "delivery-receipt-expired"),
}
BEFORE = {Cause.LEFT_QUEUE: State.QUEUED, Cause.RECEIPT_POSITIVE: State.HANDED, Cause.RECEIPT_WINDOW_OVER: State.HANDED}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_the_description_of_an_event(case: str) -> None:
    kind, cause, code, text = DESCRIPTIONS[case]
    state = BEFORE.get(cause, State.SENDING)
    rules = the_rules(an_application(requested=EVERY))
    callbacks = rules.tell(a_recipient(kind), state, cause, NOW, code, receipted=state is State.HANDED)
    assert callbacks[-1].description == text


def test_a_pair_that_is_no_transition_tells_nothing() -> None:
    assert the_rules().tell(a_recipient(), State.DELIVERED, Cause.RECEIPT_NEGATIVE, NOW, 4720) == ()


# ── outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def outcome_of(outcome: Outcome, **fields: Any) -> Any:
    recipient = msgspec.structs.replace(a_recipient(), **fields)
    return the_rules().on_outcome(recipient, outcome, NOW)


def test_an_accepted_recipient_is_handed_until_its_receipt_window_is_over() -> None:
    change = outcome_of(Accepted(("1", "2"), 2 * HOUR))
    assert isinstance(change, Handed)
    assert (change.refs, change.deadline_at) == (("1", "2"), NOW + 2 * HOUR)


def test_a_recipient_accepted_for_good_is_delivered() -> None:
    change = outcome_of(Accepted(("1",), None))
    assert isinstance(change, Settled)
    assert told(change.callbacks) == [("app", "delivered")]
    assert not change.callbacks[0].receipted


def test_a_rejected_recipient_is_settled_with_its_code() -> None:
    change = outcome_of(Rejected(4720))
    assert isinstance(change, Settled)
    assert [(c.kind, c.code) for c in change.callbacks] == [(EventKind.FAILED, 4720)]


DEFERRALS: dict[str, tuple[Deferred, int, tuple[int, float] | None]] = {
    "the first of three": (Deferred(5600, 5.0, 3), 0, (1, NOW + 5)),
    "the second of three": (Deferred(5600, 5.0, 3), 1, (2, NOW + 5)),
    "the last of three": (Deferred(5600, 5.0, 3), 2, None),
    "the only one": (Deferred(5600, 5.0, 1), 0, None),
    "one that does not count": (Deferred(5501, 5.0), 2, (2, NOW + 5)),
    "one that does not count, after many": (Deferred(5501, 5.0, 0), 1000, (1000, NOW + 5)),
    "one that ends with the retry window": (Deferred(5501, 4 * HOUR), 0, (0, NOW + 4 * HOUR)),
    "one beyond the retry window": (Deferred(5501, 4 * HOUR + 1), 0, None),
}


@pytest.mark.parametrize("case", DEFERRALS)
def test_a_deferred_recipient_waits_or_fails(case: str) -> None:
    outcome, attempts, expected = DEFERRALS[case]
    change = outcome_of(outcome, attempts=attempts)
    if expected is None:
        assert isinstance(change, Settled)
        assert [(c.kind, c.code) for c in change.callbacks] == [(EventKind.FAILED, outcome.code)]
    else:
        assert isinstance(change, Requeued)
        assert (change.recipient.attempts, change.recipient.due_at) == expected
        assert change.recipient.code == outcome.code


def test_receipts_are_told_as_such() -> None:
    rules, recipient = the_rules(), a_recipient()
    (negative,) = rules.on_receipt(recipient, 4720, NOW)
    codes = (0, 9999, -5630)  # none came; one was unclear; an answer is owed
    waiting = [msgspec.structs.replace(recipient, code=code) for code in codes]
    windows_over = [rules.on_receipt_window_over(each, NOW) for each in waiting]
    assert [(c.kind, c.code, c.receipted) for (c,) in ((negative,), *windows_over)] == [
        (EventKind.FAILED, 4720, True),
        (EventKind.FAILED, 9902, True),
        (EventKind.FAILED, 9999, True),
        (EventKind.FAILED, 5630, False),
    ]


# ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_of_our_numbers_with_an_application_gets_an_event_of_its_own() -> None:
    rules = the_rules()
    inbound = Inbound(
        "carrier", THEIRS, (OURS, THEIRS, OURS_TOO, UNLINKED, OURS), "Hi 🙂", Kind.MMS, 3, ("http://m/1",)
    )
    callbacks = rules.on_inbound(inbound, NOW + 0.0004)
    assert [(c.number, c.application, c.kind) for c in callbacks] == [
        (OURS, "app", EventKind.RECEIVED),
        (OURS_TOO, "linked", EventKind.RECEIVED),
    ]
    message = callbacks[0].message
    assert (message.direction, message.sender, message.to) == (Direction.IN, THEIRS, inbound.to)
    assert (message.text, message.length, message.media) == ("Hi 🙂", 4, ("http://m/1",))
    assert (message.segment_count, message.created_at) == (1, NOW)
    assert message.id == str(uuid.UUID(int=7))


def test_the_parts_of_an_inbound_sms_are_counted() -> None:
    (callback,) = the_rules().on_inbound(Inbound("carrier", THEIRS, (OURS,), "Hi", segment_count=3), NOW)
    assert callback.message.segment_count == 3
    assert callback.description == "Incoming message received"


def test_an_inbound_message_is_told_to_nobody_without_an_inbound_url() -> None:
    rules = the_rules(an_application(inbound_url=None))
    assert rules.on_inbound(Inbound("carrier", THEIRS, (OURS,), "Hi"), NOW) == ()


def test_an_inbound_message_cannot_be_switched_off() -> None:
    rules = the_rules(an_application(requested=frozenset()))
    assert len(rules.on_inbound(Inbound("carrier", THEIRS, (OURS,), "Hi"), NOW)) == 1


def test_a_new_directory_counts_at_once() -> None:
    rules = the_rules()
    rules.directory = Directory([Account("5500123")])
    assert told(rules.on_receipt(a_recipient(), 0, NOW)) == [("", "delivered")]
