"""Counting and cutting texts, against the vectors, the rules as properties, and an independent library."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.domain import gsm0338
from passband.domain.segments import PER_SEGMENT, SINGLE, Encoding, count, is_encodable, segment

VECTORS = json.loads((Path(__file__).parent / "data" / "segment-vectors.json").read_text("utf-8"))["vectors"]

# Runs of equal cost with awkward characters between them, so that cuts fall beside characters of two units often.
_GSM_PIECES = ["A", "é", "Ω", "\r\n", "€", "[]", "{|}", "A" * 50, "A" * 75, "x" * 152, "€" * 70]
_UCS2_PIECES = [*_GSM_PIECES[:8], "Ж", "\u200d", "😀", "👨‍👩‍👧‍👦", "🇺🇸", "Ж" * 33, "Ж" * 66, "😀" * 30]
gsm_texts = st.lists(st.sampled_from(_GSM_PIECES), max_size=12).map("".join)
texts = gsm_texts | st.lists(st.sampled_from(_UCS2_PIECES), max_size=12).map("".join) | st.text(max_size=300)
unsendable_texts = st.lists(
    st.sampled_from([*_UCS2_PIECES, "\x1b", "\ud83d", "\ude00", "\ud83d" * 70]), max_size=12
).map("".join)
references = st.sampled_from([1, 2])


def _cost(character: str, encoding: Encoding) -> int:
    wide = character in gsm0338.EXTENSION if encoding is Encoding.GSM7 else ord(character) > 0xFFFF
    return 2 if wide else 1


def _units(text: str, encoding: Encoding) -> int:
    return sum(_cost(character, encoding) for character in text)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_text_is_counted_and_cut_as_in_the_vectors(vector: dict[str, Any]) -> None:
    cut = segment(vector["text"])
    assert cut.encoding == vector["encoding"]
    assert cut.units == vector["units"]
    assert list(cut.parts) == vector["parts"]
    assert list(cut.part_units) == vector["part_units"]
    assert count(vector["text"]) == vector["segments"] == len(cut.parts)
    assert is_encodable(vector["text"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_16_bit_reference_leaves_less_room_in_each_segment(vector: dict[str, Any]) -> None:
    cut = segment(vector["text"], reference_octets=2)
    assert len(cut.parts) == vector["segments_ref16"]
    if "part_units_ref16" in vector:
        assert list(cut.part_units) == vector["part_units_ref16"]


def test_all_124_vectors_are_there() -> None:
    assert len(VECTORS) == 124


LARGEST = {
    "plain": ("A" * 2048, 14),
    "extension characters": ("€" * 2048, 27),
    "ucs2": ("Ж" * 2048, 31),
    "emoji": ("😀" * 2048, 63),
}


@pytest.mark.parametrize(("text", "segments"), LARGEST.values(), ids=LARGEST)
def test_the_longest_text_of_the_api_has_at_most_63_segments(text: str, segments: int) -> None:
    assert count(text) == len(segment(text).parts) == segments


UNSENDABLE = {
    "escape": ("Hello\x1b", Encoding.UCS2, 6),
    "high surrogate": ("Hello\ud83d", Encoding.UCS2, 6),
    "low surrogate": ("Hello\ude00", Encoding.UCS2, 6),
    "two halves that were never joined": ("\ud83d\ude00", Encoding.UCS2, 2),
}


@pytest.mark.parametrize(("text", "encoding", "units"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_text_that_cannot_be_sent_is_known_and_counted_all_the_same(
    text: str, encoding: Encoding, units: int
) -> None:
    assert not is_encodable(text)
    cut = segment(text)
    assert (cut.encoding, cut.units, cut.parts) == (encoding, units, (text,))
    assert count(text) == 1


def test_an_empty_text_is_one_segment_of_no_units() -> None:
    cut = segment("")
    assert (cut.encoding, cut.units, cut.parts, cut.part_units) == (Encoding.GSM7, 0, ("",), (0,))


@given(texts | unsendable_texts, references)
@settings(max_examples=120, deadline=None)
def test_the_parts_are_the_text_and_each_is_as_full_as_can_be(text: str, reference_octets: Literal[1, 2]) -> None:
    cut = segment(text, reference_octets=reference_octets)

    assert "".join(cut.parts) == text
    assert list(cut.part_units) == [_units(part, cut.encoding) for part in cut.parts]
    assert cut.units == sum(cut.part_units)
    if cut.units <= SINGLE[cut.encoding]:
        assert len(cut.parts) == 1
        return
    limit = PER_SEGMENT[reference_octets][cut.encoding]
    assert len(cut.parts) >= -(-cut.units // limit)
    assert max(cut.part_units) <= limit
    for units, following in zip(cut.part_units[:-1], cut.parts[1:], strict=True):
        assert units + _cost(following[0], cut.encoding) > limit


@given(texts | unsendable_texts)
@settings(max_examples=120, deadline=None)
def test_the_count_is_the_number_of_parts(text: str) -> None:
    assert count(text) == len(segment(text).parts)


@given(gsm_texts, references)
@settings(max_examples=60, deadline=None)
def test_no_escape_pair_is_divided(text: str, reference_octets: Literal[1, 2]) -> None:
    parts = [gsm0338.encode(part) for part in segment(text, reference_octets=reference_octets).parts]
    assert not any(part.endswith(b"\x1b") for part in parts)
    assert b"".join(parts) == gsm0338.encode(text)


@given(texts.map("Ж".__add__), references)
@settings(max_examples=60, deadline=None)
def test_no_surrogate_pair_is_divided(text: str, reference_octets: Literal[1, 2]) -> None:
    parts = [part.encode("utf-16-be") for part in segment(text, reference_octets=reference_octets).parts]
    assert b"".join(parts) == text.encode("utf-16-be")


# smsutil takes an empty text for UCS-2 and U+001B for a GSM character; a text that can be sent it must cut as we do.
@given(texts.filter(lambda text: text != "" and "\x1b" not in text))
@settings(max_examples=120, deadline=None)
def test_an_independent_library_counts_and_cuts_the_same(text: str) -> None:
    theirs = smsutil.split(text)
    cut = segment(text)
    octets_per_unit = {"gsm0338": 1, "utf_16_be": 2}[theirs.encoding]
    assert cut.encoding == {"gsm0338": Encoding.GSM7, "utf_16_be": Encoding.UCS2}[theirs.encoding]
    assert list(cut.parts) == [part.content for part in theirs.parts]
    assert [units * octets_per_unit for units in cut.part_units] == [part.bytes for part in theirs.parts]
