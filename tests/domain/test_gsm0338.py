"""The GSM 7-bit alphabet against its published tables, and against two independent libraries."""

import json
from pathlib import Path
from typing import Any

import gsm0338 as other
import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.domain import gsm0338

VECTORS = json.loads((Path(__file__).parent / "data" / "gsm7.json").read_text("utf-8"))
ESC = 0x1B
OTHER = other.Codec()

gsm_texts = st.text(alphabet=sorted(gsm0338.ENCODABLE), max_size=200)
septet_strings = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


def _label(vector: dict[str, Any]) -> str:
    return str(vector.get("note", vector.get("septets")))


def test_137_characters_are_gsm() -> None:
    assert set(VECTORS["encode"]) == gsm0338.ENCODABLE
    assert len(gsm0338.ENCODABLE) == 137


@pytest.mark.parametrize(("character", "octets"), VECTORS["encode"].items(), ids=ascii)
def test_each_character_and_its_octets_are_each_others_translation(character: str, octets: str) -> None:
    assert gsm0338.encode(character) == bytes.fromhex(octets)
    assert gsm0338.decode(bytes.fromhex(octets)) == character
    assert gsm0338.septets(character) == len(octets) // 2


@pytest.mark.parametrize("row", VECTORS["basic"], ids=lambda row: row["name"])
def test_each_row_of_the_default_alphabet_decodes(row: dict[str, Any]) -> None:
    if row["septet"] != ESC:
        assert gsm0338.decode(bytes([row["septet"]])) == chr(int(row["codepoint"][2:], 16)) == row["char"]


@pytest.mark.parametrize("row", VECTORS["extension"], ids=lambda row: row["name"])
def test_each_row_of_the_extension_table_decodes(row: dict[str, Any]) -> None:
    assert gsm0338.decode(bytes([ESC, row["septet"]])) == chr(int(row["codepoint"][2:], 16)) == row["char"]


def test_the_default_alphabet_as_one_string_decodes() -> None:
    octets = bytes(septet for septet in range(0x80) if septet != ESC)
    assert gsm0338.decode(octets) == VECTORS["decode_basic"].replace("\x1b", "")


def test_the_extension_table_as_one_string_decodes() -> None:
    for septet, character in VECTORS["decode_extension"].items():
        assert gsm0338.decode(bytes.fromhex(f"1B{septet}")) == character


@pytest.mark.parametrize("vector", VECTORS["decode_vectors"], ids=_label)
def test_octets_decode_as_published(vector: dict[str, Any]) -> None:
    assert gsm0338.decode(bytes.fromhex(vector["septets"])) == vector["text"]


READABLE = {
    "two lone escapes in a row, then a letter": (b"\x1b\x1bA", " A"),
    "an escape pair after an escaped escape": (b"\x1b\x1b\x1b\x65", " €"),
    "an escaped CR2 is a carriage return": (b"\x1b\x0d", "\r"),
    "an escaped line feed is a form feed": (b"\x1b\x0a", "\f"),
    "an escaped octet above 7F": (b"\x1b\xe4", "\ufffd"),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize(("octets", "text"), READABLE.values(), ids=READABLE)
def test_odd_octets_decode_too(octets: bytes, text: str) -> None:
    assert gsm0338.decode(octets) == text


FOREIGN = {
    "escape": "\x1b",
    "back-tick": "`",
    "tab": "\t",
    "nul": "\0",
    "delete": "\x7f",
    "small c with cedilla": "ç",
    "a with acute": "á",
    "capital E with grave": "È",
    "no-break space": "\u00a0",
    "ohm sign": "\u2126",
    "curly quote": "\u2019",
    "dash": "\u2013",
    "replacement character": "\ufffd",
    "unpaired surrogate": "\ud83d",
    "emoji": "😀",
}


@pytest.mark.parametrize("character", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_character_is_refused_wherever_it_stands(character: str) -> None:
    for text in (character, f"Caffè {character} €", f"plain{character}"):
        assert not gsm0338.is_gsm(text)
        assert gsm0338.measure(text) is None
        with pytest.raises(gsm0338.UnencodableText):
            gsm0338.encode(text)
        with pytest.raises(gsm0338.UnencodableText):
            gsm0338.septets(text)


def test_the_error_names_the_place_and_the_code_point_but_no_text() -> None:
    with pytest.raises(gsm0338.UnencodableText, match=r"^character 7, U\+00E1, is not in the GSM 7-bit alphabet$"):
        gsm0338.encode("secret á")


def test_every_other_code_point_of_the_basic_plane_is_refused() -> None:
    everything = map(chr, range(0x10000))
    assert {character for character in everything if gsm0338.is_gsm(character)} == gsm0338.ENCODABLE


def test_small_c_with_cedilla_is_never_read() -> None:
    assert gsm0338.decode(b"\x09") == "Ç"


@pytest.mark.parametrize("vector", VECTORS["packing_vectors"], ids=_label)
def test_septets_and_packed_octets_are_each_others_translation(vector: dict[str, Any]) -> None:
    septets, header = bytes.fromhex(vector["septets"]), bytes.fromhex(vector["udh"])
    fill_bits = (-8 * len(header)) % 7
    assert fill_bits == vector["fill_bits"]
    assert gsm0338.encode(vector["text"]) == septets

    packed = gsm0338.pack(septets, fill_bits)

    assert (header + packed).hex().upper() == vector["packed"]
    assert gsm0338.unpack(packed, vector["septet_count"], fill_bits) == septets


def test_unpacking_gives_no_more_septets_than_the_octets_hold() -> None:
    packed = gsm0338.pack(b"hello")
    assert gsm0338.unpack(packed, 100) == b"hello"
    assert gsm0338.unpack(packed[:3], 5) == b"hel"
    assert gsm0338.unpack(b"", 1, fill_bits=1) == b""


def test_what_is_no_septet_is_not_packed() -> None:
    with pytest.raises(ValueError, match="above 7F"):
        gsm0338.pack(b"caf\xe9")


@given(gsm_texts)
@settings(max_examples=60, deadline=None)
def test_decoding_undoes_encoding(text: str) -> None:
    encoded = gsm0338.encode(text)
    assert gsm0338.decode(encoded) == text
    assert len(encoded) == gsm0338.septets(text)
    assert max(encoded, default=0) < 0x80


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_octets_decode(octets: bytes) -> None:
    text = gsm0338.decode(octets)
    assert "\x1b" not in text
    assert len(text) <= len(octets)


@given(septet_strings, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_unpacking_undoes_packing(septets: bytes, fill_bits: int) -> None:
    packed = gsm0338.pack(septets, fill_bits)
    assert len(packed) == (7 * len(septets) + fill_bits + 7) // 8
    assert gsm0338.unpack(packed, len(septets), fill_bits) == septets


# Where the two libraries are known to differ, by their own choice: both take U+001B for a character, smsutil takes an
# empty text for UCS-2, and both read an escape pair that is not listed in ways of their own.
@given(gsm_texts.filter(bool))
@settings(max_examples=60, deadline=None)
def test_independent_libraries_encode_and_decode_the_same(text: str) -> None:
    encoded = gsm0338.encode(text)
    assert encoded == OTHER.encode(text)[0] == smsutil.encode(text)
    assert text == OTHER.decode(encoded)[0] == smsutil.decode(encoded)


@given(st.text(min_size=1, max_size=100).filter(lambda text: "\x1b" not in text))
@settings(max_examples=60, deadline=None)
def test_independent_libraries_agree_on_what_is_gsm(text: str) -> None:
    try:
        encoded, _ = OTHER.encode(text)
    except UnicodeEncodeError:
        encoded = None
    assert gsm0338.is_gsm(text) == smsutil.is_valid_gsm(text) == (encoded is not None)
    if encoded is not None:
        assert gsm0338.encode(text) == encoded
