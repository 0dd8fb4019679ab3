"""What a session tells its owner: small values, in the order in which things happened."""

from enum import StrEnum

from msgspec import Struct

from passband.smpp.codec import RecoverablePduError, StreamLost
from passband.smpp.pdu import Bind, Pdu


class BindRequested(Struct, frozen=True, gc=False):
    """A client asks to bind; the owner answers with ``accept_bind`` or ``refuse_bind``. Servers only."""

    pdu: Bind


class Bound(Struct, frozen=True, gc=False):
    """The bind succeeded; ``pdu`` is the peer's answer. Clients only."""

    pdu: Pdu


class Received(Struct, frozen=True, gc=False):
    """A request that the owner answers, by ``respond`` or ``respond_deliver``, when what it says is durable."""

    pdu: Pdu


class Answered(Struct, frozen=True, gc=False):
    """The answer to a request of ours: its own response, or a generic_nack.

    ``waited`` is seconds since the request. ``late``: it was already reported as unacknowledged.
    """

    sequence_number: int
    pdu: Pdu
    waited: float
    late: bool = False


class Suspected(Struct, frozen=True, gc=False):
    """These requests were not answered in time and the peer is being asked whether it lives; nothing more is taken.

    What becomes overdue before it answers is part of the same question, and not told again.
    """

    sequence_numbers: tuple[int, ...]


class Unacknowledged(Struct, frozen=True, gc=False):
    """The session lives, but these requests were never answered: the peer may or may not have them."""

    sequence_numbers: tuple[int, ...]


class PeerUnbinds(Struct, frozen=True, gc=False):
    """The peer has asked to unbind; no new request is taken, and Closed follows within 2 seconds."""


class Noted(Struct, frozen=True):
    """Something that changes nothing and belongs in the log; ``what`` is a constant sentence.

    Unlike the other events it is the garbage collector's business: it may hold an exception, which may hold anything.
    """

    what: str
    about: Pdu | RecoverablePduError | StreamLost


class CloseReason(StrEnum):
    """Why a session ended."""

    UNBOUND = "we unbound"
    UNBIND_TIMEOUT = "our unbind was not answered"
    PEER_UNBOUND = "the peer unbound"
    BIND_REFUSED = "the bind was refused"
    BIND_TIMEOUT = "the bind was not answered, or never came"
    NO_ANSWER = "the peer is silent"
    STALLED = "a PDU did not complete"
    STREAM_LOST = "the stream cannot be read"
    NACKED = "three unmatched generic_nack within a minute"
    CONNECTION_LOST = "the connection was lost"


class Closed(Struct, frozen=True, gc=False):
    """The session has ended: write what ``data_to_send`` still holds and close the connection.

    ``unanswered`` are requests of which the peer may or may not have taken notice. ``command_status`` is that of a
    refused bind.
    """

    reason: CloseReason
    unanswered: tuple[int, ...] = ()
    command_status: int = 0


Event = BindRequested | Bound | Received | Answered | Suspected | Unacknowledged | PeerUnbinds | Noted | Closed
