"""Delivery receipts: which PDUs are one, what they say, whatever form the carrier gave it.

Source: SMPP 3.4 §5.2.12 (esm_class), Appendix B (the text's form, "the informational content is SMSC vendor
specific"), and the forms seen from carriers. Nothing here raises: what cannot be read is absent.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from passband.smpp import tlv, udh
from passband.smpp.error_mapping import RECEIPT_STATES
from passband.smpp.pdu import DataSm, DeliverSm, ReceiptSm

RECEIPT_BIT: Final = 0x04
INTERMEDIATE_BIT: Final = 0x20
_TYPE_BITS: Final = 0x3C
_ACKNOWLEDGEMENTS: Final = frozenset({0x08, 0x10})  # of the receiving application, and of its user


class ReceiptText(Struct, frozen=True, gc=False):
    """The fields of a receipt's text; None is absent or empty.

    ``stat`` is in upper case. ``text`` (the first characters of the message) may be empty though its label is there.
    """

    id: str | None = None
    sub: str | None = None
    dlvrd: str | None = None
    submit_date: str | None = None
    done_date: str | None = None
    stat: str | None = None
    err: str | None = None
    text: str | None = None

    def __str__(self) -> str:
        """One line for the log, without the message's text."""
        return f"receipt id:{self.id} stat:{self.stat} err:{self.err}"

    __repr__ = __str__


class Receipt(Struct, frozen=True, gc=False):
    """What a carrier says about a segment.

    ``ids`` are the segment's message ids, the likelier first: the TLV's, then the text's. ``source`` is the receipt's
    source_addr, which is the segment's destination. ``certain`` is False where only the text looks like a receipt:
    it is one only if an id matches an open segment with that destination, and else a message typed by a person
    (without this check anyone could forge receipts by texting). ``intermediate`` ones are never final.
    """

    ids: tuple[str, ...]
    source: str
    stat: str | None = None
    err: str | None = None
    message_state: int | None = None
    network_error: tlv.NetworkError | None = None
    user_message_reference: int | None = None
    intermediate: bool = False
    certain: bool = True


def read(pdu: DeliverSm | DataSm | ReceiptSm, pattern: re.Pattern[str] | None = None) -> Receipt | None:
    """The receipt in a PDU, or None if it is an ordinary message.

    ``pattern`` is the carrier profile's own, with groups named id, stat and err, for texts without labels.
    A PDU that is flagged as a receipt is one even if nothing in it can be read: it must not become a message.
    """
    if type(pdu) is ReceiptSm:
        return Receipt((pdu.id,), pdu.source_addr, pdu.stat, pdu.err)
    assert not isinstance(pdu, ReceiptSm)
    esm_class, tlvs = pdu.esm_class, pdu.tlvs
    # Nearly every receipt is this: flagged, in the usual form, without parameters.
    if esm_class == RECEIPT_BIT and not tlvs and pattern is None and type(pdu) is DeliverSm:
        usual = _usual_start(pdu.short_message.decode("latin-1"))
        if usual is not None:
            identity, stat, err = usual.groups()
            return Receipt((identity,), pdu.source_addr, stat, err)
    if esm_class & (RECEIPT_BIT | INTERMEDIATE_BIT):
        return _receipt(pdu, _text_of(pdu, pattern), certain=True)
    kind = esm_class & _TYPE_BITS
    if tlv.RECEIPTED_MESSAGE_ID in tlvs:
        fields = _text_of(pdu, pattern)
        told = tlv.MESSAGE_STATE in tlvs or fields.stat is not None
        return _receipt(pdu, fields, certain=True) if told else None
    if kind not in _ACKNOWLEDGEMENTS and (kind != 0 or not _looks_like_receipt(decode(udh.split(pdu)[1]))):
        return None
    fields = _text_of(pdu, pattern)
    if fields.id is None or fields.stat is None:
        return None
    return _receipt(pdu, fields, certain=kind != 0)


def decode(octets: bytes) -> str:
    """The text of a receipt's octets. The data_coding is not asked: some say UCS-2 above ASCII octets."""
    if len(octets) % 2 == 0 and octets[:1] == b"\0":
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def parse(text: str) -> ReceiptText:
    """The fields of a receipt's text; none of them, if it has none. Never raises."""
    usual = _usual(text)
    if usual is None:
        return parse_tolerantly(text)
    message_id, sub, dlvrd, submit_date, done_date, stat, err, rest = usual.groups()
    return ReceiptText(
        message_id, sub, dlvrd, submit_date, done_date, stat, err, rest.strip() if rest is not None else None
    )


def parse_tolerantly(text: str) -> ReceiptText:
    """The fields of a text in any order, form and case; ``parse`` says the same, sooner for the usual form.

    The first occurrence of each label counts, and nothing behind ``text:`` is a label. A value ends at the next label
    and is one word. Without ``stat:`` the first word that names a state is taken.
    """
    text = text.replace("\0", " ")
    values: dict[str, str | None] = {}
    labels = []
    message: str | None = None
    for found in _labels(text):
        labels.append(found)
        if found.lastgroup == "text":
            message = text[found.end() :].strip()
            break
    ends = [*(found.start() for found in labels), len(text)]
    for found, end in zip(labels, ends[1:], strict=True):
        label = found.lastgroup
        if label is not None and label != "text" and label not in values:
            words = text[found.end() : end].split(maxsplit=1)
            values[label] = words[0] if words else None
    stat = values.get("stat")
    if "stat" not in values:
        before_text = text[: labels[-1].start()] if message is not None else text
        stat = next((word for word in before_text.upper().split() if word in RECEIPT_STATES), None)
    values["stat"] = stat.upper() if stat is not None else None
    return ReceiptText(**values, text=message)


# The form of SMPP 3.4 Appendix B as nearly every carrier sends it. It must accept nothing that parse_tolerantly reads
# otherwise: hence no blanks, colons or NULs inside values.
_usual = re.compile(
    r"id:([0-9A-Za-z-]+) sub:([0-9]+) dlvrd:([0-9]+) submit date:([0-9]+) done date:([0-9]+) "
    r"stat:([A-Z]+) err:([0-9A-Za-z]+)(?: [Tt]ext:([^\0]*))?"
).fullmatch

# The same with groups only for what a verdict needs, and not asked what the message's text is.
_usual_start = re.compile(
    r"id:([0-9A-Za-z-]++) sub:[0-9]++ dlvrd:[0-9]++ submit date:[0-9]++ done date:[0-9]++ "
    r"stat:([A-Z]++) err:([0-9A-Za-z]++)(?: [Tt]ext:|\Z)"
).match

_labels = re.compile(
    r"(?<![A-Za-z0-9_])(?:(?P<id>id)|(?P<sub>sub)|(?P<dlvrd>dlvrd)|(?P<submit_date>submit[ _]?date)"
    r"|(?P<done_date>done[ _]?date)|(?P<stat>stat(?:us)?)|(?P<err>err(?:or)?)|(?P<text>text))\s*:",
    re.IGNORECASE | re.ASCII,
).finditer

# Where nothing but the text speaks for a receipt the state's label must be there, unlike elsewhere: people write words.
_looks_like_receipt = re.compile(r"\s*id:.*stat:", re.IGNORECASE | re.DOTALL).match

_NOTHING: Final = ReceiptText()
_NO_GROUPS: Final[Mapping[str, str]] = MappingProxyType({})


def _text_of(pdu: DeliverSm | DataSm, pattern: re.Pattern[str] | None) -> ReceiptText:
    content = udh.split(pdu)[1] if pdu.esm_class & udh.UDHI else pdu.content()
    if not content:
        return _NOTHING
    text = decode(content)
    if pattern is not None:
        found = pattern.search(text)
        groups = found.groupdict() if found is not None else _NO_GROUPS
        if groups.get("id") or groups.get("stat"):
            stat = groups.get("stat")
            return ReceiptText(
                id=groups.get("id") or None, stat=stat.upper() if stat else None, err=groups.get("err") or None
            )
    return parse(text)


def _receipt(pdu: DeliverSm | DataSm, fields: ReceiptText, *, certain: bool) -> Receipt:
    tlvs = pdu.tlvs
    intermediate = bool(pdu.esm_class & INTERMEDIATE_BIT)
    text_ids = (fields.id,) if fields.id else ()
    if not tlvs:
        return Receipt(text_ids, pdu.source_addr, fields.stat, fields.err, None, None, None, intermediate, certain)
    named = tlv.string(tlvs, tlv.RECEIPTED_MESSAGE_ID)
    return Receipt(
        (named, *(other for other in text_ids if other != named)) if named else text_ids,
        pdu.source_addr,
        fields.stat,
        fields.err,
        tlv.integer(tlvs, tlv.MESSAGE_STATE),
        tlv.network_error(tlvs),
        tlv.integer(tlvs, tlv.USER_MESSAGE_REFERENCE),
        intermediate,
        certain,
    )
