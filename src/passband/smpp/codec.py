"""Octets → PDUs: where one ends and the next begins, and what its body says.

Reading is liberal, because a strict reader that drops the session on a stray NUL loses every message behind it. What
cannot be read at all is one of two things, and nothing else is ever raised or returned, whatever the octets:

    PeerFault
    ├── RecoverablePduError   this PDU is unreadable: answer it and go on
    └── StreamLost            nobody knows where the next PDU begins: drop the link

The PDUs on the path of every message have readers of their own; every other one is read from the layout of its class.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from passband.domain.errors import PeerFault
from passband.smpp import tlv
from passband.smpp.pdu import (
    COMMANDS,
    HEADER,
    NO_TLVS,
    RESPONSE,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    GenericNack,
    Pdu,
    ReceiptSm,
    SubmitSm,
    SubmitSmResp,
    layout_of,
)

ROK: Final = 0x00000000
RINVMSGLEN: Final = 0x00000001
RINVCMDLEN: Final = 0x00000002
RINVCMDID: Final = 0x00000003

MAX_PDU: Final = 70000
"""Octets of the longest PDU that is read: a message_payload may have 65535, and there is a body around it."""

MAX_STRING: Final = 256
"""Octets of the longest C-Octet String that is read, whatever its field allows: ids of 65 come in fields of 21."""


class RecoverablePduError(PeerFault):
    """One PDU is unreadable; the stream goes on behind it. ``command_status`` is what to answer it with."""

    def __init__(self, command_id: int, sequence_number: int, command_status: int, why: str) -> None:
        super().__init__(f"command 0x{command_id:08X} #{sequence_number}: {why}")
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.command_status = command_status

    def answer(self) -> Pdu | None:
        """The PDU to answer with: the command's own response, a generic_nack, or nothing to a response."""
        if self.command_id & RESPONSE:
            return None
        response = COMMANDS.get(self.command_id | RESPONSE)
        if self.command_id in COMMANDS and response is None:
            return None
        return (response or GenericNack)(self.sequence_number, self.command_status)


class StreamLost(PeerFault):
    """A command_length that cannot be: where the next PDU begins is unknown; nack (status 2, sequence 0) and close."""

    def __init__(self, command_length: int) -> None:
        super().__init__(f"command_length {command_length}")
        self.command_length = command_length

    def answer(self) -> Pdu:
        """The generic_nack to send before closing."""
        return GenericNack(0, RINVCMDLEN)


def decode(octets: bytes) -> Pdu:
    """Reads exactly one PDU.

    Raises:
        RecoverablePduError: its command is unknown or its body cannot be split into fields.
        StreamLost: its command_length is not the number of octets.
    """
    if len(octets) < 16:
        raise StreamLost(int.from_bytes(octets[:4], "big"))
    length, command_id, status, sequence = HEADER.unpack_from(octets)
    if length != len(octets) or length > MAX_PDU:
        raise StreamLost(length)
    read = _READERS.get(command_id)
    if read is None:
        raise _unknown(command_id, sequence)
    return read(octets, 16, length, status, sequence)


class Decoder:
    """Cuts a stream into PDUs, wherever the reads may cut it.

    Memory stays below ``max_pdu`` octets and one read.
    """

    def __init__(self, max_pdu: int = MAX_PDU, *, receipts: bool = False) -> None:
        """With ``receipts`` a deliver_sm that is plainly a receipt is given as ReceiptSm."""
        self._max_pdu = max_pdu
        self._reader_of = (_READERS | {DeliverSm.command_id: _receipt_reader} if receipts else _READERS).get
        self._rest: list[bytes] = []
        self._held = 0
        self._wanted = 4
        self._lost = False

    @property
    def partial(self) -> bool:
        """Whether a PDU has begun to arrive and has not ended."""
        return self._held > 0

    def feed(self, data: bytes) -> list[Pdu | RecoverablePduError | StreamLost]:
        """The PDUs that are complete with these octets, in order.

        An unreadable PDU is in the list in its place, as a value: what follows it is good and must not be lost with it.
        StreamLost is the last that a decoder ever gives; what is fed after it is ignored.
        """
        size = len(data)
        if size >= 16 and not self._held:
            # One whole PDU, which is what arrives as long as little arrives; whatever it is not goes the long way.
            length, command_id, status, sequence = _header_at(data)
            if length == size <= self._max_pdu and (read := self._reader_of(command_id)) is not None:
                try:
                    return [read(data, 16, size, status, sequence)]
                except RecoverablePduError:
                    pass
        if self._held:
            self._rest.append(data)
            self._held += len(data)
            # One join for each PDU, not one for each read: a peer that writes octet by octet costs no quadratic time.
            if self._held < self._wanted:
                return []
            data = b"".join(self._rest)
        found: list[Pdu | RecoverablePduError | StreamLost] = []
        if self._lost:
            return found
        reader_of, max_pdu = self._reader_of, self._max_pdu
        start, size, wanted = 0, len(data), 16
        while size - start >= 16:
            length, command_id, status, sequence = _header_at(data, start)
            end = start + length
            if length < 16 or length > max_pdu:
                break
            if end > size:
                wanted = length
                break
            read = reader_of(command_id)
            if read is None:
                found.append(_unknown(command_id, sequence))
            else:
                try:
                    found.append(read(data, start + 16, end, status, sequence))
                except RecoverablePduError as error:
                    # As a value it must not lead back, by its traceback, to the list that holds it: such a ring is
                    # memory that a peer could have us keep.
                    error.__context__ = None
                    found.append(error.with_traceback(None))
            start = end
        if start < size:
            self._keep(data[start:], wanted, found)
        elif self._held:
            self._rest, self._held = [], 0
        return found

    def _keep(self, rest: bytes, wanted: int, found: list[Pdu | RecoverablePduError | StreamLost]) -> None:
        if len(rest) >= 4:
            length = int.from_bytes(rest[:4], "big")
            if not 16 <= length <= self._max_pdu:
                found.append(StreamLost(length))
                self._lost, self._reader_of, rest = True, _NO_READERS.get, b""
        else:
            wanted = 4
        self._rest = [rest]
        self._held, self._wanted = len(rest), wanted


_Reader = Callable[[bytes, int, int, int, int], Pdu]


def _unknown(command_id: int, sequence: int) -> RecoverablePduError:
    return RecoverablePduError(command_id, sequence, RINVCMDID, "unknown command")


class _EndOfBody(Exception):
    """A field does not fit what is left of the body."""


def _reader(command: type[Pdu]) -> _Reader:
    """Reads any PDU from the layout of its class."""
    construct: Callable[..., Pdu] = command
    layout = layout_of(command)
    has_tlvs = bool(layout) and layout[-1][1] == "tlvs"
    mandatory = layout[: len(layout) - has_tlvs]
    if command.command_id & RESPONSE:

        def read_response(octets: bytes, start: int, end: int, status: int, sequence: int) -> Pdu:
            """Read a response as far as it goes; without a body it has no values."""
            if not mandatory or start == end:
                return construct(sequence, status, *[None for _ in mandatory[:1]])
            values: list[str | int | bytes] = []
            position = start
            try:
                for _, kind in mandatory:
                    value, position = _FIELDS[kind](octets, position, end)
                    values.append(value)
            except _EndOfBody:
                # A response is never refused: it settles a request, and its sender would not know what to do.
                return construct(sequence, status, *(values or [""]))
            # TLVs behind an error without an id cannot be told from an id, unless a NUL says that it is empty.
            if has_tlvs and end - position >= 4 and (status == 0 or octets[start] == 0):
                return construct(sequence, status, *values, tlv.read(octets, position, end))
            return construct(sequence, status, *values)

        return read_response

    # A body of which the fields cannot be told apart: to a message its own length is said to be wrong.
    refusal = RINVMSGLEN if command in (SubmitSm, DeliverSm, DataSm) else RINVCMDLEN

    def read_request(octets: bytes, start: int, end: int, status: int, sequence: int) -> Pdu:
        """Read a request. Raises RecoverablePduError where a field does not fit."""
        values: list[str | int | bytes] = []
        for name, kind in mandatory:
            try:
                value, start = _FIELDS[kind](octets, start, end)
            except _EndOfBody:
                why = f"{name} does not fit the body"
                raise RecoverablePduError(command.command_id, sequence, refusal, why) from None
            values.append(value)
        if has_tlvs and end - start >= 4:
            return construct(sequence, status, *values, tlv.read(octets, start, end))
        return construct(sequence, status, *values)

    return read_request


def _read_string(octets: bytes, start: int, end: int) -> tuple[str, int]:
    stop = octets.find(b"\0", start, min(end, start + MAX_STRING + 1))
    if stop >= 0:
        return octets[start:stop].decode("latin-1"), stop + 1
    if end - start > MAX_STRING:
        raise _EndOfBody
    return octets[start:end].decode("latin-1"), end


def _read_octet(octets: bytes, start: int, end: int) -> tuple[int, int]:
    if start >= end:
        raise _EndOfBody
    return octets[start], start + 1


def _read_counted(octets: bytes, start: int, end: int) -> tuple[bytes, int]:
    if start >= end or (stop := start + 1 + octets[start]) > end:
        raise _EndOfBody
    return octets[start + 1 : stop], stop


_FIELDS: Final[Mapping[str, Callable[[bytes, int, int], tuple[str | int | bytes, int]]]] = {
    "string": _read_string,
    "octet": _read_octet,
    "counted": _read_counted,
}

# A body from service_type to sm_length, with both times empty: one match is a fifth quicker than looking for each NUL.
# In groups: service_type; ton and npi; source_addr; ton and npi; destination_addr; esm_class, protocol_id and
# priority_flag; registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id and sm_length.
_usual_body = re.compile(rb"([^\0]*+)\0(..)([^\0]*+)\0(..)([^\0]*+)\0(...)\0\0(.....)", re.DOTALL).match


def _short_message_reader(command: type[SubmitSm] | type[DeliverSm]) -> _Reader:
    """The quick way through submit_sm and deliver_sm; whatever is unusual is read from the layout."""
    read_slowly = _reader(command)

    def read(octets: bytes, start: int, end: int, status: int, sequence: int) -> Pdu:
        """Read it with one match. Raises RecoverablePduError where a field does not fit."""
        found = _usual_body(octets, start, end)
        if found is None:
            return read_slowly(octets, start, end, status, sequence)
        service, source_kind, source, target_kind, target, (esm, pid, priority), rest = found.groups()
        receipt, replace, coding, predefined, length = rest
        text = found.end()
        text_end = text + length
        if text_end > end or text - start > MAX_STRING:
            return read_slowly(octets, start, end, status, sequence)
        source_ton, source_npi = source_kind
        target_ton, target_npi = target_kind
        return command(
            sequence,
            status,
            service.decode("latin-1") if service else "",
            source_ton,
            source_npi,
            source.decode("latin-1"),
            target_ton,
            target_npi,
            target.decode("latin-1"),
            esm,
            pid,
            priority,
            "",
            "",
            receipt,
            replace,
            coding,
            predefined,
            octets[text:text_end],
            tlv.read(octets, text_end, end) if end - text_end >= 4 else NO_TLVS,
        )

    return read


def _message_id_reader(command: type[SubmitSmResp] | type[DeliverSmResp]) -> _Reader:
    """The quick way through a response that is one terminated message_id, which nearly all are."""
    read_slowly = _reader(command)

    def read(octets: bytes, start: int, end: int, status: int, sequence: int) -> Pdu:
        last = end - 1
        if octets.find(0, start, start + MAX_STRING) == last:
            return command(sequence, status, octets[start:last].decode("latin-1"))
        return read_slowly(octets, start, end, status, sequence)

    return read


# The same with a receipt's text, as ``receipt`` reads the usual form: source_addr_ton, source_addr, dest_addr_ton,
# destination_addr, the text's length, and of the text id, and stat with err.
_usual_receipt = re.compile(
    rb"[^\0]*+\0(.).([^\0]*+)\0(.).([^\0]*+)\0\x04..\0\0....(.)"
    rb"id:([0-9A-Za-z-]++) sub:[0-9]++ dlvrd:[0-9]++ submit date:[0-9]++ done date:[0-9]++ "
    rb"stat:([A-Z]++ err:[0-9A-Za-z]++)(?: [Tt]ext:|\Z)",
    re.DOTALL,
).match

_read_deliver = _short_message_reader(DeliverSm)


def _receipt_reader(octets: bytes, start: int, end: int, status: int, sequence: int) -> Pdu:
    found = _usual_receipt(octets, start, end)
    if found is not None:
        (ton,), source, (to_ton,), to, (length,), identity, state = found.groups()
        # The text must end with the PDU: behind it there might be parameters, which say more.
        if found.end(5) + length == end:
            return ReceiptSm(
                sequence, status, ton, source.decode("latin-1"), to_ton, to, identity.decode("ascii"), state
            )
    return _read_deliver(octets, start, end, status, sequence)


_READERS: Final[dict[int, _Reader]] = {
    **{command_id: _reader(command) for command_id, command in COMMANDS.items()},
    SubmitSm.command_id: _short_message_reader(SubmitSm),
    DeliverSm.command_id: _read_deliver,
    SubmitSmResp.command_id: _message_id_reader(SubmitSmResp),
    DeliverSmResp.command_id: _message_id_reader(DeliverSmResp),
}

_NO_READERS: Final[dict[int, _Reader]] = {}
_header_at = HEADER.unpack_from
