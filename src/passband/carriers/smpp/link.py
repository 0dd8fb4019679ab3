"""A link: one bind that is kept up, over one connection after another.

Waits between connections: after a lost one 1, 2, 4, … 60 s, each changed at random by up to 20 percent, and from the
beginning again once it has held for 60 s; after a refused bind what ``bind_wait`` says, never less. Never giving up.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from passband.carriers.smpp.connection import Connection, Owner
from passband.carriers.smpp.settings import SmppSettings, shown
from passband.clock import Clock
from passband.smpp.outcome import bind_verdict, bind_wait
from passband.smpp.pdu import Bind, BindReceiver, BindTransceiver, BindTransmitter
from passband.smpp.session_events import CloseReason
from passband.smpp.session_states import State

log = structlog.get_logger()

LONGEST_WAIT: Final = 60.0
STEADY_SECONDS: Final = 60.0
JITTER: Final = 0.2
PEER_UNBOUND_WAIT: Final = 1.0

BINDS: Final[dict[str, tuple[type[Bind], ...]]] = {
    "transceiver": (BindTransceiver,),
    "transmitter+receiver": (BindTransmitter, BindReceiver),
}


class LinkState(msgspec.Struct, frozen=True):
    """What an operator may know of a link.

    ``place`` tells it from the carrier's other links, on any node. ``bound_at`` is None while it is not bound.
    ``pending`` of ``window`` segments wait for their answers. ``submitted`` segments, ``answered`` ones, and receipts
    and messages ``received`` are counted since the start, over all ``connections``.
    """

    place: int
    bind: str
    peer: str
    state: str
    bound_at: float | None
    window: int
    pending: int
    connections: int
    last_error: str | None
    submitted: int
    answered: int
    received: int


def tls_context(settings: SmppSettings) -> ssl.SSLContext | None:
    """Return how to encrypt, certificates checked; None where nothing is encrypted.

    Raises OSError where the certificates to trust cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=settings.tls_ca_file) if settings.tls else None
    except OSError as error:
        raise OSError(f"{settings.tls_ca_file}: {error}") from error


def bind_pdu(settings: SmppSettings, command: type[Bind]) -> Bind:
    """Return the bind with which a link begins."""
    return command(
        system_id=settings.system_id,
        password=settings.password,
        system_type=settings.system_type,
        interface_version=settings.interface_version,
        address_range=settings.address_range,
    )


class Spacing:
    """When the last connection to a carrier began, by whichever of its links: some ask for time between any two."""

    def __init__(self) -> None:
        self.connected_at = -1e9


class Link:
    """One bind, kept up until ``leave``."""

    def __init__(
        self,
        settings: SmppSettings,
        command: type[Bind],
        owner: Owner,
        clock: Clock,
        random: Callable[[], float],
        spacing: Spacing,
    ) -> None:
        self._settings = settings
        self._bind = bind_pdu(settings, command)
        self._owner = owner
        self._clock = clock
        self._random = random
        self._hosts = settings.hosts
        self._host = 0
        self._failures = 0
        self._refusals = 0
        self._spacing = spacing
        self._context: ssl.SSLContext | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._leave_at = 0.0
        self._refused_until = 0.0
        self.connection: Connection | None = None
        self.connections = 0
        self.submitted = self.answered = self.received = 0  # by connections that have ended
        self.last_error: str | None = None

    @property
    def peer(self) -> str:
        """The address that is used now."""
        return shown(*self._hosts[self._host])

    def state(self, place: int) -> LinkState:
        """What an operator may know of it."""
        connection = self.connection
        session = connection.session if connection is not None else None
        return LinkState(
            place=place,
            bind=self._bind.name,
            peer=self.peer,
            state=(session.state if session is not None else State.CLOSED).name,
            bound_at=connection.bound_at if connection is not None and session is not None and session.bound else None,
            window=self._settings.window,
            pending=session.pending if session is not None else 0,
            connections=self.connections,
            last_error=self.last_error,
            submitted=self.submitted + (connection.submitted if connection is not None else 0),
            answered=self.answered + (connection.answered if connection is not None else 0),
            received=self.received + (connection.received if connection is not None else 0),
        )

    async def run(self) -> None:
        """Keep the bind up until ``leave``."""
        self._stopping = False
        due_at = max(self._clock.now(), self._refused_until)
        while not self._stopping:
            due_at = max(due_at, self._spacing.connected_at + self._settings.reconnect_min)
            if self._clock.now() < due_at:
                await self._clock.rest(self._wake, due_at)
                continue
            connection = await self._connect()
            if connection is not None:
                self.connection = connection
                while connection.closed is None:
                    await self._clock.rest(connection.wake, self._tick(connection, self._clock.now()))
                self.connection = None
                self.submitted += connection.submitted
                self.answered += connection.answered
                self.received += connection.received
            due_at = self._clock.now() + self._wait(connection)

    def _tick(self, connection: Connection, now: float) -> float:
        """Do what has become due; return when to call again at the latest."""
        due = connection.tick(now)
        if not self._stopping:
            return due
        if connection.unanswered and now < self._leave_at:
            return min(due, self._leave_at)
        connection.leave()
        return due

    async def _connect(self) -> Connection | None:
        host, port = self._hosts[self._host]
        self._spacing.connected_at = self._clock.now()
        name = self._settings.tls_server_name or host
        seconds = self._settings.connect_timeout
        try:
            context = self._context = self._context or tls_context(self._settings)
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._settings, self._bind, self._owner, self._clock, self.peer),
                    host,
                    port,
                    ssl=context,
                    server_hostname=name if context is not None else None,
                )
        except (OSError, TimeoutError, UnicodeError) as error:  # the last: a name that no look-up takes
            cause = str(error) or f"no answer within {seconds:g} seconds"
            self.last_error = f"connect: {cause}"
            log.warning("no connection", carrier=self._settings.name, peer=self.peer, cause=cause)
            return None
        self.connections += 1
        return connection

    def _wait(self, connection: Connection | None) -> float:
        """Return how long to wait before the next connection, and choose the host for it."""
        closed = connection.closed if connection is not None else None
        if connection is not None and connection.bound_at is not None:
            self._refusals = 0
            if self._clock.now() - connection.bound_at >= STEADY_SECONDS:
                self._failures = 0
        if closed is not None:
            again = connection.rebind if connection is not None else None
            self.last_error = f"a segment was refused: {again}" if again else str(closed.reason)
            if closed.reason is CloseReason.PEER_UNBOUND and connection is not None and connection.bound_at is not None:
                return PEER_UNBOUND_WAIT
        self._host = (self._host + 1) % len(self._hosts)
        if closed is not None and closed.reason is CloseReason.BIND_REFUSED:
            self._refusals += 1
            self.last_error = f"{closed.reason}: {bind_verdict(closed.command_status).name}"
            wait = bind_wait(closed.command_status, self._refusals) * (1 + JITTER * self._random())
            self._refused_until = self._clock.now() + wait
            return wait
        self._failures += 1
        wait = min(LONGEST_WAIT, 2.0 ** min(self._failures - 1, 10))
        return wait * (1 - JITTER + 2 * JITTER * self._random())

    def leave(self, within: float) -> None:
        """Take no more segments, unbind when the last is answered or after so many seconds, and do not come back.

        ``run`` returns when that is over.
        """
        self._stopping = True
        self._leave_at = self._clock.now() + within
        self._wake.set()
        if self.connection is not None:
            self.connection.retire()

    def abort(self) -> None:
        """Close without a word."""
        if self.connection is not None:
            self.connection.abort()
