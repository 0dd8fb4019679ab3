"""What goes out, to the octet: answers, events, search pages (HTTP API, sections 2.2, 3.2; Callbacks, section 2)."""

import json
from typing import Any

import msgspec
import pytest

from passband.domain.event import Callback, EventKind
from passband.domain.message import Direction, Kind, Message, NewMessage, Priority
from passband.wire import PageInfo, SearchItem, created_body, event_body, search_body

APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
MEDIA = ("https://cdn.example.org/menu.png",)
REQUEST = NewMessage(APPLICATION, "+19195550117", ("+14085550142",), "Your table is ready")
MESSAGE = Message(
    "5500123",
    "1773044142317kq4zt7m2xw6yb3hd",
    Direction.OUT,
    Kind.SMS,
    APPLICATION,
    1773044142.317,
    "+19195550117",
    ("+14085550142",),
    "",
    19,
    (),
    None,
    None,
    None,
    1,
)
HEAD = (
    '"id":"1773044142317kq4zt7m2xw6yb3hd","owner":"+19195550117","applicationId":"7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",'
    '"time":"2026-03-09T08:15:42.317Z","segmentCount":1,"direction":"out",'
)
ONE = '"to":["+14085550142"],"from":"+19195550117",'

CREATED: list[tuple[str, dict[str, Any], str]] = [
    ("text alone", {}, ""),
    ("a tag", {"tag": "booking 4711"}, ',"tag":"booking 4711"'),
    ("an empty tag", {"tag": ""}, ',"tag":""'),
    (
        "everything",
        {
            "media": MEDIA,
            "tag": "t",
            "priority": Priority.HIGH,
            "expiration": "2026-03-09T09:00:00Z",
            "expires_at": 1773046800.0,
        },
        ',"media":["https://cdn.example.org/menu.png"],"tag":"t","priority":"high","expiration":"2026-03-09T09:00:00Z"',
    ),
    ("priority default, since it was sent", {"priority": Priority.DEFAULT}, ',"priority":"default"'),
]


@pytest.mark.parametrize(("fields", "end"), [case[1:] for case in CREATED], ids=[case[0] for case in CREATED])
def test_the_202_has_the_documented_keys_in_their_order(fields: dict[str, Any], end: str) -> None:
    request = msgspec.structs.replace(REQUEST, **fields)
    assert created_body(MESSAGE, request).decode() == "{" + HEAD + ONE + '"text":"Your table is ready"' + end + "}"


def test_the_202_repeats_the_text_unescaped() -> None:
    assert '"text":"Grüße 😀"' in created_body(MESSAGE, msgspec.structs.replace(REQUEST, text="Grüße 😀")).decode()


def test_the_202_repeats_a_lone_surrogate_as_it_was_sent() -> None:
    body = created_body(MESSAGE, msgspec.structs.replace(REQUEST, text="é\ud83d"))
    assert body.decode() == "{" + HEAD + ONE + '"text":"\\u00e9\\ud83d"}'


def callback(kind: EventKind, message: Message = MESSAGE, **fields: Any) -> Callback:
    at = fields.pop("at", 1773044144.871)
    number = fields.pop("number", "+14085550142")
    return Callback(message, 0, kind, APPLICATION, number, at, at + 86400, **fields)


MMS = msgspec.structs.replace(MESSAGE, kind=Kind.MMS, media=MEDIA, tag="booking 4711")
GROUP = msgspec.structs.replace(MESSAGE, kind=Kind.MMS, to=("+14085550142", "+14085550177"))
INBOUND = Message(
    "5500123", "3f0f1c62-8b0f-4c0e-9a3b-6f5f0a4be8d1", Direction.IN, Kind.SMS, APPLICATION, 1773044470.402,
    "+14085550142", ("+19195550117", "+14085550177"), "Schön 😀", 8, (), None, None, None, 2,
)  # fmt: skip
INBOUND_MMS = msgspec.structs.replace(INBOUND, media=("https://m/0.smil",))
IN_HEAD = (
    '"message":{"id":"3f0f1c62-8b0f-4c0e-9a3b-6f5f0a4be8d1","owner":"+19195550117",'
    '"applicationId":"7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21","time":"2026-03-09T08:21:10.402Z","segmentCount":2,'
    '"direction":"in","to":["+19195550117","+14085550177"],"from":"+14085550142","text":"Schön 😀"'
)

EVENTS: list[tuple[str, Callback, str]] = [
    (
        "received",
        callback(EventKind.RECEIVED, INBOUND, number="+19195550117", at=1773044470.53),
        '[{"time":"2026-03-09T08:21:10.530Z","type":"message-received","to":"+19195550117",'
        '"description":"Incoming message received",' + IN_HEAD + "}}]",
    ),
    (
        "received with media",
        callback(EventKind.RECEIVED, INBOUND_MMS, number="+19195550117"),
        '[{"time":"2026-03-09T08:15:44.871Z","type":"message-received","to":"+19195550117",'
        '"description":"Incoming message received",' + IN_HEAD + ',"media":["https://m/0.smil"]}}]',
    ),
    (
        "sending",
        callback(EventKind.SENDING, MMS, at=1773044143.02),
        '[{"time":"2026-03-09T08:15:43.020Z","type":"message-sending","to":"+14085550142",'
        '"description":"Message is sending to carrier","message":{' + HEAD + ONE
        + '"text":"","media":["https://cdn.example.org/menu.png"],"tag":"booking 4711","priority":"default"}}]',
    ),
    (
        "sent",
        callback(EventKind.SENT),
        '[{"time":"2026-03-09T08:15:44.871Z","type":"message-sent","to":"+14085550142",'
        '"description":"Message sent to carrier","message":{' + HEAD + ONE
        + '"text":"","tag":"","priority":"default"}}]',
    ),
    (
        "delivered, SMS of high priority",
        callback(EventKind.DELIVERED, msgspec.structs.replace(MESSAGE, priority=Priority.HIGH), receipted=True),
        '[{"time":"2026-03-09T08:15:44.871Z","type":"message-delivered","to":"+14085550142","description":"ok",'
        '"message":{' + HEAD + ONE + '"text":"","tag":"","priority":"high"}}]',
    ),
    (
        "delivered, second of a group",
        callback(EventKind.DELIVERED, GROUP, number="+14085550177"),
        '[{"time":"2026-03-09T08:15:44.871Z","type":"message-delivered","to":"+14085550177",'
        '"description":"Message delivered to carrier","message":{' + HEAD
        + '"to":["+14085550142","+14085550177"],"from":"+19195550117","text":"","tag":"","priority":"default"}}]',
    ),
    (
        "failed",
        callback(EventKind.FAILED, code=4720, at=1773044144.102),
        '[{"time":"2026-03-09T08:15:44.102Z","type":"message-failed","to":"+14085550142",'
        '"description":"invalid-destination-address","message":{' + HEAD + ONE
        + '"text":"","tag":"","priority":"default"},"errorCode":4720}]',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
def test_an_event_has_the_documented_keys_in_their_order(told: Callback, expected: str) -> None:
    assert event_body(told).decode() == expected


def test_no_text_of_an_outbound_message_is_told_even_while_it_is_kept() -> None:
    waiting = callback(EventKind.SENDING, msgspec.structs.replace(MESSAGE, text="secret"))
    assert b"secret" not in event_body(waiting)


def test_an_application_can_ask_to_leave_the_default_priority_out() -> None:
    assert b"priority" not in event_body(callback(EventKind.DELIVERED), omit_default_priority=True)
    chosen = callback(EventKind.DELIVERED, msgspec.structs.replace(MESSAGE, priority=Priority.DEFAULT))
    assert b'"priority":"default"' in event_body(chosen, omit_default_priority=True)


def test_a_search_page_has_the_documented_keys_in_their_order() -> None:
    item = SearchItem(
        "1773044142317kq4zt7m2xw6yb3hd", "5500123", "+19195550117", "+14085550142", "DELIVERED", "OUTBOUND", "sms", 1,
        0, "2026-03-09T08:15:42.317Z", "other", 19, 19, 0, 1, calling_number_country_a3="USA",
        called_number_country_a3="USA", product="P2P",
    )  # fmt: skip
    assert search_body(1, PageInfo(), [item]).decode() == json.dumps(
        {
            "totalCount": 1,
            "pageInfo": {},
            "messages": [
                {
                    "messageId": "1773044142317kq4zt7m2xw6yb3hd",
                    "accountId": "5500123",
                    "sourceTn": "+19195550117",
                    "destinationTn": "+14085550142",
                    "messageStatus": "DELIVERED",
                    "messageDirection": "OUTBOUND",
                    "messageType": "sms",
                    "segmentCount": 1,
                    "errorCode": 0,
                    "receiveTime": "2026-03-09T08:15:42.317Z",
                    "carrierName": "other",
                    "messageSize": 19,
                    "messageLength": 19,
                    "attachmentCount": 0,
                    "recipientCount": 1,
                    "campaignClass": None,
                    "campaignId": None,
                    "bwLatency": None,
                    "carrierLatency": None,
                    "callingNumberCountryA3": "USA",
                    "calledNumberCountryA3": "USA",
                    "product": "P2P",
                    "location": None,
                }
            ],
        },
        separators=(",", ":"),
    )


def test_page_info_holds_what_there_is() -> None:
    page = PageInfo(prev_page="a", next_page="b", prev_page_token="c", next_page_token="d")
    assert b'"pageInfo":{"prevPage":"a","nextPage":"b","prevPageToken":"c","nextPageToken":"d"}' in search_body(
        0, page, []
    )
