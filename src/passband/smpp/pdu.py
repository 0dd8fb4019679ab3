"""The PDUs of SMPP 3.4 as values, and how they are written.

The fields of a class, in their order, are the PDU's body on the wire, and their types say how: ``str`` is a C-Octet
String, ``int`` one octet, ``bytes`` octets counted by one octet before them, and ``tlvs`` the optional parameters.
One small writer here and one small reader in ``codec`` therefore serve every PDU. ``str | None`` begins the body of a
response: None means that the response has no body at all, which is common when ``command_status`` is not 0.

C-Octet Strings are kept as Latin-1 text, so that any octet survives the way in and out unchanged.

Values are msgspec Structs: on the path of every message they are made four times as fast as a frozen dataclass.
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import fields

from passband.domain.errors import OwnFault
from passband.smpp import tlv

RESPONSE: Final = 0x80000000
"""The bit of command_id that makes a response of a request."""

NO_TLVS: Final[Mapping[int, bytes]] = MappingProxyType({})

MAX_SHORT_MESSAGE: Final = 254
"""Octets that short_message may hold; 255 is reserved (SMPP 3.4 §5.2.21)."""

HEADER: Final = struct.Struct(">IIII")


class UnwritablePdu(OwnFault):
    """A field's value cannot be written: out of its range, not Latin-1, or a string that holds NUL."""


class Pdu(Struct, frozen=True, gc=False):
    """What every PDU has: its command, the sequence number, and, in responses, the command_status (0: well).

    ``sequence_number`` is 0 in a request that no session has sent yet.
    """

    command_id: ClassVar[int] = 0
    name: ClassVar[str] = ""

    sequence_number: int = 0
    command_status: int = 0

    def encode(self) -> bytes:
        """The whole PDU as octets.

        Raises:
            UnwritablePdu: a field's value cannot be written.
        """
        body = self.body()
        try:
            header = HEADER.pack(16 + len(body), self.command_id, self.command_status, self.sequence_number)
        except struct.error as error:
            raise UnwritablePdu(f"{self.name}: sequence_number or command_status out of range") from error
        return header + body

    def body(self) -> bytes:
        """The octets behind the header.

        Raises:
            UnwritablePdu: a field's value cannot be written.
        """
        octets = bytearray()
        for name, kind in layout_of(type(self)):
            value: Any = getattr(self, name)
            if value is None:
                return b""
            try:
                octets += _WRITERS[kind](value)
            except (ValueError, struct.error) as error:
                raise UnwritablePdu(f"{self.name}.{name} cannot be written") from error
        return bytes(octets)

    def __str__(self) -> str:
        """One line for the log, without text and without passwords."""
        parts = [f"{self.name or 'pdu'} #{self.sequence_number}"]
        if self.command_id & RESPONSE:
            parts.append(f"status=0x{self.command_status:02X}")
        for name, kind in layout_of(type(self)):
            value = getattr(self, name)
            if name == "short_message":
                parts.append(f"{name}=<{len(value)} octets>")
            elif kind == "tlvs":
                parts.extend(f"+{tlv.name_of(tag)}<{len(octets)}>" for tag, octets in list(value.items())[:_SHOWN_TLVS])
            elif value and name != "password":
                shown = value if isinstance(value, int) else repr(value[:_SHOWN_CHARACTERS])
                parts.append(f"{name}={shown}")
        return " ".join(parts)

    # A value shows up in logs and in assertions by its repr more often than by its str: neither may tell the text.
    __repr__ = __str__


_SHOWN_CHARACTERS = 65  # a message_id in full
_SHOWN_TLVS = 12


class _Bind(Pdu, frozen=True, gc=False):
    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class _BindResp(Pdu, frozen=True, gc=False):
    system_id: str | None = None
    tlvs: Mapping[int, bytes] = NO_TLVS


class BindReceiver(_Bind, frozen=True, gc=False):
    """A client asks for a session in which it receives (SMPP 3.4 §4.1.3)."""

    command_id: ClassVar[int] = 0x00000001
    name: ClassVar[str] = "bind_receiver"


class BindReceiverResp(_BindResp, frozen=True, gc=False):
    """The answer to bind_receiver (SMPP 3.4 §4.1.4)."""

    command_id: ClassVar[int] = 0x80000001
    name: ClassVar[str] = "bind_receiver_resp"


class BindTransmitter(_Bind, frozen=True, gc=False):
    """A client asks for a session in which it submits (SMPP 3.4 §4.1.1)."""

    command_id: ClassVar[int] = 0x00000002
    name: ClassVar[str] = "bind_transmitter"


class BindTransmitterResp(_BindResp, frozen=True, gc=False):
    """The answer to bind_transmitter (SMPP 3.4 §4.1.2)."""

    command_id: ClassVar[int] = 0x80000002
    name: ClassVar[str] = "bind_transmitter_resp"


class BindTransceiver(_Bind, frozen=True, gc=False):
    """A client asks for a session in which it submits and receives (SMPP 3.4 §4.1.5)."""

    command_id: ClassVar[int] = 0x00000009
    name: ClassVar[str] = "bind_transceiver"


class BindTransceiverResp(_BindResp, frozen=True, gc=False):
    """The answer to bind_transceiver (SMPP 3.4 §4.1.6)."""

    command_id: ClassVar[int] = 0x80000009
    name: ClassVar[str] = "bind_transceiver_resp"


Bind = BindReceiver | BindTransmitter | BindTransceiver
BindResp = BindReceiverResp | BindTransmitterResp | BindTransceiverResp


class Outbind(Pdu, frozen=True, gc=False):
    """A server asks a client to bind; it has no response (SMPP 3.4 §4.1.7)."""

    command_id: ClassVar[int] = 0x0000000B
    name: ClassVar[str] = "outbind"
    system_id: str = ""
    password: str = ""


class Unbind(Pdu, frozen=True, gc=False):
    """One side ends the session (SMPP 3.4 §4.2.1)."""

    command_id: ClassVar[int] = 0x00000006
    name: ClassVar[str] = "unbind"


class UnbindResp(Pdu, frozen=True, gc=False):
    """The answer to unbind (SMPP 3.4 §4.2.2)."""

    command_id: ClassVar[int] = 0x80000006
    name: ClassVar[str] = "unbind_resp"


class EnquireLink(Pdu, frozen=True, gc=False):
    """Is the other side still there? (SMPP 3.4 §4.11.1)."""

    command_id: ClassVar[int] = 0x00000015
    name: ClassVar[str] = "enquire_link"


class EnquireLinkResp(Pdu, frozen=True, gc=False):
    """The answer to enquire_link (SMPP 3.4 §4.11.2)."""

    command_id: ClassVar[int] = 0x80000015
    name: ClassVar[str] = "enquire_link_resp"


class GenericNack(Pdu, frozen=True, gc=False):
    """The other side could not read a header or knows no such command (SMPP 3.4 §4.3.1)."""

    command_id: ClassVar[int] = 0x80000000
    name: ClassVar[str] = "generic_nack"


class _ShortMessage(Pdu, frozen=True, gc=False):
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: Mapping[int, bytes] = NO_TLVS

    def content(self) -> bytes:
        """The message's octets, user data header included: short_message, or the TLV message_payload without one."""
        return self.short_message or self.tlvs.get(tlv.MESSAGE_PAYLOAD, b"")


class SubmitSm(_ShortMessage, frozen=True, gc=False):
    """A client hands over a segment (SMPP 3.4 §4.4.1)."""

    command_id: ClassVar[int] = 0x00000004
    name: ClassVar[str] = "submit_sm"


class SubmitSmResp(Pdu, frozen=True, gc=False):
    """The answer to submit_sm: the carrier's id of the segment; an id beside an error is to be ignored (§4.4.2)."""

    command_id: ClassVar[int] = 0x80000004
    name: ClassVar[str] = "submit_sm_resp"
    message_id: str | None = None
    tlvs: Mapping[int, bytes] = NO_TLVS


class DeliverSm(_ShortMessage, frozen=True, gc=False):
    """A server hands over an inbound segment or a receipt (SMPP 3.4 §4.6.1)."""

    command_id: ClassVar[int] = 0x00000005
    name: ClassVar[str] = "deliver_sm"


class DeliverSmResp(Pdu, frozen=True, gc=False):
    """The answer to deliver_sm; its message_id is unused and sent empty (SMPP 3.4 §4.6.2)."""

    command_id: ClassVar[int] = 0x80000005
    name: ClassVar[str] = "deliver_sm_resp"
    message_id: str | None = ""
    tlvs: Mapping[int, bytes] = NO_TLVS


class ReceiptSm(Pdu, frozen=True, gc=False):
    """A deliver_sm with a receipt in its usual form and nothing else, read no further than a receipt needs.

    A ``Decoder`` that is asked to gives it in place of DeliverSm: that takes half the time. It cannot be written.
    ``state`` is the text from the state to the err, ``DELIVRD err:000``: receipts say few different ones.
    """

    command_id: ClassVar[int] = 0x00000005
    name: ClassVar[str] = "deliver_sm"
    source_addr_ton: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    destination: bytes = b""
    id: str = ""
    state: bytes = b""

    @property
    def destination_addr(self) -> str:
        return self.destination.decode("latin-1")

    @property
    def stat(self) -> str:
        return self.state.partition(b" ")[0].decode("ascii")

    @property
    def err(self) -> str:
        return self.state.rpartition(b":")[2].decode("ascii")

    def body(self) -> bytes:
        raise UnwritablePdu("a receipt was read in part only")


class DataSm(Pdu, frozen=True, gc=False):
    """A segment or a receipt with its text in a TLV, in either direction (SMPP 3.4 §4.7.1)."""

    command_id: ClassVar[int] = 0x00000103
    name: ClassVar[str] = "data_sm"
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: Mapping[int, bytes] = NO_TLVS

    def content(self) -> bytes:
        """The message's octets, user data header included: the TLV message_payload."""
        return self.tlvs.get(tlv.MESSAGE_PAYLOAD, b"")


class DataSmResp(Pdu, frozen=True, gc=False):
    """The answer to data_sm (SMPP 3.4 §4.7.2)."""

    command_id: ClassVar[int] = 0x80000103
    name: ClassVar[str] = "data_sm_resp"
    message_id: str | None = ""
    tlvs: Mapping[int, bytes] = NO_TLVS


class QuerySm(Pdu, frozen=True, gc=False):
    """A client asks what became of a segment; ``source_addr`` must be the submitted one (SMPP 3.4 §4.8.1)."""

    command_id: ClassVar[int] = 0x00000003
    name: ClassVar[str] = "query_sm"
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""


class QuerySmResp(Pdu, frozen=True, gc=False):
    """The answer to query_sm (SMPP 3.4 §4.8.2)."""

    command_id: ClassVar[int] = 0x80000003
    name: ClassVar[str] = "query_sm_resp"
    message_id: str | None = None
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(Pdu, frozen=True, gc=False):
    """A client takes segments back (SMPP 3.4 §4.9.1)."""

    command_id: ClassVar[int] = 0x00000008
    name: ClassVar[str] = "cancel_sm"
    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class CancelSmResp(Pdu, frozen=True, gc=False):
    """The answer to cancel_sm (SMPP 3.4 §4.9.2)."""

    command_id: ClassVar[int] = 0x80000008
    name: ClassVar[str] = "cancel_sm_resp"


class AlertNotification(Pdu, frozen=True, gc=False):
    """A server says that a handset can be reached again; it has no response (SMPP 3.4 §4.12.1)."""

    command_id: ClassVar[int] = 0x00000102
    name: ClassVar[str] = "alert_notification"
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlvs: Mapping[int, bytes] = NO_TLVS


COMMANDS: Final[Mapping[int, type[Pdu]]] = MappingProxyType(
    {
        command.command_id: command
        for command in (
            *(BindReceiver, BindReceiverResp, BindTransmitter, BindTransmitterResp),
            *(BindTransceiver, BindTransceiverResp, Outbind, Unbind, UnbindResp),
            *(EnquireLink, EnquireLinkResp, GenericNack),
            *(SubmitSm, SubmitSmResp, DeliverSm, DeliverSmResp, DataSm, DataSmResp),
            *(QuerySm, QuerySmResp, CancelSm, CancelSmResp, AlertNotification),
        )
    }
)
"""Every command that is understood, by its command_id."""

_KINDS = {str: "string", str | None: "string", int: "octet", bytes: "counted", Mapping[int, bytes]: "tlvs"}


def write_string(value: str) -> bytes:
    """A C-Octet String, its NUL included.

    Raises:
        ValueError: the text is not Latin-1 or holds NUL.
    """
    octets = value.encode("latin-1")
    if b"\0" in octets:
        raise ValueError("NUL ends a C-Octet String")
    return octets + b"\0"


def _write_counted(value: bytes) -> bytes:
    if len(value) > MAX_SHORT_MESSAGE:
        raise ValueError(f"{len(value)} octets are more than {MAX_SHORT_MESSAGE}")
    return bytes((len(value),)) + value


_WRITERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "string": write_string,
    "octet": lambda value: bytes((value,)),
    "counted": _write_counted,
    "tlvs": tlv.write,
}

_ALL: Final[tuple[type[Pdu], ...]] = (*COMMANDS.values(), ReceiptSm)
_LAYOUTS: Final[Mapping[type[Pdu], tuple[tuple[str, str], ...]]] = {
    command: tuple((field.name, _KINDS[field.type]) for field in fields(command)[2:]) for command in _ALL
}


def layout_of(command: type[Pdu]) -> tuple[tuple[str, str], ...]:
    """The body of a PDU as (field, "string" | "octet" | "counted" | "tlvs"), in the order of the wire."""
    return _LAYOUTS[command]


def response_to(request: Pdu, command_status: int = 0) -> Pdu:
    """The response to a request with all its fields empty; one with an error has no body where that is allowed.

    Raises:
        KeyError: nothing answers this command.
    """
    return COMMANDS[request.command_id | RESPONSE](request.sequence_number, command_status)
