"""data_coding ⇄ text: how a carrier wants its octets, and what the octets of an inbound message say.

data_coding 0 is "the SMSC's default alphabet" (SMPP 3.4 §5.2.19), and there is no way to ask which that is: hence a
setting of each carrier. GSM 7-bit text travels unpacked, one septet in each octet; the SMSC packs it.

Outbound is strict, inbound never fails: what cannot be read becomes U+FFFD.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from passband.domain import gsm0338, segments
from passband.domain.gsm0338 import UnencodableText

Charset = Literal["gsm7", "latin1", "ascii"]

UCS2: Final = 0x08
_CODECS: Final[Mapping[Charset, str]] = MappingProxyType({"latin1": "latin-1", "ascii": "ascii"})
_SURROGATE_HIGH: Final = range(0xD8, 0xDC)


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How a carrier takes text, from its profile.

    ``default_charset``: what data_coding 0 means. ``gsm_data_coding``: what to put in place of 0. ``gsm_packed``: pack
    septets (rare). ``ucs2_allowed``: False refuses what is not GSM 7-bit.
    """

    default_charset: Charset = "gsm7"
    gsm_data_coding: int = 0
    gsm_packed: bool = False
    ucs2_allowed: bool = True


DEFAULT_STYLE: Final = TextStyle()


def encode(text: str, style: TextStyle = DEFAULT_STYLE) -> tuple[int, bytes]:
    """The data_coding and the octets of a whole text, for carriers that divide it themselves (message_payload).

    Raises:
        UnencodableText: the text holds U+001B or half a surrogate pair, or the carrier takes no UCS-2.
    """
    octets = _default_octets(text, style)
    if octets is None:
        return UCS2, _ucs2_octets(text, style)
    return style.gsm_data_coding, gsm0338.pack(octets) if style.gsm_packed else octets


def encode_segments(
    text: str, style: TextStyle = DEFAULT_STYLE, header_octets: Literal[0, 6, 7] = 6
) -> tuple[int, tuple[bytes, ...]]:
    """The data_coding and the octets of each segment, without headers.

    ``header_octets`` is the size of the user data header that each of several segments will get: 6 for a reference of 8
    bits, 7 for 16, 0 if the place travels in SAR parameters. It decides what fits a segment and where septets begin.

    Raises:
        UnencodableText: the text holds U+001B or half a surrogate pair, or the carrier takes no UCS-2.
    """
    octets = _default_octets(text, style)
    if octets is None:
        return UCS2, _ucs2_segments(_ucs2_octets(text, style), 2 if header_octets == 7 else 1)
    # Latin-1 counts less than the septets that it will become, so only GSM octets can settle the matter at once.
    if len(octets) <= 160 and style.default_charset == "gsm7":
        return style.gsm_data_coding, (gsm0338.pack(octets) if style.gsm_packed else octets,)
    parts = segments.segment(text, reference_octets=2 if header_octets == 7 else 1).parts
    encoded = tuple(_default_octets(part, style) or b"" for part in parts)
    if style.gsm_packed:
        fill_bits = -8 * header_octets % 7 if len(parts) > 1 else 0
        encoded = tuple(gsm0338.pack(part, fill_bits) for part in encoded)
    return style.gsm_data_coding, encoded


def _default_octets(text: str, style: TextStyle) -> bytes | None:
    """The text in the carrier's default alphabet, or None if it needs UCS-2."""
    try:
        octets = gsm0338.encode(text)
    except UnencodableText:
        return None
    if style.default_charset == "gsm7":
        return octets
    # Such an SMSC converts to GSM and drops what does not fit: only what both alphabets have arrives.
    try:
        return text.encode(_CODECS[style.default_charset])
    except UnicodeEncodeError:
        return None


def _ucs2_octets(text: str, style: TextStyle) -> bytes:
    if not style.ucs2_allowed:
        raise UnencodableText("the carrier takes no UCS-2")
    if not segments.is_encodable(text):
        raise UnencodableText("the text holds U+001B or half a surrogate pair")
    return text.encode("utf-16-be")


def _ucs2_segments(octets: bytes, reference_octets: Literal[1, 2]) -> tuple[bytes, ...]:
    # Not segments.segment: a text that is GSM 7-bit there may need UCS-2 here, because this carrier's alphabet lacks
    # one of its characters.
    if len(octets) <= 2 * segments.SINGLE[segments.Encoding.UCS2]:
        return (octets,)
    limit = 2 * segments.PER_SEGMENT[reference_octets][segments.Encoding.UCS2]
    parts = []
    start = 0
    while start < len(octets):
        end = start + limit
        if end < len(octets) and octets[end - 2] in _SURROGATE_HIGH:
            end -= 2
        parts.append(octets[start:end])
        start = end
    return tuple(parts)


def unpack(octets: bytes, header_octets: int = 0) -> bytes:
    """The septets of one inbound segment of a carrier that packs; before segments are joined, for each begins anew."""
    fill_bits = -8 * header_octets % 7
    return gsm0338.unpack(octets, (8 * len(octets) - fill_bits) // 7, fill_bits)


def decode(octets: bytes, data_coding: int, charset: Charset = "gsm7", *, has_ports: bool = False) -> str:
    """The text of an inbound message, all its segments' octets joined. Never raises.

    ``charset`` is what data_coding 0 means at this carrier. 8-bit data for an application's port (``has_ports``) is no
    text and gives one character for each octet. One NUL at the end is taken away: some peers count their terminator.
    A GSM 7-bit octet 00 at the end is not: it is an ``@``.
    """
    kind = charset if data_coding == 0 else _KINDS.get(data_coding) or _kind_of_group(data_coding)
    if kind == "gsm7":
        return _gsm(octets)
    if kind == "ucs2":
        text = _ucs2(octets)
    elif kind == "binary":
        text = octets.decode("latin-1") if has_ports else _first_of(octets, "utf-8", "latin-1")
    else:
        text = _first_of(octets, *_CHAINS[kind])
    return text.removesuffix("\0")


# SMPP 3.4 §5.2.19; 0 is the carrier's own alphabet, and what is not here is coded by GSM's groups.
_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x01: "ascii",
        0x02: "binary",
        0x03: "latin1",
        0x04: "binary",
        0x05: "jis",
        0x06: "cyrillic",
        0x07: "hebrew",
        0x08: "ucs2",
        0x09: "pictogram",
        0x0A: "music",
        0x0D: "kanji",
        0x0E: "korean",
    }
)

# What to try, in order; the last of each takes anything, with U+FFFD for what it does not know. Windows-1252 holds all
# of Latin-1's letters and, where that has nothing, the curly quotes that some senders put.
_CHAINS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ascii": ("ascii", "latin-1"),
        "latin1": ("cp1252",),
        "jis": ("iso2022_jp", "shift_jis"),
        "cyrillic": ("iso8859_5",),
        "hebrew": ("iso8859_8",),
        "pictogram": ("shift_jis",),
        "music": ("iso2022_jp",),
        "kanji": ("iso2022_jp_1",),
        "korean": ("euc_kr",),
    }
)


def _kind_of_group(data_coding: int) -> str:
    """3GPP TS 23.038 §4: the general, message waiting and message class groups."""
    group = data_coding >> 4
    if group == 0xF:
        return "binary" if data_coding & 0x04 else "gsm7"
    if group == 0xE:
        return "ucs2"
    if group < 0x8:
        return ("gsm7", "binary", "ucs2", "gsm7")[data_coding >> 2 & 3]
    return "gsm7"


def _gsm(octets: bytes) -> str:
    if octets.isascii():
        return gsm0338.decode(octets)
    # Not septets, so the sender took another alphabet for the whole message.
    return _first_of(octets, "utf-8", "latin-1").removesuffix("\0")


def _ucs2(octets: bytes) -> str:
    octets = octets[: len(octets) & ~1]
    if octets[:2] == b"\xff\xfe":
        return octets[2:].decode("utf-16-le", "replace")
    return octets.decode("utf-16-be", "replace").removeprefix("\ufeff")


def _first_of(octets: bytes, *codecs: str) -> str:
    for codec in codecs[:-1]:
        try:
            return octets.decode(codec)
        except UnicodeDecodeError:
            continue
    return octets.decode(codecs[-1], "replace")
