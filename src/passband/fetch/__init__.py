"""The one place that opens outbound HTTP: deadlines, size caps, private networks refused.

Rule 1: every connection is vetted at the address that its socket is about to connect to. Names, redirects, odd
spellings of numbers and name servers that change their minds all end there, so nothing before it needs to be believed.
A connection kept alive was vetted when it was opened, belongs to this Fetcher alone, and goes on leading to the
address that it was opened to, whatever its name resolves to by now. Nothing else gets into the store of kept ones.

Rule 2: one endpoint does not hold up another. Connections are limited per host, never in total, and a name takes one
lookup at a time (see ``names``); how much is in flight to one endpoint is the caller's decision.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

import msgspec

from passband.fetch.answers import ErrorKind, Response
from passband.fetch.handles import Download, Post, Settings
from passband.fetch.names import Name, Names, system_addresses
from passband.fetch.transfers import Transfers
from passband.fetch.trust import Authorities
from passband.fetch.urls import Target, Urls

__all__ = ["ErrorKind", "Fetcher", "Request", "Response"]

IDLE_CONNECTIONS = 512  # kept alive; half of the 1,024 descriptors that a process commonly has
IDLE_HANDLES = 1024  # kept for reuse, at about 10 kB each


class Request(msgspec.Struct, frozen=True):
    """A POST. ``headers`` are whole ASCII lines ("Name: value"); ``timeout``, in seconds, covers everything."""

    url: str
    body: bytes
    headers: tuple[str, ...]
    timeout: float


class Fetcher:
    """Sends callbacks and fetches media, over connections that are kept alive per host. HTTP/1.1 only.

    It knows no proxies, no cookies and no .netrc, whatever the environment says. Resource handling: made within a
    running event loop and bound to it; ``close`` returns every socket. Error handling: nothing that a peer does
    raises; it is all in ``Response.error``.
    """

    def __init__(
        self,
        *,
        allow_private_networks: bool,
        max_connections_per_host: int = 256,
        user_agent: str = "BandwidthAPI/v2",
        ca_file: str | None = None,
        lookup: Callable[[str], Sequence[str]] = system_addresses,
    ) -> None:
        """``ca_file`` holds authorities to believe beside the system's; ``lookup`` is described in ``Names``.

        More than ``max_connections_per_host`` requests to one host and port wait for each other, within their time.

        Raises:
            OSError: ``ca_file`` cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        self._transfers = Transfers(
            self._loop, idle_connections=IDLE_CONNECTIONS, connections_per_host=max_connections_per_host
        )
        self._authorities = Authorities(ca_file)
        self._settings = Settings(
            user_agent, self._authorities.path, allow_private_networks, self._transfers.new_socket
        )
        self._urls = Urls()
        self._names = Names(lookup, self._loop)
        self._waiting: set[Callable[[ErrorKind | None], None]] = set()
        self._idle: list[Post] = []
        self._closed = False

    def post(self, request: Request, done: Callable[[Response], None]) -> None:
        """Send a request; ``done`` is called once, on the event loop, after this has returned.

        No redirect is followed. Of the answer's body up to 64 KiB are read and thrown away; where it is longer, or
        breaks off, the connection is closed and the status counts all the same (Callbacks, section 8). A kept
        connection that turns out to be closed is replaced by a new one, within the same time.
        """
        started = monotonic()
        target = self._urls.target(request.url)
        if self._closed:
            self._fail(done, ErrorKind.SHUTDOWN, started)
        elif target is None:
            self._fail(done, ErrorKind.BAD_URL, started)
        elif target.name is None or self._names.ready(target.name, started):
            self._send(request, done, target, started, request.timeout)
        else:
            self._wait(target.name, request.timeout, partial(self._send_later, request, done, target, started))

    async def get(
        self,
        url: str,
        *,
        sink: Callable[[bytes], None],
        max_octets: int,
        timeout: float,  # noqa: ASYNC109 - libcurl keeps the time, and a timeout is an answer here, not an exception
        max_redirects: int = 5,
    ) -> Response:
        """Fetch a URL and hand the body of a 2xx answer to ``sink``, piece by piece, at most ``max_octets``.

        Redirects are followed here, one by one, each vetted like the first; one from https to http is refused, since
        what somebody put under TLS must not travel in clear because of a line in an answer. ``timeout``, in seconds,
        covers all of it. ``sink`` may have got a part when an error is reported; it must not call this Fetcher. Other
        bodies than those of 2xx are thrown away.

        Raises: whatever ``sink`` raises.
        """
        started = monotonic()
        secure = False
        for _ in range(max_redirects + 1):
            target = self._urls.target(url)
            if target is None:
                return self._failure(ErrorKind.BAD_URL, started)
            if secure and not target.secure:
                return self._failure(ErrorKind.REDIRECTS, started)
            secure = target.secure
            error = await self._resolve(target, started + timeout)
            if error is not None or self._closed:
                return self._failure(error or ErrorKind.SHUTDOWN, started)
            download = Download(self._settings, self._loop, sink, max_octets)
            download.prepare(target, started + timeout - monotonic())
            response = await self._run(download, started)
            if download.redirect is None:
                return response
            url = download.redirect
        return self._failure(ErrorKind.REDIRECTS, started)

    async def close(self) -> None:
        """End what is in flight with SHUTDOWN and close all connections. What is asked afterwards ends so, too."""
        if self._closed:
            return
        self._closed = True
        for settle in tuple(self._waiting):
            settle(ErrorKind.SHUTDOWN)
        self._transfers.close()
        for post in self._idle:
            post.curl.close()
        self._idle.clear()
        self._authorities.close()
        await asyncio.sleep(0)  # lets the last calls of ``done`` go out before this returns

    async def __aenter__(self) -> "Fetcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _send(
        self, request: Request, done: Callable[[Response], None], target: Target, started: float, seconds: float
    ) -> None:
        if target.name is not None and not target.name.addresses:
            self._fail(done, ErrorKind.RESOLVE, started)
            return
        post = self._idle.pop() if self._idle else Post(self._settings, self._release)
        post.prepare(target, request.body, request.headers, seconds)
        post.started, post.done = started, done
        self._transfers.start(post.curl, post)

    def _send_later(
        self,
        request: Request,
        done: Callable[[Response], None],
        target: Target,
        started: float,
        error: ErrorKind | None,
    ) -> None:
        if error is None:
            self._send(request, done, target, started, started + request.timeout - monotonic())
        else:
            self._fail(done, error, started)

    def _release(self, post: Post) -> None:
        if self._closed or len(self._idle) >= IDLE_HANDLES:
            post.curl.close()
        else:
            self._idle.append(post)

    async def _run(self, download: Download, started: float) -> Response:
        self._transfers.start(download.curl, download)
        try:
            await download.complete
        finally:
            self._transfers.abandon(download.curl)
            download.curl.close()
        if download.failure is not None:
            raise download.failure
        return msgspec.structs.replace(download.complete.result(), seconds=monotonic() - started)

    async def _resolve(self, target: Target, deadline: float) -> ErrorKind | None:
        now = monotonic()
        if target.name is None:
            return None
        if not self._names.ready(target.name, now):
            settled: asyncio.Future[ErrorKind | None] = self._loop.create_future()
            self._wait(target.name, deadline - now, lambda error: None if settled.done() else settled.set_result(error))
            error = await settled
            if error is not None:
                return error
        return None if target.name.addresses else ErrorKind.RESOLVE

    def _wait(self, name: Name, seconds: float, then: Callable[[ErrorKind | None], None]) -> None:
        # ``then`` is called once: with None when the name has been looked up, with TIMEOUT or with SHUTDOWN.
        def settle(error: ErrorKind | None = None) -> None:
            if settle in self._waiting:
                self._waiting.remove(settle)
                timer.cancel()
                then(error)

        timer = self._loop.call_later(seconds, settle, ErrorKind.TIMEOUT)
        self._waiting.add(settle)
        self._names.wait(name, settle)

    def _failure(self, error: ErrorKind, started: float) -> Response:
        return Response(0, error, monotonic() - started)

    def _fail(self, done: Callable[[Response], None], error: ErrorKind, started: float) -> None:
        self._loop.call_soon(done, self._failure(error, started))
