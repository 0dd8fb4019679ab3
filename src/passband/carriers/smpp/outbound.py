"""From a recipient to its segments as octets, and from the answers to its outcome.

Rule: no link, no queue; what is known of one recipient while its segments are on their way, and what follows from an
answer. One failed segment fails its recipient: those that were taken before cannot be recalled.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from passband.carriers.smpp.numbers import Numbers, pair_ref, reference_ref
from passband.carriers.smpp.settings import SmppSettings
from passband.domain.gsm0338 import UnencodableText
from passband.domain.message import Recipient
from passband.domain.report import Accepted, Deciding, Deferred, Outcome, Rejected
from passband.smpp import text, times, tlv, udh
from passband.smpp.error_mapping import Retry, Verdict
from passband.smpp.message_id import stored_key
from passband.smpp.pdu import NO_TLVS, SubmitSm, UnwritablePdu
from passband.smpp.template import SubmitTemplate

BAD_ENCODING: Final = 4301
BAD_FOR_DESTINATION: Final = 4350
NOT_ACKNOWLEDGED: Final = 5630

BACKOFF: Final = (5.0, 15.0, 45.0, 120.0, 300.0)
JITTER: Final = 0.2
RECONNECT_SECONDS: Final = 1.0
RECONNECTS: Final = 3
MOST_OCTETS: Final = 4096  # of a PDU that is sent: peers' limits are below ours


class Sending(msgspec.Struct, eq=False):
    """A recipient that this carrier was handed and has no outcome yet.

    ``ids`` are the segments' identifiers as the carrier gave them, "" where it gave none, None where it has not yet
    answered: ``left`` counts those. ``flying`` are segments that wait for their answer. ``losses`` counts by segment
    how often an answer was lost. ``over``: it has its outcome; what else comes is ignored.
    """

    recipient: Recipient
    bodies: tuple[bytes, ...]
    ids: list[str | None]
    left: int
    flying: int = 0
    losses: dict[int, int] | None = None
    written: bool = False
    over: bool = False


class Outbound:
    """How one carrier's segments are written and its answers understood."""

    def __init__(self, settings: SmppSettings, numbers: Numbers, random: Callable[[], float]) -> None:
        """``random`` gives numbers from 0 to 1, for jitter."""
        self._settings = settings
        self._numbers = numbers
        self._random = random
        self._style = settings.text_style
        self._header: Literal[0, 6, 7] = _HEADERS[settings.concat]
        self._esm = settings.esm_mode
        self._registered = settings.registered_delivery if settings.delivered_on == "receipt" else 0
        self._rule = settings.id_rule
        self._referring = settings.user_message_reference
        self.gives_ids: bool | None = None  # whether this carrier's answers name segments; None: not known yet
        self._window = settings.receipt_window if settings.delivered_on == "receipt" else None
        several = Deciding.SOME if settings.single_receipt else Deciding.EVERY
        self._deciding = Deciding.FIRST if settings.receipts == "one" else several
        self._body = SubmitTemplate(
            SubmitSm(
                service_type=settings.service_type,
                tlvs={extra.tag: extra.octets() for extra in settings.extra_tlvs} or NO_TLVS,
            )
        ).body

    def prepare(self, recipient: Recipient, now: float) -> Sending | Rejected:
        """Return the recipient's segments as bodies of submit_sm, or why there are none."""
        message = recipient.message
        validity = ""
        if message.expires_at is not None and self._settings.send_validity:
            validity = times.validity(message.expires_at, now)
        source = self._numbers.source(message.sender)
        destination = self._numbers.destination(recipient.number)
        try:
            coding, parts = text.encode_segments(message.text, self._style, self._header)
            if len(parts) == 1:
                tlvs: Mapping[int, bytes] = self._reference(recipient, 0) if self._referring else NO_TLVS
                body = self._body(source, destination, parts[0], coding, self._esm, self._registered, validity, tlvs)
                return Sending(recipient, (body,), [None], 1)
            if len(parts) > self._settings.max_segments:
                return Rejected(BAD_FOR_DESTINATION)
            if self._settings.concat == "payload":
                coding, octets = text.encode(message.text, self._style)
                payload = {tlv.MESSAGE_PAYLOAD: octets, **self._reference(recipient, 0)}
                body = self._body(source, destination, b"", coding, self._esm, self._registered, validity, payload)
                if len(body) > MOST_OCTETS - 16:
                    return Rejected(BAD_FOR_DESTINATION)
                return Sending(recipient, (body,), [None], 1)
            bodies = []
            for index, octets in enumerate(parts):
                esm_class, octets, tlvs = self._placed(recipient.reference, len(parts), index, octets)
                tlvs = {**tlvs, **self._reference(recipient, index)}
                registered = self._asked(index, len(parts))
                bodies.append(
                    self._body(source, destination, octets, coding, esm_class, registered, validity, tlvs or NO_TLVS)
                )
        except UnencodableText:
            return Rejected(BAD_ENCODING)
        except UnwritablePdu:
            return Rejected(BAD_FOR_DESTINATION)
        return Sending(recipient, tuple(bodies), [None] * len(bodies), len(bodies))

    def _reference(self, recipient: Recipient, index: int) -> dict[int, bytes]:
        """Return our own number of a segment, for carriers whose receipts repeat it; the same in every attempt."""
        if not self._referring:
            return {}
        return {tlv.USER_MESSAGE_REFERENCE: _reference_of(recipient, index).to_bytes(2, "big")}

    def _placed(self, reference: int, total: int, index: int, octets: bytes) -> tuple[int, bytes, dict[int, bytes]]:
        """Return esm_class, text and parameters of one of several segments."""
        concat = self._settings.concat
        tlvs = {}
        if self._settings.more_messages:
            tlvs[tlv.MORE_MESSAGES_TO_SEND] = b"\1" if index + 1 < total else b"\0"
        if concat == "sar":
            tlvs[tlv.SAR_MSG_REF_NUM] = (reference & 0xFFFF).to_bytes(2, "big")
            tlvs[tlv.SAR_TOTAL_SEGMENTS] = bytes((total,))
            tlvs[tlv.SAR_SEGMENT_SEQNUM] = bytes((index + 1,))
            return self._esm, octets, tlvs
        if concat == "udh16":
            header = udh.build(reference & 0xFFFF, total, index + 1, "16")
        else:
            header = udh.build(reference & 0xFF, total, index + 1)
        return self._esm | udh.UDHI, header + octets, tlvs

    def _asked(self, index: int, total: int) -> int:
        """Return registered_delivery of one of several segments."""
        receipts = self._settings.receipts
        if (receipts == "last" and index + 1 < total) or (receipts == "first" and index):
            return 0
        return self._registered

    def taken(self, sending: Sending, index: int, message_id: str | None) -> Accepted | None:
        """Note that a segment was taken; return the outcome if it was the last."""
        sending.ids[index] = message_id or ""
        if not message_id:
            self.gives_ids = False
        elif self.gives_ids is None:
            self.gives_ids = True
        sending.left -= 1
        if sending.left:
            return None
        sending.over = True
        recipient = sending.recipient
        if len(sending.ids) == 1:
            if self._referring:
                return self._by_any_name(recipient, message_id)
            ref = self._ref(recipient, message_id)
            return Accepted((ref,), self._window, given=() if ref == message_id else (message_id or "",))
        if self._referring:  # a segment of several has one name, and the ids of answers are not in the receipts
            refs = tuple(self._referred(recipient, place) for place in range(len(sending.ids)))
        else:
            refs = tuple(self._ref(recipient, id_) for id_ in sending.ids)
        given = _where_different(refs, sending.ids)
        receipts = self._settings.receipts
        if receipts == "last":
            return Accepted(refs[-1:], self._window, given=given[-1:])
        if receipts == "first":
            return Accepted(refs[:1], self._window, given=given[:1])
        return Accepted(refs, self._window, self._deciding, given=given)

    def _ref(self, recipient: Recipient, message_id: str | None) -> str:
        """Return by what a receipt may name a segment: a key of its identifier, or without one just where it went."""
        if message_id:
            return stored_key(message_id, self._rule)
        return pair_ref(recipient.message.sender, recipient.number)

    def _by_any_name(self, recipient: Recipient, message_id: str | None) -> Accepted:
        """Return the outcome of a single segment whose receipt may name its id, our number, or just where it went."""
        pair = pair_ref(recipient.message.sender, recipient.number)
        refs = (self._referred(recipient, 0), pair)
        if not message_id:
            return Accepted(refs, self._window, Deciding.FIRST, given=("", ""))
        ref = stored_key(message_id, self._rule)
        given = None if ref == message_id else message_id
        return Accepted((ref, *refs), self._window, Deciding.FIRST, given=(given, "", ""))

    @staticmethod
    def _referred(recipient: Recipient, index: int) -> str:
        return reference_ref(recipient.message.sender, recipient.number, _reference_of(recipient, index))

    def refused(self, sending: Sending, verdict: Verdict) -> Outcome:
        """Return the outcome of a recipient one of whose segments was refused, for now or for good."""
        sending.over = True
        code = verdict.code or NOT_ACKNOWLEDGED
        if verdict.retry is Retry.BACKOFF:
            wait = BACKOFF[min(sending.recipient.attempts, len(BACKOFF) - 1)]
            wait *= 1 - JITTER + 2 * JITTER * self._random()
            return Deferred(code, wait, verdict.max_attempts or len(BACKOFF))
        if verdict.retry in (Retry.RECONNECT, Retry.BIND):
            return Deferred(code, RECONNECT_SECONDS, verdict.max_attempts or RECONNECTS)
        return Rejected(code)

    def lost(self, sending: Sending, index: int) -> Rejected | None:
        """Note that a segment's answer was lost; return the outcome if that was once too often.

        The carrier may or may not have it. Submitted again it has the same reference and number, so that a handset
        that got both shows one.
        """
        losses = sending.losses = sending.losses or {}
        losses[index] = losses.get(index, 0) + 1
        earlier = 1 if sending.recipient.code == NOT_ACKNOWLEDGED else 0
        if losses[index] + earlier > (1 if self._settings.on_unacked == "resubmit" else 0):
            sending.over = True
            return Rejected(NOT_ACKNOWLEDGED)
        return None

    def returned(self, sending: Sending, code: int) -> Deferred:
        """Return the outcome of a recipient that this carrier cannot send now, for reasons of its own.

        Where an answer was lost it counts as an attempt, of which there is one more. That one was lost is remembered.
        """
        sending.over = True
        if sending.losses:
            return Deferred(NOT_ACKNOWLEDGED, 0.0, sending.recipient.attempts + 2)
        return Deferred(NOT_ACKNOWLEDGED if sending.recipient.code == NOT_ACKNOWLEDGED else code, 0.0)


def _reference_of(recipient: Recipient, index: int) -> int:
    """Return two octets that hardly any other open segment between the same numbers has."""
    return zlib.crc32(f"{recipient.message.id}/{recipient.n}/{index}".encode()) & 0xFFFF


def _where_different(refs: Sequence[str], ids: Sequence[str | None]) -> tuple[str | None, ...]:
    """Return those identifiers that are not their references, None in place of the others; empty if none is."""
    given = tuple(None if id_ == ref else id_ for ref, id_ in zip(refs, ids, strict=True))
    return given if any(id_ is not None for id_ in given) else ()


_HEADERS: Final[dict[str, Literal[0, 6, 7]]] = {"udh8": 6, "udh16": 7, "sar": 0, "payload": 0}
