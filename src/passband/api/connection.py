"""One connection of an HTTP client: what it may send, how much and how slowly.

Rule: nothing a client does costs more than its own connection. Everything that it can make long is bounded in octets,
everything that it can make slow is bounded in seconds. httptools (llhttp, strict) reads the protocol; what it lets pass
and a server must refuse is refused here (RFC 9112, sections 3.2 and 6.1).
"""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import httptools

from passband.api.asgi import Scope
from passband.api.exchange import Exchange
from passband.api.limits import BODY, BUSY, CLOSING, HEAD, IDLE, STALLED

if TYPE_CHECKING:
    from passband.api.server import Listener


class Refused(Exception):
    """The request breaks a rule that httptools does not know."""


_WATCHED = frozenset({b"content-length", b"transfer-encoding", b"expect", b"host"})
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_REASONS = {400: b"400 Bad Request", 408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}
_BAD = b'{"type":"request-validation","description":"Your request could not be accepted"}'


class Connection(asyncio.BufferedProtocol):
    """One client. Requests are served one at a time, in the order in which they came."""

    __slots__ = (
        "_client",
        "_current",
        "_deaf",
        "_drain",
        "_headers",
        "_in_head",
        "_incoming",
        "_limits",
        "_listener",
        "_octets",
        "_parser",
        "_paused",
        "_queue",
        "_refusal",
        "_scheme",
        "_server",
        "_transport",
        "_url",
        "deadline",
        "phase",
        "stalled",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._limits = listener.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything can happen
        self._client: tuple[str, int] = ("", 0)
        self._scheme = "http"
        self._server: tuple[str, int] | None = None
        self.deadline = math.inf
        self.phase = BUSY
        self._in_head = False
        self._octets = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._incoming: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: list[Exchange] = []
        self._refusal = 0
        self._deaf = False
        self._paused = False
        self.stalled = False
        self._drain: asyncio.Future[None] | None = None

    # --- what the transport tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (peer[0], peer[1]) if peer else ("", 0)
        self._server = (own[0], own[1]) if own else None
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        if self._listener.admit(self):
            self._settle()
        else:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.forget(self)
        self._deaf = True
        for exchange in (self._incoming, self._current, *self._queue):
            if exchange is not None:
                exchange.lose()
        self._queue.clear()
        self._resume_drain()

    def get_buffer(self, sizehint: int) -> memoryview:
        # Without it uvloop reads 250 kB at once, and each of many uploads would hold as much.
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read on; whatever breaks a rule or a limit is answered with 400 or 431, and ends the connection."""
        if self._deaf:
            return
        self._octets += nbytes
        try:
            self._feed(self._listener.buffer[:nbytes])
        except (httptools.HttpParserError, Refused):
            if not self._deaf:
                self._refuse(400)
            return
        if self._in_head and self._octets > self._limits.head_octets:
            self._refuse(431)
        elif self._incoming is not None and self._octets > self._limits.head_octets + 8 * self._incoming.octets:
            self._refuse(400)  # chunks so small, or trailers so long, that it is no body any more
        elif not self._deaf:
            self._settle()

    def _feed(self, data: memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # No other protocol is offered: RFC 9110, section 7.8, "a server MAY ignore a received Upgrade".
            rest = data[upgrade.args[0] :]
            if rest and not self._deaf:
                self._feed(rest)

    def eof_received(self) -> bool:
        # A client may close its half after the request and still read the answer; not so under TLS.
        current = self._current
        if current is None or current.begun or not current.arrived or self._scheme == "https":
            return False
        self._deaf = True
        current.half_close()
        return True

    def pause_writing(self) -> None:
        self.stalled = True
        self._pause()
        self._settle()

    def resume_writing(self) -> None:
        self.stalled = False
        self._resume_drain()
        if self._current is None:
            self._next()
        else:
            self._settle()

    def _resume_drain(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None

    # --- what the parser tells --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._deaf:
            raise Refused
        self._in_head = True
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nobody asked for it
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the request, or let it wait behind those before it. Raises Refused, to stop the parser."""
        self._in_head = False
        if self._octets > self._limits.head_octets:
            head = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if head > self._limits.head_octets:
                self._refuse(431)
                raise Refused
        self._octets = 0
        exchange = self._exchange()
        if self._current is None and not self.stalled:
            self._start(exchange)
        elif len(self._queue) < self._limits.pipelined:
            self._queue.append(exchange)
            self._pause()
        else:
            raise Refused
        self._incoming = exchange

    def _exchange(self) -> Exchange:
        """Return the request whose head is complete. Raises Refused."""
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refused
        length, expects = self._framing(version)
        raw_path, query = _target(self._url)
        path = raw_path.decode("ascii")
        headers, self._headers = self._headers, []  # nothing of it is kept while the client is idle
        scope: Scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": self._client,
            "server": self._server,
        }
        limit = self._limits.body_octets
        if length is None or length > limit:
            limit = max(limit, self._listener.body_limit(raw_path))
        keep_alive = self._parser.should_keep_alive() and not self._listener.stopping
        exchange = Exchange(self, scope, limit, keep_alive=keep_alive, expects=expects)
        exchange.too_large = length is not None and length > limit
        return exchange

    def _framing(self, version: str) -> tuple[int | None, bool]:
        """Return the announced length of the body (None: it comes in chunks) and whether the client waits for 100.

        Raises Refused for what two programs in a row could read differently: that is how requests are smuggled.
        """
        length: int | None = None
        hosts = 0
        chunked = expects = False
        for name, value in self._headers:
            if name not in _WATCHED:
                continue
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                if length is not None:
                    raise Refused
                length = int(value)  # llhttp lets digits through only
            elif name == b"transfer-encoding":
                if chunked or value.strip().lower() != b"chunked" or version == "1.0":
                    raise Refused
                chunked = True
            else:
                expects = version == "1.1" and value.lower() == b"100-continue"
        if hosts > 1 or (not hosts and version == "1.1") or (chunked and length is not None):
            raise Refused
        return None if chunked else length or 0, expects

    def on_body(self, data: bytes) -> None:
        exchange = self._incoming
        if exchange is not None and not exchange.finished and not exchange.too_large and exchange.feed(data):
            self._pause()

    def on_message_complete(self) -> None:
        exchange, self._incoming = self._incoming, None
        if exchange is not None:
            exchange.complete()
            if not exchange.keep_alive:
                self._deaf = True  # whatever follows is not for us

    # --- what the exchange tells ------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drained(self) -> None:
        """Return when the client has read enough, or is gone."""
        while self.stalled and not self._transport.is_closing():
            if self._drain is None:
                self._drain = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drain)

    def wants_more(self, exchange: Exchange) -> None:
        if exchange is self._incoming and not self.stalled:
            self._resume()
            self._settle()

    def answered(self, exchange: Exchange) -> None:
        """Go on with the next request, or close where this was the last."""
        self._current = None
        if not exchange.keep_alive or self._listener.stopping or not exchange.arrived:
            self._finish()
        else:
            self._next()

    def ended(self, exchange: Exchange) -> None:
        self._listener.active.discard(exchange)

    # --- the course of a connection ---------------------------------------------------------------------------------

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._listener.active.add(exchange)
        # Not by create_task: only so is no name made up for each of them, by 1,500 instructions.
        exchange.task = asyncio.Task(exchange.run(self._listener.app), loop=self._listener.loop, name="request")

    def _next(self) -> None:
        if self.phase is CLOSING:
            return
        if self._queue and not self.stalled:
            self._start(self._queue.pop(0))
        elif self._refusal and not self._queue:
            self._refuse(self._refusal)
            return
        if not self._queue and not self.stalled:
            self._resume()
        self._settle()

    def _settle(self) -> None:
        """Find out what is waited for now; the deadline moves only when that changes."""
        limits = self._limits
        if self.phase is CLOSING:
            return
        if self.stalled:
            phase, seconds = STALLED, limits.write_seconds
        elif self._paused or self._deaf:
            phase, seconds = BUSY, math.inf
        elif self._in_head:
            phase, seconds = HEAD, limits.head_seconds
        elif self._incoming is not None:
            phase, seconds = BODY, limits.body_seconds
        elif self._current is not None:
            phase, seconds = BUSY, math.inf
        else:
            phase, seconds = IDLE, limits.idle_seconds
        if phase is self.phase:
            return
        if self.phase is IDLE:
            self._listener.idle.pop(self, None)
        elif self.phase is not BUSY:
            self._listener.timed.discard(self)
        if phase is IDLE:
            self._listener.idle[self] = None
        elif phase is not BUSY:
            self._listener.timed.add(self)
        self.phase = phase
        self.deadline = self._listener.now + seconds

    def expire(self) -> None:
        """Do what is due when the deadline has passed."""
        if self.phase in (HEAD, BODY):
            self._refuse(408)
        else:
            self.drop()

    def _refuse(self, status: int) -> None:
        """Answer what cannot be served, after what came before it, and close."""
        self._deaf = True
        broken, self._incoming = self._incoming, None
        if broken is not None and broken is not self._current:
            self._queue.remove(broken)
        if self._current is not None and broken is not self._current:
            self._refusal = status
            self._settle()
            return
        if broken is None or not broken.begun:
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json; charset=utf-8\r\n" % _REASONS[status]
            self.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_BAD), _BAD))
        if broken is not None:
            broken.lose()
        self._finish()

    def _finish(self) -> None:
        """Close, but read on for a moment: closing on unread data would destroy the answer on its way."""
        self._listener.idle.pop(self, None)
        self._listener.timed.add(self)
        unread = self._incoming is not None or self._in_head or self._paused or self._refusal
        self._deaf = True
        self.phase = CLOSING
        self.deadline = self._listener.now + (self._limits.linger_seconds if unread else self._limits.write_seconds)
        for exchange in self._queue:
            exchange.lose()
        if unread and self._transport.can_write_eof():
            self._transport.write_eof()
            self._resume()
        else:
            self._transport.close()

    def retire(self) -> None:
        """Close as soon as what is under way is answered: at once where nothing is."""
        if self._current is None:
            self._in_head = False  # the rest of a head is not waited for
            self._finish()

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def _target(url: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request's target (RFC 9112, section 3.2). Raises Refused."""
    if not url.startswith(b"/"):
        scheme, separator, rest = url.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            if url == b"*":
                return url, b""
            raise Refused
        url = b"/" + rest.partition(b"/")[2]
    if not url.isascii():
        raise Refused
    path, _, query = url.partition(b"?")
    return path, query


BodyLimit = Callable[[bytes], int]
