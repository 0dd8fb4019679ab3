"""The application beside which gateways are measured: it posts over many connections and takes the callbacks.

Rule: nothing in here knows which gateway it talks to. Requests are made before the clock runs, answers and callbacks
are read by the same parser, and a message is over when its callback has come.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools

GIVE_UP_SECONDS = 120.0  # without any callback


@dataclass(frozen=True)
class Dialect:
    """How one gateway is spoken to.

    ``request`` makes the HTTP request of message ``n`` whose callback goes to ``endpoint`` (a port); ``accepted`` is
    the status of its answer. ``number_of`` finds ``n`` in the path and body of a callback; ``answer`` answers it.
    """

    request: Callable[[int, int], bytes]
    accepted: int
    number_of: Callable[[bytes, bytes], int]
    answer: bytes


@dataclass(frozen=True)
class Played:
    """``seconds`` is from the first request to the last callback; ``repeated`` callbacks came more than once."""

    count: int
    seconds: float
    refused: int
    repeated: int

    @property
    def rate(self) -> float:
        return (self.count - self.refused) / self.seconds


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return a whole request."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n".encode() + body


def response(body: bytes = b"") -> bytes:
    """Return a whole answer with status 200."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Application:
    """Posts to one gateway and takes its callbacks; ``endpoint`` is the port on which it does."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.endpoint = 0
        self.statuses: dict[int, int] = {}
        self._requests: list[bytes] = []
        self._waited_for: set[int] = set()
        self._next = 0
        self._answered = 0
        self._refused = 0
        self._repeated = 0
        self._last = 0.0
        self._over = asyncio.Event()

    async def listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Endpoint(self), "127.0.0.1", 0)
        self.endpoint = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._server.close()

    async def play(self, port: int, count: int, connections: int) -> Played:
        """Send so many messages to the gateway on this port; return when the last callback has come.

        Raises TimeoutError when none comes for ``GIVE_UP_SECONDS``.
        """
        self._requests = [self.dialect.request(n, self.endpoint) for n in range(self._next, self._next + count)]
        self._waited_for = set(range(self._next, self._next + count))
        self._answered = self._refused = self._repeated = 0
        self._over.clear()
        first = self._next
        loop = asyncio.get_running_loop()
        clients = [_Client(self, port) for _ in range(min(connections, count))]
        began = self._last = time.monotonic()
        try:
            for client in clients:
                await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
            while not self._over.is_set():
                await self._progress()
        finally:
            for client in clients:
                client.close()
        self._next = first + count
        return Played(count, self._last - began, self._refused, self._repeated)

    async def _progress(self) -> None:
        """Return when all is over, or after a few seconds. Raises TimeoutError when nothing has come for long."""
        try:
            await asyncio.wait_for(self._over.wait(), 5)
        except TimeoutError:
            if time.monotonic() > self._last + GIVE_UP_SECONDS:
                said = f"{len(self._waited_for)} callbacks are missing; answers by status: {self.statuses}"
                raise TimeoutError(said) from None

    # ── what connections tell ──────────────────────────────────────────────────────────────────────────────────────

    def take_request(self) -> bytes | None:
        """Return the next request; None when there is none."""
        return self._requests.pop() if self._requests else None

    def answered(self, status: int) -> None:
        self._answered += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status != self.dialect.accepted:
            self._refused += 1
        self._look()

    def called_back(self, path: bytes, body: bytes) -> None:
        n = self.dialect.number_of(path, body)
        if n in self._waited_for:
            self._waited_for.remove(n)
            self._last = time.monotonic()
        else:
            self._repeated += 1
        self._look()

    def _look(self) -> None:
        if not self._requests and len(self._waited_for) <= self._refused:
            self._over.set()


class _Client(asyncio.Protocol):
    """One connection, one request at a time; it connects again where the gateway closes."""

    def __init__(self, application: Application, port: int) -> None:
        self._application = application
        self._port = port
        self._busy = False
        self._closing = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser: Any = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closing:
            if self._busy:  # closed without an answer
                self._application.answered(0)
                self._busy = False
            loop = asyncio.get_running_loop()
            self._again = loop.create_task(loop.create_connection(lambda: self, "127.0.0.1", self._port))

    def _send(self) -> None:
        request = self._application.take_request()
        self._busy = request is not None
        if request is None:
            self.close()
        elif self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The parser has a whole answer."""
        self._busy = False
        self._application.answered(self._parser.get_status_code())
        if self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
            self._send()
        elif self._transport is not None:
            self._transport.close()


class _Endpoint(asyncio.Protocol):
    """One connection of the gateway's."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._parser: Any = httptools.HttpRequestParser(self)
        self._path = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        """The parser has a whole callback."""
        self._application.called_back(self._path, self._body)
        self._path = self._body = b""
        self._transport.write(self._application.dialect.answer)
        if not self._parser.should_keep_alive():
            self._transport.close()


def number_in_path(path: bytes, body: bytes) -> int:
    """Return the number of a message whose callback was asked for at ``/n``."""
    return int(path[1:].split(b"?", 1)[0])
