"""Messages and their recipients: the values that the whole program passes around.

Rule: what is true of the request as a whole is a ``Message``; what is true of one number it goes to is a ``Recipient``.
Instants (``…_at``) are seconds since 1970 as floats, in UTC; a message's ``created_at`` has whole milliseconds, because
its identifier begins with them.
"""

import enum
from collections.abc import Callable
from typing import Final, NewType

import msgspec

AccountId = NewType("AccountId", str)
ApplicationId = NewType("ApplicationId", str)
MessageId = NewType("MessageId", str)


class Direction(enum.StrEnum):
    """Relative to us."""

    IN = "in"
    OUT = "out"


class Priority(enum.StrEnum):
    """``high`` goes before every ``default`` message of the same account (Semantics, section 7)."""

    DEFAULT = "default"
    HIGH = "high"


class Kind(enum.StrEnum):
    """An SMS has one recipient and no media; everything else is an MMS (Semantics, section 1)."""

    SMS = "sms"
    MMS = "mms"


# On the path of every message members go by names of their own: Python 3.11 looks one up in its Enum by 850
# instructions, and fifty of them for each message were 6 % of all that the node did.
IN: Final = Direction.IN
OUT: Final = Direction.OUT
HIGH: Final = Priority.HIGH
SMS: Final = Kind.SMS
MMS: Final = Kind.MMS


# A Struct rather than a dataclass: a frozen dataclass of this size takes 3 µs to make, this 0.3 µs, and one is made for
# every message. gc=False: the fields hold no cycles, and the collector need not visit what waits in memory.
class Message(msgspec.Struct, frozen=True, gc=False):
    """One accepted request, or one copy of an inbound message.

    ``to`` holds all recipients in the order of the request. ``text`` is empty once a carrier has taken the message.
    ``length`` counts the code points that the text had. ``segment_count`` is 1 for an MMS. ``priority`` and ``tag`` are
    None where the request had none. An inbound message's ``tag`` is its carrier's note, which nobody else is shown.
    """

    account: str
    id: str
    direction: Direction
    kind: Kind
    application: str
    created_at: float
    sender: str
    to: tuple[str, ...]
    text: str
    length: int
    media: tuple[str, ...]
    tag: str | None
    priority: Priority | None
    expires_at: float | None
    segment_count: int

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.sender}>{len(self.to)} segments={self.segment_count}"


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """What an application asks to send: syntactically right, nothing else is known of it yet.

    ``to`` is without repeats. ``expiration`` is the text as sent, ``expires_at`` the same as an instant.
    """

    application: str
    sender: str
    to: tuple[str, ...]
    text: str = ""
    media: tuple[str, ...] = ()
    tag: str | None = None
    priority: Priority | None = None
    expiration: str | None = None
    expires_at: float | None = None


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One number that an outbound message goes to, waiting for a carrier or for a carrier's receipt.

    ``n`` is its place in ``message.to``, from 0. ``carrier`` names the way out. ``attempts`` counts submissions that
    were refused for now, ``code`` is the delivery error code of the last (0: none); a further one is due at ``due_at``.
    Of a handed one it is what that fails with when its receipt window is over, if it is not 0: negative, its sign
    changed, while its carrier owes an answer, and positive once a receipt was unclear.
    ``reference`` is the concatenation reference of its segments, the same in every attempt. ``announced`` tells that
    message-sending was stored. ``charge`` is what it adds to the queue of a limited account, in segments.
    """

    message: Message
    n: int
    carrier: str
    reference: int = 0
    due_at: float = 0.0
    attempts: int = 0
    code: int = 0
    announced: bool = False
    charge: int = 0

    @property
    def number(self) -> str:
        return self.message.to[self.n]

    @property
    def high(self) -> bool:
        return self.message.priority is HIGH

    def __str__(self) -> str:
        return f"{self.message.id}/{self.n} via {self.carrier} attempts={self.attempts}"


# In ASCII order, so that identifiers sort as they were given out; the set is the documented one, a-z and 2-7.
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_RANDOM_BITS = 80
# Two digits at a time: half the time of one by one, and this is done for every message.
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


class IdSource:
    """Gives out message identifiers that sort in the order in which they were given out.

    29 characters: the creation time in milliseconds in 13 digits, then 16 random characters (HTTP API, section 2.2).
    Within one millisecond each is a random step above the one before, so that ``ORDER BY id`` is first in, first out.
    """

    def __init__(self, randbits: Callable[[int], int]) -> None:
        self._randbits = randbits
        self._millisecond = 0
        self._value = 0
        self._head_value = -1
        self._head = ""  # the digits of the time and of the value's upper half, which a millisecond's ids share

    def next(self, now: float) -> tuple[MessageId, float]:
        """Return an identifier and the creation time that it begins with, in seconds with whole milliseconds.

        The time never goes back, even where ``now`` does.
        """
        millisecond = int(now * 1000)
        if millisecond > self._millisecond:
            self._millisecond = millisecond
            # The topmost bit stays free, so that steps within the millisecond never overflow.
            self._value = self._randbits(_RANDOM_BITS - 1)
            self._head_value = -1
        else:
            self._value += 1 + self._randbits(40)
        value = self._value
        if value >> 40 != self._head_value:
            self._head_value = value >> 40
            self._head = f"{self._millisecond:013d}{_four_pairs(self._head_value)}"
        return MessageId(self._head + _four_pairs(value)), self._millisecond / 1000


def _four_pairs(value: int) -> str:
    """Return the last 40 bits of a value as eight digits."""
    return _PAIRS[value >> 30 & 1023] + _PAIRS[value >> 20 & 1023] + _PAIRS[value >> 10 & 1023] + _PAIRS[value & 1023]
