"""The messages of MM4 as values: three requests and their responses (3GPP TS 23.140 §8.4, MM4, sections 1 and 3).

Names follow the headers. ``sender`` and ``recipient`` are handsets' addresses, ``system`` is an MMSC's mailbox.
Instants are seconds since 1970. None stands for a header that is absent.
"""

import re
from dataclasses import dataclass, field
from typing import ClassVar, assert_never

from passband.mm4.address import Address
from passband.mm4.headers import parse_date
from passband.mm4.identity import Identifier
from passband.mm4.mime import Part

VERSION = "6.10.0"

# Loop protection (MM4, section 9): handsets do not forward a message ten times, and relays are few.
MAX_FORWARDS = 10
MAX_RECEIVED = 30

_seconds = re.compile(r"[0-9]{1,9}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What all have in common: ``mail_id`` is the Message-ID of the mail, ``message_id`` that of the MMS."""

    transaction_id: Identifier | None
    message_id: Identifier | None
    mail_id: Identifier | None
    system: str | None
    date: float | None
    version: str = VERSION

    def __str__(self) -> str:
        return f"{type(self).__name__} transaction={self.transaction_id} message={self.message_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRequest(Mail):
    """A multimedia message on its way from one MMSC to another.

    ``parts`` are all parts but text, in order, the peer's SMIL among them. ``res_to`` is the mailbox that the response
    goes to; None where the mail and its envelope name none. ``received`` counts the relays it came through.
    """

    type: ClassVar[str] = "MM4_forward.REQ"
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    subject: str | None = field(default=None, repr=False)
    text: str = field(default="", repr=False)
    parts: tuple[Part, ...] = ()
    ack_request: bool = True
    res_to: str | None = None
    message_class: str | None = "Personal"
    priority: str | None = "Normal"
    expiry: str | None = None
    delivery_report: bool = True
    originator_rs_delivery_report: bool = False
    read_reply: bool = False
    sender_visibility: str | None = "Show"
    forward_counter: int | None = 1
    received: int = 0

    @property
    def media(self) -> tuple[Part, ...]:
        """The parts without SMIL."""
        return tuple(part for part in self.parts if not part.is_smil)

    @property
    def is_looping(self) -> bool:
        """Whether it has come round too often and must be refused."""
        return (self.forward_counter or 0) > MAX_FORWARDS or self.received > MAX_RECEIVED

    def expires_at(self, now: float) -> float | None:
        """The instant after which nobody wants it: ``expiry`` is a date, or seconds from ``now``."""
        if self.expiry is not None and _seconds(self.expiry):
            return now + int(self.expiry)
        return parse_date(self.expiry)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReportRequest(Mail):
    """What became of a message at one recipient's handset; ``date`` is when. ``message_id`` is ours or the peer's."""

    type: ClassVar[str] = "MM4_delivery_report.REQ"
    recipient: Address
    to: tuple[Address, ...]
    mm_status: str
    mm_status_extension: str | None = None
    status_text: str | None = None
    ack_request: bool = False
    forward_to_originator_ua: bool | None = None
    res_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReplyReportRequest(Mail):
    """One recipient has read a message, or deleted it unread."""

    type: ClassVar[str] = "MM4_read_reply_report.REQ"
    recipient: Address
    to: tuple[Address, ...]
    read_status: str
    status_text: str | None = None
    ack_request: bool = False
    res_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Mail):
    """What the other side says to a request. ``to`` is the mailbox of the request's system; ``status`` may be empty."""

    to: str | None
    status: str
    status_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardResponse(Response):
    """Accepted or refused. ``request_recipients`` are those it speaks of; without any it speaks of all."""

    type: ClassVar[str] = "MM4_forward.RES"
    request_recipients: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReportResponse(Response):
    """A delivery report has arrived."""

    type: ClassVar[str] = "MM4_delivery_report.RES"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReplyReportResponse(Response):
    """A read-reply report has arrived."""

    type: ClassVar[str] = "MM4_read_reply_report.RES"


Request = ForwardRequest | DeliveryReportRequest | ReadReplyReportRequest
AnyResponse = ForwardResponse | DeliveryReportResponse | ReadReplyReportResponse
Message = Request | AnyResponse


def answer(
    request: Request, status: str, *, system: str, mail_id: Identifier, at: float, status_text: str | None = None
) -> AnyResponse:
    """The response to a request: its version and identifiers as they came, to its ``res_to``, from our ``system``."""
    kind: type[AnyResponse]
    match request:
        case ForwardRequest():
            kind = ForwardResponse
        case DeliveryReportRequest():
            kind = DeliveryReportResponse
        case ReadReplyReportRequest():
            kind = ReadReplyReportResponse
        case _:
            assert_never(request)
    return kind(
        transaction_id=request.transaction_id,
        # 3GPP TS 23.140 §8.4.3 gives the response to a read-reply report no message id.
        message_id=None if kind is ReadReplyReportResponse else request.message_id,
        mail_id=mail_id,
        system=system,
        date=at,
        version=request.version,
        to=request.res_to,
        status=status,
        status_text=status_text,
    )
