"""What a carrier is handed, and what it reports back: the values between dispatch, the carriers and the store."""

from collections.abc import Sequence

import msgspec

from passband.domain.message import Kind, Recipient


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The carrier took it. ``refs`` are its identifiers, one for each segment (one for an MMS), kept as given.

    ``receipt_window`` is how long to wait for receipts, in seconds; None where none will come.
    """

    refs: tuple[str, ...]
    receipt_window: float | None


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
    """

    carrier: str
    refs: tuple[str, ...]
    number: str
    code: int


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


class Report(msgspec.Struct, frozen=True, gc=False):
    """What a carrier has to say, stored in one transaction."""

    outcomes: Sequence[tuple[Recipient, Outcome]] = ()
    receipts: Sequence[Receipt] = ()
    inbound: Sequence[Inbound] = ()
