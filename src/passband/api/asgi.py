"""The shapes of ASGI that the API uses, and the one way in which it answers."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, NamedTuple

from passband.domain.errors import RequestFault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = Sequence[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json; charset=utf-8")


class Answer(NamedTuple):
    """An answer as it goes out; ``content-length`` is added on the way."""

    status: int
    headers: Headers
    body: bytes


class BodyTooLarge(RequestFault):
    """The body is larger than this path takes. The rest of it was not read."""


class ClientGone(RequestFault):
    """The client went away before its request was complete; nobody is left to answer."""


async def read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises ClientGone, and BodyTooLarge where the listener's limit is passed."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message["body"]
        return body
    pieces = []
    while message["type"] == "http.request":
        pieces.append(message["body"])
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()
    raise ClientGone


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of this name, which is given in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None
