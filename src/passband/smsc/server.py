"""The simulated carrier as an SMPP server: takes segments, answers, and sends receipts and inbound messages.

It speaks the very codec and session that the carrier speaks, seen from the other end. It is made for benchmarks too:
one write for each read, one timer for all receipts.
"""

import asyncio
import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, cast

import structlog

from passband.clock import Clock
from passband.domain.pace import reserve
from passband.smpp.pdu import DataSm, DataSmResp, DeliverSmResp, Pdu, SubmitSm, SubmitSmResp, response_to
from passband.smpp.session import Session
from passband.smpp.session_events import Answered, BindRequested, Closed, Event, Received, Unacknowledged
from passband.smpp.session_states import Role, State
from passband.smsc.deliveries import REFERRING, MessageIds, ReceiptWriter, Segment, inbound_bodies, plan_of
from passband.smsc.options import SmscOptions

log = structlog.get_logger()

RINVCMDID, RINVDSTADR, RINVPASWD, RINVSYSID, RTHROTTLED = 0x03, 0x0B, 0x0E, 0x0F, 0x58
AGAIN_SECONDS = 1.0  # before what was refused for now is delivered again
TURN = 32  # deliveries that one bind gets before it is the next one's turn
COALESCE_SECONDS = 0.005  # what is due so soon goes out together


class Taken(NamedTuple):
    """One segment in the ledger."""

    message_id: str
    source: str
    destination: str
    content: bytes


class Smsc:
    """One simulated carrier. ``start`` listens; ``stop`` unbinds nobody and closes everything."""

    def __init__(self, options: SmscOptions, clock: Clock) -> None:
        self.options = options
        self.counters: Counter[str] = Counter()
        self.ledger: list[Taken] = []
        self.clock = clock
        self.random = Random(options.seed)  # noqa: S311 - it decides what goes wrong, not what is secret
        self._ids = MessageIds(self.random)
        self._receipts = ReceiptWriter()
        self._used_at = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # a heap: answers and deliveries by their moment
        self._order = itertools.count()
        self._reference = itertools.count(1)
        self._waiting: dict[str, deque[bytes]] = {}  # deliveries by the client that they are for
        self._wake = asyncio.Event()
        self.peers: list[Peer] = []

    async def start(self) -> int:
        """Listen; return the port. Raises OSError where the address or the certificate cannot be used."""
        options = self.options
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Peer(self), options.host, options.port, ssl=options.tls_context()
        )
        self._ticks = asyncio.create_task(self._tick_loop(), name="smsc")
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    async def stop(self) -> None:
        """Close the listener and every connection."""
        self._server.close()
        for peer in list(self.peers):
            peer.abort()
        self._ticks.cancel()
        await asyncio.wait([self._ticks])
        await self._server.wait_closed()

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def later(self, at: float, do: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._due, (at, next(self._order), do))
        if self._due[0][0] == at:
            self._wake.set()

    async def _tick_loop(self) -> None:
        while True:
            now = self.clock.now()
            self.step(now)
            moments = [self._due[0][0] + COALESCE_SECONDS] if self._due else []
            moments += [due for peer in self.peers if (due := peer.session.next_timer()) is not None]
            await self.clock.rest(self._wake, min(moments, default=None))

    def step(self, now: float) -> None:
        """Do what has become due."""
        due: list[Callable[[], None]] = []
        while self._due and self._due[0][0] <= now:
            due.append(heapq.heappop(self._due)[2])
        if self.options.receipt_order == "reversed":
            due.reverse()
        elif self.options.receipt_order == "shuffled":
            self.random.shuffle(due)
        for do in due:
            do()
        for peer in list(self.peers):
            peer.tick(now)
        self._deliver(now)

    # ── deliveries ─────────────────────────────────────────────────────────────────────────────────────────────────

    def deliver(self, system_id: str, bodies: Sequence[bytes]) -> None:
        """Send these to the binds of this client that receive; they wait for one if there is none."""
        self._waiting.setdefault(system_id, deque()).extend(bodies)

    def _deliver(self, now: float) -> None:
        for system_id, waiting in self._waiting.items():
            if not waiting:
                continue
            receivers = [peer for peer in self.peers if peer.receives(system_id)]
            while waiting and receivers:
                for peer in receivers:
                    for _ in range(min(peer.room, TURN, len(waiting))):
                        peer.deliver(waiting.popleft(), now)
                receivers = [peer for peer in receivers if peer.room]
        for peer in self.peers:
            peer.flush()

    @property
    def waiting(self) -> bool:
        """Whether deliveries wait for room."""
        return any(self._waiting.values())

    def inbound(self, sender: str, to: str, said: str, system_id: str | None = None) -> int:
        """Send a message from a handset; return how many parts it has. Without a client: to the first that is bound."""
        bodies = inbound_bodies(sender, to, said, next(self._reference))
        if system_id is None:
            system_id = next((peer.system_id for peer in self.peers if peer.system_id), self.options.system_id)
        self.counters["inbound"] += len(bodies)
        self.deliver(system_id, bodies)
        self._deliver(self.clock.now())
        return len(bodies)

    def disconnect(self, *, mid_pdu: bool = False) -> int:
        """Cut every connection; return how many there were."""
        count = len(self.peers)
        for peer in list(self.peers):
            peer.cut() if mid_pdu else peer.abort()
        return count

    def unbind(self) -> int:
        """Ask every client to unbind; return how many there were."""
        bound = [peer for peer in self.peers if peer.session.bound]
        for peer in bound:
            peer.unbind()
        return len(bound)

    def wake(self) -> None:
        """Look again at what is due."""
        self._wake.set()

    # ── segments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def verdict(self, now: float) -> int:
        """Return the command_status with which the next segment is answered."""
        options = self.options
        if options.rate is not None:
            used_at, at = reserve(self._used_at, now, 1.0, options.rate, max(1.0, options.rate * 0.1))
            if at > now:
                return RTHROTTLED
            self._used_at = used_at
        if options.errors:
            drawn = self.random.random()
            for status, ratio in options.errors.items():
                if drawn < ratio:
                    return status
                drawn -= ratio
        return 0

    def take(self, peer: "Peer", pdu: Segment, now: float) -> str:
        """Accept a segment; return its id, which may be empty. Its receipt follows after the delay."""
        options = self.options
        counters = self.counters
        counters["accepted"] += 1
        message_id, receipt_id = self._ids.next(options.id_format)
        if options.ledger:
            self.ledger.append(Taken(message_id, pdu.source_addr, pdu.destination_addr, pdu.content()))
        if options.receipts and pdu.registered_delivery & 1:
            plan = plan_of(pdu.destination_addr)
            body = self._receipts.body(pdu, receipt_id, plan.code, now, referring=options.id_format in REFERRING)
            delay = options.receipt_delay if plan.delay is None else plan.delay
            system_id = peer.system_id
            for _ in range(plan.receipts):
                counters["receipts"] += 1
                if not receipt_id:
                    counters["receipts_without_id"] += 1
                self.later(now + delay, lambda: self.deliver(system_id, (body,)))
        return message_id


class Peer(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._options = smsc.options
        self.session = Session(Role.SERVER, smsc.clock.now(), window=smsc.options.receipt_window)
        self.system_id = ""
        self._submits = 0
        self._delivered: dict[int, bytes] = {}
        self._transport: asyncio.Transport | None = None
        self._stalled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._smsc.peers.append(self)
        self._smsc.counters["connections"] += 1
        self._smsc.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._smsc.peers:
            self._smsc.peers.remove(self)
        self._take(self.session.connection_lost(), self._smsc.clock.now())

    def pause_writing(self) -> None:
        self._stalled = True

    def resume_writing(self) -> None:
        self._stalled = False
        self._smsc.wake()

    def data_received(self, data: bytes) -> None:
        if self._options.hang:
            return
        now = self._smsc.clock.now()
        self._take(self.session.receive_data(data, now), now)

    def tick(self, now: float) -> None:
        if not self._options.hang:
            self._take(self.session.handle_timer(now), now)

    def receives(self, system_id: str) -> bool:
        """Whether deliveries for this client may go here."""
        return self.system_id == system_id and self.session.state in (State.BOUND_RX, State.BOUND_TRX)

    @property
    def room(self) -> int:
        """How many deliveries it takes now."""
        return 0 if self._stalled else self.session.room

    def deliver(self, body: bytes, now: float) -> None:
        self._delivered[self.session.deliver(body, now)] = body

    def flush(self) -> None:
        octets = self.session.data_to_send()
        if octets and self._transport is not None and not self._options.hang:
            self._transport.write(octets)

    def unbind(self) -> None:
        """Ask the client to leave."""
        now = self._smsc.clock.now()
        self._take(self.session.unbind(now), now)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """Cut the connection in the middle of a PDU."""
        if self._transport is not None:
            self._transport.write(SubmitSmResp(1, 0, "0123456789").encode()[:11])
            self._transport.close()

    # ── what arrives ───────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, events: Sequence[Event], now: float) -> None:
        for event in events:
            kind = type(event)
            if kind is Received:
                self._request(cast(Received, event).pdu, now)
            elif kind is Answered:
                self._answered(cast(Answered, event), now)
            elif kind is BindRequested:
                self._bind(cast(BindRequested, event), now)
            elif kind is Unacknowledged:
                self._again(cast(Unacknowledged, event).sequence_numbers, now)
            elif kind is Closed:
                self._again(cast(Closed, event).unanswered, now)
        self.flush()
        if self.session.state is State.CLOSED and self._transport is not None:
            self._transport.close()

    def _bind(self, event: BindRequested, now: float) -> None:
        options, pdu = self._options, event.pdu
        status = options.refuse_bind
        if not status and options.system_id and pdu.system_id != options.system_id:
            status = RINVSYSID
        if not status and options.password and pdu.password != options.password:
            status = RINVPASWD
        if status:
            self._smsc.counters["bind_refusals"] += 1
            self.session.refuse_bind(pdu, status, now)
            self.flush()
            if self._transport is not None:
                self._transport.close()
            return
        self._smsc.counters["binds"] += 1
        self.system_id = pdu.system_id
        behind = self.session.accept_bind(pdu, "passband-smsc", now)
        if options.close_after_bind:
            self.flush()
            self.abort()
        else:
            self._take(behind, now)
        self._smsc.wake()  # what has waited for it

    def _request(self, pdu: Pdu, now: float) -> None:
        smsc, options = self._smsc, self._options
        if type(pdu) is not SubmitSm and type(pdu) is not DataSm:
            self.session.respond(response_to(pdu, RINVCMDID))
            return
        smsc.counters["submits"] += 1
        self._submits += 1
        # Only digits are a number, as in Latin-1; some clients keep the plus sign.
        status = smsc.verdict(now) if pdu.destination_addr.removeprefix("+").isdecimal() else RINVDSTADR
        if status:
            smsc.counters[f"refused_{status:02X}"] += 1
            self._respond(pdu, status, "", now)
        else:
            message_id = smsc.take(self, pdu, now)
            if options.drop_responses and smsc.random.random() < options.drop_responses:
                smsc.counters["dropped_responses"] += 1
            else:
                self._respond(pdu, 0, message_id, now)
        if options.disconnect_after is not None and self._submits >= options.disconnect_after:
            smsc.counters["disconnects"] += 1
            self.flush()
            self.cut() if options.cut_mid_pdu else self.abort()

    def _respond(self, pdu: Segment, status: int, message_id: str, now: float) -> None:
        options = self._options
        if not options.response_delay and not options.shuffle_responses:
            self._write(pdu, status, message_id)
            return
        spread = self._smsc.random.random() if options.shuffle_responses else 0.0
        at = now + (options.response_delay or 0.02) * (1.0 + spread)
        self._smsc.later(at, lambda: self._write(pdu, status, message_id))

    def _write(self, pdu: Segment, status: int, message_id: str) -> None:
        if status:
            self.session.respond(response_to(pdu, status))
        elif type(pdu) is DataSm:
            self.session.respond(DataSmResp(pdu.sequence_number, message_id=message_id))
        else:
            self.session.respond_submit(pdu.sequence_number, message_id)

    def _answered(self, event: Answered, now: float) -> None:
        body = self._delivered.pop(event.sequence_number, None)
        status = event.pdu.command_status
        if not status and isinstance(event.pdu, DeliverSmResp):
            self._smsc.counters["acknowledged"] += 1
        elif body is not None:
            self._smsc.counters[f"delivery_refused_{status:02X}"] += 1
            self._redeliver([body], now)
        if self._smsc.waiting:
            self._smsc.wake()

    def _again(self, sequences: Sequence[int], now: float) -> None:
        bodies = [self._delivered.pop(sequence) for sequence in sequences if sequence in self._delivered]
        self._smsc.counters["unanswered_deliveries"] += len(bodies)
        self._redeliver(bodies, now)

    def _redeliver(self, bodies: Sequence[bytes], now: float) -> None:
        system_id = self.system_id
        if bodies:
            self._smsc.later(now + AGAIN_SECONDS, lambda: self._smsc.deliver(system_id, bodies))
