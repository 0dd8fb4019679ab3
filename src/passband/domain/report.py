"""What a carrier is handed, and what it reports back: the values between dispatch, the carriers and the store."""

import enum
import hashlib
from collections.abc import Sequence

import msgspec

from passband.domain.message import Kind, Recipient


class Deciding(enum.IntEnum):
    """Which of the receipts of several segments decide about a recipient.

    EVERY: the first failure, or the last delivery. SOME: the same, but when the window is over one delivery is enough.
    FIRST: the first receipt of any segment.
    """

    EVERY = 0
    SOME = 1
    FIRST = 2


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The carrier took it. ``refs`` are its identifiers, one for each segment (one for an MMS), kept as given.

    ``receipt_window`` is how long to wait for receipts, in seconds; None where none will come.
    """

    refs: tuple[str, ...]
    receipt_window: float | None
    deciding: Deciding = Deciding.EVERY


class Deferred(msgspec.Struct, frozen=True, gc=False):
    """The carrier could not take it now.

    Due again after ``delay`` seconds. ``code`` is what the recipient fails with if the retry window ends first.
    ``max_attempts`` limits submissions, the first included; 0: this one does not count.
    """

    code: int
    delay: float
    max_attempts: int = 0


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The carrier refuses it for good."""

    code: int


Outcome = Accepted | Deferred | Rejected


class Submission(msgspec.Struct, frozen=True, gc=False):
    """What a carrier is handed at once: one recipient of an SMS, or all of an MMS that go this way together."""

    recipients: tuple[Recipient, ...]

    @property
    def cost(self) -> int:
        """Segments, as pace counts them: a single MMS 1, a group of n uses n (Semantics, section 7)."""
        first = self.recipients[0].message
        return first.segment_count if first.kind is Kind.SMS else len(self.recipients)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A carrier's later word on one segment.

    ``refs`` are the identifiers under which the segment may be known, the likeliest first. ``number`` is the recipient
    that the receipt claims to be about; one that does not match is a forgery. ``code`` is 0 for a delivered segment.
    ``otherwise`` is the message that it is if it matches nothing: a text may only look like a receipt.
    """

    carrier: str
    refs: tuple[str, ...]
    number: str
    code: int
    otherwise: "Inbound | None" = None


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A message that came in from a carrier, complete.

    ``to`` are all its recipients, ours and foreign. ``ref`` is the carrier's identifier, by which repeats within a day
    are known; None where the carrier has none.
    """

    carrier: str
    sender: str
    to: tuple[str, ...]
    text: str
    kind: Kind = Kind.SMS
    segment_count: int = 1
    media: tuple[str, ...] = ()
    ref: str | None = None


class Part(msgspec.Struct, frozen=True, gc=False):
    """A part of a longer inbound message, number ``sequence`` of ``total`` (from 1).

    ``key`` is the same for all parts of a message and differs between messages that arrive at the same time; it tells
    no number. ``octets`` are as they came, in ``data_coding``; how they are joined is the carrier's to know. When no
    further part comes for ``timeout`` seconds, what there is becomes the message.
    """

    carrier: str
    key: str
    sequence: int
    total: int
    octets: bytes
    data_coding: int
    sender: str
    to: str
    has_ports: bool = False
    timeout: float = 600.0

    @property
    def digest(self) -> bytes:
        """What tells a repeat from another message's part with the same key and number."""
        return hashlib.blake2b(bytes((self.data_coding,)) + self.octets, digest_size=16).digest()


class Report(msgspec.Struct, frozen=True, gc=False):
    """What a carrier has to say, stored in one transaction."""

    outcomes: Sequence[tuple[Recipient, Outcome]] = ()
    receipts: Sequence[Receipt] = ()
    inbound: Sequence[Inbound] = ()
    parts: Sequence[Part] = ()
