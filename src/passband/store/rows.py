"""Rows ⇄ values, the same for both engines: which columns a recipient and a callback have, in which order."""

import hashlib
import itertools
from typing import Any

import msgspec

from passband.domain.event import SLOTS, Callback, EventKind, status_of
from passband.domain.message import MMS, OUT, SMS, Direction, Message, Priority, Recipient
from passband.domain.report import Accepted, Deferred, Outcome, Receipt, Rejected

Row = tuple[Any, ...]

RECIPIENT = (
    "account", "id", "n", "application", "sender", "number", "everyone", "text", "length", "media", "tag", "priority",
    "expires_at", "segment_count", "kind", "carrier", "reference", "due_at", "attempts", "code", "announced", "charge",
)  # fmt: skip
CALLBACK = (
    "account", "id", "n", "slot", "kind", "direction", "application", "named", "created_at", "sender", "number",
    "everyone", "text", "length", "media", "tag", "priority", "segment_count", "message_kind", "at", "expires_at",
    "code", "receipted", "carrier", "due_at", "attempts", "tried_at",
)  # fmt: skip
COLUMNS = {"recipient": RECIPIENT, "callback": CALLBACK}

TOLD, DOUBT = "=", "!"
"""With what the identifiers begin of messages that have none of their carrier's: taken by a node, whose number stands
behind an @; and of which the carrier may not know it."""


_KINDS = (SMS, MMS)
_PRIORITIES = (None, Priority.DEFAULT, Priority.HIGH)
_PRIORITY_NUMBERS = {priority: number for number, priority in enumerate(_PRIORITIES)}
_EVENT_KINDS = {str(kind): kind for kind in EventKind}
_DIRECTIONS = {str(direction): direction for direction in Direction}

_encode = msgspec.json.Encoder().encode
_decode_media = msgspec.json.Decoder(tuple[str, ...]).decode


def recipient_row(recipient: Recipient) -> Row:
    """Return the columns RECIPIENT."""
    m = recipient.message
    return (
        m.account, m.id, recipient.n, m.application, m.sender, m.to[recipient.n],
        ",".join(m.to) if len(m.to) > 1 else None, m.text, m.length, _encode(m.media).decode() if m.media else None,
        m.tag, _PRIORITY_NUMBERS[m.priority], m.expires_at, m.segment_count, 0 if m.kind is SMS else 1,
        recipient.carrier, recipient.reference, recipient.due_at, recipient.attempts, recipient.code,
        1 if recipient.announced else 0, recipient.charge,
    )  # fmt: skip


def recipient_of(row: Row) -> Recipient:
    """Return the recipient of the columns RECIPIENT."""
    (
        account, id_, n, application, sender, number, everyone, text, length, media, tag, priority, expires_at,
        segment_count, kind, carrier, reference, due_at, attempts, code, announced, charge,
    ) = row  # fmt: skip
    message = Message(
        account, id_, OUT, _KINDS[kind], application, int(id_[:13]) / 1000, sender,
        tuple(everyone.split(",")) if everyone else (number,), text, length, _decode_media(media) if media else (),
        tag, _PRIORITIES[priority], expires_at, segment_count,
    )  # fmt: skip
    return Recipient(message, n, carrier, reference, due_at, attempts, code, announced == 1, charge)


def callback_row(callback: Callback) -> Row:
    """Return the columns CALLBACK."""
    m = callback.message
    to = m.to
    # ``_value_``: the property ``value`` takes two calls.
    return (
        m.account, m.id, callback.n, SLOTS[callback.kind], callback.kind._value_, m.direction._value_,
        callback.application,
        None if m.application == callback.application else m.application, m.created_at, m.sender, callback.number,
        ",".join(to) if len(to) > 1 or to[0] != callback.number else None, m.text, m.length,
        _encode(m.media).decode() if m.media else None, m.tag, _PRIORITY_NUMBERS[m.priority], m.segment_count,
        0 if m.kind is SMS else 1, callback.at, callback.expires_at, callback.code, 1 if callback.receipted else 0,
        callback.carrier, callback.due_at, callback.attempts, callback.tried_at,
    )  # fmt: skip


def callback_of(row: Row) -> Callback:
    """Return the callback of the columns CALLBACK."""
    (
        account, id_, n, _, kind, direction, application, named, created_at, sender, number, everyone, text, length,
        media, tag, priority, segment_count, message_kind, at, expires_at, code, receipted, carrier, due_at, attempts,
        tried_at,
    ) = row  # fmt: skip
    message = Message(
        account, id_, _DIRECTIONS[direction], _KINDS[message_kind], application if named is None else named, created_at,
        sender, tuple(everyone.split(",")) if everyone else (number,), text, length,
        _decode_media(media) if media else (), tag, _PRIORITIES[priority], None, segment_count,
    )  # fmt: skip
    return Callback(
        message, n, _EVENT_KINDS[kind], application, number, at, expires_at, code, receipted == 1, carrier, due_at,
        attempts, tried_at,
    )  # fmt: skip


_OUTCOMES: dict[str, type[Outcome]] = {kind.__name__: kind for kind in (Accepted, Deferred, Rejected)}


def outcome_text(outcome: Outcome) -> str:
    """Return an outcome as JSON, for the few that have to wait."""
    return _encode((type(outcome).__name__, outcome)).decode()


def outcome_of(text: str) -> Outcome:
    name, fields = msgspec.json.decode(text)
    return msgspec.convert(fields, _OUTCOMES[name])


def mark_of(number: str) -> str:
    """Return what a number is known by where the number itself must not be kept."""
    return hashlib.blake2b(number.encode(), digest_size=8).hexdigest()


_receipts = itertools.count()


def early_key(receipt: Receipt, node: int) -> str:
    """Return under what a receipt is kept that came before its outcome: a repeat of it has the same.

    The number is part of it, because a forged receipt must not take the place of the true one; as a mark only, because
    repeats of a receipt end here, and nothing of a message that is over may be kept. Each receipt that names nothing is
    one of its own: those of a message's segments look the same.
    """
    named = receipt.refs or (f"{node}/{next(_receipts)}",)
    return "\n".join((receipt.carrier, mark_of(receipt.number), *named))


def recipient_key(recipient: Recipient) -> tuple[str, str, int]:
    return recipient.message.account, recipient.message.id, recipient.n


def callback_key(callback: Callback) -> tuple[str, str, int, int]:
    return callback.message.account, callback.message.id, callback.n, SLOTS[callback.kind]


def history_row(callback: Callback, acknowledged: bool) -> Row:
    """Return what the history keeps of a message whose last event is over: metadata, never text."""
    m = callback.message
    return (
        m.account, m.id, callback.n, m.direction.value, m.sender, callback.number, status_of(callback, acknowledged),
        0 if m.kind is SMS else 1, m.segment_count, callback.code, m.created_at, callback.carrier, m.length,
        len(m.media), len(m.to),
    )  # fmt: skip
