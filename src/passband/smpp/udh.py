"""User data headers, and where a segment stands in its message.

Source: 3GPP TS 23.040 §9.2.3.24 (the header), §9.2.3.24.1 and §9.2.3.24.8 (concatenation with a reference of 8 and of
16 bits); SMPP 3.4 §5.3.2.22 to §5.3.2.24 (the SAR parameters, which say the same outside the text).
"""

from typing import Final, Literal, NamedTuple

from passband.smpp import tlv
from passband.smpp.pdu import DataSm, DeliverSm, SubmitSm

UDHI: Final = 0x40
"""The bit of esm_class that says: the text begins with a user data header."""

CONCATENATION_8: Final = 0x00
CONCATENATION_16: Final = 0x08
_PORT_ELEMENTS: Final = frozenset({0x04, 0x05})  # application port addressing, 8 and 16 bits

Width = Literal["8", "16", "sar"]


class Concatenation(NamedTuple):
    """A segment's place: number ``sequence`` of ``total``, of the message with this ``reference``.

    The same number in another ``width`` is another message.
    """

    reference: int
    width: Width
    total: int
    sequence: int

    @property
    def valid(self) -> bool:
        """Whether the place exists: 1 to total."""
        return 1 <= self.sequence <= self.total


class Header(NamedTuple):
    """A user data header: its ``octets``, the length octet included, and its elements in order."""

    octets: int
    elements: tuple[tuple[int, bytes], ...]

    @property
    def has_ports(self) -> bool:
        """Whether the text is addressed to an application's port: then 8-bit data is no text."""
        return any(element in _PORT_ELEMENTS for element, _ in self.elements)

    @property
    def concatenation(self) -> Concatenation | None:
        """The first concatenation element of the right length, valid or not.

        It need not be the first element: ports and language shifts may stand before it.
        """
        for element, data in self.elements:
            if element == CONCATENATION_8 and len(data) == 3:
                return Concatenation(data[0], "8", data[1], data[2])
            if element == CONCATENATION_16 and len(data) == 4:
                return Concatenation(data[0] << 8 | data[1], "16", data[2], data[3])
        return None


def read(octets: bytes) -> Header | None:
    """The header with which a text begins; None if it is malformed: then all the octets are text."""
    if not octets or len(octets) <= octets[0]:
        return None
    end = 1 + octets[0]
    position = 1
    elements = []
    while position < end:
        if position + 2 > end or position + 2 + octets[position + 1] > end:
            return None
        stop = position + 2 + octets[position + 1]
        elements.append((octets[position], octets[position + 2 : stop]))
        position = stop
    return Header(end, tuple(elements))


def build(reference: int, total: int, sequence: int, width: Literal["8", "16"] = "8") -> bytes:
    """The header of one segment of several: 6 octets with a reference of 8 bits, 7 with one of 16.

    Raises:
        ValueError: a number does not fit its octets.
    """
    if width == "8":
        return bytes((5, CONCATENATION_8, 3, reference, total, sequence))
    return bytes((6, CONCATENATION_16, 4, reference >> 8, reference & 0xFF, total, sequence))


def split(pdu: SubmitSm | DeliverSm | DataSm) -> tuple[Header | None, bytes]:
    """The header of a PDU's text and the octets behind it; there is none without the bit, or if it is malformed."""
    content = pdu.content()
    if pdu.esm_class & UDHI:
        header = read(content)
        if header is not None:
            return header, content[header.octets :]
    return None, content


def concatenation(pdu: SubmitSm | DeliverSm | DataSm, header: Header | None) -> Concatenation | None:
    """Where a PDU's segment stands, from its header or else its SAR parameters; None if it is a message of its own.

    A place that does not exist (total 0, sequence 0 or above total) and a total of 1 make it a message of its own.
    """
    place = header.concatenation if header is not None else None
    if place is None:
        reference = tlv.integer(pdu.tlvs, tlv.SAR_MSG_REF_NUM)
        total = tlv.integer(pdu.tlvs, tlv.SAR_TOTAL_SEGMENTS)
        sequence = tlv.integer(pdu.tlvs, tlv.SAR_SEGMENT_SEQNUM)
        if reference is None or total is None or sequence is None:
            return None
        place = Concatenation(reference, "sar", total, sequence)
    return place if place.valid and place.total > 1 else None
