"""The entries of the journal: one recipient on its way, one event on its way to an application."""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from passband.domain.error_codes import ERROR_CODES
from passband.domain.event import SLOTS, Callback, Endpoint
from passband.domain.message import Direction, Message
from passband.fetch import ErrorKind, Request
from passband.store import Attempted
from passband.wire import timestamp

Key = tuple[str, str, int]

# What recipients and callbacks can be asked for by.
FLIGHT_STATES = (
    "queued", "sending", "handed", "callback-pending", "done", "in-flight", "over", "delivered", "failed", "received",
)  # fmt: skip
TOLD_STATES = ("pending", "acknowledged", "expired")

MOST_ATTEMPTS = 100  # the schedule of 24 hours has about 53, one probe every 30 s more


class Step(msgspec.Struct, frozen=True):
    """A state that a recipient came into, and when."""

    at: float
    state: str
    detail: str = ""


class Attempt(msgspec.Struct, frozen=True):
    """One try at a callback: ``status`` is 0 where no answer came, ``error`` says why."""

    at: float
    status: int
    error: ErrorKind | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        return self.error is None and 200 <= self.status <= 299

    def view(self) -> dict[str, Any]:
        return {
            "time": timestamp(self.at),
            "status": self.status or None,
            "error": self.error,
            "milliseconds": round(self.seconds * 1000, 1),
        }


class Told:
    """An event and every attempt to tell it. ``state`` is pending, acknowledged or expired."""

    __slots__ = ("attempts", "body", "callback", "due_at", "expires_at", "headers", "state", "url")

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        if callback.message.text:
            self.callback = msgspec.structs.replace(
                callback, message=msgspec.structs.replace(callback.message, text="")
            )
        self.due_at: float | None = callback.due_at
        self.expires_at = callback.expires_at
        self.state = "pending"
        self.attempts: list[Attempt] = []
        self.url = ""
        self.headers: tuple[str, ...] = ()
        self.body = b""

    @property
    def key(self) -> Key:
        return self.callback.message.account, self.callback.message.id, self.callback.n

    @property
    def kind(self) -> Any:
        return self.callback.kind

    @property
    def endpoint(self) -> Endpoint:
        return self.callback.endpoint

    def tried(self, attempt: Attempt, request: Request, body: bytes, result: Attempted) -> None:
        """Note an attempt with what was sent, credentials blanked; ``body`` is what may be shown of it."""
        self.attempts.append(attempt)
        del self.attempts[:-MOST_ATTEMPTS]
        self.url, self.body = request.url, body
        self.headers = (
            f"Host: {urlsplit(request.url).netloc.rpartition('@')[2]}",
            "User-Agent: BandwidthAPI/v2",
            "Accept: */*",
            *(_shown(line) for line in request.headers),
            f"Content-Length: {len(request.body)}",
        )
        self.due_at = result.due_at
        if result.acknowledged:
            self.state = "acknowledged"
        elif result.due_at is None:
            self.state = "expired"

    def view(self, *, brief: bool = False) -> dict[str, Any]:
        """Return it as JSON; ``brief`` leaves out body, headers and all attempts but the last."""
        callback = self.callback
        view = {
            "key": f"{callback.message.account}/{callback.message.id}/{callback.n}/{SLOTS[callback.kind]}",
            "id": callback.message.id,
            "n": callback.n,
            "type": callback.kind,
            "to": callback.number,
            "errorCode": callback.code or None,
            "account": callback.message.account,
            "application": callback.application,
            "direction": callback.message.direction,
            "time": timestamp(callback.at),
            "expires": timestamp(callback.expires_at),
            "due": None if self.due_at is None or self.state != "pending" else timestamp(self.due_at),
            "state": self.state,
            "url": self.url,
            "attemptCount": len(self.attempts),
            "last": self.attempts[-1].view() if self.attempts else None,
        }
        if not brief:
            view["attempts"] = [attempt.view() for attempt in self.attempts]
            view["headers"] = list(self.headers)
            view["body"] = self.body.decode("utf-8", "replace")
        return view


class Flight:
    """A recipient on its way, or one copy of a message that came in, with every state that it went through."""

    __slots__ = ("awaited", "carrier", "code", "message", "n", "number", "result", "steps", "told")

    def __init__(self, message: Message, n: int, number: str, carrier: str) -> None:
        self.message = message
        self.n = n
        self.number = number
        self.carrier = carrier
        self.result = ""
        self.code = 0
        self.awaited = 0  # receipts to come
        self.steps: list[Step] = []
        self.told: list[Told] = []

    @property
    def key(self) -> Key:
        return self.message.account, self.message.id, self.n

    @property
    def state(self) -> str:
        """Where it is: queued, sending, handed, callback-pending or done."""
        if not self.result:
            return self.steps[-1].state if self.steps else "queued"
        return "callback-pending" if any(told.state == "pending" for told in self.told) else "done"

    def is_in(self, state: str) -> bool:
        return (
            state in (self.state, self.result)
            or (state == "in-flight" and self.state != "done")
            or (state == "over" and bool(self.result))
        )

    def view(self) -> dict[str, Any]:
        """Return it as JSON."""
        message = self.message
        code = ERROR_CODES.get(self.code)
        return {
            "key": f"{message.account}/{message.id}/{self.n}",
            "id": message.id,
            "n": self.n,
            "account": message.account,
            "application": message.application,
            "direction": message.direction,
            "kind": message.kind,
            "from": message.sender,
            "to": self.number,
            "recipients": list(message.to) if len(message.to) > 1 else None,
            "tag": message.tag if message.direction is Direction.OUT else None,
            "priority": message.priority,
            "segmentCount": message.segment_count,
            "length": message.length,
            "text": message.text or None,
            "media": list(message.media) or None,
            "carrier": self.carrier,
            "time": timestamp(message.created_at),
            "state": self.state,
            "result": self.result or None,
            "errorCode": self.code or None,
            "description": code.name if code else None,
            "history": [{"time": timestamp(s.at), "state": s.state, "detail": s.detail} for s in self.steps],
            "callbacks": [told.view(brief=True) for told in self.told],
        }


def _shown(line: str) -> str:
    """Return a header line as it may be shown: without credentials."""
    name, _, value = line.partition(": ")
    return f"{name}: {value.partition(' ')[0]} (not shown)" if name == "Authorization" else line
