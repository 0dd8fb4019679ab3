"""One connection to an SMSC: a session, and the transport below it.

Everything of one read is handled at once and answered with one write. Nothing here waits.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any, Protocol, cast

import structlog

from passband.carriers.smpp.outbound import Sending
from passband.carriers.smpp.settings import SmppSettings
from passband.clock import Clock
from passband.smpp.codec import Decoder
from passband.smpp.outcome import bind_verdict
from passband.smpp.pdu import Bind, Pdu
from passband.smpp.session import Session
from passband.smpp.session_events import (
    Answered,
    Bound,
    Closed,
    CloseReason,
    Event,
    Noted,
    PeerUnbinds,
    Received,
    Suspected,
    Unacknowledged,
)
from passband.smpp.session_states import Role

MOST_LATE = 10_000
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux

Entry = tuple[Sending, int]  # a segment: its recipient, and which of its bodies


class Owner(Protocol):
    """Who is told what a connection hears."""

    def answered(self, connection: "Connection", event: Answered, now: float) -> None: ...

    def received(self, connection: "Connection", pdu: Pdu, now: float) -> None: ...

    def lost(self, entries: Sequence[Entry], now: float) -> None:
        """These were written, and their answers will not come, or come late."""
        ...

    def changed(self, connection: "Connection", now: float) -> None:
        """The connection was bound, or has ended."""
        ...

    def settle(self, connection: "Connection", now: float) -> None:
        """All that was heard at once has been told."""
        ...


class Connection(asyncio.Protocol):
    """One connection of a link, from its opening to its end.

    ``unanswered`` are the segments that wait for their answer, ``late`` those that were given up and may still get one,
    both by sequence_number. ``closed`` is what ended it. ``submitted``, ``answered`` and ``received`` count segments,
    their answers, and receipts and messages that came in.
    """

    def __init__(self, settings: SmppSettings, bind: Bind, owner: Owner, clock: Clock, peer: str) -> None:
        self._bind = bind
        self._owner = owner
        self._clock = clock
        self._write_timeout = settings.write_timeout
        self.transmits = type(bind).name != "bind_receiver"
        self.log = structlog.get_logger().bind(carrier=settings.name, peer=peer, bind=bind.name)
        self.session = Session(
            Role.CLIENT,
            clock.now(),
            window=settings.window,
            timers=settings.timers,
            max_pdu=settings.max_pdu,
            receipts=settings.receipt_pattern is None,
        )
        self.unanswered: dict[int, Entry] = {}
        self.late: dict[int, Entry] = {}
        self.stalled_at: float | None = None
        self.bound_at: float | None = None
        self.submitted = self.answered = self.received = 0
        self.closed: Closed | None = None
        self.wake = asyncio.Event()
        self.rebind: str | None = None  # the status that says that our bind is lost: leave in good order, to come back
        self._retiring = False
        self._transport: asyncio.Transport | None = None
        self._tracer = Decoder(settings.max_pdu) if self.log.is_enabled_for(logging.DEBUG) else None

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        link = transport.get_extra_info("socket")
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # What a window holds is less than the machine takes: ``pause_writing`` alone would never be called.
            if _USER_TIMEOUT is not None:
                link.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(1000 * self._write_timeout))
        self.session.bind(self._bind, self._clock.now())
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._tracer is not None:
            for pdu in self._tracer.feed(data):
                self.log.debug("received", pdu=str(pdu))
        now = self._clock.now()
        self.take(self.session.receive_data(data, now), now)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed is None:
            self.log = self.log.bind(cause=str(exc)) if exc is not None else self.log
            self.take(self.session.connection_lost(), self._clock.now())

    def pause_writing(self) -> None:
        self.stalled_at = self._clock.now()

    def resume_writing(self) -> None:
        self.stalled_at = None
        self._owner.settle(self, self._clock.now())

    # What the link and its owner ask

    @property
    def room(self) -> int:
        """How many more segments may be written now."""
        return self.session.room if self.stalled_at is None and self.transmits else 0

    def submit(self, entry: Entry, now: float) -> None:
        """Write a segment; ``flush`` sends it."""
        sending, index = entry
        self.unanswered[self.session.submit(sending.bodies[index], now)] = entry
        sending.flying += 1
        sending.written = True

    def flush(self) -> None:
        """Send what the session has to say."""
        octets = self.session.data_to_send()
        if not octets or self._transport is None:
            return
        if self._tracer is not None:
            for pdu in Decoder().feed(octets):
                self.log.debug("sent", pdu=str(pdu))
        self._transport.write(octets)

    def tick(self, now: float) -> float:
        """Do what has become due; return when to call again at the latest."""
        if self.stalled_at is not None and now >= self.stalled_at + self._write_timeout:
            self.log.error("the carrier does not read what it is sent", seconds=self._write_timeout)
            self.take(self.session.connection_lost(), now)
        else:
            self.take(self.session.handle_timer(now), now)
        due = self.session.next_timer()
        return now + 1.0 if due is None else min(due, now + 1.0)

    def retire(self) -> None:
        """Take no more segments; ``wake`` is set when the last one is answered."""
        self._retiring = True
        self.transmits = False
        self._owner.changed(self, self._clock.now())
        self.wake.set()

    def leave(self) -> None:
        """Unbind; the connection ends when the carrier has answered, or does not."""
        now = self._clock.now()
        self.take(self.session.unbind(now), now)

    def abort(self) -> None:
        """Close without a word, and without what the carrier has left unread."""
        self.take(self.session.connection_lost(), self._clock.now())
        if self._transport is not None:
            self._transport.abort()

    # What the session tells

    def take(self, events: Sequence[Event], now: float) -> None:
        """Handle what a session has told."""
        owner = self._owner
        for event in events:
            if isinstance(event, Answered):
                owner.answered(self, event, now)
            elif isinstance(event, Received):
                owner.received(self, event.pdu, now)
            else:
                _OTHER[type(event)](self, event, now)
        if self.rebind and self.session.bound:
            self.log.warning("the carrier does not take segments over this bind, binding again", status=self.rebind)
            self.session.unbind(now)
        self.flush()
        if self.closed is not None and self._transport is not None:
            if self.closed.reason in _DEAD:
                self._transport.abort()
            else:
                self._transport.close()
        owner.settle(self, now)
        if self._retiring and not self.unanswered and self.session.bound:
            self.wake.set()

    def _on_bound(self, event: Bound, now: float) -> None:
        self.bound_at = now
        self.log.info("bound")
        self._owner.changed(self, now)
        self.wake.set()

    def _on_closed(self, event: Closed, now: float) -> None:
        self.closed = event
        entries = [self.unanswered.pop(sequence) for sequence in event.unanswered if sequence in self.unanswered]
        for sending, _ in entries:
            sending.flying -= 1
        self.late.clear()
        if event.reason is CloseReason.BIND_REFUSED:
            verdict = bind_verdict(event.command_status)
            level = logging.ERROR if verdict.alarm else logging.WARNING
            self.log.log(level, "the bind was refused", status=verdict.name)
        else:
            level = logging.INFO if event.reason is CloseReason.UNBOUND else logging.WARNING
            what = "no bind" if self.bound_at is None else "the bind has ended"
            self.log.log(level, what, reason=str(event.reason), unanswered=len(entries))
        self._owner.lost(entries, now)
        self._owner.changed(self, now)
        self.wake.set()

    def _on_unacknowledged(self, event: Unacknowledged, now: float) -> None:
        entries = []
        for sequence in event.sequence_numbers:
            entry = self.unanswered.pop(sequence, None)
            if entry is not None:
                entry[0].flying -= 1
                self.late[sequence] = entry
                entries.append(entry)
        while len(self.late) > MOST_LATE:
            del self.late[next(iter(self.late))]
        self.log.warning("segments were not answered", segments=len(entries))
        self._owner.lost(entries, now)

    def _on_suspected(self, event: Suspected, now: float) -> None:
        self.log.warning("the carrier does not answer, asking whether it lives", segments=len(event.sequence_numbers))

    def _on_peer_unbinds(self, event: PeerUnbinds, now: float) -> None:
        self.log.info("the carrier unbinds")
        self._owner.changed(self, now)

    def _on_noted(self, event: Noted, now: float) -> None:
        self.log.info(event.what, about=str(event.about))


_DEAD = frozenset({CloseReason.NO_ANSWER, CloseReason.CONNECTION_LOST, CloseReason.STALLED, CloseReason.UNBIND_TIMEOUT})
_OTHER: dict[type, Any] = {
    Bound: Connection._on_bound,
    Closed: Connection._on_closed,
    Unacknowledged: Connection._on_unacknowledged,
    Suspected: Connection._on_suspected,
    PeerUnbinds: Connection._on_peer_unbinds,
    Noted: Connection._on_noted,
}
