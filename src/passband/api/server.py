"""The HTTP server: one application on one address, within the running event loop.

Our own protocol on httptools rather than uvicorn's: that one has no limit on a request's head and no deadline for
reading or writing, and each of its callbacks would have to be replaced to add them. This is also the faster one: one
POST of 350 octets answered by a trivial application takes 26 µs of processor time, half of them the kernel's, where
uvicorn 0.54 with httptools takes 36 (uvloop, CPython 3.11, two cores shared with the clients, which are not counted).
"""

import asyncio
import contextlib
import itertools
import resource
import ssl

import structlog

from passband.api.asgi import App
from passband.api.connection import BodyLimit, Connection
from passband.api.exchange import MAX_BUFFERED, Exchange
from passband.api.limits import Limits
from passband.wire import MAX_BODY_OCTETS

_log = structlog.get_logger()

_SWEEP_SECONDS = 1.0
# Files that are not connections: the store's, the callbacks' and the carriers' sockets.
_RESERVED_FILES = 256


class Listener:
    """Serves an application.

    Resource handling: ``bind`` takes the address, ``start`` serves there, ``stop`` closes all that came of it. At most
    ``limits.connections`` are open, fewer where the process may not open as many files; one more costs the connection
    that has been idle longest, or where none is idle is closed itself. Error handling: what an application raises is
    logged and answered with 500; what clients do wrong ends with their own connection.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        body_limit: BodyLimit | None = None,
        reuse_port: bool = False,
    ) -> None:
        """``port`` 0 takes any free one, which ``self.port`` tells after ``bind``. ``app`` may be set until ``start``.

        ``body_limit`` tells by raw path how many octets a body may have. ``reuse_port`` lets several processes
        serve the same address.
        """
        self.app: App = app  # type: ignore[assignment]  # there is one before anybody can ask for it
        self._host = host
        self.port = port
        self._tls = tls
        self._reuse_port = reuse_port
        self.limits = limits or Limits()
        self.body_limit = body_limit or (lambda _: MAX_BODY_OCTETS)
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # there is one once it is started
        self.buffer = memoryview(bytearray(MAX_BUFFERED))  # for all connections: it is parsed as soon as it is filled
        self.now = 0.0
        self.stopping = False
        self.connections: set[Connection] = set()
        self.idle: dict[Connection, None] = {}  # the one idle longest first
        self.timed: set[Connection] = set()  # those that are neither idle nor waiting for us
        self.active: set[Exchange] = set()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    async def bind(self) -> None:
        """Take the address; nobody is served yet. Raises OSError where it cannot be had.

        A fixed port is better left to ``start``: until somebody listens there another process may take it, too.
        """
        self.loop = asyncio.get_running_loop()
        self._server = await self.loop.create_server(
            lambda: Connection(self),
            self._host,
            self.port,
            ssl=self._tls,
            backlog=2048,
            reuse_port=self._reuse_port or None,
            ssl_handshake_timeout=self.limits.head_seconds if self._tls else None,
            ssl_shutdown_timeout=self.limits.linger_seconds if self._tls else None,
            start_serving=False,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def start(self) -> None:
        """Begin to serve. Raises OSError where the address cannot be had."""
        if self._server is None:
            await self.bind()
        assert self._server is not None
        self.now = self.loop.time()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY and files - _RESERVED_FILES < self.limits.connections:
            self.limits = self.limits._replace(connections=max(_RESERVED_FILES, files - _RESERVED_FILES))
            _log.info("fewer connections than configured, for want of files", connections=self.limits.connections)
        await self._server.start_serving()
        self._timer = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def stop(self, grace: float = 10) -> None:
        """Take no more requests, finish those under way within ``grace`` seconds, close everything."""
        if self._server is None:
            return
        self.stopping = True
        self._server.close()
        for connection in list(self.connections):
            connection.retire()
        tasks = [exchange.task for exchange in self.active if exchange.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        # What was answered is on its way: a moment for the clients to take it, then no connection is left.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty(), min(grace, 1))
        for connection in list(self.connections):
            connection.drop()
        await self._empty()
        await self._server.wait_closed()

    def _sweep(self) -> None:
        self.expire(self.loop.time())
        self._timer = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def expire(self, now: float) -> int:
        """Deal with the connections whose deadline has passed; return how many. ``now`` is the event loop's time.

        A timer for each request would cost more than the look at those that are slow once in a second.
        """
        self.now = now
        late = list(itertools.takewhile(lambda connection: connection.deadline <= now, self.idle))
        late += [connection for connection in self.timed if connection.deadline <= now]
        for connection in late:
            connection.expire()
        return len(late)

    def admit(self, connection: Connection) -> bool:
        """Take a new connection in, at the cost of the one that has been idle longest if need be.

        None that was taken from the queue just before ``stop`` closed it: nobody would ever look after it.
        """
        self.connections.add(connection)
        if self.stopping:
            return False
        if len(self.connections) <= self.limits.connections:
            return True
        oldest = next(iter(self.idle), None)
        if oldest is None:
            return False
        del self.idle[oldest]
        oldest.drop()
        return True

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.idle.pop(connection, None)
        self.timed.discard(connection)
        if self.stopping and not self.connections:
            self._emptied.set()

    async def _empty(self) -> None:
        if self.connections:
            await self._emptied.wait()
