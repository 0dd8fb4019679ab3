"""Optional parameters (TLVs): tag, length, value, read so that no peer's mistake costs the PDU they belong to.

A PDU keeps them as a mapping from tag to octets in the order of the wire. Source: SMPP 3.4 §5.3.
"""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

RECEIPTED_MESSAGE_ID: Final = 0x001E
ADDITIONAL_STATUS_INFO_TEXT: Final = 0x001D
USER_MESSAGE_REFERENCE: Final = 0x0204
SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F
SC_INTERFACE_VERSION: Final = 0x0210
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_PAYLOAD: Final = 0x0424
DELIVERY_FAILURE_REASON: Final = 0x0425
MORE_MESSAGES_TO_SEND: Final = 0x0426
MESSAGE_STATE: Final = 0x0427

NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0005: "dest_addr_subunit",
        0x0006: "dest_network_type",
        0x0007: "dest_bearer_type",
        0x0008: "dest_telematics_id",
        0x000D: "source_addr_subunit",
        0x000E: "source_network_type",
        0x000F: "source_bearer_type",
        0x0010: "source_telematics_id",
        0x0017: "qos_time_to_live",
        0x0019: "payload_type",
        0x001D: "additional_status_info_text",
        0x001E: "receipted_message_id",
        0x0030: "ms_msg_wait_facilities",
        0x0201: "privacy_indicator",
        0x0202: "source_subaddress",
        0x0203: "dest_subaddress",
        0x0204: "user_message_reference",
        0x0205: "user_response_code",
        0x020A: "source_port",
        0x020B: "destination_port",
        0x020C: "sar_msg_ref_num",
        0x020D: "language_indicator",
        0x020E: "sar_total_segments",
        0x020F: "sar_segment_seqnum",
        0x0210: "sc_interface_version",
        0x0302: "callback_num_pres_ind",
        0x0303: "callback_num_atag",
        0x0304: "number_of_messages",
        0x0381: "callback_num",
        0x0420: "dpf_result",
        0x0421: "set_dpf",
        0x0422: "ms_availability_status",
        0x0423: "network_error_code",
        0x0424: "message_payload",
        0x0425: "delivery_failure_reason",
        0x0426: "more_messages_to_send",
        0x0427: "message_state",
        0x0428: "congestion_state",
        0x0501: "ussd_service_op",
        0x060B: "billing_identification",
        0x1201: "display_time",
        0x1203: "sms_signal",
        0x1204: "ms_validity",
        0x130C: "alert_on_message_delivery",
        0x1380: "its_reply_type",
        0x1383: "its_session_info",
    }
)
"""The tags that have a name; every other one is a vendor's and is kept as it came."""

_HEADER = struct.Struct(">HH")


def name_of(tag: int) -> str:
    """The name of a tag, or the tag in hexadecimal if it has none."""
    return NAMES.get(tag) or f"0x{tag:04X}"


def read(octets: bytes, start: int, end: int) -> Mapping[int, bytes]:
    """The TLVs between two offsets. Never raises.

    A TLV that runs past the end is dropped with everything behind it, fewer than four octets at the end are ignored,
    and of several with the same tag the first counts: a parser that refuses such a PDU loses a receipt for nothing.
    """
    found: dict[int, bytes] = {}
    while end - start >= 4:
        tag, length = _HEADER.unpack_from(octets, start)
        start += 4 + length
        if start > end:
            break
        if tag not in found:
            found[tag] = octets[start - length : start]
    return found


def write(tlvs: Mapping[int, bytes]) -> bytes:
    """The TLVs as octets, in the order of the mapping.

    Raises:
        struct.error: a tag is above 0xFFFF or a value longer than 65535 octets.
    """
    return b"".join(_HEADER.pack(tag, len(value)) + value for tag, value in tlvs.items())


def integer(tlvs: Mapping[int, bytes], tag: int) -> int | None:
    """A TLV's value as an unsigned integer, whatever its length from 1 to 8 octets; None if absent or of another."""
    value = tlvs.get(tag)
    if not value or len(value) > 8:
        return None
    return int.from_bytes(value, "big")


def string(tlvs: Mapping[int, bytes], tag: int) -> str | None:
    """A TLV's value as text up to its NUL, which some peers leave out; None if absent."""
    value = tlvs.get(tag)
    return None if value is None else value.partition(b"\0")[0].decode("latin-1")


GSM: Final = 3
"""The network of a GSM network_error_code."""


class NetworkError(NamedTuple):
    """What the network said about a failure: ``network`` 3 is GSM, None is not told; the code is the network's own."""

    network: int | None
    code: int


def network_error(tlvs: Mapping[int, bytes]) -> NetworkError | None:
    """The TLV network_error_code; None if absent or of another length than 3 octets.

    Some peers send three ASCII digits in place of a network and two octets: a network of 0x30 to 0x39 shows them.
    """
    value = tlvs.get(NETWORK_ERROR_CODE)
    if value is None or len(value) != 3:
        return None
    if 0x30 <= value[0] <= 0x39:
        return NetworkError(None, int(value)) if value.isdigit() else None
    return NetworkError(value[0], value[1] << 8 | value[2])
