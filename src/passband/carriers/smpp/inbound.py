"""What a carrier delivers: receipts, messages, and parts of messages. Its octets → the values of a report.

Rule: nothing here raises, whatever a peer sends, and nothing is refused because of what it says: a refused PDU comes
again for ever.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from passband.carriers.smpp.numbers import own_number, pair_ref, platform_number, reference_ref
from passband.carriers.smpp.settings import SmppSettings
from passband.domain.report import Inbound, Part, Receipt
from passband.smpp import receipt, text, tlv, udh
from passband.smpp.error_mapping import Outcome, Verdict
from passband.smpp.message_id import keys
from passband.smpp.outcome import Judge
from passband.smpp.pdu import DataSm, DeliverSm, ReceiptSm

log = structlog.get_logger()

PARTS_MISSING = 5231
UNRECOGNISED = 9999

LATE_SECONDS = 5.0  # an answer that took longer may have come too late for the peer
DOUBT_SECONDS = 60.0  # a session that ended so soon after an answer may not have brought it across

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
        self._pattern = re.compile(settings.receipt_pattern) if settings.receipt_pattern else None
        self._timeout = settings.mo_concat_timeout
        self.unreadable_receipts = 0

    def read(self, pdu: DeliverSm | DataSm | ReceiptSm) -> Arrival | None:
        """Return what a PDU says; None if it is not to be stored: a receipt that is not final, or names nothing."""
        if isinstance(pdu, ReceiptSm):
            return self._usual(pdu)
        said = receipt.read(pdu, self._pattern)
        if said is None:
            return self._message(pdu)
        code = _code(self._judge.verdict(said))
        if code is None:
            return None
        number = platform_number(pdu.source_addr_ton, said.source)
        ours = own_number(pdu.dest_addr_ton, pdu.destination_addr, self._is_ours)
        refs: tuple[str, ...] = ()
        for id_ in said.ids:
            refs += tuple(key for key in keys(id_, self._rule) if key not in refs)
        if said.user_message_reference is not None:
            refs += (reference_ref(ours, number, said.user_message_reference),)
        if not said.ids:
            self.unreadable_receipts += 1
            log.info("a receipt without an id", carrier=self._name, pdu=str(pdu))
        pair = "" if said.ids and self.ids_given else pair_ref(ours, number)
        if said.certain:
            return Receipt(self._name, refs, number, code, pair=pair)
        # Only its words speak for a receipt: if it matches nothing, a person typed it.
        message = self._message(pdu)
        return Receipt(self._name, refs, number, code, message) if isinstance(message, Inbound) else message

    def _usual(self, pdu: ReceiptSm) -> Receipt | None:
        """A receipt in the usual form, which nearly all are."""
        code = _code(self._judge.usual(pdu))
        if code is None:
            return None
        number = platform_number(pdu.source_addr_ton, pdu.source_addr)
        if self.ids_given:
            return Receipt(self._name, keys(pdu.id, self._rule), number, code)
        ours = own_number(pdu.dest_addr_ton, pdu.destination_addr, self._is_ours)
        return Receipt(self._name, keys(pdu.id, self._rule), number, code, pair=pair_ref(ours, number))

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


_DELIVERED = Outcome.DELIVERED  # see ``domain.message`` for why


def _code(verdict: Verdict) -> int | None:
    """Return 0 for delivered, the delivery error code of a failure, None for what is not the last word."""
    if verdict.outcome is _DELIVERED:
        return 0
    return verdict.code or UNRECOGNISED if verdict.outcome is Outcome.FAILED else None


class Answers:
    """The answers to inbound messages of the last minute, by session: which of them may not have arrived?

    SMPP gives an inbound message no identifier, and two equal texts a minute apart are two messages; one is a repeat
    only if there is a reason to think that the peer missed our answer to the first. The store keeps such doubts, for
    all binds and nodes, and has them by itself of a node that has ended.
    """

    def __init__(self) -> None:
        self._answered: deque[tuple[float, int, str]] = deque()

    def came_too_late(self, digest: str, session: int, received_at: float, now: float) -> bool:
        """Note an answer to a message that is stored; tell whether it is in doubt already."""
        if now - received_at > LATE_SECONDS:
            return True
        while self._answered and self._answered[0][0] < now - DOUBT_SECONDS:
            self._answered.popleft()
        self._answered.append((now, session, digest))
        return False

    def ended(self, session: int, now: float) -> list[str]:
        """Return the messages whose answers may be lost because their session has ended."""
        lost = [digest for at, of, digest in self._answered if of == session and at >= now - DOUBT_SECONDS]
        self._answered = deque(entry for entry in self._answered if entry[1] != session)
        return lost


def digest_of(pdu: DeliverSm | DataSm) -> str:
    """Return what is equal for PDUs that say the same, whatever their sequence numbers."""
    return hashlib.blake2b(pdu.body(), digest_size=16).hexdigest()
