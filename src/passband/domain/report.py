"""What a carrier is handed, and what it reports back: the values between dispatch, the carriers and the store."""

import enum
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from passband.domain.message import SMS, Kind, Recipient

PAIR: Final = "~"
"""With what a reference begins that stands for two numbers, where a carrier gives no identifiers."""


class Deciding(enum.IntEnum):
    """Which of the receipts of several segments decide about a recipient.

    EVERY: the first failure, or the last delivery. SOME: the same, but when the window is over one delivery is enough.
    FIRST: the first receipt of any segment.
    """

    EVERY = 0
    SOME = 1
    FIRST = 2


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The carrier took it. ``refs`` are its identifiers, one for each segment (one for an MMS), as receipts find them.

    ``receipt_window`` is how long to wait for receipts, in seconds; None where none will come. ``unanswered`` is for a
    carrier that takes first and says later, by an ``Answer``, whether it really did: the code that the recipient fails
    with if no answer comes within the window. Its text is kept until then, because the answer may be to come again.

    ``given`` are the identifiers exactly as they came: for each of ``refs`` None where it is the same, "" where the
    carrier gave none and the reference is of our making. It is empty where all are the same.
    """

    refs: tuple[str, ...]
    receipt_window: float | None
    deciding: Deciding = Deciding.EVERY
    unanswered: int = 0
    given: tuple[str | None, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the carrier calls the segments, exactly as it gave it; without those to which it gave no name."""
        named = zip(self.refs, self.given, strict=True) if self.given else ((ref, None) for ref in self.refs)
        return tuple(name for ref, given in named if (name := ref if given is None else given))


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


class Attachment(msgspec.Struct, frozen=True, gc=False):
    """A file of an MMS, in memory.

    ``name`` is safe in a path and a header, ``content_type`` is ``type/subtype`` in lower case. ``index`` counts the
    parts of the message from 0, those that are text among them.
    """

    name: str
    content_type: str
    octets: bytes
    index: int = 0

    def __repr__(self) -> str:
        return f"Attachment({self.name!r}, {self.content_type!r}, {len(self.octets)} octets, {self.index})"


class Submission(msgspec.Struct, frozen=True, gc=False):
    """What a carrier is handed at once: one recipient of an SMS, or all of an MMS that go this way together.

    ``attachments`` are the files that the message's ``media`` name, in their order.
    """

    recipients: tuple[Recipient, ...]
    attachments: tuple[Attachment, ...] = ()

    @property
    def cost(self) -> int:
        """Segments, as pace counts them: a single MMS 1, a group of n uses n (Semantics, section 7)."""
        first = self.recipients[0].message
        return first.segment_count if first.kind is SMS else len(self.recipients)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A carrier's later word on one segment.

    ``refs`` are the identifiers under which the segment may be known, the likeliest first. ``pair`` is what a
    segment between these two numbers is known by that has no identifier: it counts if the others match nothing and
    exactly one recipient is known by it. If none is, it is kept for one whose outcome is still to be recorded and whose
    message is older than the receipt, which cannot mean a later one. ``number`` is the recipient that the receipt
    claims to be about; one that does not match is a forgery. ``code`` is 0 for a delivered segment. ``otherwise`` is
    the message that it is if it matches nothing: a text may only look like a receipt.
    """

    carrier: str
    refs: tuple[str, ...]
    number: str
    code: int
    otherwise: "Inbound | None" = None
    pair: str = ""


class Unclear(Receipt, frozen=True, gc=False):
    """A carrier's word on one segment that decides nothing: it does not know, or says what nobody understands.

    ``code`` is what the segment's recipient fails with if nothing better comes within the receipt window. It finds the
    segment as a receipt does, but is not kept for one whose outcome is still to be recorded.
    """


class Matched(msgspec.Struct, gc=False):
    """By which of their ``refs`` a carrier's receipts found their segments.

    ``first`` is how many did by the first one. ``later`` has the ``refs`` of the others by the place, from 1, of the
    one that matched. What was found by its numbers only, or came before its outcome, is in neither.
    """

    first: int
    later: dict[int, list[tuple[str, ...]]]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A carrier's later word on what it took under ``ref``: what its acceptance has come to.

    ``numbers`` are the recipients it speaks of; without any it speaks of all that are known by ``ref``. Accepted
    without a window is a delivery; with one, receipts are awaited from now on, under these ``refs`` too.
    """

    carrier: str
    ref: str
    outcome: Outcome
    numbers: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, gc=False):
    """Where one account's copy of an inbound message's files lies: ``media`` are URLs, ``id`` names them.

    The first of the account's own messages gets this ``id``.
    """

    id: str
    media: tuple[str, ...]


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A message that came in from a carrier, complete.

    ``to`` are all its recipients, ours and foreign; ``told`` are those of ours that it is for, without any it is for
    all of ours. ``ref`` is the carrier's identifier, by which repeats within a day are known; None where the carrier
    has none. Then ``digest`` is what is equal in repeats, by which they are known only where there is reason to expect
    one: a ``Doubt``, or the end of the node that took the first; empty: it does not come again. ``attachments`` are its
    files; once these are durable, ``kept`` tells by account where they are. ``note`` is for the carrier itself, which
    gets it back once an application has taken the message.
    """

    carrier: str
    sender: str
    to: tuple[str, ...]
    text: str
    kind: Kind = SMS
    segment_count: int = 1
    media: tuple[str, ...] = ()
    ref: str | None = None
    digest: str = ""
    told: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    kept: Mapping[str, Kept] = {}
    note: str | None = None


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """The carrier may not know that we have the message with this ``digest``: if it comes again soon it is a repeat."""

    carrier: str
    digest: str


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
    answers: Sequence[Answer] = ()
    doubts: Sequence[Doubt] = ()
    unclear: Sequence[Unclear] = ()
