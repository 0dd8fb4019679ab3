"""A session without I/O: octets in, events out, octets to send. Both ends, client (ESME) and server (SMSC).

The owner hands in what it reads and the time, sends what ``data_to_send`` gives, and calls ``handle_timer`` when
``next_timer`` is due. The session answers enquire_link and unbind by itself. A request that carries a message becomes
an event, and is answered only when the owner says so: a carrier forgets a receipt once it is acknowledged, so that must
not happen before it is stored.

Responses are matched by sequence_number alone, in any order. ``session_states`` holds what each state does with what
arrives. Times are seconds of any one clock that does not go back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, cast

from passband.domain.errors import OwnFault
from passband.smpp import session_steps, tlv
from passband.smpp.codec import MAX_PDU, ROK, Decoder
from passband.smpp.pdu import (
    HEADER,
    Bind,
    BindResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    response_to,
)
from passband.smpp.session_events import Closed, CloseReason, Event, Unacknowledged
from passband.smpp.session_states import BOUND_BY, IS_BOUND, MAY_REQUEST, Role, State

_HIGHEST_SEQUENCE: Final = 0x7FFFFFFF
_CLOSED: Final = State.CLOSED  # see ``domain.message`` for why
_Due = Callable[["Session", float, list[Event]], None]


@dataclass(frozen=True, slots=True)
class Timers:
    """How long a session waits, in seconds.

    ``session_init``: for the bind and its answer. ``enquire_link``: enquire when nothing was received for so long;
    carriers want 15 to 60. ``enquire_link_response``: for its answer; two misses in a row end the session.
    ``response``: for the answer to any other request. ``pdu_read``: for the rest of a PDU. ``unbind_response``: then
    close anyway. ``leave``: for answers under way when the peer unbinds. ``late``: how long the answer to a request
    that was given up is still told from one that was never sent.
    """

    session_init: float = 30.0
    enquire_link: float = 30.0
    enquire_link_response: float = 10.0
    response: float = 60.0
    pdu_read: float = 10.0
    unbind_response: float = 5.0
    leave: float = 2.0
    late: float = 600.0


DEFAULT_TIMERS: Final = Timers()


class SessionMisuse(OwnFault):
    """The session cannot do this in its state: the owner has not asked it first."""


class Session:
    """One end of one SMPP connection, from the connection's opening to its end."""

    def __init__(
        self,
        role: Role,
        now: float,
        *,
        window: int = 10,
        timers: Timers = DEFAULT_TIMERS,
        max_pdu: int = MAX_PDU,
        receipts: bool = False,
    ) -> None:
        """``window`` is how many requests with messages may be unanswered; the connection is open since ``now``.

        With ``receipts`` a deliver_sm that is plainly a receipt is given as ReceiptSm.
        """
        self.role = role
        self.window = window
        self.timers = timers
        self._decoder = Decoder(max_pdu, receipts=receipts)
        self._out: list[bytes] = []
        self._pending: dict[int, float] = {}  # sequence → when it was sent, oldest first
        self._suspected: dict[int, float] = {}
        self._given_up: dict[int, float] = {}
        self._sequence = 0
        self._bind: Bind | None = None
        self._held: list[Any] = []  # what came before the bind is answered
        self._asked = False  # a client's bind waits for the owner's word
        self._nacks: deque[float] = deque(maxlen=session_steps.NACKS)
        self._since = now  # when the present state began
        self._heard_at = now
        self._partial_since: float | None = None
        self._enquired_at: float | None = None
        self._misses = 0
        self._unbind_sequence: int | None = None
        self._enquire_sequence: int | None = None  # not 0: peers do send a generic_nack with sequence 0
        self._owed = 0  # requests handed over and not yet answered
        self._enter(State.OPEN, now)

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def bound(self) -> bool:
        """Whether the session is bound and nobody has asked to unbind."""
        return self._state in IS_BOUND

    @property
    def pending(self) -> int:
        """How many requests with messages wait for an answer."""
        return len(self._pending) + len(self._suspected)

    @property
    def room(self) -> int:
        """How many more requests with messages are taken now; none while the peer is suspected to be dead."""
        if self._suspected or not self._may_request:
            return 0
        return max(0, self.window - len(self._pending))

    def data_to_send(self) -> bytes:
        """The octets to write, once."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    # Requests

    def bind(self, pdu: Bind, now: float) -> int:
        """Sends a bind and gives its sequence number.

        Raises:
            SessionMisuse: this end is a server, or a bind was sent before.
        """
        if self.role is not Role.CLIENT or self._state is not State.OPEN or self._bind is not None:
            raise SessionMisuse(f"bind by {self.role.name} in {self._state.name}")
        self._bind = pdu
        self._since = now
        return self._send(pdu.command_id, pdu.body())

    def submit(self, pdu: SubmitSm | bytes, now: float) -> int:
        """Sends a submit_sm, or the body of one that a template wrote, and gives its sequence number.

        Raises:
            SessionMisuse: there is no ``room``.
            UnwritablePdu: a field's value cannot be written; nothing is sent.
        """
        body = pdu if isinstance(pdu, bytes) else pdu.body()
        return self._request(SubmitSm.command_id, body, now)

    def deliver(self, body: bytes, now: float) -> int:
        """Sends a deliver_sm, whose body is given as octets, and gives its sequence number. Servers only.

        Raises:
            SessionMisuse: there is no ``room``.
        """
        return self._request(DeliverSm.command_id, body, now)

    def request(self, pdu: Pdu, now: float) -> int:
        """Sends any other request that is answered (a server's deliver_sm, for one), and gives its sequence number.

        Raises:
            SessionMisuse: there is no ``room``.
            UnwritablePdu: a field's value cannot be written; nothing is sent.
        """
        return self._request(pdu.command_id, pdu.body(), now)

    def unbind(self, now: float) -> list[Event]:
        """Asks the peer to end the session; an unbound one simply ends. Wait for the window to be empty first."""
        if self._state is State.OPEN:
            return self._close(CloseReason.UNBOUND)
        if self._state in IS_BOUND:
            self._unbind_sequence = self._send(Unbind.command_id, b"")
            self._enter(State.UNBINDING, now)
        return []

    # Answers

    def respond_deliver(self, sequence_number: int, command_status: int = ROK) -> None:
        """Answers a deliver_sm; without effect once the session is closed."""
        if self._state is not _CLOSED:
            self._owed -= 1
            self._out.append(HEADER.pack(17, DeliverSmResp.command_id, command_status, sequence_number) + b"\0")

    def respond_submit(self, sequence_number: int, message_id: str) -> None:
        """Answers a submit_sm with the segment's id; without effect once the session is closed."""
        if self._state is not _CLOSED:
            self._owed -= 1
            octets = message_id.encode("latin-1")
            self._out.append(_pack(17 + len(octets), SubmitSmResp.command_id, ROK, sequence_number) + octets + b"\0")

    def respond(self, pdu: Pdu) -> None:
        """Answers a request with a response that carries its sequence number; without effect once closed.

        Raises:
            UnwritablePdu: a field's value cannot be written; nothing is sent.
        """
        if self._state is not _CLOSED:
            self._out.append(pdu.encode())
            self._owed -= 1

    def accept_bind(self, request: Bind, system_id: str, now: float) -> list[Event]:
        """Answers a client's bind: the session is bound. Tells what the client had sent behind it.

        Raises:
            SessionMisuse: this end is a client, or the session is not waiting for a bind.
        """
        if self.role is not Role.SERVER or self._state is not State.OPEN:
            raise SessionMisuse(f"accept_bind by {self.role.name} in {self._state.name}")
        answer = cast(Callable[..., BindResp], type(response_to(request)))
        response = answer(request.sequence_number, ROK, system_id, {tlv.SC_INTERFACE_VERSION: b"\x34"})
        self._out.append(response.encode())
        self._enter(BOUND_BY[type(request)], now)
        return self._resume(now)

    def refuse_bind(self, request: Bind, command_status: int, now: float) -> list[Event]:
        """Refuses a client's bind; it may try another until the time for it is over. Tells what came behind it."""
        if self._state is _CLOSED:
            return []
        self._out.append(response_to(request, command_status).encode())
        self._steps = session_steps.STEPS[self.role][self._state]
        return self._resume(now)

    def _resume(self, now: float) -> list[Event]:
        held, self._held, self._asked = self._held, [], False
        events: list[Event] = []
        self._work(held, now, events)
        return events

    # What arrives

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """What these octets mean. Any octet is life: it answers an enquire_link that was under way."""
        events: list[Event] = []
        if self._state is _CLOSED:
            return events
        self._heard_at = now
        self._enquired_at = None
        self._misses = 0
        items = self._decoder.feed(data)
        if self._asked:
            self._held.extend(items)
        else:
            self._work(items, now, events)
            if not self._steps and not self._asked:  # closed
                return events
        if not self._decoder.partial:
            self._partial_since = None
        elif items or self._partial_since is None:
            self._partial_since = now
        if self._suspected:
            # The peer lives, and had its chance to answer these in the same octets.
            given_up, self._suspected = self._suspected, {}
            self._given_up.update(dict.fromkeys(given_up, now))
            events.append(Unacknowledged(tuple(given_up)))
        return events

    def _work(self, items: Sequence[Any], now: float, events: list[Event]) -> None:
        """Do what each of these asks for, as long as the session is open and no bind waits for its answer."""
        rest = iter(items)
        for item in rest:
            step = self._steps.get(type(item))
            if step is None:
                step = session_steps.unlisted(cast(Pdu, item))
            step(self, item, now, events)
            if not self._steps:
                if self._asked:
                    self._held.extend(rest)
                return

    def connection_lost(self) -> list[Event]:
        """The connection is gone or must be given up (a write that does not end)."""
        if self._state is _CLOSED:
            return []
        # A peer that closes instead of waiting has unbound all the same.
        return self._close(_LOST_WHILE.get(self._state, CloseReason.CONNECTION_LOST))

    # Timers

    def next_timer(self) -> float | None:
        """When ``handle_timer`` is to be called at the latest; None once closed."""
        return min((due for due, _ in self._deadlines()), default=None)

    def handle_timer(self, now: float) -> list[Event]:
        """What has become due. Calling it early does nothing."""
        events: list[Event] = []
        # One at a time, for each moves the others; and each moves its own deadline beyond ``now`` or closes.
        while (earliest := min(self._deadlines(), key=_due, default=None)) is not None and earliest[0] <= now:
            earliest[1](self, now, events)
        while self._given_up and next(iter(self._given_up.values())) + self.timers.late <= now:
            del self._given_up[next(iter(self._given_up))]
        return events

    def _deadlines(self) -> list[tuple[float, _Due]]:
        timers, state = self.timers, self._state
        due: list[tuple[float, _Due]] = []
        if state is State.CLOSED:
            return due
        if self._partial_since is not None:
            due.append((self._partial_since + timers.pdu_read, session_steps.stalled))
        if state is State.OPEN:
            due.append((self._since + timers.session_init, session_steps.not_bound))
        elif state is State.UNBINDING:
            due.append((self._since + timers.unbind_response, session_steps.not_unbound))
        elif state is State.LEAVING:
            # Nothing under way either way: now.
            wait = timers.leave if self._pending or self._owed > 0 else 0.0
            due.append((self._since + wait, session_steps.left))
        else:
            if self._pending:
                due.append((next(iter(self._pending.values())) + timers.response, session_steps.unanswered))
            if self._enquired_at is None:
                due.append((self._heard_at + timers.enquire_link, session_steps.enquire))
            else:
                due.append((self._enquired_at + timers.enquire_link_response, session_steps.missed))
        return due

    # Steps

    def _enter(self, state: State, now: float) -> None:
        self._state = state
        # Kept here because an Enum is slow to hash, and these are asked for every PDU.
        self._steps = session_steps.STEPS[self.role][state]
        self._may_request = state in MAY_REQUEST[self.role]
        self._since = now

    def _close(self, reason: CloseReason, events: list[Event] | None = None, command_status: int = ROK) -> list[Event]:
        events = [] if events is None else events
        unanswered = (*self._suspected, *self._pending)
        self._pending.clear()
        self._suspected.clear()
        self._held.clear()
        self._enter(State.CLOSED, self._since)
        events.append(Closed(reason, unanswered, command_status))
        return events

    def _next_sequence(self) -> int:
        sequence = self._sequence
        while True:
            sequence = sequence + 1 if sequence < _HIGHEST_SEQUENCE else 1
            if sequence not in self._pending and sequence not in self._suspected and sequence not in self._given_up:
                self._sequence = sequence
                return sequence

    def _send(self, command_id: int, body: bytes) -> int:
        sequence = self._next_sequence()
        self._out.append(HEADER.pack(16 + len(body), command_id, ROK, sequence) + body)
        return sequence

    def _request(self, command_id: int, body: bytes, now: float) -> int:
        # As ``room`` says, without its call: this is done for every segment.
        if len(self._pending) >= self.window or self._suspected or not self._may_request:
            raise SessionMisuse(f"no room in {self._state.name}, {self.pending} of {self.window} unanswered")
        sequence = self._send(command_id, body)
        self._pending[sequence] = now
        return sequence

    def _enquire(self, now: float) -> None:
        self._enquire_sequence = self._send(EnquireLink.command_id, b"")
        self._enquired_at = now


_LOST_WHILE: Final = {State.LEAVING: CloseReason.PEER_UNBOUND, State.UNBINDING: CloseReason.UNBOUND}
_due = itemgetter(0)
_pack = HEADER.pack
