"""A message of MM4 written as a mail: headers in the order that peers know, CRLF line ends, printable ASCII throughout.

The same message gives the same octets: dates, identifiers and boundary come from its values. Stuffing dots is the SMTP
layer's; a bare CR or LF never leaves here, whatever the text holds, so that no peer can see an end of DATA where
another sees none.
"""

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence

from passband.mm4 import smil
from passband.mm4.headers import address_list, encode_words, field, mail_date
from passband.mm4.identity import Identifier
from passband.mm4.message import (
    AnyResponse,
    DeliveryReportRequest,
    ForwardRequest,
    ForwardResponse,
    Message,
    ReadReplyReportRequest,
)
from passband.mm4.mime import Part
from passband.mm4.names import OCTET_STREAM, attachment_name, is_content_type

# "=_" occurs neither in base64 nor in quoted-printable nor in our SMIL, so no body has a line of it.
_boundary = re.compile(r"=_[A-Za-z0-9_]{1,60}").fullmatch
# 57 octets become the 76 characters that RFC 2045 §6.8 allows to a line.
_BASE64_OCTETS = 57

# A field without value is left out; one with several lines is folded.
_Field = tuple[str, str | list[str] | None]

_line_ends = re.compile(r"\r\n|\r|\n")


def render(message: Message, boundary: str | None = None) -> bytes:
    """Write a message as a mail, to be sent after DATA.

    Fields that are None are left out. ``boundary`` separates the parts of a forward.REQ; without it, it is derived from
    the transaction id. A forward.REQ gets our own SMIL in place of any that it has. Raises ValueError where an address,
    an identifier or another word has anything but printable ASCII; subject, status text, text and file names may hold
    anything.
    """
    match message:
        case ForwardRequest():
            return _forward_request(message, boundary or derive_boundary(str(message.transaction_id)))
        case DeliveryReportRequest():
            return _report(
                message,
                [
                    ("X-Mms-Forward-To-Originator-UA", _yes_no(message.forward_to_originator_ua)),
                    ("X-Mms-MM-Status-Code", message.mm_status),
                    ("X-Mms-MM-Status-Extension", message.mm_status_extension),
                ],
            )
        case ReadReplyReportRequest():
            return _report(message, [("X-Mms-Read-Status", message.read_status)])
        case _:
            return _response(message)


def derive_boundary(transaction_id: str) -> str:
    """The boundary of a request: the same for the same transaction, as a mail that is sent again must be."""
    return f"=_pb_{hashlib.sha256(transaction_id.encode()).hexdigest()[:16]}"


def _forward_request(message: ForwardRequest, boundary: str) -> bytes:
    if not _boundary(boundary):
        raise ValueError(f"not a boundary: {boundary!r}")
    head = _header(
        [
            ("Date", _date(message.date)),
            ("From", message.sender.raw),
            ("To", address_list("To", (address.raw for address in message.to))),
            ("Cc", address_list("Cc", (address.raw for address in message.cc))),
            ("Subject", encode_words("Subject", message.subject) if message.subject else None),
            ("Sender", message.system),
            ("Message-ID", _raw(message.mail_id)),
            *_identification(message),
            ("X-Mms-Message-Class", message.message_class),
            ("X-Mms-Priority", message.priority),
            ("X-Mms-Expiry", message.expiry),
            ("X-Mms-Delivery-Report", _yes_no(message.delivery_report)),
            ("X-Mms-Originator-R/S-Delivery-Report", _yes_no(message.originator_rs_delivery_report)),
            ("X-Mms-Read-Reply", _yes_no(message.read_reply)),
            ("X-Mms-Sender-Visibility", message.sender_visibility),
            ("X-Mms-Ack-Request", _yes_no(message.ack_request)),
            ("X-Mms-Originator-System", message.res_to),
            ("X-Mms-Forward-Counter", None if message.forward_counter is None else str(message.forward_counter)),
            ("MIME-Version", "1.0"),
            (
                "Content-Type",
                f'multipart/related; type="application/smil"; start="<{smil.CONTENT_ID}>"; boundary="{boundary}"',
            ),
        ]
    )
    delimiter = f"--{boundary}\r\n".encode("ascii")
    end = f"--{boundary}--\r\n".encode("ascii")
    return b"".join([head, *(delimiter + part for part in _parts(message)), end])


def _parts(message: ForwardRequest) -> list[bytes]:
    slides: list[tuple[str, str]] = []
    written: list[bytes] = []
    names: list[str] = [smil.FILE_NAME]
    for place, part in enumerate(message.media):
        content_type = part.content_type
        # As a multipart or a mail its octets would be taken apart on the way; base64 is not allowed there either.
        if not is_content_type(content_type) or content_type.startswith(("multipart/", "message/")):
            content_type = OCTET_STREAM
        names.append(attachment_name(part.name, content_type, place, names))
        slides.append((content_type, f"media{place}"))
        written.append(_media(part, content_type, names[-1], f"media{place}"))
    if message.text:
        slides.append(("text/plain", "text0"))
        written.append(_text(message.text, attachment_name("text0.txt", "text/plain", 0, names)))
    return [_layout(slides), *written]


def _layout(slides: Iterable[tuple[str, str]]) -> bytes:
    fields = [
        ("Content-Type", f'application/smil; charset=utf-8; name="{smil.FILE_NAME}"'),
        ("Content-ID", f"<{smil.CONTENT_ID}>"),
        ("Content-Location", smil.FILE_NAME),
        ("Content-Transfer-Encoding", "7bit"),
    ]
    return _header(fields) + smil.layout(slides).encode("ascii") + b"\r\n"


def _media(part: Part, content_type: str, name: str, content_id: str) -> bytes:
    fields = [
        ("Content-Type", f'{content_type}; name="{name}"'),
        ("Content-ID", f"<{content_id}>"),
        ("Content-Location", name),
        ("Content-Disposition", f'attachment; filename="{name}"'),
        ("Content-Transfer-Encoding", "base64"),
    ]
    octets = part.octets
    starts = range(0, len(octets), _BASE64_OCTETS)
    lines = [binascii.b2a_base64(octets[start : start + _BASE64_OCTETS], newline=False) for start in starts]
    return _header(fields) + b"\r\n".join(lines) + b"\r\n"


def _text(text: str, name: str) -> bytes:
    fields = [
        ("Content-Type", f'text/plain; charset=utf-8; name="{name}"'),
        ("Content-ID", "<text0>"),
        ("Content-Location", name),
        ("Content-Transfer-Encoding", "quoted-printable"),
    ]
    # With nothing but LF going in, nothing but LF comes out, so that each can become CRLF.
    octets = _line_ends.sub("\n", text).encode("utf-8", "replace")
    return _header(fields) + binascii.b2a_qp(octets, istext=True).replace(b"\n", b"\r\n") + b"\r\n"


def _report(message: DeliveryReportRequest | ReadReplyReportRequest, status: Sequence[_Field]) -> bytes:
    fields: list[_Field] = [
        ("Date", _date(message.date)),
        ("From", message.recipient.raw),
        ("To", address_list("To", (address.raw for address in message.to))),
        ("Sender", message.system),
        ("Message-ID", _raw(message.mail_id)),
        *_identification(message),
        ("X-Mms-Ack-Request", _yes_no(message.ack_request)),
        *status,
        ("X-Mms-Status-Text", _status_text(message.status_text)),
    ]
    return _header(fields)


def _response(message: AnyResponse) -> bytes:
    recipients = message.request_recipients if isinstance(message, ForwardResponse) else ()
    name = "X-Mms-Request-Recipients"
    fields: list[_Field] = [
        ("Date", _date(message.date)),
        ("From", message.system),
        ("Sender", message.system),
        ("To", message.to),
        ("Message-ID", _raw(message.mail_id)),
        *_identification(message),
        ("X-Mms-Request-Status-Code", message.status),
        ("X-Mms-Status-Text", _status_text(message.status_text)),
        (name, address_list(name, (address.raw for address in recipients))),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=us-ascii"),
    ]
    return _header(fields)


def _identification(message: Message) -> list[_Field]:
    return [
        ("X-Mms-3GPP-MMS-Version", message.version),
        ("X-Mms-Message-Type", message.type),
        ("X-Mms-Transaction-ID", _raw(message.transaction_id)),
        ("X-Mms-Message-ID", _raw(message.message_id)),
    ]


def _header(fields: Iterable[_Field]) -> bytes:
    """The fields that have a value, and the empty line after them."""
    lines = [field(name, value) for name, value in fields if value is not None and value != []]
    return f"{''.join(lines)}\r\n".encode("ascii")


def _date(at: float | None) -> str | None:
    return None if at is None else mail_date(at)


def _raw(identifier: Identifier | None) -> str | None:
    return None if identifier is None else identifier.raw


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else ("Yes" if value else "No")


def _status_text(text: str | None) -> list[str] | None:
    return encode_words("X-Mms-Status-Text", text) if text else None
