"""Mails that we write: printable, in short lines, and without a way for anyone's words to become headers."""

import dataclasses
import email
import email.policy
import re

import pytest

from passband.mm4.address import Address, AddressKind
from passband.mm4.headers import address_list, encode_words, field
from passband.mm4.identity import Identifier
from passband.mm4.message import DeliveryReportRequest, ForwardRequest, ForwardResponse
from passband.mm4.mime import Part
from passband.mm4.reading import parse
from passband.mm4.writing import derive_boundary, render

REQUEST = ForwardRequest(
    transaction_id=Identifier("abc-1"),
    message_id=Identifier("<abc@mms.example>"),
    mail_id=Identifier("<abc.1@mms.example>"),
    system="mms-system@mms.example",
    date=1773453566.0,
    sender=Address.of_number("+12025550143"),
    to=(Address.of_number("+12025550187"),),
    res_to="mms-system@mms.example",
    text="hi",
)
RESPONSE = ForwardResponse(
    transaction_id=Identifier("abc-1"),
    message_id=None,
    mail_id=None,
    system="mms-system@mms.example",
    date=None,
    to="system@mmsc.example",
    status="Ok",
)
PARTS = (
    Part(0, "application/smil", "0.smil", b"<smil/>"),
    Part(1, "image/jpeg", "a.jpg", bytes(range(256)) * 3),
    Part(2, "audio/amr", "a.jpg", b""),
    Part(3, "video/mp4", "写真.mp4", b"\r\n.\r\n"),
    Part(4, "text/x-vcard", "card.vcf", b"BEGIN:VCARD"),
    Part(5, 'image/gif"; x="\r\nX-Evil: 1', "e.gif", b"GIF"),
)


def assert_legal(mail: bytes) -> None:
    """RFC 5321 and 5322: CRLF alone ends lines, no line is too long, nothing is outside printable ASCII."""
    assert mail.endswith(b"\r\n")
    for line in mail.split(b"\r\n"):
        assert re.fullmatch(rb"[ -~]*", line)
        assert len(line) <= 998


def test_every_attachment_has_its_part_and_its_slide() -> None:
    mail = render(dataclasses.replace(REQUEST, parts=PARTS))
    assert_legal(mail)
    read = email.message_from_bytes(mail, policy=email.policy.default)
    assert read.get_content_type() == "multipart/related"
    written = [
        (part.get_content_type(), part["Content-ID"], part["Content-Location"], part["Content-Transfer-Encoding"])
        for part in read.walk()
        if not part.is_multipart()
    ]
    assert written == [
        ("application/smil", "<smil>", "smil.xml", "7bit"),
        ("image/jpeg", "<media0>", "a.jpg", "base64"),
        ("audio/amr", "<media1>", "a.jpg.amr", "base64"),
        ("video/mp4", "<media2>", "media2.mp4", "base64"),
        ("text/x-vcard", "<media3>", "card.vcf", "base64"),
        ("application/octet-stream", "<media4>", "e.gif", "base64"),
        ("text/plain", "<text0>", "text0.txt", "quoted-printable"),
    ]
    layout = next(iter(read.iter_parts())).get_payload()
    assert re.findall(r'<par dur="5000ms"><(\w+) src="cid:(\w+)"', str(layout)) == [
        ("img", "media0"),
        ("audio", "media1"),
        ("video", "media2"),
        ("ref", "media3"),
        ("ref", "media4"),
        ("text", "text0"),
    ]


def test_base64_has_76_columns() -> None:
    mail = render(dataclasses.replace(REQUEST, parts=PARTS[1:2]))
    body = mail.split(b"base64\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0]
    assert {len(line) for line in body.split(b"\r\n")[:-1]} == {76}


def test_a_message_without_text_has_no_text_part() -> None:
    mail = render(dataclasses.replace(REQUEST, text="", parts=PARTS[1:2]))
    assert b"text/plain" not in mail


def test_two_attachments_of_one_name_get_two() -> None:
    mail = render(dataclasses.replace(REQUEST, parts=(PARTS[1], PARTS[1], Part(3, "text/html", "text0.txt", b""))))
    assert re.findall(rb"filename=\"(.*)\"", mail) == [b"a.jpg", b"a-1.jpg", b"text0.txt.html"]


def test_sent_again_it_is_the_same_mail_and_another_try_has_another_boundary() -> None:
    assert render(REQUEST) == render(REQUEST)
    again = dataclasses.replace(REQUEST, transaction_id=Identifier("abc-2"))
    assert derive_boundary("abc-1").encode() in render(REQUEST)
    assert derive_boundary("abc-1").encode() not in render(again)


@pytest.mark.parametrize("boundary", ["b", "=_", "=_a b", '=_"', "=_a\r\n", "=_" + "a" * 61])
def test_a_boundary_that_a_body_could_hold_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        render(REQUEST, boundary)


EVIL = "x\r\nX-Evil: 1\r\n\r\nbody"
EVIL_ADDRESS = Address(EVIL, AddressKind.PLMN, "+12025550143")
REPORT = DeliveryReportRequest(
    transaction_id=None,
    message_id=None,
    mail_id=None,
    system=None,
    date=None,
    recipient=Address.of_number("+12025550187"),
    to=(),
    mm_status="Retrieved",
)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(dataclasses.replace(REQUEST, sender=EVIL_ADDRESS), id="From"),
        pytest.param(dataclasses.replace(REQUEST, to=(EVIL_ADDRESS,)), id="To"),
        pytest.param(dataclasses.replace(REQUEST, cc=(EVIL_ADDRESS,)), id="Cc"),
        pytest.param(dataclasses.replace(REQUEST, system=EVIL), id="Sender"),
        pytest.param(dataclasses.replace(REQUEST, res_to=EVIL), id="Originator-System"),
        pytest.param(dataclasses.replace(REQUEST, mail_id=Identifier(EVIL)), id="Message-ID"),
        pytest.param(dataclasses.replace(REQUEST, message_id=Identifier("a\0b")), id="NUL"),
        pytest.param(dataclasses.replace(REQUEST, transaction_id=Identifier("a\nb")), id="a bare LF"),
        pytest.param(dataclasses.replace(REQUEST, transaction_id=Identifier("a\rb")), id="a bare CR"),
        pytest.param(dataclasses.replace(REQUEST, transaction_id=Identifier("a\r\n b")), id="folding"),
        pytest.param(dataclasses.replace(REQUEST, transaction_id=Identifier("a\r\n \r\n b")), id="folding to nothing"),
        pytest.param(dataclasses.replace(REQUEST, version="6.10.0\x85"), id="NEL"),
        pytest.param(dataclasses.replace(REQUEST, priority="Nörmal"), id="eight bits"),
        pytest.param(dataclasses.replace(REQUEST, expiry="1" * 999), id="a long line"),
        pytest.param(dataclasses.replace(RESPONSE, status=EVIL), id="status"),
        pytest.param(dataclasses.replace(RESPONSE, to=EVIL), id="To of a response"),
        pytest.param(dataclasses.replace(RESPONSE, request_recipients=(EVIL_ADDRESS,)), id="recipients"),
        pytest.param(dataclasses.replace(REPORT, mm_status=EVIL), id="MM status"),
        pytest.param(dataclasses.replace(REPORT, recipient=EVIL_ADDRESS), id="recipient"),
    ],
)
def test_a_word_that_would_begin_a_header_is_refused(
    message: ForwardRequest | ForwardResponse | DeliveryReportRequest,
) -> None:
    with pytest.raises(ValueError, match=r"printable ASCII|a line of"):
        render(message)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(dataclasses.replace(REQUEST, subject=EVIL), id="subject"),
        pytest.param(dataclasses.replace(REQUEST, subject="é" + EVIL), id="subject outside ASCII"),
        pytest.param(dataclasses.replace(REQUEST, subject="\ud83d" + EVIL), id="half a character"),
        pytest.param(dataclasses.replace(REQUEST, text=EVIL + "\0\ud83d"), id="text"),
        pytest.param(dataclasses.replace(REQUEST, parts=(Part(0, "image/gif", EVIL, EVIL.encode()),)), id="file name"),
        pytest.param(dataclasses.replace(RESPONSE, status_text=EVIL), id="status text"),
        pytest.param(dataclasses.replace(REPORT, status_text="é" + EVIL), id="status text of a report"),
    ],
)
def test_what_people_write_freely_is_made_harmless(
    message: ForwardRequest | ForwardResponse | DeliveryReportRequest,
) -> None:
    mail = render(message)
    assert_legal(mail)
    assert "X-Evil" not in email.message_from_bytes(mail)
    assert b"\r\nX-Evil" not in mail.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello", ["Hello"]),
        ("5 €", ["=?utf-8?B?NSDigqw=?="]),
        ("a =?b", ["=?utf-8?B?YSA9P2I=?="]),
        (" a", ["=?utf-8?B?IGE=?="]),
        ("🚗" * 12, ["=?utf-8?B?" + "8J+al/Cfmpfwn5qX" * 3 + "8J+al/Cfmpc=" + "?=", "=?utf-8?B?8J+alw==?="]),
    ],
)
def test_the_subject_is_encoded_only_where_it_must_be(text: str, written: list[str]) -> None:
    assert encode_words("Subject", text) == written


def test_a_long_list_of_addresses_is_folded_and_a_short_one_is_not() -> None:
    items = [f"+1202555{number:04}/TYPE=PLMN" for number in range(1000)]
    assert address_list("To", items[:40]) == [", ".join(items[:40])]
    line = field("To", address_list("To", items))
    assert max(len(piece) for piece in line.split("\r\n")) <= 998
    assert line.replace("\r\n ", " ").strip() == f"To: {', '.join(items)}"


@pytest.mark.parametrize(
    "text", ["a\r\n.\r\nb", "a\n.\nb", "a\r.\rb", "a\n.\r\nb", "a\r\n.\nb", "a\r.\r\nb", "a\r\n\r.\r\nb"]
)
def test_no_text_can_end_data_early_whatever_a_relay_takes_for_a_line_end(text: str) -> None:
    """SMTP smuggling: only CRLF leaves here, and a lone dot is encoded before SMTP could have to stuff it."""
    mail = render(
        dataclasses.replace(REQUEST, text=text, subject=text, parts=(Part(0, "image/gif", "a.gif", text.encode()),))
    )
    assert_legal(mail)
    assert re.search(rb"[\r\n]\.[\r\n]", mail) is None
    read = parse(mail)
    assert isinstance(read, ForwardRequest)
    assert read.text == text.replace("\r\n", "\n").replace("\r", "\n")
    assert read.parts[1].octets == text.encode()
