"""The steps of a session: what each Act of ``session_states`` does, and what each deadline that passes does.

Part of ``session``, and apart from it only for length: a step changes the session that it is given, and appends what
its owner must know to ``events``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from passband.smpp.codec import RINVCMDID, ROK, RecoverablePduError, StreamLost
from passband.smpp.pdu import (
    HEADER,
    RESPONSE,
    Bind,
    BindResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    Unbind,
    UnbindResp,
    response_to,
)
from passband.smpp.session_events import (
    Answered,
    BindRequested,
    Bound,
    CloseReason,
    Event,
    Noted,
    PeerUnbinds,
    Received,
    Suspected,
)
from passband.smpp.session_states import BOUND_BY, IS_BOUND, ROWS, Act, Role, State

if TYPE_CHECKING:
    from passband.smpp.session import Session

RINVBNDSTS: Final = 0x04
RALYBND: Final = 0x05
RX_T_APPN: Final = 0x64
RUNKNOWNERR: Final = 0xFF

_MOST_HELD: Final = 100
_NACK_SPAN: Final = 60.0
_MISSES: Final = 2

NACKS: Final = 3
"""Unmatched generic_nacks within 60 s that end a session: the two ends no longer speak of the same requests."""

# What is due


def stalled(session: "Session", now: float, events: list[Event]) -> None:
    session._close(CloseReason.STALLED, events)


def not_bound(session: "Session", now: float, events: list[Event]) -> None:
    session._close(CloseReason.BIND_TIMEOUT, events)


def not_unbound(session: "Session", now: float, events: list[Event]) -> None:
    session._close(CloseReason.UNBIND_TIMEOUT, events)


def left(session: "Session", now: float, events: list[Event]) -> None:
    session._close(CloseReason.PEER_UNBOUND, events)


def unanswered(session: "Session", now: float, events: list[Event]) -> None:
    response = session.timers.response
    overdue = {sequence: sent for sequence, sent in session._pending.items() if sent + response <= now}
    for sequence in overdue:
        del session._pending[sequence]
    if not session._suspected:
        session._enquire(now)
        events.append(Suspected(tuple(overdue)))
    session._suspected.update(overdue)


def enquire(session: "Session", now: float, events: list[Event]) -> None:
    session._enquire(now)


def missed(session: "Session", now: float, events: list[Event]) -> None:
    session._misses += 1
    if session._suspected or session._misses >= _MISSES:
        session._close(CloseReason.NO_ANSWER, events)
    else:
        session._enquire(now)


# What arrived


def _answer(session: "Session", item: EnquireLink, now: float, events: list[Event]) -> None:
    session._out.append(HEADER.pack(16, EnquireLinkResp.command_id, ROK, item.sequence_number))


def _take_bind(session: "Session", item: BindResp | GenericNack, now: float, events: list[Event]) -> None:
    if session._bind is None:
        events.append(Noted("an answer to a bind that was not sent", item))
    elif item.command_status != ROK or isinstance(item, GenericNack):
        # A generic_nack without a status is no consent either.
        session._close(CloseReason.BIND_REFUSED, events, item.command_status or RUNKNOWNERR)
    else:
        session._enter(BOUND_BY[type(session._bind)], now)
        events.append(Bound(item))
        events.extend(map(Received, session._held))
        session._owed += len(session._held)
        session._held.clear()


def _ask(session: "Session", item: Bind, now: float, events: list[Event]) -> None:
    session._asked = True
    session._steps = {}  # what came behind it is answered after it
    events.append(BindRequested(item))


def _hold(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    if len(session._held) < _MOST_HELD:
        session._held.append(item)
    else:
        session._out.append(response_to(item, RX_T_APPN).encode())
        events.append(Noted("too many requests before the bind's answer", item))


def _hand_over(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    session._owed += 1
    events.append(Received(item))


def _match(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    sequence = item.sequence_number
    sent_at = session._pending.pop(sequence, None)
    if sent_at is not None:
        events.append(Answered(sequence, item, now - sent_at))
    elif sequence in session._suspected:
        events.append(Answered(sequence, item, now - session._suspected.pop(sequence)))
    elif sequence in session._given_up:
        events.append(Answered(sequence, item, now - session._given_up.pop(sequence), late=True))
    else:
        events.append(Noted("a response to no request of ours", item))


def _nack(session: "Session", item: GenericNack, now: float, events: list[Event]) -> None:
    sequence = item.sequence_number
    if sequence in session._pending or sequence in session._suspected or sequence in session._given_up:
        _match(session, item, now, events)
    elif session._state is State.UNBINDING and sequence == session._unbind_sequence:
        session._close(CloseReason.UNBOUND, events)
    else:
        events.append(Noted("a generic_nack to no request of ours", item))
        # A peer that knows no enquire_link says so every time, and is alive.
        if session._state in IS_BOUND and sequence != session._enquire_sequence:
            session._nacks.append(now)
            if len(session._nacks) == NACKS and now - session._nacks[0] <= _NACK_SPAN:
                session._close(CloseReason.NACKED, events)


def _leave(session: "Session", item: Unbind, now: float, events: list[Event]) -> None:
    session._out.append(HEADER.pack(16, UnbindResp.command_id, ROK, item.sequence_number))
    session._enter(State.LEAVING, now)
    events.append(PeerUnbinds())


def _answer_and_close(session: "Session", item: Unbind, now: float, events: list[Event]) -> None:
    session._out.append(HEADER.pack(16, UnbindResp.command_id, ROK, item.sequence_number))
    session._close(CloseReason.PEER_UNBOUND, events)


def _end(session: "Session", item: UnbindResp, now: float, events: list[Event]) -> None:
    session._close(CloseReason.UNBOUND, events)


def _alive(session: "Session", item: EnquireLinkResp, now: float, events: list[Event]) -> None:
    pass


def _refuse_state(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    session._out.append(response_to(item, RINVBNDSTS).encode())
    events.append(Noted("a request that this bind does not allow", item))


def _refuse_bind(session: "Session", item: Bind, now: float, events: list[Event]) -> None:
    session._out.append(response_to(item, RALYBND).encode())
    events.append(Noted("a bind of a bound session", item))


def _refuse_command(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    session._out.append(HEADER.pack(16, GenericNack.command_id, RINVCMDID, item.sequence_number))
    events.append(Noted("a request that this end does not know", item))


def _unreadable(session: "Session", item: RecoverablePduError, now: float, events: list[Event]) -> None:
    answer = item.answer()
    if answer is not None:
        session._out.append(answer.encode())
    events.append(Noted("a PDU that cannot be read", item))


def _lost(session: "Session", item: StreamLost, now: float, events: list[Event]) -> None:
    session._out.append(item.answer().encode())
    events.append(Noted("a stream that cannot be read", item))
    session._close(CloseReason.STREAM_LOST, events)


def _note(session: "Session", item: Pdu, now: float, events: list[Event]) -> None:
    events.append(Noted("a PDU that changes nothing", item))


_Step = Callable[["Session", Any, float, list[Event]], None]

_DO: Final[Mapping[Act, _Step]] = MappingProxyType(
    {
        Act.ANSWER: _answer,
        Act.TAKE_BIND: _take_bind,
        Act.ASK: _ask,
        Act.HOLD: _hold,
        Act.HAND_OVER: _hand_over,
        Act.MATCH: _match,
        Act.NACK: _nack,
        Act.LEAVE: _leave,
        Act.ANSWER_AND_CLOSE: _answer_and_close,
        Act.CLOSE: _end,
        Act.ALIVE: _alive,
        Act.REFUSE_STATE: _refuse_state,
        Act.REFUSE_BIND: _refuse_bind,
        Act.REFUSE_COMMAND: _refuse_command,
        Act.UNREADABLE: _unreadable,
        Act.LOST: _lost,
        Act.NOTE: _note,
    }
)

STEPS: Final[Mapping[Role, Mapping[State, Mapping[type, _Step]]]] = MappingProxyType(
    {
        role: {state: {kind: _DO[act] for kind, act in row.items()} for state, row in rows.items()}
        for role, rows in ROWS.items()
    }
)
"""The tables of ``session_states`` with each Act replaced by what it does."""


def unlisted(pdu: Pdu) -> _Step:
    """The step for a PDU that a state's row does not name: nobody answers a response, and any request is answered."""
    return _DO[Act.NOTE if pdu.command_id & RESPONSE else Act.REFUSE_COMMAND]
