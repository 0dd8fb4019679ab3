"""What holds for every message and for every sequence of octets."""

import dataclasses
import email
import email.message
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from passband.mm4.address import Address, Envelope, parse_address
from passband.mm4.errors import UnreadableMm4
from passband.mm4.headers import decode_words, encode_words, split_headers
from passband.mm4.identity import Identifier
from passband.mm4.message import (
    DeliveryReportRequest,
    DeliveryReportResponse,
    ForwardRequest,
    ForwardResponse,
    Message,
    ReadReplyReportRequest,
    ReadReplyReportResponse,
    answer,
)
from passband.mm4.mime import Part, leaves
from passband.mm4.names import attachment_name, safe_name
from passband.mm4.reading import parse
from passband.mm4.writing import render

SAMPLES = [
    sample["raw"].encode("ascii")
    for sample in json.loads((Path(__file__).parent / "data" / "samples.json").read_text(encoding="utf-8"))["messages"]
]

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"

# U+0000 and a byte order mark at the beginning are left out, and line ends become line feeds.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff\r"), max_size=300)
# Drawn from alphabets: from_regex takes five times as long, which was most of the time of these tests.
words = st.text([chr(n) for n in range(0x21, 0x7F) if chr(n) not in "()<>"], min_size=1, max_size=40).filter(
    lambda text: text.strip("\"'<>") == text
)
identifiers = st.none() | words.map(Identifier) | words.map(lambda text: Identifier(f'"<{text}>"'))
mailboxes = st.builds(
    lambda local, labels: f"{local}@{'.'.join(labels)}",
    st.text(ALPHANUMERIC + "+=/-", min_size=1, max_size=20),
    st.lists(st.text(ALPHANUMERIC, min_size=1, max_size=10), min_size=1, max_size=4),
)
numbers = st.integers(10**6, 10**15 - 1).map("+{}".format) | st.integers(100, 10**8 - 1).map(str)
addresses = numbers.map(Address.of_number)
groups = st.lists(addresses, min_size=1, max_size=60).map(tuple)
# Neither text/plain, which becomes text, nor octet-stream, which a known extension makes precise.
types = st.sampled_from(["image/jpeg", "image/gif", "audio/amr", "video/mp4", "text/x-vcard", "application/x-new"])
names = st.text(max_size=150) | st.sampled_from(["a.jpg", "../a.gif", "smil.xml", "text0.txt", "a.jpg", "é.amr"])
parts = st.builds(Part, st.just(0), types, names, st.binary(max_size=400))
common = {
    "transaction_id": identifiers,
    "message_id": words.map(Identifier),
    "mail_id": identifiers,
    "system": st.none() | mailboxes,
    "date": st.none() | st.integers(0, 4_000_000_000).map(float),
    "version": st.sampled_from(["5.3.0", "6.10.0", "6.18.0"]),
}
optional_words = st.none() | st.text(ALPHANUMERIC + ALPHANUMERIC.upper() + ".-", min_size=1, max_size=20)
status_texts = st.none() | texts.map(lambda text: " ".join(text.split())[:60].strip()).filter(
    lambda text: text.isprintable() and text.strip('"') == text and text != ""
)
forward_requests = st.builds(
    ForwardRequest,
    **common,
    sender=addresses,
    to=groups,
    cc=st.just(()) | groups,
    subject=st.none(),
    text=texts,
    parts=st.lists(parts, max_size=6).map(tuple),
    ack_request=st.booleans(),
    res_to=mailboxes,
    message_class=optional_words,
    priority=optional_words,
    expiry=st.none() | st.integers(0, 10**9).map(str),
    delivery_report=st.booleans(),
    originator_rs_delivery_report=st.booleans(),
    read_reply=st.booleans(),
    sender_visibility=optional_words,
    forward_counter=st.none() | st.integers(0, 99),
    received=st.just(0),
)
responses = st.one_of(
    st.builds(
        ForwardResponse,
        **common,
        to=mailboxes,
        status=words,
        status_text=status_texts,
        request_recipients=st.just(()) | groups,
    ),
    st.builds(DeliveryReportResponse, **common, to=mailboxes, status=words, status_text=status_texts),
    st.builds(ReadReplyReportResponse, **common, to=mailboxes, status=words, status_text=status_texts),
)
reports = st.one_of(
    st.builds(
        DeliveryReportRequest,
        **common,
        recipient=addresses,
        to=groups,
        mm_status=words,
        mm_status_extension=optional_words,
        status_text=status_texts,
        ack_request=st.booleans(),
        forward_to_originator_ua=st.none() | st.booleans(),
        res_to=st.none(),
    ),
    st.builds(
        ReadReplyReportRequest,
        **common,
        recipient=addresses,
        to=groups,
        read_status=words,
        status_text=status_texts,
        ack_request=st.booleans(),
        res_to=st.none(),
    ),
)
thorough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def attached(message: ForwardRequest) -> list[tuple[str, str, bytes]]:
    """What the parts of a message must be when they have been written and read."""
    taken = ["smil.xml"]
    result = []
    for place, part in enumerate(message.parts):
        taken.append(attachment_name(part.name, part.content_type, place, taken))
        result.append((part.content_type, taken[-1], part.octets))
    return result


@pytest.mark.slow
@thorough
@given(forward_requests)
def test_a_request_written_is_read_as_it_was(message: ForwardRequest) -> None:
    read = parse(render(message))
    assert isinstance(read, ForwardRequest)
    assert [(p.content_type, p.name, p.octets) for p in read.media] == attached(message)
    assert dataclasses.replace(read, parts=message.parts) == message
    assert read.parts[0].path == "0/0.smil"


@pytest.mark.slow
@thorough
@given(reports)
def test_a_report_written_is_read_as_it_was(message: DeliveryReportRequest | ReadReplyReportRequest) -> None:
    assert parse(render(message)) == dataclasses.replace(message, res_to=message.system)


@pytest.mark.slow
@thorough
@given(responses)
def test_a_response_written_is_read_as_it_was(
    message: ForwardResponse | DeliveryReportResponse | ReadReplyReportResponse,
) -> None:
    assert parse(render(message)) == message


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_subject_written_is_read_as_it_was_but_for_controls(text: str) -> None:
    lines = encode_words("Subject", text)
    assert all(line.isascii() and line.isprintable() and len(line) <= 78 for line in lines)
    read = decode_words(" ".join(lines))
    printed = "".join(" " if character < " " or character == "\x7f" else character for character in text)
    # A run of controls becomes one blank.
    assert read.replace(" ", "") == printed.encode("utf-8", "replace").decode().replace(" ", "").removeprefix("\ufeff")


def survives(octets: bytes) -> Message | None:
    """Read it; whatever can be read, and whatever cannot but is a request, can also be answered."""
    try:
        message = parse(octets, Envelope("a@x.example", ("72345@y.example",)), assume_forward=True)
    except UnreadableMm4 as unreadable:
        if unreadable.request is None:
            return None
        message = unreadable.request
    if isinstance(message, ForwardRequest | DeliveryReportRequest | ReadReplyReportRequest):
        response = answer(
            message, "Ok", system="b@y.example", mail_id=Identifier("<r@y.example>"), at=0.0, status_text="a\r\nb"
        )
        echoed = parse(render(response))
        assert echoed.transaction_id == message.transaction_id
    if isinstance(message, ForwardRequest):
        json.dumps(message.text, ensure_ascii=False).encode()
        for part in message.parts:
            assert safe_name(part.name) == part.name
            assert part.path.count("/") == 1
    return message


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=500))
def test_no_octets_raise_anything_but_unreadable(octets: bytes) -> None:
    survives(octets)
    survives(b"From: 72345\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + octets + b"\r\n--b--")


mutations = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 40),
        st.binary(max_size=6)
        | st.sampled_from(
            [b"\r\n", b"\n", b"\r", b'"', b";", b"--=_pb_8f2c", b"=?", b"?=", b"\r\n\r\n", b"*0*=", b"'", b"<"]
        ),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(st.sampled_from(SAMPLES), mutations)
def test_no_damage_to_a_mail_raises_anything_but_unreadable(
    octets: bytes, damage: list[tuple[float, int, bytes]]
) -> None:
    for place, removed, inserted in damage:
        at = int(place * len(octets))
        octets = octets[:at] + inserted + octets[at + removed :]
    survives(octets)


@pytest.mark.slow
@pytest.mark.parametrize("sample", range(len(SAMPLES)))
def test_a_mail_cut_anywhere_is_read_as_far_as_it_goes_or_refused(sample: int) -> None:
    for end in range(len(SAMPLES[sample])):
        survives(SAMPLES[sample][:end])


@settings(deadline=None)
@given(st.text(max_size=60))
def test_an_address_survives_being_written_and_read_again(text: str) -> None:
    address = parse_address(text)
    if address is not None:
        assert parse_address(address.raw) is not None


# What the standard library makes of the same octets.

payloads = st.binary(max_size=60).map(
    lambda octets: octets.replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"--", b"")
)
leaf_parts = st.builds(
    lambda kind, name, payload: b'Content-Type: %s; name="%s"\r\n\r\n%s' % (kind, name, payload),
    st.sampled_from([b"image/gif", b"text/plain", b"application/x-new", b"TEXT/PLAIN; charset=utf-8"]),
    st.from_regex(rb"[a-z]{1,8}\.gif", fullmatch=True),
    payloads,
)


def multipart(boundary: bytes, children: list[bytes]) -> bytes:
    body = b"".join(b"\r\n--%s\r\n%s" % (boundary, child) for child in children)
    return b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n\r\npreamble%s\r\n--%s--\r\nepilogue' % (
        boundary,
        body,
        boundary,
    )


trees = st.recursive(
    leaf_parts,
    lambda children: st.builds(
        multipart, st.uuids().map(lambda u: u.hex.encode()), st.lists(children, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


def library_leaves(octets: bytes) -> list[email.message.Message]:
    return [part for part in email.message_from_bytes(octets).walk() if not part.is_multipart()]


@pytest.mark.slow
@thorough
@given(trees)
def test_the_standard_library_sees_the_same_parts(octets: bytes) -> None:
    try:
        ours = leaves(*split_headers(octets))
    except UnreadableMm4:  # nested beyond our limit; the drawing of trees has no way to say how deep
        reject()
    theirs = library_leaves(octets)
    assert [leaf.content_type for leaf in ours] == [part.get_content_type() for part in theirs]
    assert [leaf.names for leaf in ours] == [(part.get_filename(),) for part in theirs]
    # A mail without parts ends with a line end that SMTP put there; parts do not.
    assert [leaf.octets.rstrip(b"\r\n") for leaf in ours] == [
        bytes(part.get_payload(decode=True)).rstrip(b"\r\n") for part in theirs
    ]


lines = st.lists(
    st.sampled_from([b"--b", b"--b--", b"--b \t", b"--bb", b"-- b", b"y --b", b"x", b"", b"--"]), max_size=12
)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(lines)
def test_the_standard_library_cuts_at_the_same_lines(soup: list[bytes]) -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n".join(soup)
    # Of a closing line right after another one, the library makes a beginning; of one that nothing was opened
    # before, it makes text.
    stripped = [line.rstrip() for line in soup]
    assume((b"--b", b"--b--") not in itertools.pairwise(stripped))
    try:
        ours = [leaf.octets.rstrip(b"\r\n") for leaf in leaves(*split_headers(octets))]
    except UnreadableMm4:
        assert not email.message_from_bytes(octets).is_multipart()
        return
    if ours:
        theirs = [bytes(part.get_payload(decode=True)).rstrip(b"\r\n") for part in library_leaves(octets)]
        assert ours == theirs
