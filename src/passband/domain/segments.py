"""Text → encoding and segments: what a message is counted as, and where it is cut.

If every character is GSM 7-bit the text is sent so; one character outside makes the whole text UCS-2. A text that does
not fit one segment is filled greedily from the left, cut only between code points: an escape pair or a surrogate pair
is never divided, so a segment may end one unit short. Grapheme clusters may be divided: that gives the smallest count,
needs no Unicode tables that change yearly, and handsets that reassemble show the text intact.

What one segment holds follows from the 140 octets of the radio path (3GPP TS 23.040 §9.2.3.24): 140 * 8 / 7 = 160
septets or 70 UCS-2 units. Of several each gives up 6 octets to a user data header with an 8-bit reference
(§9.2.3.24.1), or 7 to one with a 16-bit reference (§9.2.3.24.8).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from passband.domain import gsm0338


class Encoding(StrEnum):
    """How a text is carried."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
"""Units that fit when a text is one segment: septets, or UTF-16 code units."""

PER_SEGMENT = {
    1: {Encoding.GSM7: 153, Encoding.UCS2: 67},  # (140 - 6) * 8 / 7 = 153.1; 134 / 2
    2: {Encoding.GSM7: 152, Encoding.UCS2: 66},  # (140 - 7) * 8 / 7 = 152.0; 133 / 2
}
"""Units that fit in each of several segments, by the octets of the concatenation reference."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A text cut into segments.

    ``units`` is the cost of the whole text, ``part_units`` that of each part: septets for GSM 7-bit, UTF-16 code units
    for UCS-2. The parts, joined, are the text; an empty text is one empty part.
    """

    encoding: Encoding
    units: int
    parts: tuple[str, ...]
    part_units: tuple[int, ...]


_is_surrogate = re.compile("[\ud800-\udfff]").search


def is_encodable(text: str) -> bool:
    """Whether a text can be sent at all: it holds neither U+001B nor an unpaired surrogate.

    U+001B is the escape itself and has no meaning as a character; half a surrogate pair is not UTF-16.
    """
    return gsm0338.ESC not in text and (text.isascii() or not _is_surrogate(text))


def count(text: str) -> int:
    """The number of segments of a text, as the customer is told in ``segmentCount`` (8-bit references).

    Never raises, even on a text that cannot be sent: U+001B makes it UCS-2, an unpaired surrogate is one unit.
    """
    # Called for every accepted message. µs with CPython 3.11: 0.4 for 20 GSM characters, 0.6 for 160 of them, with or
    # without accents; 1.2 for 70 of UCS-2 or 306 GSM in two segments; 2.3 with a euro sign among 150; 18 with many of
    # them in three segments. To ask a set about each of 160 characters takes 1.2 by itself, str.translate 3.
    encoding, units = _measure(text)
    if units <= SINGLE[encoding]:
        return 1
    return len(_ends(text, encoding, units, PER_SEGMENT[1][encoding]))


def segment(text: str, *, reference_octets: Literal[1, 2] = 1) -> Segmentation:
    """Cuts a text into the segments that are sent, for a concatenation reference of 8 or 16 bits.

    Never raises, even on a text that cannot be sent (see ``is_encodable``).
    """
    encoding, units = _measure(text)
    if units <= SINGLE[encoding]:
        return Segmentation(encoding, units, (text,), (units,))
    ends = _ends(text, encoding, units, PER_SEGMENT[reference_octets][encoding])
    parts = tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))
    return Segmentation(encoding, units, parts, tuple(_units(part, encoding) for part in parts))


def _measure(text: str) -> tuple[Encoding, int]:
    septets = gsm0338.measure(text)
    if septets is not None:
        return Encoding.GSM7, septets
    return Encoding.UCS2, _units(text, Encoding.UCS2)


def _units(text: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return len(text) + gsm0338.extended(text)
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def _ends(text: str, encoding: Encoding, units: int, limit: int) -> Sequence[int]:
    """Where each segment ends, as indexes of code points; the last is the length of the text."""
    if units == len(text):
        return [*range(limit, units, limit), units]
    ends = []
    end = 0
    while end < len(text):
        start, end = end, end + limit
        while (excess := _units(text[start:end], encoding) - limit) > 0:
            # Dropping a character saves two units at most, so no fewer can go; then look again.
            end -= (excess + 1) // 2
        ends.append(min(end, len(text)))
    return ends
