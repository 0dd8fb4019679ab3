"""What a carrier delivers: receipts, messages, and parts of messages. Its octets → the values of a report.

Rule: nothing here raises, whatever a peer sends, and nothing is refused because of what it says: a refused PDU comes
again for ever.
"""

import hashlib
import re
from collections import deque
from collections.abc import Sequence

import structlog

from passband.carriers.smpp.numbers import platform_number
from passband.carriers.smpp.settings import SmppSettings
from passband.domain.report import Inbound, Part, Receipt
from passband.smpp import receipt, text, udh
from passband.smpp.error_mapping import Outcome, Verdict
from passband.smpp.message_id import keys
from passband.smpp.outcome import Judge
from passband.smpp.pdu import DataSm, DeliverSm, ReceiptSm

log = structlog.get_logger()

PARTS_MISSING = 5231
UNRECOGNISED = 9999

REPEAT_SECONDS = 300.0  # how long an identical message may be a repeat
LATE_SECONDS = 5.0  # an answer that took longer may have come too late for the peer
DOUBT_SECONDS = 60.0  # a session that ended so soon after an answer may not have brought it across

Arrival = Receipt | Inbound | Part


class Reader:
    """Reads one carrier's deliver_sm and data_sm."""

    def __init__(self, settings: SmppSettings) -> None:
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
        if not said.ids:
            self.unreadable_receipts += 1
            log.warning("a receipt without an id", carrier=self._name, pdu=str(pdu))
            return None
        refs = keys(said.ids[0], self._rule)
        for other in said.ids[1:]:
            refs += tuple(key for key in keys(other, self._rule) if key not in refs)
        number = platform_number(pdu.source_addr_ton, said.source)
        if said.certain:
            return Receipt(self._name, refs, number, code)
        # Only its words speak for a receipt: if it matches nothing, a person typed it.
        message = self._message(pdu)
        return Receipt(self._name, refs, number, code, message) if isinstance(message, Inbound) else message

    def _usual(self, pdu: ReceiptSm) -> Receipt | None:
        """A receipt in the usual form, which nearly all are."""
        code = _code(self._judge.usual(pdu))
        if code is None:
            return None
        number = platform_number(pdu.source_addr_ton, pdu.source_addr)
        return Receipt(self._name, keys(pdu.id, self._rule), number, code)

    def _message(self, pdu: DeliverSm | DataSm) -> Inbound | Part:
        header, octets = udh.split(pdu)
        place = udh.concatenation(pdu, header)
        sender = platform_number(pdu.source_addr_ton, pdu.source_addr)
        to = platform_number(pdu.dest_addr_ton, pdu.destination_addr)
        has_ports = header is not None and header.has_ports
        if self._packed and pdu.data_coding == 0:
            octets = text.unpack(octets, header.octets if header is not None else 0)
        if place is None:
            said = text.decode(octets, pdu.data_coding, self._charset, has_ports=has_ports)
            return Inbound(carrier=self._name, sender=sender, to=(to,), text=said)
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


def _code(verdict: Verdict) -> int | None:
    """Return 0 for delivered, the delivery error code of a failure, None for what is not the last word."""
    if verdict.outcome is Outcome.DELIVERED:
        return 0
    return verdict.code or UNRECOGNISED if verdict.outcome is Outcome.FAILED else None


class Repeats:
    """Which inbound messages may come again because our answer did not arrive, or came late.

    SMPP gives an inbound message no identifier, and two equal texts a minute apart are two messages; one is a repeat
    only if there is a reason to think that the peer missed our answer to the first. In memory: after a crash a message
    whose answer was under way comes twice.
    """

    def __init__(self) -> None:
        self._doubtful: deque[tuple[float, bytes]] = deque()
        self._answered: deque[tuple[float, int, bytes]] = deque()

    def is_repeat(self, digest: bytes, now: float) -> bool:
        """Tell whether this message was stored before and its answer is in doubt; once for each."""
        while self._doubtful and self._doubtful[0][0] < now - REPEAT_SECONDS:
            self._doubtful.popleft()
        for entry in self._doubtful:
            if entry[1] == digest:
                self._doubtful.remove(entry)
                return True
        return False

    def answered(self, digest: bytes, session: int, received_at: float, now: float) -> None:
        """Note an answer to a message that is stored."""
        if now - received_at > LATE_SECONDS:
            self.missed(digest, now)
            return
        while self._answered and self._answered[0][0] < now - DOUBT_SECONDS:
            self._answered.popleft()
        self._answered.append((now, session, digest))

    def missed(self, digest: bytes, now: float) -> None:
        """Note that a stored message was not answered in time, or not at all."""
        self._doubtful.append((now, digest))

    def ended(self, session: int, now: float) -> None:
        """Note that a session has ended, so that its last answers may be lost."""
        kept: deque[tuple[float, int, bytes]] = deque()
        for entry in self._answered:
            if entry[1] != session:
                kept.append(entry)
            elif entry[0] >= now - DOUBT_SECONDS:
                self._doubtful.append((now, entry[2]))
        self._answered = kept


def digest_of(pdu: DeliverSm | DataSm) -> bytes:
    """Return what is equal for PDUs that say the same, whatever their sequence numbers."""
    return hashlib.blake2b(pdu.body(), digest_size=16).digest()
