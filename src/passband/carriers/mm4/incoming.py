"""What a peer's mails mean: messages for our numbers, answers to our requests, reports; and what the peer is told.

Rule: 250 is said after the commit and not before. Requests are answered by mails of their own, which are handed to
``respond``; a response that is lost is made again when the peer repeats its request (MM4, sections 7 and 9).
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from typing import Final

import structlog

from passband.carriers import ReportFunction
from passband.carriers.mm4.frames import Mail
from passband.carriers.mm4.outgoing import SystemMail, read_transaction
from passband.carriers.mm4.profile import DeliveredOn, Profile
from passband.carriers.mm4.reports import note_of
from passband.clock import Clock
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Kind
from passband.domain.report import Accepted, Answer, Attachment, Deciding, Deferred, Inbound, Outcome, Rejected, Report
from passband.domain.report import Receipt as DeliveryReceipt
from passband.mm4.address import Envelope, parse_address
from passband.mm4.errors import Reason, UnreadableMm4
from passband.mm4.identity import mail_id
from passband.mm4.message import (
    DeliveryReportRequest,
    DeliveryReportResponse,
    ForwardRequest,
    ForwardResponse,
    Message,
    ReadReplyReportRequest,
    Request,
    answer,
)
from passband.mm4.outcome import Outcome as Known
from passband.mm4.outcome import Verdict, of_mm_status, of_request_status
from passband.mm4.reading import parse
from passband.mm4.writing import render

log = structlog.get_logger()

OK: Final = "250 2.0.0 Ok"
STORE_IS_OUT: Final = "451 4.3.0 try again later"
WAITS: Final = (5.0, 15.0, 45.0, 120.0, 300.0)  # before each further attempt; the last one repeats (MM4, section 8)
LARGE_OCTETS: Final = 256 * 1024  # read in a thread, so that the event loop does not wait for a megabyte of base64

# X-Mms-Request-Status-Code.
TAKEN, CORRUPT, NOT_ACCEPTED, UNRESOLVED = (
    "Ok",
    "Error-message-format-corrupt",
    "Error-content-not-accepted",
    "Error-sending-address-unresolved",
)

_REFUSALS: Final = {
    Reason.NOT_MM4: "554 5.6.0 not an MM4 message",
    Reason.TOO_LARGE: "552 5.3.4 too large, or too many parts",
    Reason.MALFORMED: "554 5.6.0 the message cannot be read",
}


class Incoming:
    """Takes the mails of one peer."""

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        is_ours: Callable[[str], bool],
        respond: Callable[[SystemMail], None],
        answered: Callable[[DeliveryReportResponse], None],
    ) -> None:
        """``is_ours`` tells of a number whether it is the platform's; ``answered`` takes answers to our reports."""
        self._profile = profile
        self._clock = clock
        self._is_ours = is_ours
        self._respond = respond
        self._answered = answered

    def rcpt(self, address: str) -> str:
        """Return the SMTP reply to a recipient."""
        domain = address.rpartition("@")[2]
        if domain.lower() != self._profile.domain.lower():
            return "550 5.7.1 relaying is denied"
        if address.lower() == self._profile.system_address.lower() or self._number(address) is not None:
            return "250 2.1.5 Ok"
        return "550 5.1.1 no such number here"

    def _number(self, address: str) -> str | None:
        """Return the number of ours that an envelope's address names."""
        found = parse_address(address)
        return found.value if found is not None and self._is_ours(found.value) else None

    async def mail(self, mail: Mail, report: ReportFunction) -> str:
        """Take a mail; return the SMTP reply to its dot. A 2xx tells that what is in it is durable."""
        envelope = Envelope(mail.sender, mail.recipients)
        try:
            if len(mail.octets) > LARGE_OCTETS:
                message = await asyncio.to_thread(self._read, mail.octets, envelope)
            else:
                message = self._read(mail.octets, envelope)
        except UnreadableMm4 as error:
            return self._unreadable(error)
        log.info("a peer's mail", carrier=self._profile.name, mail=str(message))
        try:
            return await self._take(message, mail, report)
        except StoreUnavailable as error:
            log.warning("a peer must come again, the store is out of order", cause=str(error))
            return STORE_IS_OUT

    def _read(self, octets: bytes, envelope: Envelope) -> Message:
        return parse(octets, envelope, assume_forward=self._profile.assume_forward)

    def _unreadable(self, error: UnreadableMm4) -> str:
        log.warning("a peer's mail cannot be read", carrier=self._profile.name, cause=str(error))
        request = error.request
        if request is None or not request.ack_request or request.res_to is None:
            return _REFUSALS[error.reason]
        self._answer(request, NOT_ACCEPTED if error.reason is Reason.TOO_LARGE else CORRUPT)
        return OK

    async def _take(self, message: Message, mail: Mail, report: ReportFunction) -> str:
        match message:
            case ForwardRequest():
                return await self._message(message, mail, report)
            case DeliveryReportRequest():
                await self._delivery_report(message, report)
                self._answer(message, TAKEN)
            case ReadReplyReportRequest():
                # Nobody can be told: message-read is for RCS only (Callbacks, section 1).
                self._answer(message, TAKEN)
            case ForwardResponse():
                await self._response(message, report)
            case DeliveryReportResponse():
                self._answered(message)
            case _:
                log.info("a response to a report that was never sent", carrier=self._profile.name, mail=str(message))
        return OK

    # ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _message(self, request: ForwardRequest, mail: Mail, report: ReportFunction) -> str:
        if request.is_looping:
            return "554 5.4.6 the message goes round in circles"
        told = tuple(dict.fromkeys(filter(None, map(self._number, mail.recipients))))
        if not told:
            self._answer(request, UNRESOLVED)
            return OK
        shown = [address.value for address in (*request.to, *request.cc)]
        inbound = Inbound(
            carrier=self._profile.name,
            sender=request.sender.value,
            to=tuple(dict.fromkeys(shown)) or told,
            text=request.text,
            kind=Kind.MMS,
            ref=_ref(request, told),
            told=told,
            note=note_of(self._profile, request),
            attachments=tuple(Attachment(p.name, p.content_type, p.octets, p.index) for p in request.parts),
        )
        await report(Report(inbound=(inbound,)))
        self._answer(request, TAKEN)
        return OK

    # ── what became of ours ────────────────────────────────────────────────────────────────────────────────────────

    async def _response(self, response: ForwardResponse, report: ReportFunction) -> None:
        transaction = read_transaction(response.transaction_id) if response.transaction_id is not None else None
        if transaction is None or response.transaction_id is None:
            log.warning("a response to no request of ours", carrier=self._profile.name, mail=str(response))
            return
        verdict = of_request_status(response.status)
        outcome = self._outcome(verdict, transaction.delivered_on, transaction.attempt, response)
        numbers = tuple(address.value for address in response.request_recipients)
        found = Answer(self._profile.name, response.transaction_id.folded, outcome, numbers)
        await report(Report(answers=(found,)))

    def _outcome(self, verdict: Verdict, on: DeliveredOn, attempt: int, response: ForwardResponse) -> Outcome:
        code = verdict.code or 0
        if verdict.outcome is Known.RETRY:
            return Deferred(code, WAITS[min(attempt, len(WAITS) - 1)], verdict.max_attempts or 0)
        if verdict.outcome is Known.FAILED:
            return Rejected(code)
        if on is not DeliveredOn.REPORT:
            return Accepted((), None)
        # Reports may name the message by the peer's own identifier from now on.
        if response.message_id is None:
            return Accepted((), self._profile.receipt_window, Deciding.FIRST)
        ref, given = response.message_id.folded, response.message_id.raw
        return Accepted((ref,), self._profile.receipt_window, Deciding.FIRST, given=() if given == ref else (given,))

    async def _delivery_report(self, request: DeliveryReportRequest, report: ReportFunction) -> None:
        verdict = of_mm_status(request.mm_status, request.mm_status_extension)
        if verdict.outcome is Known.PENDING or request.message_id is None:
            return
        receipt = DeliveryReceipt(
            self._profile.name, (request.message_id.folded,), request.recipient.value, verdict.code or 0
        )
        await report(Report(receipts=(receipt,)))

    # ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, request: Request, status: str) -> None:
        if not request.ack_request:
            return
        if request.res_to is None:
            log.warning("a request that names nobody to answer", carrier=self._profile.name, mail=str(request))
            return
        p = self._profile
        name = mail_id(uuid.uuid4().hex, 1, p.domain)
        response = answer(request, status, system=p.system_address, mail_id=name, at=self._clock.now())
        self._respond(SystemMail(request.res_to, render(response)))


def _ref(request: ForwardRequest, told: tuple[str, ...]) -> str | None:
    """Return by what a repeat is known: the message's identifier and its recipients here, whatever their order."""
    name = request.message_id or request.transaction_id
    if name is None:
        return None
    return hashlib.blake2b("\n".join((name.folded, *sorted(told))).encode(), digest_size=20).hexdigest()
