"""What a carrier delivers: receipts, messages, and parts of messages. Its octets → the values of a report.

Rule: nothing here raises, whatever a peer sends, and nothing is refused because of what it says: a refused PDU comes
again for ever.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from passband.carriers.smpp.numbers import own_number, pair_ref, platform_number, reference_ref
from passband.carriers.smpp.settings import SmppSettings
from passband.domain.report import Inbound, Matched, Part, Receipt, Unclear
from passband.smpp import receipt, text, tlv, udh
from passband.smpp.error_mapping import RECEIPT_STATES, Outcome, Verdict
from passband.smpp.message_id import Reading, SteadyReading, keys, reading_of
from passband.smpp.outcome import Judge
from passband.smpp.pdu import DataSm, DeliverSm, ReceiptSm

log = structlog.get_logger()

NAMELESS = "receipts name no id, so their messages are not found; try user_message_reference = true"
CHANGED = "receipts match by another rule than before; set id_rule in the carrier's settings if it is steady"

PARTS_MISSING = 5231
UNRECOGNISED = 9999

Arrival = Receipt | Inbound | Part


class Reader:
    """Reads one carrier's deliver_sm and data_sm."""

    def __init__(self, settings: SmppSettings, is_ours: Callable[[str], bool] = lambda number: False) -> None:
        """``is_ours`` tells whether a number is one of the platform's own."""
        self._is_ours = is_ours
        self.ids_given: bool | None = None  # as ``Outbound.gives_ids``; unless they are, numbers are looked at too
        self._name = settings.name
        self._charset = settings.default_charset
        self._packed = settings.gsm_packed
        self._judge = Judge(settings.receipt_policy)
        self._rule = settings.id_rule
        self._referring = settings.user_message_reference
        self._pattern = re.compile(settings.receipt_pattern) if settings.receipt_pattern else None
        self._timeout = settings.mo_concat_timeout
        self._words = {*RECEIPT_STATES, *settings.receipt_states}
        self._steady = SteadyReading()
        self.nameless_receipts = 0
        self.unreadable_receipts = 0

    def read(self, pdu: DeliverSm | DataSm | ReceiptSm) -> Arrival | None:
        """Return what a PDU says; None if it is not to be stored: a receipt that says nothing about the end."""
        if isinstance(pdu, ReceiptSm):
            return self._usual(pdu)
        said = receipt.read(pdu, self._pattern)
        if said is None:
            return self._message(pdu)
        verdict = self._judge.verdict(said)
        code = _code(verdict)
        if code is None:
            return self._not_final(pdu, said)
        kind = Unclear if code and verdict.outcome is _PENDING else Receipt
        number = platform_number(pdu.source_addr_ton, said.source)
        ours = own_number(pdu.dest_addr_ton, pdu.destination_addr, self._is_ours)
        refs: tuple[str, ...] = ()
        for id_ in said.ids:
            refs += tuple(key for key in keys(id_, self._rule) if key not in refs)
        named = bool(said.ids) and self.ids_given
        if self._referring and said.user_message_reference is not None:
            refs += (reference_ref(ours, number, said.user_message_reference),)
            named = True
        if not said.ids:
            self.nameless_receipts += 1
            if self.nameless_receipts == 1 and self.ids_given and not self._referring:
                log.warning(NAMELESS, carrier=self._name, pdu=str(pdu))
        pair = "" if named else pair_ref(ours, number)
        if said.certain:
            return kind(self._name, refs, number, code, pair=pair)
        if kind is Unclear and said.stat in self._words:
            return kind(self._name, refs, number, code)
        # Only its words speak for a receipt: if it matches nothing, a person typed it.
        message = self._message(pdu)
        return kind(self._name, refs, number, code, message) if isinstance(message, Inbound) else message

    def _not_final(self, pdu: DeliverSm | DataSm, said: receipt.Receipt) -> Inbound | Part | None:
        """A receipt that says nothing about a segment's end, or a person's words that only begin like one."""
        if not said.certain and said.stat not in self._words:
            return self._message(pdu)
        if said.stat is None and said.message_state is None:
            self.unreadable_receipts += 1
            log.info("a receipt that cannot be read", carrier=self._name, pdu=str(pdu))
        return None

    def _usual(self, pdu: ReceiptSm) -> Receipt | None:
        """A receipt in the usual form, which nearly all are."""
        verdict = self._judge.usual(pdu)
        code = _code(verdict)
        if code is None:
            return None
        kind = Unclear if code and verdict.outcome is _PENDING else Receipt
        number = platform_number(pdu.source_addr_ton, pdu.source_addr)
        if self.ids_given:
            return kind(self._name, keys(pdu.id, self._rule), number, code)
        ours = own_number(pdu.dest_addr_ton, pdu.destination_addr, self._is_ours)
        return kind(self._name, keys(pdu.id, self._rule), number, code, pair=pair_ref(ours, number))

    def _message(self, pdu: DeliverSm | DataSm) -> Inbound | Part:
        header, octets = udh.split(pdu)
        place = udh.concatenation(pdu, header)
        sender = platform_number(pdu.source_addr_ton, pdu.source_addr)
        to = own_number(pdu.dest_addr_ton, pdu.destination_addr, self._is_ours)
        if pdu.tlvs and (unknown := {f"0x{tag:04X}": pdu.tlvs[tag].hex() for tag in pdu.tlvs if tag not in tlv.NAMES}):
            log.info("an inbound message has parameters of the carrier's own", carrier=self._name, tlvs=unknown)
        has_ports = header is not None and header.has_ports
        if self._packed and pdu.data_coding == 0:
            octets = text.unpack(octets, header.octets if header is not None else 0)
        if place is None:
            said = text.decode(octets, pdu.data_coding, self._charset, has_ports=has_ports)
            return Inbound(carrier=self._name, sender=sender, to=(to,), text=said, digest=digest_of(pdu))
        set_of_parts = f"{sender}\n{to}\n{place.reference}\n{place.width}\n{place.total}"
        return Part(
            carrier=self._name,
            key=hashlib.blake2b(set_of_parts.encode(), digest_size=16).hexdigest(),
            sequence=place.sequence,
            total=place.total,
            octets=octets,
            data_coding=pdu.data_coding,
            sender=sender,
            to=to,
            has_ports=has_ports,
            timeout=self._timeout,
        )

    def matched(self, matched: Matched) -> None:
        """Warn if ids begin to match in another way than they long did."""
        counts = Counter({Reading.AS_GIVEN: matched.first} if matched.first > 0 else {})
        for place, all_refs in matched.later.items():
            for refs in all_refs:
                reading = reading_of(refs, place)
                if reading is not None:
                    counts[reading] += 1
        change = self._steady.take(counts)
        if change is not None:
            log.warning(CHANGED, carrier=self._name, before=str(change[0]), now=str(change[1]))

    def join(self, parts: Sequence[Part]) -> Inbound:
        """Return the message of these parts, which are in order.

        Octets are joined before they are read: a sender may cut a surrogate pair or an escape pair.
        """
        first = parts[0]
        has_ports = any(part.has_ports for part in parts)
        if len(parts) < first.total:
            log.warning("an inbound message lacks parts", carrier=self._name, code=PARTS_MISSING, parts=len(parts))
        if len({part.data_coding for part in parts}) == 1:
            octets = b"".join(part.octets for part in parts)
            said = text.decode(octets, first.data_coding, self._charset, has_ports=has_ports)
        else:
            said = "".join(
                text.decode(part.octets, part.data_coding, self._charset, has_ports=has_ports) for part in parts
            )
        return Inbound(carrier=self._name, sender=first.sender, to=(first.to,), text=said, segment_count=len(parts))


_DELIVERED, _PENDING = Outcome.DELIVERED, Outcome.PENDING  # see ``domain.message`` for why


def _code(verdict: Verdict) -> int | None:
    """Return 0 for delivered, the delivery error code of a failure, and of what is pending the one for the deadline."""
    if verdict.outcome is _DELIVERED:
        return 0
    return verdict.code or UNRECOGNISED if verdict.outcome is Outcome.FAILED else verdict.code


def digest_of(pdu: DeliverSm | DataSm) -> str:
    """Return what is equal for PDUs that say the same, whatever their sequence numbers."""
    return hashlib.blake2b(pdu.body(), digest_size=16).hexdigest()
