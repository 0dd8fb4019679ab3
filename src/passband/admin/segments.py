"""What a text is counted as, and why: the characters that force UCS-2 or cost double, and where it is cut."""

import unicodedata
from typing import Any

from passband.domain.gsm0338 import ENCODABLE, EXTENSION
from passband.domain.segments import PER_SEGMENT, SINGLE, Encoding, is_encodable, segment

MOST_CHARACTERS = 10_000  # the API takes 2,048; who pastes more sees what it would be


def explain(text: str) -> dict[str, Any]:
    """Return encoding, segments and what they hold, and each character that costs more than one septet."""
    cut = segment(text)
    several = len(cut.parts) > 1
    return {
        "encoding": cut.encoding,
        "segmentCount": len(cut.parts),
        "characters": len(text),
        "units": cut.units,
        "unit": "septets" if cut.encoding is Encoding.GSM7 else "UTF-16 code units",
        "perSegment": PER_SEGMENT[1][cut.encoding] if several else SINGLE[cut.encoding],
        "segments": [{"text": part, "units": units} for part, units in zip(cut.parts, cut.part_units, strict=True)],
        "forcing": _characters(text, lambda character: character not in ENCODABLE),
        "double": _characters(text, EXTENSION.__contains__) if cut.encoding is Encoding.GSM7 else [],
        "sendable": bool(text) and is_encodable(text),
    }


def _characters(text: str, wanted: Any) -> list[dict[str, Any]]:
    """Return the different characters that are wanted, with their names and places, counted in code points."""
    places: dict[str, list[int]] = {}
    for place, character in enumerate(text):
        if wanted(character):
            places.setdefault(character, []).append(place)
    return [
        {
            "character": character,
            "codePoint": f"U+{ord(character):04X}",
            "name": unicodedata.name(character, "a character without a name"),
            "places": found[:20],
            "count": len(found),
        }
        for character, found in places.items()
    ]
