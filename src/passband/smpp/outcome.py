"""Statuses and receipts → verdicts: what becomes of a segment, and with which delivery error code.

The order of precedence. Of a response: the carrier profile's own table, then ours. Of a receipt: its TLV message_state
before the word in its text, except that a final one of the two wins over one that is not; then, if it failed, the err
of the profile's dialect refines the code, else a network_error_code of a GSM network. An intermediate one is never the
last word, whatever it says: it has no code for the deadline either. A verdict says nothing about receipts that came
before: that a final outcome is never replaced is the owner's to keep.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from passband.domain.error_codes import ERROR_CODES
from passband.smpp import tlv
from passband.smpp.err_dialects import ERR_DIALECTS, PLATFORM_DIALECT
from passband.smpp.error_mapping import (
    COMMAND_STATUSES,
    DELIVERY_FAILURE_REASONS,
    GSM_ERRORS,
    MESSAGE_STATES,
    RECEIPT_STATES,
    UNKNOWN_STATE,
    UNKNOWN_STATUS,
    VENDOR_STATUSES,
    Outcome,
    Retry,
    Verdict,
)
from passband.smpp.pdu import NO_TLVS, ReceiptSm
from passband.smpp.receipt import Receipt

_RDELIVERYFAILURE: Final = 0xFE
_UNKNOWN_CODE: Final = 9999

# Bind errors in answer to a submit: the account was disabled while it was bound. A bind tells the truth.
_AT_BIND_ONLY: Final = frozenset({0x0D, 0x0E, 0x0F})
_BAD_SYSTEM_TYPE: Final = 0x53

_NOTHING_SAID: Final = Verdict(Outcome.PENDING, Retry.WAIT, None, "nothing")
_NO_STATUSES: Final[Mapping[int, Verdict]] = MappingProxyType({})
_NO_WORDS: Final[Mapping[str, Verdict]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ReceiptPolicy:
    """How a carrier's receipts are to be understood, from its profile.

    ``acceptd_final``: ACCEPTD is the last word, and means delivered. ``unknown_final``: UNKNOWN and unknown words are
    the last word, and mean failed. ``expired_code``: the code of EXPIRED. ``dialect``: whose err numbers these are
    (None: err says nothing). ``states``: the profile's own words, upper case.
    """

    acceptd_final: bool = False
    unknown_final: bool = False
    expired_code: int = 4794
    dialect: str | None = None
    states: Mapping[str, Verdict] = field(default_factory=lambda: _NO_WORDS)


DEFAULT_POLICY: Final = ReceiptPolicy()

DIALECTS: Final = frozenset(ERR_DIALECTS) | {PLATFORM_DIALECT}
"""The names that ``ReceiptPolicy.dialect`` may have."""


def submit_verdict(
    command_status: int, tlvs: Mapping[int, bytes] = NO_TLVS, overrides: Mapping[int, Verdict] = _NO_STATUSES
) -> Verdict:
    """What the answer to submit_sm, data_sm or another of our requests means, generic_nack included."""
    if command_status in overrides:
        return overrides[command_status]
    verdict = bind_verdict(command_status)
    if command_status in _AT_BIND_ONLY:
        return verdict._replace(retry=Retry.RECONNECT)
    if command_status == _BAD_SYSTEM_TYPE:
        return verdict._replace(outcome=Outcome.FAILED, retry=Retry.NONE, code=4700)
    if command_status == _RDELIVERYFAILURE:
        reason = tlv.integer(tlvs, tlv.DELIVERY_FAILURE_REASON)
        return verdict if reason is None else DELIVERY_FAILURE_REASONS.get(reason, verdict)
    return verdict


def bind_verdict(command_status: int) -> Verdict:
    """The table's word on a status, as it stands in a bind's answer; an unknown one fails, and its name tells it."""
    verdict = COMMAND_STATUSES.get(command_status)
    if verdict is not None:
        return verdict
    kind = "vendor" if command_status in VENDOR_STATUSES else "unknown"
    return UNKNOWN_STATUS._replace(name=f"{kind} 0x{command_status:08X}")


# First and longest wait in seconds after a refused bind. Already bound: the peer needs to notice that our old session
# is dead. Wrong credentials, repeated, lock accounts. The rest: the peer is busy.
_BIND_WAITS: Final[Mapping[int, tuple[float, float]]] = MappingProxyType(
    {0x05: (30.0, 60.0)} | dict.fromkeys((0x0D, 0x0E, 0x0F, 0x53), (30.0, 600.0))
)
_BUSY_WAIT: Final = (30.0, 30.0)


def bind_wait(command_status: int, refusals: int) -> float:
    """Seconds to wait before the next bind, after so many refusals in a row (1 or more); jitter is the caller's."""
    first, longest = _BIND_WAITS.get(command_status, _BUSY_WAIT)
    # The doubling is capped before it is computed: an account may stay locked for thousands of refusals.
    return float(min(longest, first * 2 ** min(refusals - 1, 16)))


def receipt_verdict(receipt: Receipt, policy: ReceiptPolicy = DEFAULT_POLICY) -> Verdict:
    """What a receipt means: delivered, failed with a code, or pending, where a code is for the deadline."""
    if receipt.stat and receipt.message_state is None and policy is DEFAULT_POLICY and not receipt.intermediate:
        verdict = _verdict_of_word(receipt.stat, UNKNOWN_STATE)
        # The word alone, and nothing can refine it: nearly every receipt.
        if verdict.outcome is not Outcome.FAILED:
            return verdict
    state = None if receipt.message_state is None else _state_verdict(receipt.message_state, policy)
    word = None if receipt.stat is None else _word_verdict(receipt.stat, policy)
    verdict = state or word or _NOTHING_SAID
    if verdict.outcome is Outcome.PENDING and word is not None and word.outcome is not Outcome.PENDING:
        verdict = word
    if receipt.intermediate:
        return Verdict(Outcome.PENDING, Retry.WAIT, None, verdict.name)
    if verdict.outcome is Outcome.FAILED:
        return _refined(verdict, receipt, policy)
    return verdict


class Judge:
    """``receipt_verdict`` under one policy; of the usual receipts, which say the same few things, it remembers it."""

    def __init__(self, policy: ReceiptPolicy = DEFAULT_POLICY) -> None:
        self._policy = policy
        self._known: dict[bytes, Verdict] = {}

    def usual(self, pdu: ReceiptSm) -> Verdict:
        """What a receipt in the usual form means."""
        verdict = self._known.get(pdu.state)
        if verdict is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            verdict = receipt_verdict(Receipt((pdu.id,), pdu.source_addr, pdu.stat, pdu.err), self._policy)
            self._known[pdu.state] = verdict
        return verdict

    def verdict(self, receipt: Receipt) -> Verdict:
        """What any receipt means."""
        return receipt_verdict(receipt, self._policy)


_MOST_KNOWN: Final = 1024  # a peer may send any words
_verdict_of_word = RECEIPT_STATES.get

# No dialect has longer ones; int() refuses, with an exception, the thousands of digits that a peer may send.
_is_number = re.compile("[0-9]{1,10}").fullmatch


def _state_verdict(state: int, policy: ReceiptPolicy) -> Verdict:
    return _adjusted(MESSAGE_STATES.get(state, UNKNOWN_STATE), policy)


def _word_verdict(stat: str, policy: ReceiptPolicy) -> Verdict:
    own = policy.states.get(stat)
    return own if own is not None else _adjusted(RECEIPT_STATES.get(stat, UNKNOWN_STATE), policy)


_ACCEPTED_NAMES: Final = frozenset({"ACCEPTD", "ACCEPTED"})
_EXPIRED_NAME: Final = "EXPIRED"


def _adjusted(verdict: Verdict, policy: ReceiptPolicy) -> Verdict:
    if policy is DEFAULT_POLICY:
        return verdict
    if verdict.name == _EXPIRED_NAME:
        return verdict._replace(code=policy.expired_code)
    if policy.acceptd_final and verdict.name in _ACCEPTED_NAMES:
        return verdict._replace(outcome=Outcome.DELIVERED, retry=Retry.NONE)
    if policy.unknown_final and verdict.outcome is Outcome.PENDING and verdict.code == _UNKNOWN_CODE:
        return verdict._replace(outcome=Outcome.FAILED, retry=Retry.NONE)
    return verdict


def _refined(verdict: Verdict, receipt: Receipt, policy: ReceiptPolicy) -> Verdict:
    refined = None
    if policy.dialect is not None and receipt.err is not None:
        number = int(receipt.err) if _is_number(receipt.err) else 0
        if number and policy.dialect == PLATFORM_DIALECT:
            refined = verdict._replace(code=number if number in ERROR_CODES else _UNKNOWN_CODE)
        elif number:
            refined = ERR_DIALECTS[policy.dialect].get(number)
    if refined is None and receipt.network_error is not None and receipt.network_error.network == tlv.GSM:
        refined = GSM_ERRORS.get(receipt.network_error.code)
    return refined if refined is not None else verdict
