"""Moves libcurl's transfers along with the event loop.

Rule: libcurl's sockets are watched by a selector of our own, which the event loop watches in turn. libcurl closes idle
sockets without a word, and the loop must never hold a watch on a number that is somebody else's socket by now. A
selector of our own also makes it safe to leave a watch in place between the requests of a connection: without the two
system calls that take it away and set it again, a callback costs 18 µs of processor time instead of 32.
"""

import asyncio
import os
import selectors
from time import monotonic
from typing import Any, Protocol

import pycurl

SHUTDOWN = -1  # beside libcurl's error codes: the transfer was ended by ``close``

# pycurl has no types: a curl handle is Any here and in the modules that use this one, and goes no further.
Curl = Any


class Transfer(Protocol):
    """Whoever wants to know how a transfer ended."""

    def ended(self, code: int) -> None:
        """Take libcurl's error code, 0 for none, or ``SHUTDOWN``; called once, from outside of libcurl."""
        ...


class Transfers:
    """All transfers in flight, and the connections that are kept alive between them.

    Resource handling: ``close`` ends what is in flight and closes every connection. Error handling: an exception from
    ``Transfer.ended`` goes to the event loop's exception handler; the other transfers go on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, idle_connections: int, connections_per_host: int) -> None:
        self._loop = loop
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, idle_connections)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections_per_host)
        self._in_flight: dict[Curl, Transfer] = {}
        self._selector = selectors.DefaultSelector()
        self._wanted: dict[int, int] = {}  # socket → what libcurl waits for, as a mask; 0 while it waits for nothing
        self._watched: dict[int, int] = {}  # socket → what the selector waits for; may outlast the wish, see _watch
        self._starting: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._due: float | None = None  # when libcurl wants to be called next, by ``monotonic``
        loop.add_reader(self._selector.fileno(), self._on_sockets)

    def start(self, curl: Curl, transfer: Transfer) -> None:
        """Start a transfer. Not to be called from inside a callback of libcurl (a sink, for instance)."""
        self._multi.add_handle(curl)
        self._in_flight[curl] = transfer

    def abandon(self, curl: Curl) -> None:
        """Stop a transfer without a word and close its connection; nothing happens if it has ended."""
        if self._in_flight.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def new_socket(self, descriptor: int, _purpose: int) -> int:
        """Take note of a socket that libcurl has just opened (SOCKOPTFUNCTION of every handle).

        Its number may be that of an idle one that libcurl closed, so a watch of that number means nothing any more.
        """
        self._unwatch(descriptor)
        os.set_inheritable(descriptor, False)  # pycurl's copy of the socket would otherwise leak into child processes
        return int(pycurl.SOCKOPT_OK)

    def close(self) -> None:
        """End what is in flight with ``SHUTDOWN`` and close all connections."""
        self._loop.remove_reader(self._selector.fileno())
        while self._in_flight:
            curl, transfer = self._in_flight.popitem()
            self._multi.remove_handle(curl)
            self._end(transfer, SHUTDOWN)
        self._multi.close()
        self._selector.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._starting is not None:
            self._starting.cancel()

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        # POLL_IN and POLL_OUT are EVENT_READ and EVENT_WRITE, and also CSELECT_IN and CSELECT_OUT: 1 and 2.
        if what in (pycurl.POLL_REMOVE, pycurl.POLL_NONE):
            # The watch stays, since most connections are used again at once. If it fires before, _on_sockets ends it.
            self._wanted[descriptor] = 0
            return
        self._wanted[descriptor] = what
        watched = self._watched.get(descriptor)
        if watched == what:
            return
        if watched is None:
            self._selector.register(descriptor, what)
        else:
            self._selector.modify(descriptor, what)
        self._watched[descriptor] = what

    def _unwatch(self, descriptor: int) -> None:
        self._wanted.pop(descriptor, None)
        if self._watched.pop(descriptor, None) is not None:
            self._selector.unregister(descriptor)

    def _on_sockets(self) -> None:
        wanted, action = self._wanted, self._multi.socket_action
        for key, events in self._selector.select(0):
            if wanted.get(key.fd):
                action(key.fd, events)
            else:
                self._unwatch(key.fd)
        self._collect()

    def _set_timer(self, milliseconds: int) -> None:
        if milliseconds == 0:
            self._due = None
            if self._starting is None:
                self._starting = self._loop.call_soon(self._on_start)
        elif milliseconds < 0:
            self._due = None
        else:
            # One timer serves: it is put off when it fires, not whenever libcurl changes its mind (twice a request).
            self._due = due = monotonic() + milliseconds / 1000
            if self._timer is None or due < self._timer_at:
                self._arm(due, milliseconds / 1000)

    def _arm(self, due: float, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_start(self) -> None:
        self._starting = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _on_timer(self) -> None:
        self._timer = None
        if self._due is None:
            return
        delay = self._due - monotonic()
        if delay > 0:
            # Never early: libcurl would find nothing due, and not repeat its wish.
            self._arm(self._due, delay + 0.001)
            return
        self._due = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _collect(self) -> None:
        _, succeeded, failed = self._multi.info_read()
        for curl in succeeded:
            self._finish(curl, 0)
        for curl, code, _ in failed:
            self._finish(curl, code)

    def _finish(self, curl: Curl, code: int) -> None:
        transfer = self._in_flight.pop(curl, None)
        if transfer is not None:  # None: ended by what another's ``ended`` did just now
            self._multi.remove_handle(curl)
            self._end(transfer, code)

    def _end(self, transfer: Transfer, code: int) -> None:
        try:
            transfer.ended(code)
        except Exception as error:  # the top of a loop: the next transfer's end must not depend on this one's
            self._loop.call_exception_handler({"message": "the end of a request was not handled", "exception": error})
