"""One HTTP request and its response, as an ASGI application sees them.

The connection fills in what arrives; the application takes it through ``receive`` and answers through ``send``. The
body is handed over whole or in pieces of at least 64 KiB: never in the crumbs in which it came.
"""

import asyncio
import http
import time
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

from passband.api.asgi import App, BodyTooLarge, ClientGone, Headers, Message, Scope

if TYPE_CHECKING:
    from passband.api.connection import Connection

_log = structlog.get_logger()

# What is kept of a body that the application does not take.
MAX_BUFFERED = 64 * 1024

_LINE_END = ord("\n")
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in http.HTTPStatus}


class Exchange:
    """A request under way. It ends when the response is complete or the client is gone."""

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_continue",
        "_half_closed",
        "_head",
        "_left",
        "_limit",
        "_taken",
        "_waiter",
        "arrived",
        "begun",
        "finished",
        "gone",
        "keep_alive",
        "octets",
        "scope",
        "task",
        "too_large",
    )

    def __init__(self, connection: "Connection", scope: Scope, limit: int, *, keep_alive: bool, expects: bool) -> None:
        """``expects`` tells that the client waits for 100 before it sends the body; ``limit`` is in octets."""
        self._connection = connection
        self.scope = scope
        self.keep_alive = keep_alive
        self._limit = limit
        self._continue = expects
        self._half_closed = False
        self._taken = False
        self._body: bytes | bytearray = b""
        self._waiter: asyncio.Future[None] | None = None
        self._head: Message | None = None
        self._chunked = False
        self._left: int | None = None
        self.octets = 0
        self.arrived = False
        self.too_large = False
        self.begun = False
        self.finished = False
        self.gone = False
        self.task: asyncio.Task[None] | None = None

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; tell whether that is enough for now."""
        self.octets += len(data)
        if self.octets > self._limit:
            self.too_large = True
            self._body = b""
            self._wake()
            return True
        if not self._body:
            self._body = data
            return len(data) >= MAX_BUFFERED and self._full()
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += data
        return len(self._body) >= MAX_BUFFERED and self._full()

    def _full(self) -> bool:
        self._wake()
        return True

    def complete(self) -> None:
        """Note that the body is complete."""
        self.arrived = True
        self._wake()

    def half_close(self) -> None:
        """Note that the client sends nothing more: it may be gone, or still read the answer."""
        self._half_closed = True
        self._wake()

    def lose(self) -> None:
        """Note that the client is gone: the application is told, and what it still sends is dropped."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self, app: App) -> None:
        """Let the application answer; whatever it does, the client gets an answer or loses the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except BodyTooLarge:
            await self._fail(413)
        except ClientGone:
            pass  # nobody is left to answer
        except Exception as error:
            _log.error("an application failed", path=self.scope["path"], exc_info=error)
            await self._fail(500)
        else:
            if not self.finished and not self.gone:
                _log.error("an application returned without a complete response", path=self.scope["path"])
                await self._fail(500)
        finally:
            if not self.finished and not self.gone:
                self._connection.drop()
            self._connection.ended(self)

    async def _fail(self, status: int) -> None:
        if not self.begun and not self.gone:
            self.keep_alive = False
            self._head = None
            await self.send({"type": "http.response.start", "status": status, "headers": []})
            await self.send({"type": "http.response.body", "body": b""})

    async def receive(self) -> Message:
        """Return the next piece of the body, and after the last one wait until the client is gone.

        Raises BodyTooLarge once the body passes the limit of its path.
        """
        if self._continue and not self.begun and not self.too_large and not self.gone:
            self._continue = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.too_large or self.gone or self.finished):
            if len(self._body) >= MAX_BUFFERED or (self.arrived and not self._taken):
                body, self._body = bytes(self._body), b""
                self._taken = self.arrived
                return {"type": "http.request", "body": body, "more_body": not self.arrived}
            if self._half_closed:
                break
            self._connection.wants_more(self)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.too_large:
            raise BodyTooLarge
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the next part of the response. The head goes out together with the first piece of the body.

        Where the client is gone it is dropped; ClientGone is raised if more was to come: nobody needs to make it.
        """
        if self._connection.stalled:
            await self._connection.drained()
        if self.gone:
            if message.get("more_body"):
                raise ClientGone
            return
        if self._head is None:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"expected http.response.start, not {message['type']}")
            self._head = message
            return
        if message["type"] != "http.response.body" or self.finished:
            raise RuntimeError(f"unexpected {message['type']}")
        body: bytes = message.get("body", b"")
        last = not message.get("more_body", False)
        head = b"" if self.begun else self._begin(self._head, len(body), last)
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (last and self._left and self.scope["method"] != "HEAD"):
                raise RuntimeError("the response is not as long as its Content-Length")
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if last else b"")
        self._connection.write(head + body)
        if last:
            self.finished = True
            self._wake()
            self._connection.answered(self)

    def _begin(self, start: Message, length: int, whole: bool) -> bytes:
        """Return the head of the response, and settle how the end of its body is told."""
        status: int = start["status"]
        headers: Headers = start.get("headers", ())
        if not self.arrived:
            self.keep_alive = False  # the rest of the request would be read as the next one
        lines = [_STATUS_LINES[status], _date(int(time.time()))]
        framed = status in (204, 304)
        for name, value in headers:
            if _LINE_END in name or _LINE_END in value:
                raise RuntimeError("a header of the response holds a line end")
            if name == b"content-length":
                self._left = int(value)
                framed = True
            lines += (name, b": ", value, b"\r\n")
        if not framed:
            if whole:
                lines.append(b"content-length: %d\r\n" % length)
            elif self.scope["http_version"] == "1.0":
                self.keep_alive = False
            else:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self.scope["http_version"] == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self.begun = True
        return b"".join(lines)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode()
