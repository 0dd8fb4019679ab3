"""The body of a forward.REQ: out of MIME come its text and its other parts, in order (MM4, section 5; RFC 2046).

Cutting is by our own few lines: the standard library's parser has no limits, keeps one level of the Python stack for
each level of nesting, and gives every mail some reading where a broken one must be refused. Tests compare the two.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from passband.mm4.charset import decode_text
from passband.mm4.errors import Reason, UnreadableMm4
from passband.mm4.headers import Headers, decode_words, parameters, split_headers
from passband.mm4.names import OCTET_STREAM, SMIL_TYPES, is_content_type, part_name, type_of_name

# A long slide show has some 50 parts; each becomes a file and a URL, so that thousands are an attack on the store.
MAX_PARTS = 200
# mixed, related, alternative make three levels; a forwarded message may add as many again.
MAX_NESTING = 8
# A part has up to six fields; a name of 255 characters outside ASCII takes 3 kB.
MAX_PART_FIELDS = 100
MAX_PART_HEADER_OCTETS = 16 * 1024
# RFC 2046 §5.1.1 allows 70; some mailers write more.
_MAX_BOUNDARY = 200

_starts_with_field = re.compile(rb"[!-9;-~]+[ \t]*:|\r?\n").match
_line_end = re.compile(rb"\r?\n").match
_octet_streams = frozenset({OCTET_STREAM, "binary/octet-stream", "application/x-octet-stream", "application/binary"})
_not_base64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_known_families = ("image/", "audio/", "video/", "text/x-vcard", "text/vcard", "text/calendar")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is not text: ``index`` counts the message's parts from 0, text parts and SMIL included."""

    index: int
    content_type: str
    name: str
    octets: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """Its place below the message's media: ``{index}/{name}`` (Callbacks, section 6)."""
        return f"{self.index}/{self.name}"

    @property
    def is_smil(self) -> bool:
        """Whether this is the layout and not a medium."""
        return self.content_type in SMIL_TYPES

    def __str__(self) -> str:
        return f"{self.path} {self.content_type} {len(self.octets)} octets"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part without parts, its transfer encoding undone."""

    content_type: str
    charset: str | None
    names: tuple[str, ...]
    octets: bytes = field(repr=False)


def read_content(headers: Headers, body: bytes) -> tuple[str, tuple[Part, ...]]:
    """Read the text of a mail, its parts joined by line feeds, and all other parts in order.

    Raises UnreadableMm4: MALFORMED for a multipart without a boundary or without any part of it, TOO_LARGE beyond the
    limits above.
    """
    texts: list[str] = []
    parts: list[Part] = []
    for index, leaf in enumerate(leaves(headers, body)):
        if leaf.content_type == "text/plain":
            text = decode_text(leaf.octets, leaf.charset)
            texts.append(text.replace("\r\n", "\n").replace("\r", "\n"))
        else:
            name = part_name(leaf.names, leaf.content_type, index)
            parts.append(Part(index, leaf.content_type, name, leaf.octets))
    return "\n".join(text for text in texts if text), tuple(parts)


def leaves(headers: Headers, body: bytes) -> list[Leaf]:
    """The parts of a mail that have no parts themselves, in order; of alternatives only the chosen one."""
    # The line end before the end of DATA belongs to SMTP, as the one before a boundary belongs to the boundary.
    if body.endswith(b"\n"):
        body = body[:-1].removesuffix(b"\r")
    return _walk(headers, body, 0, iter(range(MAX_PARTS)))


def _walk(headers: Headers, body: bytes, depth: int, budget: Iterator[int]) -> list[Leaf]:
    """``budget`` is shared by the whole mail and yields once for each part that it may still have."""
    kind, values = parameters(headers.get("content-type") or "")
    if not kind.startswith("multipart/"):
        return [_leaf(headers, kind, values, body)]
    if depth >= MAX_NESTING:
        raise UnreadableMm4(Reason.TOO_LARGE, f"multiparts nested more than {MAX_NESTING} deep")
    boundary = values.get("boundary", "").rstrip().encode()
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise UnreadableMm4(Reason.MALFORMED, "a multipart without a usable boundary")
    children: list[list[Leaf]] = []
    for octets in _split(body, boundary):
        if next(budget, None) is None:
            raise UnreadableMm4(Reason.TOO_LARGE, f"more than {MAX_PARTS} parts")
        children.append(_walk(*_part_headers(octets), depth + 1, budget))
    if kind == "multipart/alternative" and children:
        return _chosen(children)
    return [leaf for child in children for leaf in child]


def _chosen(alternatives: list[list[Leaf]]) -> list[Leaf]:
    """The last alternative that has something we know (RFC 2046 §5.1.4: the last is the best); else the plainest."""
    for alternative in reversed(alternatives):
        if any(_is_known(leaf.content_type) for leaf in alternative):
            return alternative
    return alternatives[0]


def _is_known(content_type: str) -> bool:
    return content_type == "text/plain" or content_type in SMIL_TYPES or content_type.startswith(_known_families)


def _split(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Cut at the lines of the boundary, up to the closing one or, where it is missing, to the end.

    Raises UnreadableMm4 (MALFORMED) where the boundary does not occur.
    """
    # The pattern begins with letters, not with a choice, because that is searched ten times as fast: hence the line end
    # before the body, and the CR of a line end that is left over.
    line = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    body = b"\n" + body
    start = -1
    for match in line.finditer(body):
        # Two boundary lines with nothing between them have no part between them.
        if start >= 0 and (part := body[start : match.start()].removesuffix(b"\r")):
            yield _without_line_end(part)
        start = match.end()
        if match[1]:
            return
    if start < 0:
        raise UnreadableMm4(Reason.MALFORMED, "a multipart in which its boundary does not occur")
    yield _without_line_end(body[start:])


def _without_line_end(octets: bytes) -> bytes:
    match = _line_end(octets)
    return octets[match.end() :] if match else octets


def _part_headers(octets: bytes) -> tuple[Headers, bytes]:
    # A part may come without headers and, wrongly, without the empty line that should stand for them.
    if not _starts_with_field(octets):
        return Headers(()), octets
    return split_headers(octets, max_octets=MAX_PART_HEADER_OCTETS, max_fields=MAX_PART_FIELDS)


def _leaf(headers: Headers, kind: str, values: dict[str, str], body: bytes) -> Leaf:
    disposition = parameters(headers.get("content-disposition") or "")[1]
    location = headers.get("content-location") or ""
    if "://" in location:
        location = re.split(r"[?#]", location, maxsplit=1)[0]
    candidates = (location, disposition.get("filename", ""), values.get("name", ""), disposition.get("name", ""))
    names = tuple(decode_words(name) for name in candidates if name)
    by_name = next((found for name in names if (found := type_of_name(name.strip()))), None)
    if not is_content_type(kind):
        # Without any type it is text (RFC 2045 §5.2); with an unreadable one nobody knows.
        kind = by_name or (OCTET_STREAM if kind else "text/plain")
    elif kind in _octet_streams:
        kind = by_name or OCTET_STREAM
    return Leaf(kind, values.get("charset"), names, _decoded(body, headers.word("content-transfer-encoding") or ""))


def _decoded(body: bytes, encoding: str) -> bytes:
    match encoding.lower():
        case "base64":
            return decode_base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case _:
            return body


def decode_base64(octets: bytes) -> bytes:
    """Decode base64 whatever stands between its letters, up to its padding; a lone last letter is dropped."""
    letters = octets.translate(None, _not_base64)
    try:
        return binascii.a2b_base64(letters + b"==")
    except binascii.Error:
        # One letter more than a multiple of four holds six bits, which make no octet.
        return binascii.a2b_base64(letters.rstrip(b"=")[:-1] + b"==")
