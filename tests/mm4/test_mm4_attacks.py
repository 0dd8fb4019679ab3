"""Mails made to hurt: each is read or refused, with one kind of error, and in a time that grows with its size alone.

The limits are in the modules that keep them, with their reasons.
"""

import base64
import time
from collections.abc import Callable

import pytest

from passband.mm4.errors import Reason, UnreadableMm4
from passband.mm4.message import ForwardRequest
from passband.mm4.mime import MAX_NESTING, MAX_PARTS
from passband.mm4.reading import MAX_MAIL_OCTETS, parse

HEAD = b"From: +12025550187/TYPE=PLMN\r\nTo: +12025550143/TYPE=PLMN\r\nX-Mms-Message-Type: MM4_forward.REQ\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
MEGA = 1024 * 1024

# Generous, because the machine may be busy: each of these takes between a millisecond and a tenth of a second, and
# what is quadratic in five megabytes takes hours.
SECONDS = 20  # of processor time: what is not linear takes minutes, and a busy machine does not matter


def nested(depth: int) -> bytes:
    mail = b"\r\ninnermost"
    for level in range(depth):
        mail = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s\r\n--b%d--" % (
            level,
            level,
            mail,
            level,
        )
    return HEAD + mail


def part(headers: bytes, body: bytes = b"x") -> bytes:
    return MIXED + b"--b\r\n" + headers + b"\r\n\r\n" + body + b"\r\n--b--\r\n"


def timed(mail: bytes) -> ForwardRequest:
    """Read it, and be quick about it, whatever comes of it."""
    started = time.process_time()
    try:
        message = parse(mail)
    finally:
        assert time.process_time() - started < SECONDS
    assert isinstance(message, ForwardRequest)
    return message


REFUSED: list[tuple[str, Callable[[], bytes], Reason]] = [
    ("10,000 parts", lambda: MIXED + b"--b\r\n\r\nx\r\n" * 10_000 + b"--b--", Reason.TOO_LARGE),
    ("one part too many", lambda: MIXED + b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 1) + b"--b--", Reason.TOO_LARGE),
    ("multiparts nested 9 deep", lambda: nested(MAX_NESTING + 1), Reason.TOO_LARGE),
    ("multiparts nested 5,000 deep", lambda: nested(5_000), Reason.TOO_LARGE),
    ("10,000 headers", lambda: HEAD + b"X: y\r\n" * 10_000 + b"\r\n", Reason.TOO_LARGE),
    ("10,000 headers of one part", lambda: part(b"X: y\r\n" * 10_000), Reason.TOO_LARGE),
    ("a header of 5 MB", lambda: HEAD + b"X: " + b"y" * 5 * MEGA + b"\r\n\r\n", Reason.TOO_LARGE),
    ("a header folded 100,000 times", lambda: HEAD + b"X: y\r\n" + b" z\r\n" * 100_000 + b"\r\n", Reason.TOO_LARGE),
    ("a part's header of 5 MB", lambda: part(b"X: " + b"y" * 5 * MEGA), Reason.TOO_LARGE),
    ("a line of 5 MB and nothing else", lambda: b"x" * 5 * MEGA, Reason.TOO_LARGE),
    ("a mail above the limit", lambda: HEAD + b"\r\n" + b"x" * MAX_MAIL_OCTETS, Reason.TOO_LARGE),
    (
        "an identifier of 10 kB",
        lambda: HEAD + b"X-Mms-Transaction-ID: " + b"x" * 10_000 + b"\r\n\r\n",
        Reason.TOO_LARGE,
    ),
    (
        "a boundary of 10 kB",
        lambda: HEAD + b"Content-Type: multipart/mixed; boundary=" + b"b" * 10_000 + b"\r\n\r\n",
        Reason.MALFORMED,
    ),
    ("an unknown type of 10 kB", lambda: b"X-Mms-Message-Type: " + b"x" * 10_000 + b"\r\n\r\n", Reason.NOT_MM4),
]


@pytest.mark.parametrize(("mail", "reason"), [pytest.param(mail, reason, id=name) for name, mail, reason in REFUSED])
def test_it_is_refused_at_once(mail: Callable[[], bytes], reason: Reason) -> None:
    with pytest.raises(UnreadableMm4) as caught:
        timed(mail())
    assert caught.value.reason is reason
    assert len(str(caught.value)) < 300


READ: list[tuple[str, Callable[[], bytes], int]] = [
    ("a text of one line of 5 MB", lambda: HEAD + b"\r\n" + b"x" * 5 * MEGA, 5 * MEGA),
    ("a part of one line of 5 MB", lambda: part(b"X: y", b"-" * 5 * MEGA), 5 * MEGA),
    ("5 MB of CR", lambda: HEAD + b"\r\n" + b"\r" * 5 * MEGA, 5 * MEGA),
    ("5 MB of CR LF", lambda: part(b"X: y", b"\r\n" * (5 * MEGA // 2)), 5 * MEGA // 2),
    ("5 MB of almost the boundary", lambda: part(b"X: y", b"\r\n--bb" * MEGA), 5 * MEGA),
    ("the boundary and 5 MB of blanks", lambda: part(b"X: y", b"\r\n--b" + b" " * 5 * MEGA + b"x"), 4 + 5 * MEGA + 1),
    ("5 MB of bad base64", lambda: part(b"Content-Transfer-Encoding: base64", b"=" * 5 * MEGA), 0),
    (
        "5 MB of base64 without an end",
        lambda: part(b"Content-Transfer-Encoding: base64", b"QUFB" * MEGA + b"Q"),
        3 * MEGA,
    ),
    ("5 MB of bad quoted-printable", lambda: part(b"Content-Transfer-Encoding: quoted-printable", b"=" * 5 * MEGA), -1),
    ("5,000 levels with one boundary", lambda: MIXED + part(b"X: y")[len(HEAD) :] * 5_000, -1),
    ("5 MB of soft line ends", lambda: part(b"Content-Transfer-Encoding: quoted-printable", b"=\r\n" * MEGA), 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("mail", "length"), [pytest.param(mail, length, id=name) for name, mail, length in READ])
def test_it_is_read_at_once(mail: Callable[[], bytes], length: int) -> None:
    text = timed(mail()).text
    assert length < 0 or len(text) == length


# One field of the greatest size that is read, made of what makes patterns backtrack.
FIELDS: list[tuple[str, bytes]] = [
    ("quotes that never close", b'"' * 100_001),
    ("escaped quotes", b'"' + b'\\"' * 50_000),
    ("brackets that never close", b"<" * 100_000),
    ("commas", b"," * 100_000),
    ("addresses", b"+12025550143/TYPE=PLMN," * 4_500),
    ("types and no number", (b"/TYPE=" * 50 + b",") * 400),
    ("digits and no number", (b"1" * 300 + b"x,") * 400),
    ("at signs", (b"@" * 300 + b",") * 400),
    ("parameters", b"multipart/mixed" + b"; x=y" * 20_000),
    ("parameters that never begin", b"multipart/mixed" + b"; " * 50_000),
    ("parameters that never end", b"multipart/mixed" + b'; x="' * 20_000),
    ("escapes that never end", b"multipart/mixed" + b';x="\\"' * 16_000),
    ("blanks", b"multipart/mixed;" + b" " * 100_000 + b"x"),
    ("pieces of RFC 2231", b"multipart/mixed" + b"".join(b"; x*%d=y" % (n % 1000) for n in range(9_000))),
    ("words that never end", b"=?utf-8?Q?a" * 9_000),
    ("words that never begin", b"=?" * 50_000),
    ("words", b"=?utf-8?B?QQ==?= " * 6_000),
    ("a date of many digits", b"Sat, 14 Mar " + b"9" * 100_000),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", [b"From", b"To", b"Subject", b"Content-Type", b"Date", b"X-Mms-Expiry", b"Sender"])
@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in FIELDS])
def test_no_header_makes_reading_slow(name: bytes, value: bytes) -> None:
    started = time.process_time()
    try:
        parse(name + b": " + value + b"\r\n" + HEAD + b"\r\nx")
    except UnreadableMm4 as unreadable:
        # A multipart without its boundary, and nothing else.
        assert (name, unreadable.reason) == (b"Content-Type", Reason.MALFORMED)  # noqa: PT017
    assert time.process_time() - started < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("value", [pytest.param(value[:14_000], id=name) for name, value in FIELDS])
def test_no_header_of_many_parts_makes_reading_slow(value: bytes) -> None:
    headers = b'Content-Type: image/gif; name="' + value + b"\r\nContent-Location: " + value[:1_000]
    started = time.process_time()
    parse(MIXED + (b"--b\r\n" + headers + b"\r\n\r\nx\r\n") * MAX_PARTS)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "name",
    [
        b"../../../etc/passwd",
        b"..\\..\\windows\\win.ini",
        b"/etc/passwd",
        b"..",
        b"%2e%2e%2f%2e%2e%2fa",
        b"a\x00.gif",
        b"\xe2\x80\xae.gif",
        b"=?utf-8?B?Li4vLi4vYQ==?=",
        b"=?utf-8?Q?a=0D=0AX-Evil:_1?=",
        b"x" * 5_000,
    ],
)
@pytest.mark.parametrize(
    "header",
    [b'Content-Type: image/gif; name="%s"', b'Content-Disposition: a; filename="%s"', b"Content-Location: file://h/%s"],
)
def test_no_name_leads_out_of_its_directory(name: bytes, header: bytes) -> None:
    headers = header % name if header.startswith(b"Content-Type") else b"Content-Type: image/gif\r\n" + header % name
    (only,) = timed(part(headers)).parts
    index, _, file_name = only.path.partition("/")
    assert index == "0"
    assert file_name
    assert not file_name.startswith(".")
    assert set(file_name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert len(file_name) <= 104


@pytest.mark.parametrize(
    "charset",
    [
        b"idna",
        b"punycode",
        b"undefined",
        b"unicode_escape",
        b"rot13",
        b"base64",
        b"utf-7",
        b"../../x",
        b"\xff",
        b"x" * 5_000,
    ],
)
def test_no_charset_reaches_a_codec_that_is_none(charset: bytes) -> None:
    assert timed(part(b"Content-Type: text/plain; charset=" + charset, b"+AGE- \\x41")).text == "+AGE- \\x41"


@pytest.mark.parametrize(
    ("mail", "text", "media"),
    [
        pytest.param(part(b"Content-Length: 5000", b"short"), "short", [], id="a length that is too great"),
        pytest.param(part(b"Content-Length: -1", b"short"), "short", [], id="a length below zero"),
        pytest.param(MIXED + b"--b\r\n\r\nhalf", "half", [], id="cut in a text"),
        pytest.param(MIXED + b"--b\r\nContent-Type: image/g", "", [], id="cut in a part's header"),
        pytest.param(
            MIXED
            + b"--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.b64encode(b"GIF89a..")[:9],
            "",
            [b"GIF89a"],
            id="cut in base64",
        ),
        pytest.param(MIXED + b"--b\r\n\r\none\r\n--b", "one", [], id="cut in the closing boundary"),
    ],
)
def test_a_mail_that_lies_or_breaks_off_is_read_as_far_as_it_goes(mail: bytes, text: str, media: list[bytes]) -> None:
    message = timed(mail)
    assert message.text == text
    assert [p.octets for p in message.media if p.octets] == media


def test_a_second_type_does_not_replace_the_first() -> None:
    message = parse(HEAD + b"X-Mms-Message-Type: MM4_forward.RES\r\nFrom: 99999\r\n\r\n")
    assert isinstance(message, ForwardRequest)
    assert message.sender.value == "+12025550187"
