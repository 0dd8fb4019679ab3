"""libcurl's handles: what is set on them for a callback and for a download, and what their ends mean.

Setting an option costs more than leaving it alone, so a handle of callbacks is used again and again, remembers what is
set on it, and changes only what differs.
"""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import pycurl

from passband.fetch.addresses import refusal
from passband.fetch.answers import (
    BODY_CUT_SHORT,
    ErrorKind,
    Response,
    error_kind,
    head_is_complete,
    header_of,
    status_of,
)
from passband.fetch.names import USABLE
from passband.fetch.transfers import SHUTDOWN, Curl
from passband.fetch.urls import Target

ANSWER_OCTETS = 64 * 1024  # of a body that nobody reads (Callbacks, section 8: "read at most 64 KiB and close")
# Longer than Names uses addresses: libcurl must not forget what it was told, or it would ask by itself.
REMEMBERED_BY_LIBCURL = int(2 * USABLE)


class Settings(NamedTuple):
    """What all handles of a Fetcher share. ``new_socket`` is told of every socket, by its number."""

    user_agent: str
    authorities: str | None
    allow_private_networks: bool
    new_socket: Callable[[int, int], int]


class _Socket(socket.socket):
    """A socket of which libcurl keeps a copy: this one is closed with its last reference."""

    def __del__(self) -> None:
        self.close()


class _Handle:
    """A handle of libcurl, and the guard at its sockets."""

    def __init__(self, settings: Settings) -> None:
        self.curl: Curl = pycurl.Curl()
        self.lines: list[bytes] = []  # the header lines of the answer; libcurl ends it at 300 kB
        self.refused = False
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),  # and none from the environment
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.USERAGENT, settings.user_agent),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),  # this one or later
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),  # the certificate must name the host
            (pycurl.DNS_CACHE_TIMEOUT, REMEMBERED_BY_LIBCURL),
            (pycurl.SOCKOPTFUNCTION, settings.new_socket),
            (pycurl.HEADERFUNCTION, self.lines.append),
        ):
            self.curl.setopt(option, value)
        if settings.authorities is not None:
            self.curl.setopt(pycurl.CAINFO, settings.authorities)
        if not settings.allow_private_networks:
            self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    def _open_socket(self, _purpose: int, address: Curl) -> socket.socket | int:
        # libcurl connects to this very address. Another address of the name may still be tried after a refusal.
        if refusal(str(address.addr[0])) is not None:
            self.refused = True
            return int(pycurl.SOCKET_BAD)
        try:
            return _Socket(address.family, address.socktype, address.protocol)
        except OSError:  # no descriptors left, or no such family here
            return int(pycurl.SOCKET_BAD)

    def _error(self, code: int) -> ErrorKind | None:
        if code == 0:
            return None if head_is_complete(self.lines) else ErrorKind.CONNECT
        if code == SHUTDOWN:
            return ErrorKind.SHUTDOWN
        if self.refused and code == pycurl.E_COULDNT_CONNECT:
            return ErrorKind.REFUSED_ADDRESS
        return error_kind(code)


class Post(_Handle):
    """A callback on its way; ``release`` takes the handle back for the next one."""

    def __init__(self, settings: Settings, release: Callable[["Post"], None]) -> None:
        super().__init__(settings)
        self._release = release
        self.started = 0.0
        self.done: Callable[[Response], None] | None = None
        self._target: Target | None = None
        self._version = 0
        self._headers: tuple[str, ...] | None = None
        self._milliseconds = 0
        self.curl.setopt(pycurl.POST, 1)
        self.curl.setopt(pycurl.MAXFILESIZE, ANSWER_OCTETS)
        self.curl.setopt(pycurl.WRITEFUNCTION, len)  # "I took them all": the cheapest way to throw a body away

    def prepare(self, target: Target, body: bytes, headers: tuple[str, ...], seconds: float) -> None:
        """Set what differs from the last request of this handle."""
        curl = self.curl
        version = target.name.version if target.name is not None else 0
        if target is not self._target or version != self._version:
            curl.setopt(pycurl.URL, target.url)
            if target.name is not None:
                curl.setopt(pycurl.RESOLVE, target.resolution())
            self._target, self._version = target, version
        if headers != self._headers:
            # libcurl would ask before a long body (Expect: 100-continue) and wait a second for the answer.
            curl.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])
            self._headers = headers
        milliseconds = max(1, int(seconds * 1000))
        if milliseconds != self._milliseconds:
            curl.setopt(pycurl.TIMEOUT_MS, milliseconds)
            self._milliseconds = milliseconds
        curl.setopt(pycurl.POSTFIELDS, body)
        self.refused = False

    def ended(self, code: int) -> None:
        """Report the answer, and be ready for the next request."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        error = self._error(0 if code in BODY_CUT_SHORT else code)
        challenge = status == 401 and header_of(self.lines, b"www-authenticate") is not None
        self.lines.clear()
        done, self.done = self.done, None
        response = Response(status, error, monotonic() - self.started, challenge)
        self._release(self)
        if done is not None:
            done(response)


class Download(_Handle):
    """One GET of a download. ``redirect`` is where it leads on to, if it does; ``failure`` what the sink raised."""

    def __init__(
        self, settings: Settings, loop: asyncio.AbstractEventLoop, sink: Callable[[bytes], None], max_octets: int
    ) -> None:
        super().__init__(settings)
        self.complete: asyncio.Future[Response] = loop.create_future()
        self.redirect: str | None = None
        self.failure: Exception | None = None
        self._sink = sink
        self._max_octets = max_octets
        self._octets = 0
        self._limit = 0
        self._wanted = False
        self._too_large = False
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take)

    def prepare(self, target: Target, seconds: float) -> None:
        """Set what is asked for, and how long it may take."""
        self.curl.setopt(pycurl.URL, target.url)
        if target.name is not None:
            self.curl.setopt(pycurl.RESOLVE, target.resolution())
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, int(seconds * 1000)))

    def ended(self, code: int) -> None:
        """Report the answer, or where to go from here."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if code == 0 and status in (301, 302, 303, 307, 308):
            self.redirect = self.curl.getinfo(pycurl.REDIRECT_URL) or None
        error = self._error(code)
        if self._too_large:
            error = ErrorKind.TOO_LARGE if self._wanted else None
        if not self.complete.done():
            self.complete.set_result(
                Response(
                    status,
                    error,
                    0.0,
                    content_type=header_of(self.lines, b"content-type"),
                    content_disposition=header_of(self.lines, b"content-disposition"),
                )
            )

    def _take(self, data: bytes) -> int:
        # Called from within libcurl, which gives up if told that less was taken than offered.
        if self._octets == 0:
            self._wanted = 200 <= status_of(self.lines) < 300
            self._limit = self._max_octets if self._wanted else ANSWER_OCTETS
            announced = header_of(self.lines, b"content-length") or ""
            self._too_large = announced.isdecimal() and int(announced) > self._limit
        self._octets += len(data)
        if self._too_large or self._octets > self._limit:
            self._too_large = True
            return 0
        if self._wanted:
            try:
                self._sink(data)
            except Exception as error:
                self.failure = error
                return 0
        return len(data)
