"""What peers write instead of what they should, and how it is read."""

import base64

import pytest

from passband.mm4.address import Envelope
from passband.mm4.errors import Reason, UnreadableMm4
from passband.mm4.message import DeliveryReportRequest, ForwardRequest, ForwardResponse
from passband.mm4.mime import decode_base64
from passband.mm4.reading import parse

GIF = bytes.fromhex("47494638396101000100800000000000FFFFFF21F90401000000002C000000000100010000020144003B")
GIF_BASE64 = base64.b64encode(GIF)
BASE64 = b"Content-Transfer-Encoding: base64"
QP = b"Content-Transfer-Encoding: quoted-printable"

_HEAD = (
    b"From: +12025550187/TYPE=PLMN\r\nTo: +12025550143/TYPE=PLMN\r\nX-Mms-Message-Type: MM4_forward.REQ\r\n"
    b"X-Mms-Transaction-ID: t-1\r\nX-Mms-Message-ID: <m-1@mmsc.example>\r\n"
)


def forward(*parts: bytes, content_type: bytes = b'multipart/mixed; boundary="b"', extra: bytes = b"") -> bytes:
    """A forward.REQ; each part is its header lines, an empty line and its body."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return whole(body, b"Content-Type: " + content_type + b"\r\n" + extra)


def whole(body: bytes, headers: bytes = b"") -> bytes:
    """A forward.REQ with these further header lines and this body."""
    return _HEAD + headers + b"\r\n" + body


def part(content_type: bytes, body: bytes, *headers: bytes) -> bytes:
    """One part of a multipart."""
    lines = b"".join(line + b"\r\n" for line in (b"Content-Type: " + content_type, *headers))
    return lines + b"\r\n" + body


def read(mail: bytes, envelope: Envelope | None = None) -> ForwardRequest:
    message = parse(mail, envelope)
    assert isinstance(message, ForwardRequest)
    return message


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        pytest.param(whole(b"Hello\r\n"), "Hello", id="no MIME at all"),
        pytest.param(whole(b"caf\xc3\xa9\r\n"), "café", id="no charset, UTF-8"),
        pytest.param(whole(b"caf\xe9\r\n"), "café", id="no charset, Latin-1"),
        pytest.param(forward(part(b"text/plain; charset=us-ascii", b"caf\xc3\xa9")), "café", id="ASCII that is none"),
        pytest.param(forward(part(b"text/plain; charset=utf-8", b"caf\xe9")), "café", id="UTF-8 that is none"),
        pytest.param(forward(part(b"text/plain; charset=x-martian", b"caf\xc3\xa9")), "café", id="unknown charset"),
        pytest.param(
            forward(part(b"text/plain; charset=idna", b"xn--caf-dma")), "xn--caf-dma", id="a codec, no charset"
        ),
        pytest.param(forward(part(b'text/plain; charset="ISO-8859-15"', b"5 \xa4")), "5 €", id="quoted charset"),
        pytest.param(forward(part(b"text/plain; charset=shift_jis", b"\x83n\x83\x8d\x81[")), "ハロー", id="Shift JIS"),
        pytest.param(forward(part(b"text/plain; charset=utf-16", b"\xff\xfeh\0i\0")), "hi", id="UTF-16 with its mark"),
        pytest.param(
            forward(part(b"text/plain; charset=utf-8", b"\xef\xbb\xbfhi\0")), "hi", id="byte order mark and NUL"
        ),
        pytest.param(forward(part(b"text/plain", b"=E2=82=AC 5=\r\n0", QP)), "€ 50", id="quoted-printable"),
        pytest.param(forward(part(b"text/plain", b"=ZZ=", QP)), "=ZZ", id="bad quoted-printable"),
        pytest.param(forward(part(b"text/plain", b"Q2Fm w6 k=", BASE64)), "Café", id="base64 with blanks"),
        pytest.param(
            forward(part(b"text/plain", b"one"), part(b"text/plain", b"two")), "one\ntwo", id="two text parts"
        ),
        pytest.param(forward(part(b"text/plain", b""), part(b"text/plain", b"two")), "two", id="an empty text part"),
        pytest.param(forward(b"\r\nno headers"), "no headers", id="a part without headers"),
        pytest.param(forward(b"not even an empty line"), "not even an empty line", id="a part without separator"),
        pytest.param(forward(part(b"text/plain", b"a\r\nb\rc\nd")), "a\nb\nc\nd", id="line ends become line feeds"),
        pytest.param(forward(part(b"TEXT/Plain; CHARSET=UTF-8", b"hi")), "hi", id="capitals"),
        pytest.param(forward(part(b"text/plain; charset=utf-8;;; =x; name", b"hi")), "hi", id="broken parameters"),
        pytest.param(whole(b"--b\r\n\r\nhi\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n"), "hi", id="no end"),
        pytest.param(whole(b"--b\n\nhi\n--b--", b"Content-Type: multipart/mixed; boundary=b\r\n"), "hi", id="LF only"),
        pytest.param(
            whole(
                b"preamble\r\n--b \t\r\n\r\n--bc\r\n --b\r\n--b--\r\n--b\r\nepilogue",
                b"Content-Type: multipart/mixed;boundary=b\r\n",
            ),
            "--bc\n --b",
            id="lines that resemble the boundary",
        ),
    ],
)
def test_text_is_read(mail: bytes, text: str) -> None:
    assert read(mail).text == text


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([part(b"image/gif; name=a.gif", GIF_BASE64, BASE64)], [("image/gif", "0/a.gif")], id="name"),
        pytest.param(
            [part(b"image/gif; name=a.gif", GIF_BASE64, BASE64, b"Content-Disposition: attachment; filename=b.gif")],
            [("image/gif", "0/b.gif")],
            id="the disposition goes before the name",
        ),
        pytest.param(
            [part(b"image/gif; name=a.gif", GIF_BASE64, BASE64, b"Content-Location: http://x.example/y/c.gif?d#e")],
            [("image/gif", "0/c.gif")],
            id="the location goes before both, reduced",
        ),
        pytest.param([part(b"image/gif", GIF_BASE64, BASE64)], [("image/gif", "0/0.gif")], id="no name"),
        pytest.param([part(b"image/x-new", GIF_BASE64, BASE64)], [("image/x-new", "0/0.bin")], id="no name, odd type"),
        pytest.param(
            [part(b"text/plain", b"hi"), part(b"image/gif", GIF_BASE64, BASE64)],
            [("image/gif", "1/1.gif")],
            id="text parts count",
        ),
        pytest.param(
            [part(b"application/octet-stream; name=IMG_1.JPG", GIF_BASE64, BASE64)],
            [("image/jpeg", "0/IMG_1.JPG")],
            id="octet-stream with a known extension",
        ),
        pytest.param(
            [part(b"application/octet-stream; name=a.xyz", GIF_BASE64, BASE64)],
            [("application/octet-stream", "0/a.xyz")],
            id="octet-stream with an unknown extension",
        ),
        pytest.param([part(b"jpeg; name=a.jpg", GIF_BASE64, BASE64)], [("image/jpeg", "0/a.jpg")], id="no such type"),
        pytest.param(
            [part(b"jpeg", GIF_BASE64, BASE64)], [("application/octet-stream", "0/0.bin")], id="no such type, no name"
        ),
        pytest.param(
            [b"Content-Location: a.gif\r\nContent-Transfer-Encoding: base64\r\n\r\n" + GIF_BASE64],
            [("image/gif", "0/a.gif")],
            id="no type at all, but a name",
        ),
        pytest.param(
            [part(b"image/gif; name*=UTF-8''caf%C3%A9.gif", GIF_BASE64, BASE64)],
            [("image/gif", "0/cafe.gif")],
            id="RFC 2231",
        ),
        pytest.param(
            [part(b"image/gif; name*0*=UTF-8''caf; name*1*=%C3%A9; name*2=.gif", GIF_BASE64, BASE64)],
            [("image/gif", "0/cafe.gif")],
            id="RFC 2231 in pieces",
        ),
        pytest.param(
            [part(b'image/gif; name="=?utf-8?Q?caf=C3=A9=2Egif?="', GIF_BASE64, BASE64)],
            [("image/gif", "0/cafe.gif")],
            id="RFC 2047 in a parameter, where it must not be",
        ),
        pytest.param(
            [part(b"image/gif; name=\xe5\x86\x99.gif", GIF_BASE64, BASE64)], [("image/gif", "0/0.gif")], id="no ASCII"
        ),
        pytest.param(
            [part(b'image/gif; name="../../etc/a.gif"', GIF_BASE64, BASE64)], [("image/gif", "0/a.gif")], id="a path"
        ),
        pytest.param([part(b"image/gif; name=a", GIF_BASE64, BASE64)], [("image/gif", "0/a.gif")], id="no extension"),
        pytest.param(
            [part(b"image/gif; name=a.gif", b"\r\n ".join([GIF_BASE64[:9], b"!-*\x80", GIF_BASE64[9:]]), BASE64)],
            [("image/gif", "0/a.gif")],
            id="stray characters in base64",
        ),
        pytest.param(
            [part(b"image/gif; name=a.gif", GIF, b"Content-Transfer-Encoding: binary")],
            [("image/gif", "0/a.gif")],
            id="binary",
        ),
        pytest.param(
            [
                part(b"text/x-vcard; name=a.vcf", GIF_BASE64, BASE64),
                part(b"text/calendar; name=a.ics", GIF_BASE64, BASE64),
            ],
            [("text/x-vcard", "0/a.vcf"), ("text/calendar", "1/a.ics")],
            id="cards and dates are media",
        ),
        pytest.param(
            [part(b"application/smil; name=x.smil", GIF_BASE64, BASE64), part(b"image/gif", GIF_BASE64, BASE64)],
            [("application/smil", "0/0.smil"), ("image/gif", "1/1.gif")],
            id="SMIL first",
        ),
        pytest.param(
            [part(b"image/gif", GIF_BASE64, BASE64), part(b"application/smil", GIF_BASE64, BASE64)],
            [("image/gif", "0/0.gif"), ("application/smil", "1/1.smil")],
            id="SMIL last",
        ),
    ],
)
def test_parts_are_read(parts: list[bytes], expected: list[tuple[str, str]]) -> None:
    found = read(forward(*parts)).parts
    assert [(p.content_type, p.path) for p in found] == expected
    assert all(p.octets == GIF for p in found)


@pytest.mark.parametrize(
    ("alternatives", "text", "types"),
    [
        pytest.param([b"text/plain", b"text/html"], "0", [], id="HTML is not known"),
        pytest.param([b"text/plain", b"image/gif"], "", ["image/gif"], id="the last one known"),
        pytest.param([b"text/html", b"application/x-new"], "", ["text/html"], id="none is known: the plainest"),
    ],
)
def test_of_alternatives_one_is_taken(alternatives: list[bytes], text: str, types: list[str]) -> None:
    inner = b"".join(b"--i\r\n" + part(kind, b"%d" % n) + b"\r\n" for n, kind in enumerate(alternatives)) + b"--i--"
    message = read(forward(part(b"multipart/alternative; boundary=i", inner)))
    assert (message.text, [p.content_type for p in message.parts]) == (text, types)


def test_nested_multiparts_are_flattened() -> None:
    inner = b"--i\r\n" + part(b"image/gif", GIF_BASE64, BASE64) + b"\r\n--i\r\n\r\nin\r\n--i--\r\nignored"
    message = read(forward(b"\r\nbefore", part(b"multipart/related; boundary=i", inner), b"\r\nafter"))
    assert message.text == "before\nin\nafter"
    assert [p.path for p in message.parts] == ["1/1.gif"]


def test_a_mail_that_is_one_picture() -> None:
    message = read(whole(GIF_BASE64 + b"\r\n", b"Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n"))
    assert [(p.path, p.octets) for p in message.parts] == [("0/0.gif", GIF)]


@pytest.mark.parametrize(
    ("encoded", "octets"),
    [
        (b"QUI=", b"AB"),
        (b"QUI", b"AB"),
        (b"QQ", b"A"),
        (b"QUJDR", b"ABC"),
        (b"Q", b""),
        (b"", b""),
        (b"=", b""),
        (b"=QUI=", b"AB"),
        (b"QUI=\r\n-- \r\nsignature", b"AB"),
        (b"Q U\tJ\0D\xff", b"ABC"),
    ],
)
def test_base64_is_read_up_to_its_padding(encoded: bytes, octets: bytes) -> None:
    assert decode_base64(encoded) == octets


@pytest.mark.parametrize(
    ("headers", "envelope_sender", "res_to"),
    [
        (b"X-Mms-Originator-System: a@x.example\r\nSender: b@x.example\r\n", "c@x.example", "a@x.example"),
        (b'X-Mms-Originator-System: "<a@x.example>"\r\n', "c@x.example", "a@x.example"),
        (b"X-Mms-Originator-System: nowhere\r\nSender: B <b@x.example>\r\n", "c@x.example", "b@x.example"),
        (b"", "c@x.example", "c@x.example"),
        (b"", "+12025550187/TYPE=PLMN@x.example", "+12025550187/TYPE=PLMN@x.example"),
        (b"", "", None),
    ],
)
def test_where_the_response_goes(headers: bytes, envelope_sender: str, res_to: str | None) -> None:
    assert read(whole(b"", headers), Envelope(envelope_sender, ())).res_to == res_to


def test_several_to_headers_are_one_list_in_order() -> None:
    message = read(whole(b"", b"TO: 72345/TYPE=PLMN\r\nto: +12025550199/TYPE=PLMN,\r\n\t+12025550198\r\n"))
    assert [address.value for address in message.to] == ["+12025550143", "72345", "+12025550199", "+12025550198"]


def test_names_of_headers_in_any_case_and_with_blanks_before_the_colon() -> None:
    message = parse(
        b'garbage without a colon\r\nX-MMS-MESSAGE-TYPE : "mm4_FORWARD.res"\r\nx-mms-transaction-id:"t"\r\n'
        b'x-mms-request-status-code: "ok"\r\nX-Mms-Request-Recipients: +12025550143/TYPE=PLMN, 72345\r\n'
    )
    assert isinstance(message, ForwardResponse)
    assert (str(message.transaction_id), message.status, message.message_id) == ("t", "ok", None)
    assert [address.value for address in message.request_recipients] == ["+12025550143", "72345"]


def test_a_missing_message_id_is_the_mails_own() -> None:
    message = read(b"From: 72345\r\nX-Mms-Message-Type: MM4_forward.REQ\r\nMessage-ID: <own@x.example>\r\n\r\n")
    assert (str(message.message_id), message.transaction_id) == ("own@x.example", None)


def test_missing_addresses_come_from_the_envelope() -> None:
    mail = b"X-Mms-Message-Type: MM4_forward.REQ\r\n\r\n"
    message = read(mail, Envelope("+12025550187/TYPE=PLMN@x.example", ("12025550143@y.example", "72345@y.example")))
    assert message.sender.value == "+12025550187"
    assert [address.value for address in message.to] == ["+12025550143", "72345"]


@pytest.mark.parametrize(
    ("expiry", "at"),
    [
        (b"259200", 1000.0 + 259200),
        (b'"60"', 1060.0),
        (b"Sun, 15 Mar 2026 01:59:26 +0000", 1773539966.0),
        (b"Sat, 14 Mar 2026 20:59:26 -0500", 1773539966.0),
        (b"Sun, 15 Mar 2026 01:59:26", 1773539966.0),
        (b"Sun, 15 Mar 99999999999999999999 01:59:26", None),
        (b"tomorrow", None),
    ],
)
def test_the_expiry_is_a_date_or_a_number_of_seconds(expiry: bytes, at: float | None) -> None:
    assert read(whole(b"", b"X-Mms-Expiry: " + expiry + b"\r\n")).expires_at(1000.0) == at


@pytest.mark.parametrize(
    ("encoded", "subject"),
    [
        (b"Hello", "Hello"),
        (b"=?utf-8?B?VHJpcCDwn5qX?=", "Trip 🚗"),
        (b"=?UTF-8?Q?caf=C3=A9_au_lait?= !", "café au lait !"),
        (b"=?utf-8?B?8J+a?=\r\n =?utf-8?B?lw==?=", "🚗"),
        (b"=?iso-8859-1?Q?caf=E9?= =?utf-8?Q?_=C3=A9?=", "café é"),
        (b"=?utf-8*en?Q?hi?=", "hi"),
        (b"=?x-martian?Q?caf=C3=A9?=", "café"),
        (b"=?utf-8?B?!?=", ""),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?Q?a=0D=0AX-Mms-Ack-Request:_Yes?=", "a X-Mms-Ack-Request: Yes"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"a\0b\rc", "ab c"),
    ],
)
def test_the_subject(encoded: bytes, subject: str) -> None:
    assert read(whole(b"", b"Subject: " + encoded + b"\r\n")).subject == subject


def test_a_message_that_goes_round_in_circles() -> None:
    assert not read(whole(b"", b"X-Mms-Forward-Counter: 10\r\n" + b"Received: x\r\n" * 30)).is_looping
    assert read(whole(b"", b"X-Mms-Forward-Counter: 11\r\n")).is_looping
    assert read(whole(b"", b"Received: x\r\n" * 31)).is_looping


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        pytest.param(b"", Reason.NOT_MM4, id="nothing"),
        pytest.param(b"From: 72345\r\n\r\nhi", Reason.NOT_MM4, id="an ordinary mail"),
        pytest.param(b"\r\nX-Mms-Message-Type: MM4_forward.REQ\r\n\r\n", Reason.NOT_MM4, id="type in the body"),
        pytest.param(b"From: 1\r\nX-Mms-Message-Type: MM1_send.REQ\r\n\r\n", Reason.NOT_MM4, id="another interface"),
        pytest.param(b"X-Mms-Message-Type: MM4_forward.REQ\r\n\r\n", Reason.MALFORMED, id="no sender"),
        pytest.param(b"X-Mms-Message-Type: MM4_delivery_report.REQ\r\n\r\n", Reason.MALFORMED, id="report on nobody"),
    ],
)
def test_what_cannot_be_read_says_why(mail: bytes, reason: Reason) -> None:
    with pytest.raises(UnreadableMm4) as caught:
        parse(mail)
    assert caught.value.reason is reason
    assert caught.value.request is None


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(forward(content_type=b"multipart/mixed"), id="no boundary"),
        pytest.param(forward(content_type=b'multipart/mixed; boundary=""'), id="an empty boundary"),
        pytest.param(forward(content_type=b"multipart/mixed; boundary=other"), id="another boundary"),
        pytest.param(whole(b"", b"Content-Type: multipart/mixed; boundary=b\r\n"), id="no body"),
    ],
)
def test_a_request_with_an_unreadable_body_can_still_be_answered(mail: bytes) -> None:
    with pytest.raises(UnreadableMm4) as caught:
        parse(mail, Envelope("system@x.example", ()))
    assert caught.value.reason is Reason.MALFORMED
    assert caught.value.request is not None
    assert str(caught.value.request.transaction_id) == "t-1"
    assert caught.value.request.res_to == "system@x.example"


def test_a_peer_that_leaves_out_the_type_can_be_taken_at_its_word() -> None:
    message = parse(b"From: +12025550187/TYPE=PLMN\r\n\r\nhi\r\n", assume_forward=True)
    assert isinstance(message, ForwardRequest)
    assert message.text == "hi"


def test_a_report_may_leave_out_what_it_likes_but_the_recipient() -> None:
    message = parse(b"From: +12025550187/TYPE=PLMN\r\nX-Mms-Message-Type: MM4_delivery_report.REQ\r\n\r\n")
    assert isinstance(message, DeliveryReportRequest)
    assert (message.mm_status, message.message_id, message.res_to, message.ack_request) == ("", None, None, False)


def test_values_print_without_what_people_wrote() -> None:
    message = read(
        forward(part(b"text/plain", b"secret"), part(b"image/gif; name=a.gif", b"secret"), extra=b"Subject: secret\r\n")
    )
    assert "secret" not in f"{message} {message!r} {message.parts[0]} {message.parts[0]!r}"
    assert str(message.parts[0]) == "1/a.gif image/gif 6 octets"
