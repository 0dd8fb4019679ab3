"""The states of a session, and what each of them does with what arrives: one table for each end.

A client's table is that of the SMPP chapter on sessions, cell by cell. Whatever a row does not name is refused if it is
a request (generic_nack, status 3) and noted if it is a response: nobody answers a response.
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from passband.smpp.codec import RecoverablePduError, StreamLost
from passband.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    QuerySmResp,
    ReceiptSm,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)


class Role(Enum):
    """Which end of the session this is."""

    CLIENT = auto()
    SERVER = auto()


class State(Enum):
    """Where a session stands.

    OPEN: connected, not yet bound. UNBINDING: we have sent unbind. LEAVING: the peer has, we have answered, and only
    answers under way are waited for. CLOSED is the first and the last.
    """

    CLOSED = auto()
    OPEN = auto()
    BOUND_TX = auto()
    BOUND_RX = auto()
    BOUND_TRX = auto()
    UNBINDING = auto()
    LEAVING = auto()


class Act(Enum):
    """What is done with something that arrived."""

    ANSWER = auto()  # enquire_link: answer it
    TAKE_BIND = auto()  # the answer to our bind: bound, or closed
    ASK = auto()  # a bind: the owner decides
    HOLD = auto()  # keep it until bound: some peers send early
    HAND_OVER = auto()  # a request: the owner answers it
    MATCH = auto()  # the answer to a request of ours
    NACK = auto()  # generic_nack: as an error response, or a session fault
    LEAVE = auto()  # unbind: answer, wait for answers under way
    ANSWER_AND_CLOSE = auto()  # unbind where nothing is waited for
    CLOSE = auto()  # the answer to our unbind
    ALIVE = auto()  # the answer to our enquire_link: octets were life enough
    REFUSE_STATE = auto()  # a request that this bind does not allow
    REFUSE_BIND = auto()  # a second bind
    REFUSE_COMMAND = auto()  # a request that this end does not know
    UNREADABLE = auto()  # a PDU that cannot be read: answer and go on
    LOST = auto()  # the stream cannot be read: nack and close
    NOTE = auto()  # nothing but a line in the log


Row = Mapping[type, Act]

_BINDS: Final = (BindReceiver, BindTransmitter, BindTransceiver)
_BIND_RESPONSES: Final = (BindReceiverResp, BindTransmitterResp, BindTransceiverResp)
_ANSWERS: Final = (SubmitSmResp, DeliverSmResp, DataSmResp, QuerySmResp, CancelSmResp)
_INBOUND: Final = (DeliverSm, ReceiptSm, DataSm)
_OUTBOUND: Final = (SubmitSm, DataSm, QuerySm, CancelSm)

_ALWAYS: Final[Row] = {
    EnquireLink: Act.ANSWER,
    EnquireLinkResp: Act.ALIVE,
    RecoverablePduError: Act.UNREADABLE,
    StreamLost: Act.LOST,
}
_NOTED: Final[Row] = dict.fromkeys((AlertNotification, Outbind), Act.NOTE)
_BOUND: Final[Row] = {**_ALWAYS, **dict.fromkeys(_ANSWERS, Act.MATCH), Unbind: Act.LEAVE, GenericNack: Act.NACK}
_ENDING: Final[Row] = {**_BOUND, Unbind: Act.ANSWER_AND_CLOSE}

_CLIENT_BOUND: Final[Row] = {**_BOUND, **_NOTED, **dict.fromkeys(_INBOUND, Act.HAND_OVER)}
_CLIENT_ENDING: Final[Row] = {**_ENDING, **_NOTED, **dict.fromkeys(_INBOUND, Act.HAND_OVER)}
_CLIENT: Final[Mapping[State, Row]] = {
    State.CLOSED: {},
    State.OPEN: {
        **_ALWAYS,
        **_NOTED,
        **dict.fromkeys(_BIND_RESPONSES, Act.TAKE_BIND),
        **dict.fromkeys(_INBOUND, Act.HOLD),
        Unbind: Act.ANSWER_AND_CLOSE,
        GenericNack: Act.TAKE_BIND,
    },
    State.BOUND_TX: _CLIENT_BOUND,
    State.BOUND_RX: _CLIENT_BOUND,
    State.BOUND_TRX: _CLIENT_BOUND,
    State.UNBINDING: {**_CLIENT_ENDING, UnbindResp: Act.CLOSE},
    State.LEAVING: _CLIENT_ENDING,
}

_SERVER_BOUND: Final[Row] = {**_BOUND, **dict.fromkeys(_BINDS, Act.REFUSE_BIND)}
_SERVER_TAKES: Final[Row] = {**_SERVER_BOUND, **dict.fromkeys(_OUTBOUND, Act.HAND_OVER)}
_SERVER_REFUSES: Final[Row] = {**_SERVER_BOUND, **dict.fromkeys(_OUTBOUND, Act.REFUSE_STATE)}
_SERVER_ENDING: Final[Row] = {**_SERVER_REFUSES, Unbind: Act.ANSWER_AND_CLOSE}
_SERVER: Final[Mapping[State, Row]] = {
    State.CLOSED: {},
    State.OPEN: {
        **_ALWAYS,
        **dict.fromkeys(_BINDS, Act.ASK),
        **dict.fromkeys(_OUTBOUND, Act.REFUSE_STATE),
        Unbind: Act.ANSWER_AND_CLOSE,
    },
    State.BOUND_TX: _SERVER_TAKES,
    State.BOUND_RX: _SERVER_REFUSES,
    State.BOUND_TRX: _SERVER_TAKES,
    # After our unbind a client may still submit what it had under way; after its own it may not.
    State.UNBINDING: {**_SERVER_TAKES, Unbind: Act.ANSWER_AND_CLOSE, UnbindResp: Act.CLOSE},
    State.LEAVING: _SERVER_ENDING,
}

ROWS: Final[Mapping[Role, Mapping[State, Row]]] = MappingProxyType({Role.CLIENT: _CLIENT, Role.SERVER: _SERVER})
"""End → state → what arrived → what is done."""

BOUND_BY: Final[Mapping[type, State]] = MappingProxyType(
    {BindReceiver: State.BOUND_RX, BindTransmitter: State.BOUND_TX, BindTransceiver: State.BOUND_TRX}
)
"""The state to which each bind leads."""

MAY_REQUEST: Final[Mapping[Role, frozenset[State]]] = MappingProxyType(
    {
        Role.CLIENT: frozenset({State.BOUND_TX, State.BOUND_TRX}),
        Role.SERVER: frozenset({State.BOUND_RX, State.BOUND_TRX}),
    }
)
"""The states in which each end may hand over segments."""

IS_BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
