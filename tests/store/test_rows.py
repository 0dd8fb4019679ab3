"""Values become rows and come back as they were."""

from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.domain.event import SLOTS, Callback, EventKind
from passband.domain.message import Direction, Kind, Message, Priority, Recipient
from passband.store.queries import load, migrations
from passband.store.rows import (
    CALLBACK,
    COLUMNS,
    RECIPIENT,
    callback_key,
    callback_of,
    callback_row,
    history_row,
    recipient_key,
    recipient_of,
    recipient_row,
)
from store.nodes import a_message

# Every plane of Unicode, NUL with it; a surrogate alone is no character.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(10, 10**15 - 1).map("+{}".format) | st.sampled_from(["46645", "Passband", "1 -_&"])
instants = st.floats(0, 4e9)
counts = st.integers(0, 2**31)
urls = st.lists(texts, max_size=10).map(tuple)
milliseconds = st.integers(0, 9_999_999_999_999)


@st.composite
def messages(draw: st.DrawFn, direction: Direction) -> Message:
    millisecond = draw(milliseconds)
    text = draw(texts)
    return Message(
        account=draw(st.text("0123456789", min_size=1, max_size=10)),
        id=f"{millisecond:013d}{draw(st.text('abcdefghijklmnopqrstuvwxyz234567', min_size=16, max_size=16))}",
        direction=direction,
        kind=draw(st.sampled_from(Kind)),
        application=draw(texts),
        created_at=millisecond / 1000,
        sender=draw(numbers),
        to=tuple(draw(st.lists(numbers, min_size=1, max_size=12, unique=True))),
        text=text,
        length=len(text),
        media=draw(urls),
        tag=draw(st.none() | texts),
        priority=draw(st.none() | st.sampled_from(Priority)),
        expires_at=draw(st.none() | instants) if direction is Direction.OUT else None,
        segment_count=draw(counts),
    )


@st.composite
def recipients(draw: st.DrawFn) -> Recipient:
    message = draw(messages(Direction.OUT))
    return Recipient(
        message, draw(st.integers(0, len(message.to) - 1)), draw(texts), draw(counts), draw(instants), draw(counts),
        draw(counts), draw(st.booleans()), draw(counts),
    )  # fmt: skip


@st.composite
def callbacks(draw: st.DrawFn) -> Callback:
    """A callback's message has no expiration any more: it has left the queue."""
    kind = draw(st.sampled_from(EventKind))
    message = draw(messages(Direction.IN if kind is EventKind.RECEIVED else Direction.OUT))
    message = msgspec.structs.replace(message, expires_at=None)
    return Callback(
        message, draw(st.integers(0, 11)), kind, draw(texts | st.just(message.application)),
        draw(st.sampled_from(message.to) | numbers), draw(instants), draw(instants), draw(counts), draw(st.booleans()),
        draw(st.none() | texts), draw(instants), draw(counts), draw(st.none() | instants),
    )  # fmt: skip


@pytest.fixture(scope="module")
def database() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for _, sql in migrations("sqlite"):
        connection.execute(sql)
    return connection


QUERIES = load("sqlite.sql", COLUMNS)


def through(database: apsw.Connection, table: str, columns: tuple[str, ...], row: tuple[Any, ...], *rest: Any) -> Any:
    database.execute(f"DELETE FROM {table}")
    database.execute(QUERIES[f"insert_{table.removesuffix('s')}"], (*row, *rest))
    return database.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()[0]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(recipients())
def test_a_recipient_comes_back(database: apsw.Connection, recipient: Recipient) -> None:
    row = recipient_row(recipient)
    assert len(row) == len(RECIPIENT)
    assert recipient_of(row) == recipient
    assert recipient_of(through(database, "recipients", RECIPIENT, row, 0, recipient.high)) == recipient


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(callbacks())
def test_a_callback_comes_back(database: apsw.Connection, callback: Callback) -> None:
    row = callback_row(callback)
    assert len(row) == len(CALLBACK)
    assert callback_of(row) == callback
    assert callback_of(through(database, "callbacks", CALLBACK, row, 0)) == callback


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(recipients(), callbacks())
def test_keys_are_the_columns_that_identify_a_row(recipient: Recipient, callback: Callback) -> None:
    row = dict(zip(RECIPIENT, recipient_row(recipient), strict=True))
    assert recipient_key(recipient) == (row["account"], row["id"], row["n"])
    row = dict(zip(CALLBACK, callback_row(callback), strict=True))
    assert callback_key(callback) == (row["account"], row["id"], row["n"], row["slot"])
    assert row["slot"] == SLOTS[callback.kind]


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(callbacks(), st.booleans())
def test_history_has_no_text_and_no_tag(callback: Callback, acknowledged: bool) -> None:
    message = msgspec.structs.replace(callback.message, text="Lorem ipsum", tag="dolor sit", media=("http://a/1",))
    row = history_row(msgspec.structs.replace(callback, message=message), acknowledged)
    assert not {"Lorem ipsum", "dolor sit", "http://a/1"} & set(row)
    assert "http" not in str(row[10:])


@pytest.mark.parametrize("text", ["\0", "a\0b", "\U0010ffff", "\ufeffx", "\r\n", "’", "1e5", " "])
def test_a_text_is_kept_to_the_character(text: str, database: apsw.Connection) -> None:
    recipient = Recipient(a_message(text=text, tag=text), 0, "carrier")
    assert recipient_of(through(database, "recipients", RECIPIENT, recipient_row(recipient), 0, False)) == recipient
