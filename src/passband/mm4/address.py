"""Addresses in headers and envelopes, and the platform's name for each.

They are read from the raw text: without a domain they are no mail addresses, and the standard library's structured
parser makes nothing of them (MM4, section 2; 3GPP TS 23.140 §8.4.5.1).
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from passband.domain.number import is_recipient, is_sender

# RFC 5321 §4.5.3.1: 64 octets of local part, "@", 255 of domain. A longer one is no address and is passed over.
MAX_ADDRESS_OCTETS = 320


class AddressKind(enum.StrEnum):
    """What an address names. ``NAME`` is a sender without a number, such as an alphanumeric one."""

    PLMN = "PLMN"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    EMAIL = "email"
    NAME = "name"


class EnvelopeForm(enum.StrEnum):
    """How a peer wants numbers in MAIL FROM and RCPT TO; a property of the peer, not of the message."""

    TYPED = "typed"
    """``+12025550143/TYPE=PLMN@host``, as 3GPP says."""
    PLAIN = "plain"
    """``+12025550143@host``."""
    DIGITS = "digits"
    """``12025550143@host``."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address: ``raw`` as it came, without display name and brackets, to answer with; ``value`` for the platform.

    ``value`` is an E.164 number with ``+``, a short code, or, where there is no number, the name before ``/TYPE=`` or
    the whole mail address.
    """

    raw: str
    kind: AddressKind
    value: str

    @classmethod
    def of_number(cls, number: str) -> "Address":
        """The header form of a number or short code of ours: ``+12025550143/TYPE=PLMN``, no domain."""
        return cls(f"{number}/TYPE=PLMN", AddressKind.PLMN, number)

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent a mail and who gets it: MAIL FROM and RCPT TO without brackets; ``sender`` may be empty."""

    sender: str
    recipients: tuple[str, ...]


_typed = re.compile(
    r"(?P<local>.*?)(?:/TYPE=(?P<type>[A-Za-z0-9]+))?(?:@(?P<domain>[^@\s]*))?", re.IGNORECASE
).fullmatch
_phone = re.compile(r"\+?[ ().-]*[0-9][0-9 ().-]*").fullmatch
_punctuation = str.maketrans("", "", " ().-+")
_printable = re.compile(r"[ -;=?-~]+").fullmatch  # without < and >, of which one may be left over
_mailbox = re.compile(r"[!#-'*+\--9=?A-Z^-~]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*").fullmatch


def parse_address(text: str) -> Address | None:
    """Read one address, with or without display name, brackets, type, domain and ``+``; None where there is none."""
    raw = _without_display_name(text)
    if not 0 < len(raw) <= MAX_ADDRESS_OCTETS or not _printable(raw):
        return None
    # With quotes the local part may hold anything; without them the pattern sees the number and its type.
    match = _typed(raw.replace('"', ""))
    if match is None or not (local := match["local"].strip()):
        return None
    declared = (match["type"] or "").lower()
    if declared in ("ipv4", "ipv6"):
        return Address(raw, AddressKind.IPV4 if declared == "ipv4" else AddressKind.IPV6, local)
    if _phone(local) and is_recipient(number := normalise(local)):
        return Address(raw, AddressKind.PLMN, number)
    if not declared and match["domain"]:
        return Address(raw, AddressKind.EMAIL, f"{local}@{match['domain']}")
    # Without a type only what can be a sender counts, or "undisclosed-recipients:;" would be a participant.
    return Address(raw, AddressKind.NAME, local) if declared or is_sender(local) else None


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Read the addresses of a header, separated by commas; what is none is passed over, repeats are kept."""
    return tuple(address for item in _split(text) if (address := parse_address(item)) is not None)


def mailbox(text: str) -> str | None:
    """Read a system address, one that a mail can be sent to; None where it has no domain or is none at all."""
    raw = _without_display_name(text)
    return raw if len(raw) <= MAX_ADDRESS_OCTETS and _mailbox(raw) else None


def normalise(digits: str) -> str:
    """Write a number in E.164 with ``+``, punctuation removed.

    Without ``+``: 10 digits are North American, 3 to 8 are a short code and stay bare, anything else that can be an
    international number is one. What begins with 0 cannot be placed and stays as it is.
    """
    bare = digits.translate(_punctuation)
    if digits.lstrip().startswith("+"):
        return f"+{bare}"
    if bare.startswith("0") or len(bare) <= 8:
        return bare
    return f"+1{bare}" if len(bare) == 10 else f"+{bare}"


def envelope_address(number: str, domain: str, form: EnvelopeForm = EnvelopeForm.TYPED) -> str:
    """The envelope's address of a number or short code, without angle brackets.

    Raises ValueError where number and domain make no address, so that nothing else reaches an SMTP command.
    """
    if form is EnvelopeForm.TYPED:
        address = f"{number}/TYPE=PLMN@{domain}"
    else:
        address = f"{number.lstrip('+') if form is EnvelopeForm.DIGITS else number}@{domain}"
    if not number or mailbox(address) != address:
        raise ValueError(f"not an envelope address: {address!r}")
    return address


def _without_display_name(text: str) -> str:
    """The part in the last angle brackets that hold something; without such, all of it, quotes around it removed."""
    text = text.strip()
    end = text.rfind(">")
    start = text.rfind("<", 0, end) if end >= 0 else -1
    if start >= 0 and (inner := text[start + 1 : end].strip()):
        return inner
    bare = text.strip("<> \t")
    return bare[1:-1].strip() if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare


# Atomic, so that a quote that never closes costs one pass and not one for every quote in it.
_mark = re.compile(r'"(?>(?:[^"\\]|\\.)*)"?|<[^<>]*>|,')


def _split(text: str) -> Iterator[str]:
    """Cut at commas outside quotes and angle brackets, in one pass; a quote that never closes binds nothing."""
    start = 0
    for match in _mark.finditer(text):
        found = match[0]
        if found == ",":
            yield text[start : match.start()]
            start = match.end()
        elif found.startswith('"') and (len(found) == 1 or not found.endswith('"')):
            yield from text[start:].split(",")
            return
    yield text[start:]
