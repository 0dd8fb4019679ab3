"""A mail from a peer, read as one of the messages of MM4: tolerantly, within limits, with one kind of error.

The fallbacks for missing headers are those of MM4, section 3.
"""

import re
from dataclasses import replace
from typing import TypedDict, TypeVar

from passband.mm4.address import Address, Envelope, mailbox, parse_address, parse_addresses
from passband.mm4.errors import Reason, UnreadableMm4
from passband.mm4.headers import MAX_SUBJECT_OCTETS, Headers, decode_words, parse_date, printable, split_headers
from passband.mm4.identity import MAX_ID_OCTETS, Identifier
from passband.mm4.message import (
    VERSION,
    DeliveryReportRequest,
    DeliveryReportResponse,
    ForwardRequest,
    ForwardResponse,
    Message,
    ReadReplyReportRequest,
    ReadReplyReportResponse,
    Response,
)
from passband.mm4.mime import read_content

# Messages of up to 5 MB are carried between MMSCs (Semantics, section 5); base64 adds 37 %. What a peer may really send
# is its profile's to say; this bounds the memory that one mail can take.
MAX_MAIL_OCTETS = 8 * 1024 * 1024
# The longest word of the specification has 50 characters; a status text is a sentence.
_MAX_WORD = 100
_MAX_STATUS_TEXT = 500

_R = TypeVar("_R", bound=Response)

_number = re.compile(r"[0-9]{1,6}").fullmatch


class _Common(TypedDict):
    transaction_id: Identifier | None
    message_id: Identifier | None
    mail_id: Identifier | None
    system: str | None
    date: float | None
    version: str


def parse(octets: bytes, envelope: Envelope | None = None, *, assume_forward: bool = False) -> Message:
    """Read a mail as it was after DATA, dots unstuffed.

    ``envelope`` helps out where headers are missing. ``assume_forward`` reads a mail without X-Mms-Message-Type as a
    forward.REQ, for peers that leave it out. Raises UnreadableMm4 and nothing else.
    """
    if len(octets) > MAX_MAIL_OCTETS:
        raise UnreadableMm4(Reason.TOO_LARGE, f"{len(octets)} octets")
    envelope = envelope or Envelope("", ())
    headers, body = split_headers(octets)
    kind = _word(headers, "x-mms-message-type") or (ForwardRequest.type if assume_forward else "")
    match kind.lower():
        case "mm4_forward.req":
            request = _forward_request(headers, envelope)
            try:
                text, parts = read_content(headers, body)
            except UnreadableMm4 as unreadable:
                raise UnreadableMm4(unreadable.reason, unreadable.detail, request) from unreadable
            return replace(request, text=text, parts=parts)
        case "mm4_delivery_report.req":
            return _delivery_report_request(headers, envelope)
        case "mm4_read_reply_report.req":
            return _read_reply_report_request(headers, envelope)
        case "mm4_forward.res":
            recipients = _addresses(headers, "x-mms-request-recipients")
            return replace(_response(ForwardResponse, headers), request_recipients=recipients)
        case "mm4_delivery_report.res":
            return _response(DeliveryReportResponse, headers)
        case "mm4_read_reply_report.res":
            return _response(ReadReplyReportResponse, headers)
        case _:
            raise UnreadableMm4(Reason.NOT_MM4, f"message type {kind!r}")


def _forward_request(headers: Headers, envelope: Envelope) -> ForwardRequest:
    """The request without its body's text and parts."""
    sender = next(iter(_addresses(headers, "from")), None) or parse_address(envelope.sender)
    if sender is None:
        raise UnreadableMm4(Reason.MALFORMED, "neither From nor MAIL FROM names a sender")
    to, cc = _addresses(headers, "to"), _addresses(headers, "cc")
    if not to and not cc:
        to = tuple(address for text in envelope.recipients if (address := parse_address(text)) is not None)
    counter = _word(headers, "x-mms-forward-counter") or ""
    subject = headers.get("subject")
    return ForwardRequest(
        **_common(headers, _message_id(headers)),
        sender=sender,
        to=to,
        cc=cc,
        subject=None if subject is None else decode_words(subject[:MAX_SUBJECT_OCTETS]).strip(),
        ack_request=headers.yes("x-mms-ack-request"),
        res_to=_res_to(headers, envelope),
        message_class=_word(headers, "x-mms-message-class"),
        priority=_word(headers, "x-mms-priority"),
        expiry=_word(headers, "x-mms-expiry"),
        delivery_report=headers.yes("x-mms-delivery-report"),
        originator_rs_delivery_report=headers.yes("x-mms-originator-r/s-delivery-report"),
        read_reply=headers.yes("x-mms-read-reply"),
        sender_visibility=_word(headers, "x-mms-sender-visibility"),
        forward_counter=int(counter) if _number(counter) else None,
        received=len(headers.all("received")),
    )


def _delivery_report_request(headers: Headers, envelope: Envelope) -> DeliveryReportRequest:
    forward = headers.get("x-mms-forward-to-originator-ua")
    return DeliveryReportRequest(
        **_common(headers, _message_id(headers)),
        recipient=_reported_recipient(headers),
        to=_addresses(headers, "to"),
        mm_status=_word(headers, "x-mms-mm-status-code") or "",
        mm_status_extension=_word(headers, "x-mms-mm-status-extension"),
        status_text=_status_text(headers),
        ack_request=headers.yes("x-mms-ack-request"),
        forward_to_originator_ua=None if forward is None else headers.yes("x-mms-forward-to-originator-ua"),
        res_to=_res_to(headers, envelope),
    )


def _read_reply_report_request(headers: Headers, envelope: Envelope) -> ReadReplyReportRequest:
    return ReadReplyReportRequest(
        **_common(headers, _message_id(headers)),
        recipient=_reported_recipient(headers),
        to=_addresses(headers, "to"),
        read_status=_word(headers, "x-mms-read-status") or "",
        status_text=_status_text(headers),
        ack_request=headers.yes("x-mms-ack-request"),
        res_to=_res_to(headers, envelope),
    )


def _response(kind: type[_R], headers: Headers) -> _R:
    return kind(
        # A response's own Message-ID names no message, so nothing stands in for a missing X-Mms-Message-ID.
        **_common(headers, _identifier(headers, "x-mms-message-id")),
        to=mailbox(headers.get("to") or ""),
        status=_word(headers, "x-mms-request-status-code") or "",
        status_text=_status_text(headers),
    )


def _common(headers: Headers, message_id: Identifier | None) -> _Common:
    return {
        "transaction_id": _identifier(headers, "x-mms-transaction-id"),
        "message_id": message_id,
        "mail_id": _identifier(headers, "message-id"),
        "system": mailbox(headers.get("sender") or ""),
        "date": parse_date(headers.get("date")),
        "version": printable(_word(headers, "x-mms-3gpp-mms-version") or VERSION, 20),
    }


def _message_id(headers: Headers) -> Identifier | None:
    return _identifier(headers, "x-mms-message-id") or _identifier(headers, "message-id")


def _identifier(headers: Headers, name: str) -> Identifier | None:
    raw = printable(headers.get(name) or "", MAX_ID_OCTETS + 1)
    if len(raw) > MAX_ID_OCTETS:
        # Cut, it could be taken for another one.
        raise UnreadableMm4(Reason.TOO_LARGE, f"more than {MAX_ID_OCTETS} octets in {name}")
    identifier = Identifier(raw)
    return identifier if identifier.bare else None


def _word(headers: Headers, name: str) -> str | None:
    return printable(headers.word(name) or "", _MAX_WORD) or None


def _status_text(headers: Headers) -> str | None:
    return decode_words((headers.word("x-mms-status-text") or "")[:_MAX_STATUS_TEXT]).strip() or None


def _addresses(headers: Headers, name: str) -> tuple[Address, ...]:
    return tuple(address for text in headers.all(name) for address in parse_addresses(text))


def _reported_recipient(headers: Headers) -> Address:
    for address in _addresses(headers, "from"):
        return address
    raise UnreadableMm4(Reason.MALFORMED, "a report that names no recipient")


def _res_to(headers: Headers, envelope: Envelope) -> str | None:
    candidates = (headers.get("x-mms-originator-system"), headers.get("sender"), envelope.sender)
    return next((found for text in candidates if text and (found := mailbox(text.strip('"')))), None)
