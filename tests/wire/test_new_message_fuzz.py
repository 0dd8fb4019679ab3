"""Whatever comes in, a request is either read or refused; and what is read is within the limits."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passband.domain.errors import InvalidRequest
from passband.domain.message import Direction, Kind, Message, NewMessage
from passband.domain.number import is_recipient, is_sender
from passband.wire import created_body, decode_new_message

NOW = 1773044142.317

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
number = st.sampled_from(["+14085550142", "88888", "+1invalid", "", "\ud83d", "Passband"]) | st.text()
request = st.fixed_dictionaries(
    {},
    optional={
        "to": number | st.lists(number, max_size=12) | anything,
        "from": number | anything,
        "text": st.text(alphabet=st.characters(categories=["L", "Cs", "Cc"])) | anything,
        "applicationId": st.text() | anything,
        "media": st.sampled_from(["http://a/b", "x"]) | st.lists(st.just("https://a/b")) | anything,
        "tag": st.text() | anything,
        "priority": st.sampled_from(["high", "default", "low"]) | anything,
        "expiration": st.sampled_from(["2026-03-10T00:00:00Z", "1999-01-01T00:00:00Z"]) | anything,
        "x": anything,
    },
)


def check(body: bytes) -> None:
    try:
        read = decode_new_message(body, NOW)
    except InvalidRequest:
        return
    assert is_sender(read.sender)
    assert 1 <= len(read.to) <= 10
    assert len(set(read.to)) == len(read.to)
    assert all(map(is_recipient, read.to))
    assert read.text or read.media
    assert json.loads(created_body(message(read), read))["text"] == read.text


def message(read: NewMessage) -> Message:
    return Message(
        "1", "i", Direction.OUT, Kind.SMS, read.application, NOW, read.sender, read.to, read.text, len(read.text),
        read.media, read.tag, read.priority, read.expires_at, 1,
    )  # fmt: skip


@given(request)
@settings(deadline=None)
def test_no_json_object_surprises_the_reader(fields: dict[str, Any]) -> None:
    check(json.dumps(fields).encode())


@given(st.binary(max_size=200))
def test_no_octets_surprise_the_reader(body: bytes) -> None:
    check(body)


@given(request, st.integers(0, 200), st.binary(max_size=3))
@settings(deadline=None)
def test_no_damage_surprises_the_reader(fields: dict[str, Any], at: int, damage: bytes) -> None:
    body = json.dumps({"to": "+14085550142", "from": "2020", "text": "x", "applicationId": "a"} | fields).encode()
    check(body[:at] + damage + body[at + len(damage) :])
