"""What the simulated carrier sends back: receipts and inbound messages, as bodies of deliver_sm."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final

import msgspec

from passband.carriers.simulator import DELIVERED, Plan, plan_by_number
from passband.domain.message import Direction, Kind, Message, Recipient
from passband.smpp import text, tlv, udh
from passband.smpp.pdu import DataSm, DeliverSm, SubmitSm, write_string
from passband.smsc.options import IdFormat

Segment = SubmitSm | DataSm
EXPIRED, REJECTED = frozenset({4794, 9902}), frozenset({4750, 4770, 4775})


_NAMELESS: Final[Mapping[IdFormat, tuple[bool, bool]]] = {
    # form: whether there is an id in the response, and in the receipt
    "none": (False, False),
    "none-hex": (False, True),
    "none-reference": (False, False),
    "hex-none": (True, False),
    "hex-reference": (True, False),
}
REFERRING: Final[frozenset[IdFormat]] = frozenset({"none-reference", "hex-reference"})


class MessageIds:
    """Gives out message ids, each as the response has it and as the receipt has it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next = random.getrandbits(28) | 1 << 28  # 9 digits in decimal, whatever the seed

    def next(self, form: IdFormat) -> tuple[str, str]:
        """Return a new id as the response has it, and as the receipt has it (SMPP, section 9); empty: without."""
        self._next += 1
        number = self._next
        if form == "hex":
            shown = f"{number:X}"
            return shown, shown
        if form in _NAMELESS:
            in_response, in_receipt = _NAMELESS[form]
            return f"{number:X}" if in_response else "", f"{number:X}" if in_receipt else ""
        if form == "hex-decimal":
            return f"{number:x}", f"{number:010}"
        if form == "decimal-hex":
            return str(number), f"{number:X}"
        if form == "padded":
            return str(number), f"{number:012}"
        shown = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return shown, shown


_MESSAGE: Final = Message(
    account="",
    id="",
    direction=Direction.OUT,
    kind=Kind.SMS,
    application="",
    created_at=0.0,
    sender="",
    to=(),
    text="",
    length=0,
    media=(),
    tag=None,
    priority=None,
    expires_at=None,
    segment_count=1,
)


def plan_of(address: str) -> Plan:
    """Return what becomes of an address, by the simulated carrier's rule for numbers: +1NPA555CCCC fails with CCCC."""
    number = address if address.startswith("+") else "+" + (address if len(address) == 11 else "1" + address)
    if number[5:8] != "555":
        return DELIVERED
    return plan_by_number(Recipient(msgspec.structs.replace(_MESSAGE, to=(number,)), 0, ""))


class ReceiptWriter:
    """Writes receipts in the form of SMPP 3.4 Appendix B."""

    def __init__(self) -> None:
        self._minute = -1
        self._date = ""

    def body(self, pdu: Segment, message_id: str, code: int, now: float, *, referring: bool = False) -> bytes:
        """Return the receipt of a segment: delivered if ``code`` is 0; else ``err`` is the delivery error code.

        Without ``message_id`` it names none; ``referring`` adds the segment's user_message_reference, if it has one.
        """
        minute = int(now // 60)
        if minute != self._minute:
            self._minute = minute
            self._date = f"{datetime.fromtimestamp(now, UTC):%y%m%d%H%M}"
        delivered, state = ("000", _state(code)) if code else ("001", "DELIVRD")
        name = f"id:{message_id} " if message_id else ""
        reference = pdu.tlvs.get(tlv.USER_MESSAGE_REFERENCE) if referring else None
        said = (
            f"{name}sub:001 dlvrd:{delivered} submit date:{self._date} done date:{self._date} "
            f"stat:{state} err:{code:03} text:"
        ).encode("latin-1")
        return (
            b"\0"
            + bytes((pdu.dest_addr_ton, pdu.dest_addr_npi))
            + write_string(pdu.destination_addr)
            + bytes((pdu.source_addr_ton, pdu.source_addr_npi))
            + write_string(pdu.source_addr)
            + b"\x04\0\0\0\0\0\0\0\0"
            + bytes((len(said),))
            + said
            + (b"" if reference is None else tlv.write({tlv.USER_MESSAGE_REFERENCE: reference}))
        )


def _state(code: int) -> str:
    if code in EXPIRED:
        return "EXPIRED"
    return "REJECTD" if code in REJECTED else "UNDELIV"


def inbound_bodies(sender: str, to: str, said: str, reference: int) -> Sequence[bytes]:
    """Return a message from a handset as the bodies of its deliver_sm; several with a header if it is long."""
    coding, parts = text.encode_segments(said)
    bodies = []
    for index, octets in enumerate(parts):
        header = udh.build(reference & 0xFF, len(parts), index + 1) if len(parts) > 1 else b""
        bodies.append(
            DeliverSm(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=sender.removeprefix("+"),
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=to.removeprefix("+"),
                esm_class=udh.UDHI if header else 0,
                data_coding=coding,
                short_message=header + octets,
            ).body()
        )
    return bodies
