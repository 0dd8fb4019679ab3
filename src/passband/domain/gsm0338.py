"""The GSM 7-bit default alphabet: which characters fit, what they cost, and their octets.

Source: 3GPP TS 23.038 §6.2.1 (default alphabet) and §6.2.1.1 (default extension table), formerly GSM 03.38. What
belongs here concerns single characters and septets; where a long text is cut is the business of ``segments``.

The rule is strict: a text either fits as it stands or does not. Nothing is normalised, transliterated or replaced,
because the segment count must be a function of the text that the customer sent.
"""

import codecs
import re

from passband.domain.errors import PassbandError

ESC = "\x1b"

# Position = septet. Septet 9 is the capital C with cedilla: a widely copied table has the small one instead, which
# must not be encoded. Omega is U+03A9, not the ohm sign U+2126.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    f"Δ_ΦΓΛΩΠΨΣΘΞ{ESC}ÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

# After ESC. Septets 0D (CR2) and 1B (SS2) are reserved: never sent, and read like any other unlisted one.
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

BASIC = frozenset(_BASIC) - {ESC}
"""The 127 characters that cost one septet. ESC has a septet but is no character: it cannot be sent."""

EXTENSION = frozenset(_EXTENSION.values())
"""The 10 characters that cost two septets, ESC and one more."""

ENCODABLE = BASIC | EXTENSION
"""Every character that GSM 7-bit can carry."""


def _class(characters: frozenset[str]) -> str:
    return re.escape("".join(sorted(characters)))


_all_basic = re.compile(f"[{_class(BASIC)}]*").fullmatch
_first_foreign = re.compile(f"[^{_class(ENCODABLE)}]").search

# str.translate leaves what the table does not name as it is, so the ASCII characters that are not GSM are named too,
# and sent outside ASCII: after translation a text is ASCII exactly if it was GSM. That saves a pass over the text.
_NOT_GSM = "\ufffd"
_TO_SEPTETS = (
    dict.fromkeys(range(128), _NOT_GSM)
    | {ord(character): chr(septet) for septet, character in enumerate(_BASIC) if character != ESC}
    | {ord(character): ESC + chr(septet) for septet, character in _EXTENSION.items()}
)

# Most texts are ASCII and hold only what costs one septet: one pass over octets tells, and translates them.
_ASCII_SEPTETS = bytes(max(_BASIC.find(chr(octet)), 0) for octet in range(256))
_NOT_PLAIN = bytes(octet for octet in range(256) if octet > 127 or chr(octet) not in BASIC)

_FROM_OCTET = _BASIC + "\ufffd" * 128
_AFTER_ESC = {_BASIC[septet]: character for septet, character in _EXTENSION.items()} | {ESC: " ", "": " "}
_escaped = re.compile(f"{ESC}(.?)", re.DOTALL)


class UnencodableText(PassbandError):
    """The text holds a character that the GSM 7-bit alphabet does not have."""


def measure(text: str) -> int | None:
    """The septets that a text costs, or None if one of its characters is not GSM 7-bit."""
    if _plain(text) is not None or _all_basic(text):
        return len(text)
    if _first_foreign(text):
        return None
    return len(text) + extended(text)


def extended(text: str) -> int:
    """How many characters of a text cost two septets."""
    return sum(map(text.count, EXTENSION))


def is_gsm(text: str) -> bool:
    """Whether GSM 7-bit can carry the text unchanged."""
    return _first_foreign(text) is None


def septets(text: str) -> int:
    """The septets that a text costs: one for each character, two for one of the extension table.

    Raises:
        UnencodableText: a character is not GSM 7-bit.
    """
    cost = measure(text)
    if cost is None:
        raise _unencodable(text)
    return cost


def encode(text: str) -> bytes:
    """The octets that SMPP carries for a text in data_coding 0: one septet in each octet, unpacked.

    Raises:
        UnencodableText: a character is not GSM 7-bit.
    """
    plain = _plain(text)
    if plain is not None:
        return plain
    try:
        return text.translate(_TO_SEPTETS).encode("ascii")
    except UnicodeEncodeError:
        raise _unencodable(text) from None


def decode(octets: bytes) -> str:
    """The text of unpacked septets; whatever a peer sends is readable, so it never raises.

    After ESC, an unlisted septet gives its character in the default alphabet ("the receiving entity shall display the
    character shown in the main default alphabet table", 3GPP TS 23.038 §6.2.1.1); ESC ESC, and ESC at the end, give a
    space. An octet above 7F is no septet and gives U+FFFD. Join the segments of a message first: a foreign sender may
    cut between ESC and its partner.
    """
    text, _ = codecs.charmap_decode(octets, "strict", _FROM_OCTET)
    if ESC not in text:
        return text
    return _escaped.sub(lambda pair: _AFTER_ESC.get(pair[1], pair[1]), text)


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets laid end to end in octets, least significant bit first (3GPP TS 23.038 §6.1.2.1).

    ``fill_bits`` zeros go before the first septet, so that a text behind a user data header of h octets begins on a
    septet boundary: (-8h) mod 7.

    Raises:
        ValueError: an octet of ``septets`` is above 7F.
    """
    if not septets.isascii():
        raise ValueError("not septets: an octet is above 7F")
    stream = 0
    for septet in reversed(septets):
        stream = stream << 7 | septet
    return (stream << fill_bits).to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """The first ``count`` septets of packed octets, one in each octet; fewer if the octets end before.

    The count is needed because seven spare bits in the last octet cannot be told from a final ``@``.
    """
    stream = int.from_bytes(octets, "little") >> fill_bits
    held = max(0, (8 * len(octets) - fill_bits) // 7)
    return bytes(stream >> 7 * position & 0x7F for position in range(min(count, held)))


def _plain(text: str) -> bytes | None:
    """Return the septets of an ASCII text each of whose characters costs one; None for any other text."""
    if not text.isascii():
        return None
    octets = text.encode("ascii").translate(_ASCII_SEPTETS, _NOT_PLAIN)
    return octets if len(octets) == len(text) else None


def _unencodable(text: str) -> UnencodableText:
    foreign = _first_foreign(text)
    assert foreign is not None
    # The place and the code point, never the text: errors are logged.
    return UnencodableText(f"character {foreign.start()}, U+{ord(foreign[0]):04X}, is not in the GSM 7-bit alphabet")
