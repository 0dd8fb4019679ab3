"""What the tests of the listener share: events as the platform writes them, and a client that posts them."""

import asyncio
import base64
import http.client
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from passband.domain.event import Callback, EventKind
from passband.domain.message import Direction, Kind, Message
from passband.wire import event_body

OURS, THEIRS = "+19195550117", "+14085550142"
ID = "1773044142317kq4zt7m2xw6yb3hd"


def an_event(event: EventKind = EventKind.DELIVERED, *, code: int = 0, **fields: Any) -> bytes:
    """Return a callback's body; what is not given is that of an ordinary SMS."""
    inbound = event is EventKind.RECEIVED
    message = Message(
        **{
            "account": "5500123",
            "id": ID,
            "direction": Direction.IN if inbound else Direction.OUT,
            "kind": Kind.SMS,
            "application": "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",
            "created_at": 1_773_044_142.317,
            "sender": THEIRS if inbound else OURS,
            "to": (OURS if inbound else THEIRS,),
            "text": "On my way" if inbound else "",
            "length": 9,
            "media": (),
            "tag": None,
            "priority": None,
            "expires_at": None,
            "segment_count": 1,
            **fields,
        }
    )
    at = 1_773_044_144.102
    return event_body(Callback(message, 0, event, message.application, message.to[0], at, at + 86400, code))


class Posted(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def post(url: str, body: bytes, headers: dict[str, str] | None = None, *, method: str = "POST") -> Posted:
    return await asyncio.to_thread(_post, url, body, headers or {}, method)


def _post(url: str, body: bytes, headers: dict[str, str], method: str) -> Posted:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, parts.path or "/", body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Posted(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
    finally:
        connection.close()
