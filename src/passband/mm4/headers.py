"""Header fields: out of a mail within limits, and into one without a way to smuggle in another.

Reading is by our own few lines and not by the standard library, which has no limits, stops at the first line without a
colon and takes a bare CR for a line end, where another relay on the way does not.
"""

import binascii
import email.utils
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from passband.mm4.charset import decode_text
from passband.mm4.errors import Reason, UnreadableMm4

# A forward.REQ has about 30 fields, each relay adds a Received and some X-, loops end at 30 Received.
MAX_FIELDS = 500
# Room for 1,000 recipients of 60 octets and for the longest fields beside them.
MAX_HEADER_OCTETS = 128 * 1024
# RFC 2047 §2 bounds a word to 75 octets: 2,000 octets hold 400 characters outside ASCII; 80 are safe on handsets.
MAX_SUBJECT_OCTETS = 2000
# RFC 5322 §2.1.1: a line has at most 998 octets, and should have no more than 78.
MAX_LINE_OCTETS = 998
_PREFERRED_LINE = 78
# 45 octets are 60 characters of base64, with the 12 around them fewer than the 75 of RFC 2047 §2.
_WORD_OCTETS = 45

_control = re.compile(r"[\x00-\x1f\x7f]+")
_unprintable = re.compile(r"[^ -~]")
_empty_line = re.compile(rb"\A\r?\n|\n\r?\n")
_field_name = re.compile(rb"[!-9;-~]+").fullmatch
_parameter = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?>(?:[^"\\]|\\.)*)"|[^;]*)')
_encoded_word = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")


class Headers:
    """The fields of one header: names without regard to case, unfolded values, control characters as blanks."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str | None:
        """The first field of that name, given in lower case; None where there is none or it is empty."""
        return next((value for value in self._values.get(name, ()) if value), None)

    def all(self, name: str) -> list[str]:
        """Every field of that name, in the order of the mail."""
        return self._values.get(name, [])

    def word(self, name: str) -> str | None:
        """A value that may be wrapped in double quotes, without them."""
        value = self.get(name)
        return None if value is None else (value.strip('" \t') or None)

    def yes(self, name: str) -> bool:
        """Whether the field says Yes; absent is No."""
        return (self.word(name) or "").lower() == "yes"


def split_headers(
    octets: bytes, *, max_octets: int = MAX_HEADER_OCTETS, max_fields: int = MAX_FIELDS
) -> tuple[Headers, bytes]:
    """Cut a mail or a part at its first empty line into its fields and its body.

    Lines that are no fields are passed over. Raises UnreadableMm4 (TOO_LARGE) beyond ``max_octets`` or ``max_fields``.
    """
    end = _empty_line.search(octets, 0, max_octets + 3)
    if end is None and len(octets) > max_octets:
        raise UnreadableMm4(Reason.TOO_LARGE, f"no end of the header within {max_octets} octets")
    block, body = (octets, b"") if end is None else (octets[: end.start()], octets[end.end() :])
    fields: list[tuple[str, list[bytes]]] = []
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            if fields:
                fields[-1][1].append(line)
        elif colon and _field_name(stripped := name.rstrip(b" \t")):
            fields.append((stripped.decode("ascii").lower(), [value]))
            if len(fields) > max_fields:
                raise UnreadableMm4(Reason.TOO_LARGE, f"more than {max_fields} header fields")
    return Headers((name, _clean(b"".join(values))) for name, values in fields), body


def _clean(value: bytes) -> str:
    return _control.sub(" ", decode_text(value, None)).strip()


def printable(text: str, limit: int) -> str:
    """What of a value can stand in a header: printable ASCII, at most ``limit`` characters; the rest is left out."""
    return _unprintable.sub("", text)[:limit].strip()


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """Read ``type/subtype; name=value``: the lower-case type, and its parameters (RFC 2045 §5.1, RFC 2231).

    Names are lower case; the first of a name wins; continuations and percent-encoding of RFC 2231 are undone.
    """
    kind, _, _ = value.partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for match in _parameter.finditer(value, len(kind)):
        name, text = match[1].lower(), match[2].strip()
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:])
        base, star, rest = name.partition("*")
        if not star:
            plain.setdefault(name, text)
        elif re.fullmatch(r"([0-9]{1,3}\*?)?", rest):
            number = rest.rstrip("*")
            pieces.setdefault(base, []).append((int(number or 0), not number or rest.endswith("*"), text))
    for base, items in pieces.items():
        plain[base] = _joined(sorted(items, key=lambda item: item[0]))
    return kind.strip().lower(), plain


def _joined(items: list[tuple[int, bool, str]]) -> str:
    charset: str | None = None
    octets = bytearray()
    for place, (_, encoded, text) in enumerate(items):
        if encoded:
            if place == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            octets += _percent_decoded(text)
        else:
            octets += text.encode()
    return _control.sub(" ", decode_text(bytes(octets), charset))


def _percent_decoded(text: str) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode("ascii")), text.encode())


def decode_words(text: str) -> str:
    """Undo RFC 2047; words that cannot be undone stay as they are. The blanks between two words belong to neither."""
    result: list[str] = []
    pending, pending_charset = b"", ""
    start = 0
    for match in _encoded_word.finditer(text):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        between = text[start : match.start()]
        charset = match[1].partition("*")[0].lower()
        # Some senders cut a character in two, so words of one charset are decoded together.
        if pending_charset and (between.strip() or charset != pending_charset):
            result.append(decode_text(pending, pending_charset))
            pending = b""
        if between.strip() or not pending_charset:
            result.append(between)
        pending, pending_charset, start = pending + octets, charset, match.end()
    if pending_charset:
        result.append(decode_text(pending, pending_charset))
    result.append(text[start:])
    return _control.sub(" ", "".join(result))


def _word_octets(encoding: str, text: str) -> bytes | None:
    try:
        if encoding in "bB":
            return binascii.a2b_base64(text.encode("ascii") + b"==")
        return binascii.a2b_qp(text.encode("ascii"), header=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def encode_words(name: str, text: str) -> list[str]:
    """A text for a header: as it is where that is one short line of ASCII, else in words of RFC 2047, a line each.

    Control characters, CR and LF among them, become blanks.
    """
    clean = _control.sub(" ", text)
    plain = clean.isascii() and "=?" not in clean and clean == clean.strip()
    if plain and len(name) + 2 + len(clean) <= _PREFERRED_LINE:
        return [clean]
    words: list[str] = []
    word = b""
    for character in clean:
        octets = character.encode("utf-8", "replace")
        if len(word) + len(octets) > _WORD_OCTETS:
            words.append(_word(word))
            word = b""
        word += octets
    return [*words, _word(word)]


def _word(octets: bytes) -> str:
    return f"=?utf-8?B?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def field(name: str, value: str | Sequence[str]) -> str:
    """One header field with its CRLF; a value in several lines is folded between them.

    Raises ValueError where a line has anything but printable ASCII or is too long: nothing that a peer or an
    application wrote can begin a header of its own.
    """
    lines = [value] if isinstance(value, str) else value
    for place, line in enumerate(lines):
        if _unprintable.search(line):
            raise ValueError(f"not printable ASCII, in {name}")
        if len(line) + (1 if place else len(name) + 2) > MAX_LINE_OCTETS:
            raise ValueError(f"a line of {len(line)} octets, in {name}")
    folded = "\r\n ".join(lines)
    return f"{name}: {folded}\r\n"


def address_list(name: str, items: Iterable[str]) -> list[str]:
    """Addresses separated by commas, in one line as long as that is legal: some MMSCs do not unfold."""
    lines: list[str] = []
    limit = MAX_LINE_OCTETS - len(name) - len(": ") - len(",")
    for item in items:
        if not lines:
            lines.append(item)
        elif len(lines[-1]) + len(", ") + len(item) <= limit:
            lines[-1] += f", {item}"
        else:
            lines[-1] += ","
            lines.append(item)
    return lines


def mail_date(at: float) -> str:
    """An instant, in seconds since 1970, as a mail writes it: ``Sat, 14 Mar 2026 01:59:26 +0000``."""
    return email.utils.format_datetime(datetime.fromtimestamp(int(at), UTC))


def parse_date(text: str | None) -> float | None:
    """The instant of a mail's date, in seconds since 1970; None where it is none. Without a zone it is UTC."""
    # A date has 31 characters and perhaps a comment.
    if text is None or len(text) > 100:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text.strip('" '))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
