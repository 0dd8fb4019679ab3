"""The other side of a benchmark: applications that post, and their endpoint that takes callbacks.

It runs in a process of its own and is as cheap as Python allows, because it shares the machine with what is measured:
raw asyncio protocols, requests made once, answers searched rather than parsed. It speaks only to a Passband of ours.
"""

import asyncio
import time
from collections.abc import Callable
from typing import cast

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ID_LENGTH = 29


class Endpoint(asyncio.Protocol):
    """Answers every callback with ``status`` and tells ``seen`` the message's id and the moment."""

    def __init__(self, seen: Callable[[bytes, float], None], answer: Callable[[], bytes]) -> None:
        self._seen = seen
        self._answer = answer
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        """Answer every callback that is complete, all of them in one write."""
        data = self._data + data if self._data else data
        answers = []
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            at = head.index(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            stop = end + 4 + length
            if len(data) < stop:
                break
            body, data = data[end + 4 : stop], data[stop:]
            at = body.index(b'"id":"') + 6
            self._seen(body[at : at + ID_LENGTH], time.monotonic())
            answers.append(self._answer())
        self._data = data
        if answers:
            self._transport.write(b"".join(answers))


class Client(asyncio.Protocol):
    """One connection that posts: one request at a time, the next when the last is answered.

    ``next_request`` gives the request or None when it is over; ``answered`` is told the status, the id and the time
    that the answer took.
    """

    def __init__(
        self, next_request: Callable[[], bytes | None], answered: Callable[[int, bytes, float, float], None]
    ) -> None:
        self._next_request = next_request
        self._answered = answered
        self._data = b""
        self._sent = 0.0
        self.idle = True
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self) -> None:
        """Post the next request, if there is one."""
        request = self._next_request()
        self.idle = request is None
        if request is not None:
            self._sent = time.monotonic()
            self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take the answer once it is complete, and post the next request."""
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._data.lower().index(b"content-length:")
        length = int(self._data[at + 15 : end + 2].split(b"\r\n", 1)[0])
        if len(self._data) < end + 4 + length:
            return
        status = int(self._data[9:12])
        at = self._data.find(b'"id":"', end) + 6
        now = time.monotonic()
        self._answered(status, self._data[at : at + ID_LENGTH] if status == 202 else b"", self._sent, now)
        self._data = b""
        self.send()


def post_request(host: str, path: str, authorization: str, body: bytes) -> bytes:
    """Return a whole request that posts a message."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
