"""data_coding ⇄ text, in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passband.domain import gsm0338, segments
from passband.domain.gsm0338 import UnencodableText
from passband.smpp.text import TextStyle, decode, encode, encode_segments, unpack

LATIN1 = TextStyle(default_charset="latin1")
ASCII = TextStyle(default_charset="ascii")


@pytest.mark.parametrize(
    ("text", "style", "data_coding", "octets"),
    [
        ("Hello @ 5€ [ok] _$", TextStyle(), 0, "48656C6C6F200020351B65201B3C6F6B1B3E201102"),
        ("Hi 😀 á", TextStyle(), 8, "004800690020D83DDE00002000E1"),
        ("@é", LATIN1, 0, "40E9"),
        ("5€", LATIN1, 8, "003520AC"),
        ("á", LATIN1, 8, "00E1"),
        ("@", ASCII, 0, "40"),
        ("é", ASCII, 8, "00E9"),
        ("a", TextStyle(gsm_data_coding=0xF1), 0xF1, "61"),
        ("hellohello", TextStyle(gsm_packed=True), 0, "E8329BFD4697D9EC37"),
        ("", TextStyle(), 0, ""),
    ],
)
def test_a_text_is_coded_as_its_carrier_wants(text: str, style: TextStyle, data_coding: int, octets: str) -> None:
    assert encode_segments(text, style) == (data_coding, (bytes.fromhex(octets),))
    assert encode(text, style) == (data_coding, bytes.fromhex(octets))


@pytest.mark.parametrize("text", ["\ud83d", "a\x1b", "ж\x1b"])
def test_what_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(UnencodableText):
        encode_segments(text)


def test_a_carrier_may_take_no_ucs2() -> None:
    with pytest.raises(UnencodableText):
        encode("ж", TextStyle(ucs2_allowed=False))


texts = st.text(st.sampled_from("ab@€[é") | st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"))


@given(texts | st.text(st.sampled_from("ab@€["), min_size=140, max_size=400))
def test_segments_are_those_that_are_counted(text: str) -> None:
    data_coding, parts = encode_segments(text)
    assert len(parts) == segments.count(text)
    assert b"".join(parts) == encode(text)[1]
    assert decode(b"".join(parts), data_coding) == text.removeprefix("\ufeff").removesuffix("\0") or "\0" in text


@given(st.text(st.sampled_from("a€😀"), min_size=60, max_size=300), st.sampled_from([6, 7]))
def test_a_text_that_only_this_carrier_needs_in_ucs2_fits_its_segments(text: str, header: int) -> None:
    data_coding, parts = encode_segments("€" + text, LATIN1, 7 if header == 7 else 6)
    assert data_coding == 8
    assert "".join(part.decode("utf-16-be") for part in parts) == "€" + text
    assert all(len(part) <= (140 if len(parts) == 1 else 140 - header) for part in parts)


@pytest.mark.parametrize("header", [0, 6, 7])
def test_packed_segments_are_unpacked_one_by_one(header: int) -> None:
    text = "abcdefgh" * 40
    _, parts = encode_segments(text, TextStyle(gsm_packed=True), 7 if header == 7 else 6 if header == 6 else 0)
    assert all(len(part) <= 140 - header for part in parts)
    joined = b"".join(unpack(part, header) for part in parts)
    assert gsm0338.decode(joined).replace("@", "") == text


@pytest.mark.parametrize(
    ("octets", "data_coding", "expected"),
    [
        (b"\x00", 0x00, "@"),
        (b"caf\xc3\xa9", 0x00, "café"),
        (b"caf\xe9", 0x00, "café"),
        (b"caf\xe9\x00", 0x00, "café"),
        (b"abc\x00", 0x01, "abc"),
        (b"caf\xe9", 0x01, "café"),
        (b"\x93x\x94", 0x03, "“x”"),
        (b"\x81", 0x03, "\ufffd"),
        (b"caf\xc3\xa9", 0x04, "café"),
        (b"\xff\xfe", 0x04, "ÿþ"),
        ("日本".encode("iso2022_jp"), 0x05, "日本"),
        ("日本".encode("shift_jis"), 0x05, "日本"),
        ("привет".encode("iso8859_5"), 0x06, "привет"),
        ("שלום".encode("iso8859_8"), 0x07, "שלום"),
        (b"\xfe\xff\x00a", 0x08, "a"),
        (b"\xff\xfea\x00", 0x08, "a"),
        (b"\x00a\x00", 0x08, "a"),
        (b"\xd8\x3d\x00a", 0x08, "\ufffda"),
        (b"\x00a\x00\x00", 0x08, "a"),
        ("한국".encode("euc_kr"), 0x0E, "한국"),
        (b"\x00", 0x10, "@"),
        (b"\xe9", 0x14, "é"),
        (b"\x00a", 0x18, "a"),
        (b"\x00", 0xC8, "@"),
        (b"\x00a", 0xE0, "a"),
        (b"\x00", 0xF1, "@"),
        (b"\xe9", 0xF5, "é"),
    ],
)
def test_inbound_octets_are_read_by_their_data_coding(octets: bytes, data_coding: int, expected: str) -> None:
    assert decode(octets, data_coding) == expected


def test_the_default_alphabet_is_the_carriers() -> None:
    assert (decode(b"@", 0, "latin1"), decode(b"@", 0, "ascii"), decode(b"@", 0)) == ("@", "@", "¡")


def test_data_for_a_port_keeps_its_octets() -> None:
    assert decode(b"\xc3\xa9", 4, has_ports=True).encode("latin-1") == b"\xc3\xa9"


@given(st.binary(), st.integers(0, 255), st.sampled_from(["gsm7", "latin1", "ascii"]), st.booleans())
def test_reading_text_never_fails(octets: bytes, data_coding: int, charset: str, has_ports: bool) -> None:
    assert isinstance(decode(octets, data_coding, charset, has_ports=has_ports), str)  # type: ignore[arg-type]
