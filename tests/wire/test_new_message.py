"""The rules of a request to create a message, one row for each (HTTP API, sections 2.1 and 2.4)."""

import json
from typing import Any

import pytest

from passband.domain.errors import FieldFault, InvalidRequest
from passband.domain.message import NewMessage, Priority
from passband.wire import decode_new_message

NOW = 1773044142.317
APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
FROM_MISSING = ("from", "'from' must contain exactly one telephone number")
TO_MISSING = ("to", "'to' must contain at least one telephone number")
TEXT_MISSING = ("text", "'text' is required unless media is included")
APPLICATION_MISSING = ("applicationId", "'applicationId' is required")
EXPIRATION = ("expiration", "'expiration' must be a valid RFC-3339 date-time in the future")
LONG_TAG = "x" * 1025
TAG_TOO_LONG = ("tag", "'tag' must be 1024 characters or less")
PRIORITY = ("priority", "'priority' must be one of 'default', 'high'")


def number_fault(field: str, number: str) -> tuple[str, str]:
    return field, f"'{number}' must be replaced with a valid E164 formatted telephone number"


def url_fault(url: str) -> tuple[str, str]:
    return "media", f"'{url}' must be replaced with a valid URL"


def body(fields: dict[str, Any]) -> bytes:
    """Return a request that is right but for these fields; ``...`` leaves one out."""
    request = {"to": ["+14085550142"], "from": "+19195550117", "text": "x", "applicationId": APPLICATION} | fields
    return json.dumps({name: value for name, value in request.items() if value is not ...}).encode()


def decode(**fields: Any) -> NewMessage:
    return decode_new_message(body({name.rstrip("_"): value for name, value in fields.items()}), NOW)


TEN = [f"+1408555{n:04}" for n in range(10)]

RIGHT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a plain string is one recipient", {"to": "+14085550142"}, {"to": ("+14085550142",)}),
    ("a short code as recipient", {"to": ["88888"]}, {"to": ("88888",)}),
    ("repeats are dropped, the first stays", {"to": [TEN[1], TEN[0], TEN[1]]}, {"to": (TEN[1], TEN[0])}),
    ("eleven entries, ten distinct", {"to": [*TEN, TEN[3]]}, {"to": tuple(TEN)}),
    ("an impossible number is found out later", {"to": ["+140855501"]}, {"to": ("+140855501",)}),
    ("to may hold from", {"to": ["+19195550117"]}, {"to": ("+19195550117",)}),
    ("a short code sends", {"from": "2020"}, {"sender": "2020"}),
    ("a name sends", {"from": "Passband Co"}, {"sender": "Passband Co"}),
    ("text of blanks", {"text": "  "}, {"text": "  "}),
    ("no text with media", {"text": "", "media": ["https://cdn.example.org/menu.png"]}, {"text": ""}),
    ("absent text with media", {"text": ..., "media": ["http://a/b"]}, {"text": "", "media": ("http://a/b",)}),
    ("null text with media", {"text": None, "media": ["http://a/b"]}, {"text": ""}),
    (
        "media as a single string",
        {"media": "HTTPS://user:pw@a.example:8443/b?c#d"},
        {"media": ("HTTPS://user:pw@a.example:8443/b?c#d",)},
    ),
    ("an address of numbers", {"media": ["http://[2001:db8::1]:80/x"]}, {"media": ("http://[2001:db8::1]:80/x",)}),
    ("empty media with text", {"media": []}, {"media": ()}),
    ("more than ten media are refused later", {"media": [f"http://a/{n}" for n in range(12)]}, {}),
    ("the longest URL", {"media": ["http://a/" + "b" * 4087]}, {}),
    ("the longest text, in code points", {"text": "\U0001f600" * 2048}, {"text": "\U0001f600" * 2048}),
    ("the longest tag", {"tag": "\U0001f600" * 1024}, {"tag": "\U0001f600" * 1024}),
    ("an empty tag is a tag", {"tag": ""}, {"tag": ""}),
    (
        "null is absent",
        {"tag": None, "priority": None, "expiration": None, "media": None},
        {"tag": None, "priority": None},
    ),
    ("priority default", {"priority": "default"}, {"priority": Priority.DEFAULT}),
    ("priority high", {"priority": "high"}, {"priority": Priority.HIGH}),
    (
        "an expiration",
        {"expiration": "2026-03-09T09:00:00Z"},
        {"expiration": "2026-03-09T09:00:00Z", "expires_at": 1773046800.0},
    ),
    ("an expiration with an offset", {"expiration": "2026-03-09T09:15:42.500+01:00"}, {"expires_at": NOW + 0.183}),
    ("unknown fields are ignored", {"colour": {"deep": [1, 2, {"to": None}]}, "n": 1e300}, {}),
    ("NUL and control characters in the text", {"text": "a\x00\x1b\r\n"}, {"text": "a\x00\x1b\r\n"}),
    ("an application that is no UUID", {"applicationId": "nobody knows"}, {"application": "nobody knows"}),
    ("quotation marks in the text", {"text": '"to" "from" "text"'}, {"text": '"to" "from" "text"'}),
    ("values that are keys", {"text": "to", "tag": "to"}, {"text": "to", "tag": "to"}),
]

WRONG: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no from", {"from": ...}, [FROM_MISSING]),
    ("from null", {"from": None}, [FROM_MISSING]),
    ("from empty", {"from": ""}, [FROM_MISSING]),
    ("from no number", {"from": "+1invalid"}, [number_fault("from", "+1invalid")]),
    ("from of ten digits", {"from": "9195550117"}, [number_fault("from", "9195550117")]),
    ("from with a blank", {"from": " +19195550117"}, [number_fault("from", " +19195550117")]),
    ("no to", {"to": ...}, [TO_MISSING]),
    ("to null", {"to": None}, [TO_MISSING]),
    ("to empty", {"to": ""}, [TO_MISSING]),
    ("to an empty array", {"to": []}, [TO_MISSING]),
    ("to an empty entry", {"to": [""]}, [number_fault("to", "")]),
    (
        "each bad number is named",
        {"to": ["+1invalid", TEN[0], "+invalid"]},
        [number_fault("to", "+1invalid"), number_fault("to", "+invalid")],
    ),
    ("a name cannot receive", {"to": ["Passband"]}, [number_fault("to", "Passband")]),
    ("digits of other scripts", {"to": ["+1408555014\u0662"]}, [number_fault("to", "+1408555014\u0662")]),
    ("a line end after a number", {"to": ["+14085550142\n"]}, [number_fault("to", "+14085550142\n")]),
    ("eleven recipients", {"to": [*TEN, "+14085559999"]}, [("to", "'to' must contain at most 10 telephone numbers")]),
    ("no text and no media", {"text": ...}, [TEXT_MISSING]),
    ("empty text and empty media", {"text": "", "media": []}, [TEXT_MISSING]),
    ("text too long", {"text": "x" * 2049}, [("text", "'text' must be 2048 characters or less")]),
    ("no application", {"applicationId": ...}, [APPLICATION_MISSING]),
    ("application null", {"applicationId": None}, [APPLICATION_MISSING]),
    ("application empty", {"applicationId": ""}, [APPLICATION_MISSING]),
    ("no URL", {"media": ["not media"]}, [url_fault("not media")]),
    ("a relative URL", {"media": "/menu.png"}, [url_fault("/menu.png")]),
    ("a URL of another scheme", {"media": ["ftp://a/b"]}, [url_fault("ftp://a/b")]),
    ("a URL without host", {"media": ["http:///b"]}, [url_fault("http:///b")]),
    ("a URL with a blank", {"media": ["http://a/b c"]}, [url_fault("http://a/b c")]),
    ("a URL too long", {"media": ["http://a/" + "b" * 4088]}, [url_fault("http://a/" + "b" * 4088)]),
    ("tag too long", {"tag": LONG_TAG}, [TAG_TOO_LONG]),
    ("an unknown priority", {"priority": "urgent"}, [PRIORITY]),
    ("an empty priority", {"priority": ""}, [PRIORITY]),
    ("a past expiration", {"expiration": "2026-03-09T08:15:42Z"}, [EXPIRATION]),
    ("an expiration now", {"expiration": "2026-03-09T08:15:42.317Z"}, [EXPIRATION]),
    ("an expiration without offset", {"expiration": "2027-03-09T08:15:42"}, [EXPIRATION]),
    ("an expiration on no day", {"expiration": "2027-02-30T08:15:42Z"}, [EXPIRATION]),
    ("an expiration in words", {"expiration": "tomorrow"}, [EXPIRATION]),
    (
        "everything at once, in order",
        {"from": "", "text": "", "to": [], "applicationId": ..., "tag": LONG_TAG, "priority": "x", "expiration": ""},
        [FROM_MISSING, TEXT_MISSING, TO_MISSING, APPLICATION_MISSING, TAG_TOO_LONG, PRIORITY, EXPIRATION],
    ),
]  # fmt: skip

UNREADABLE: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("no JSON", b"to=1"),
    ("an array", b"[]"),
    ("a number", b"1"),
    ("null", b"null"),
    ("half an object", b'{"to":'),
    ("a comma too many", b'{"to":"+14085550142",}'),
    ("something after it", b"{} {}"),
    ("a byte order mark", b"\xef\xbb\xbf" + body({})),
    ("UTF-16", body({}).decode().encode("utf-16")),
    ("invalid UTF-8", b'{"text":"\xff"}'),
    ("a surrogate in UTF-8", b'{"text":"\xed\xa0\xbd"}'),
    ("NaN", b'{"to":NaN}'),
    ("NaN beside a lone surrogate", b'{"x":NaN,"text":"\\ud83d"}'),
    ("a number of 5000 digits beside a lone surrogate", b'{"x":' + b"9" * 5000 + b',"text":"\\ud83d"}'),
    ("100,000 brackets", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("100,000 brackets beside a lone surrogate", b'{"text":"\\ud83d","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("a key twice", body({})[:-1] + b',"to":"+14085550143"}'),
    ("a key twice, once escaped", body({})[:-1] + b',"t\\u006f":"+14085550143"}'),
    ("from an array", body({"from": ["+19195550117"]})),
    ("text a number", body({"text": 1})),
    ("to an object", body({"to": {}})),
    ("a recipient null", body({"to": [None]})),
    ("a recipient a number", body({"to": [14085550142]})),
    ("media an object", body({"media": {}})),
    ("media of numbers", body({"media": [1]})),
    ("tag true", body({"tag": True})),
    ("priority a number", body({"priority": 1})),
    ("expiration a number", body({"expiration": 1})),
    ("a lone surrogate in the tag", body({"tag": "\ud83d"})),
    ("a lone surrogate in a recipient", body({"to": ["\udc00"]})),
    ("a lone surrogate in the sender", body({"from": "\udc00"})),
    ("a lone surrogate in media", body({"media": "http://a/\udc00"})),
    ("a lone surrogate in the application", body({"applicationId": "\udc00"})),
    ("more than a mebibyte", body({"x": "x" * 1024 * 1024})),
]


@pytest.mark.parametrize(("fields", "expected"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_what_is_right_is_taken(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    request = decode(**fields)
    assert {name: getattr(request, name) for name in expected} == expected


@pytest.mark.parametrize(("fields", "faults"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_named(fields: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)
    assert caught.value.faults == tuple(FieldFault(*fault) for fault in faults)


@pytest.mark.parametrize("unreadable", [case[1] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE])
def test_what_cannot_be_read_is_refused_without_naming_a_field(unreadable: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_new_message(unreadable, NOW)
    assert caught.value.faults == ()


def test_a_request_of_exactly_one_mebibyte_is_read() -> None:
    padded = body({}).ljust(1024 * 1024)
    assert decode_new_message(padded, NOW).application == APPLICATION


def test_a_lone_surrogate_in_the_text_is_let_through() -> None:
    request = decode(text="hm \ud83d", tag="x", to=["+14085550142", "+14085550143"])
    assert request.text == "hm \ud83d"
    assert request.to == ("+14085550142", "+14085550143")


def test_a_lone_surrogate_in_an_unknown_field_is_ignored_like_the_field() -> None:
    assert decode(colour="\ud83d").text == "x"


def test_both_readers_agree_on_what_is_wrong_beside_a_lone_surrogate() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(text="\ud83d", from_=..., to="+1invalid")
    assert caught.value.faults == (FieldFault(*FROM_MISSING), FieldFault(*number_fault("to", "+1invalid")))


def test_a_flood_of_bad_values_is_not_answered_with_a_flood_of_sentences() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(to=[f"bad{n}" for n in range(50_000)], media=["x"] * 50_000)
    assert len(caught.value.faults) == 1 + 10 + 10
