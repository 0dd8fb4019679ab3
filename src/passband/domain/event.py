"""Events: what an application is told, and the callback that tells it.

An event is a fact about one recipient, stored in the same transaction as the change that caused it. A ``Callback`` is
that event together with what is known of telling it; it lives until the endpoint answers 2xx or 24 hours are over.
"""

import enum
from typing import Final

import msgspec

from passband.domain.error_codes import name_of
from passband.domain.message import MMS, Direction, Message


class EventKind(enum.StrEnum):
    """The ``type`` of an event (Callbacks, section 1)."""

    RECEIVED = "message-received"
    SENDING = "message-sending"
    SENT = "message-sent"
    DELIVERED = "message-delivered"
    FAILED = "message-failed"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def final(self) -> bool:
        """Whether nothing is told of the recipient after this."""
        return self.terminal or self is RECEIVED


# See ``domain.message`` for why members have names of their own.
RECEIVED: Final = EventKind.RECEIVED
SENDING: Final = EventKind.SENDING
DELIVERED: Final = EventKind.DELIVERED
FAILED: Final = EventKind.FAILED
TERMINAL: Final = (DELIVERED, FAILED)

# What a recipient can be told once. Both terminal kinds share a slot: the store's key is (account, message, recipient,
# slot), so that a second terminal event of one recipient cannot even be stored.
SLOTS = {
    EventKind.SENDING: 0,
    EventKind.SENT: 1,
    EventKind.DELIVERED: 2,
    EventKind.FAILED: 2,
    EventKind.RECEIVED: 2,
}


class Callback(msgspec.Struct, frozen=True, gc=False):
    """An event on its way to an application.

    ``application`` is the one whose endpoint is told, which for an unknown ``message.application`` is another one; it
    is empty where nobody is told, and the event matters to the history only.
    ``number`` is the event's ``to``. ``code`` is the delivery error code of a failure, else 0. ``receipted`` tells
    that a carrier's receipt, or its absence, decided. ``tried_at`` is None before the first attempt.
    """

    message: Message
    n: int
    kind: EventKind
    application: str
    number: str
    at: float
    expires_at: float
    code: int = 0
    receipted: bool = False
    carrier: str | None = None
    due_at: float = 0.0
    attempts: int = 0
    tried_at: float | None = None

    @property
    def endpoint(self) -> "Endpoint":
        return Endpoint(self.message.account, self.application, self.message.direction)

    @property
    def key(self) -> "CallbackKey":
        return CallbackKey(self.message.account, self.message.id, self.n, self.kind)

    @property
    def description(self) -> str:
        """The informative text of the event (Callbacks, section 5)."""
        if self.kind is FAILED:
            return name_of(self.code)
        if self.kind is DELIVERED and self.message.kind is MMS and not self.receipted:
            return "Message delivered to carrier"
        return _DESCRIPTIONS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} {self.message.id}/{self.n} code={self.code} attempts={self.attempts}"


_DESCRIPTIONS = {
    EventKind.RECEIVED: "Incoming message received",
    EventKind.SENDING: "Message is sending to carrier",
    EventKind.SENT: "Message sent to carrier",
    EventKind.DELIVERED: "ok",
}


class CallbackKey(msgspec.Struct, frozen=True, gc=False):
    """What names one callback: the message, the recipient's place in it, and what is told of that."""

    account: str
    message: str
    n: int
    kind: EventKind


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """Where callbacks go: one of an application's two URLs, with a health of its own."""

    account: str
    application: str
    direction: Direction


def status_of(callback: Callback, acknowledged: bool) -> str:
    """Return the search's word for a recipient whose last event this is (HTTP API, section 3.2)."""
    if callback.kind is RECEIVED:
        return "ACCEPTED" if acknowledged else "FAILED"
    if callback.kind is FAILED:
        return "UNDELIVERED" if callback.receipted else "FAILED"
    return "DELIVERED"
