"""What carriers' statuses, states and error numbers mean, as tables.

Rows only: a status or state with its name, what it does to the segment, and the delivery error code with which the
message ends if that is its end. How several of them together become one verdict is the business of ``outcome``.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Outcome(StrEnum):
    """What became of a segment."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"


class Retry(StrEnum):
    """What to do next.

    NONE: nothing, the outcome is final. THROTTLE: pause the whole link and halve its rate; the same segment goes first
    afterwards and no attempt is consumed. BACKOFF: submit the segment again later. RECONNECT: the session is unusable;
    close, bind again, submit again. BIND: the bind failed; queued messages wait. WAIT: not final; a later receipt or
    the deadline decides. IGNORE: no effect on the segment.
    """

    NONE = "none"
    THROTTLE = "throttle"
    BACKOFF = "backoff"
    RECONNECT = "reconnect"
    BIND = "bind"
    WAIT = "wait"
    IGNORE = "ignore"


class Verdict(NamedTuple):
    """What a carrier's word means for a segment.

    ``code`` is the delivery error code with which the message ends if this is its end. ``max_attempts`` counts
    submissions, the first included; None is no limit but the message's deadline. ``alarm`` calls the operator.
    """

    outcome: Outcome
    retry: Retry
    code: int | None
    name: str
    max_attempts: int | None = None
    alarm: bool = False


def failed(code: int, name: str, *, alarm: bool = False) -> Verdict:
    """The verdict on a segment that has failed for good."""
    return Verdict(Outcome.FAILED, Retry.NONE, code, name, None, alarm)


def _again(how: Retry, code: int, name: str, most: int | None = None, *, alarm: bool = False) -> Verdict:
    return Verdict(Outcome.RETRY, how, code, name, most, alarm)


def _pending(name: str, code: int | None = None) -> Verdict:
    return Verdict(Outcome.PENDING, Retry.WAIT, code, name)


def _delivered(name: str) -> Verdict:
    return Verdict(Outcome.DELIVERED, Retry.NONE, None, name)


# fmt: off
COMMAND_STATUSES: Final[Mapping[int, Verdict]] = MappingProxyType({
    # accepted; register message_id, wait for receipt
    0x000: Verdict(Outcome.ACCEPTED, Retry.IGNORE, None, "ESME_ROK"),
    0x001: failed(4751, "ESME_RINVMSGLEN"),  # message length invalid
    # command length invalid (our framing or a field over its limit)
    0x002: failed(4752, "ESME_RINVCMDLEN", alarm=True),
    # command not supported by the peer; some aggregators return it for a suspended account
    0x003: failed(5610, "ESME_RINVCMDID", alarm=True),
    # wrong bind state for this command (peer lost our bind, or submit on a receiver bind)
    0x004: _again(Retry.RECONNECT, 5501, "ESME_RINVBNDSTS", 3),
    # already bound: the peer still holds our previous session; wait at least 30 s
    0x005: _again(Retry.BIND, 5501, "ESME_RALYBND"),
    0x006: failed(4752, "ESME_RINVPRTFLG", alarm=True),  # priority_flag invalid
    0x007: failed(4752, "ESME_RINVREGDLVFLG", alarm=True),  # registered_delivery invalid
    # system error at the SMSC; also used as a catch-all reject, so attempts are few
    0x008: _again(Retry.BACKOFF, 5620, "ESME_RSYSERR", 3),
    0x00A: failed(4740, "ESME_RINVSRCADR"),  # source address invalid or not allowed
    0x00B: failed(4720, "ESME_RINVDSTADR"),  # destination address invalid
    0x00C: failed(5610, "ESME_RINVMSGID"),  # message_id invalid (query/cancel/replace)
    0x00D: _again(Retry.BIND, 5501, "ESME_RBINDFAIL", alarm=True),  # bind failed, reason not given
    # password invalid: slow retry, never faster than 30 s
    0x00E: _again(Retry.BIND, 5501, "ESME_RINVPASWD", alarm=True),
    # system_id invalid: slow retry, never faster than 30 s
    0x00F: _again(Retry.BIND, 5501, "ESME_RINVSYSID", alarm=True),
    0x011: failed(5610, "ESME_RCANCELFAIL"),  # cancel_sm failed
    0x013: failed(5610, "ESME_RREPLACEFAIL"),  # replace_sm failed
    # message queue full; also sent when our window is larger than allowed, or when prepaid credit is exhausted
    0x014: _again(Retry.THROTTLE, 5600, "ESME_RMSGQFUL"),
    0x015: failed(4700, "ESME_RINVSERTYP", alarm=True),  # service_type invalid
    0x033: failed(4752, "ESME_RINVNUMDESTS"),  # number of destinations invalid (submit_multi)
    0x034: failed(4752, "ESME_RINVDLNAME"),  # distribution list name invalid
    0x040: failed(4752, "ESME_RINVDESTFLAG"),  # destination flag invalid (submit_multi)
    0x042: failed(4752, "ESME_RINVSUBREP"),  # submit-with-replace invalid
    0x043: failed(4752, "ESME_RINVESMCLASS", alarm=True),  # esm_class invalid (e.g. UDHI not allowed)
    0x044: failed(5610, "ESME_RCNTSUBDL"),  # cannot submit to distribution list
    # submit failed, reason not given; some peers use it for window overrun
    0x045: _again(Retry.BACKOFF, 5610, "ESME_RSUBMITFAIL", 2),
    0x048: failed(4740, "ESME_RINVSRCTON", alarm=True),  # source TON invalid
    0x049: failed(4740, "ESME_RINVSRCNPI", alarm=True),  # source NPI invalid
    0x050: failed(4720, "ESME_RINVDSTTON", alarm=True),  # destination TON invalid
    0x051: failed(4720, "ESME_RINVDSTNPI", alarm=True),  # destination NPI invalid
    0x053: _again(Retry.BIND, 5501, "ESME_RINVSYSTYP", alarm=True),  # system_type invalid (bind)
    0x054: failed(4752, "ESME_RINVREPFLAG"),  # replace_if_present_flag invalid
    0x055: failed(4752, "ESME_RINVNUMMSGS"),  # number_of_messages invalid
    0x058: _again(Retry.THROTTLE, 5600, "ESME_RTHROTTLED"),  # rate limit exceeded
    0x061: failed(4752, "ESME_RINVSCHED"),  # schedule_delivery_time invalid
    0x062: failed(4752, "ESME_RINVEXPIRY", alarm=True),  # validity_period invalid or already past
    0x063: failed(4752, "ESME_RINVDFTMSGID"),  # predefined message id invalid
    0x064: _again(Retry.BACKOFF, 5620, "ESME_RX_T_APPN", 5),  # receiver application: temporary error
    0x065: failed(5620, "ESME_RX_P_APPN"),  # receiver application: permanent error
    0x066: failed(4750, "ESME_RX_R_APPN"),  # receiver application: message rejected
    0x067: failed(5610, "ESME_RQUERYFAIL"),  # query_sm failed
    0x0C0: failed(4752, "ESME_RINVOPTPARSTREAM", alarm=True),  # error in the optional part of the PDU
    0x0C1: failed(4752, "ESME_ROPTPARNOTALLWD", alarm=True),  # optional parameter not allowed
    0x0C2: failed(4752, "ESME_RINVPARLEN", alarm=True),  # parameter length invalid
    # expected optional parameter missing (e.g. a mandatory vendor TLV)
    0x0C3: failed(4752, "ESME_RMISSINGOPTPARAM", alarm=True),
    0x0C4: failed(4752, "ESME_RINVOPTPARAMVAL", alarm=True),  # optional parameter value invalid
    # delivery failure (data_sm_resp / transaction mode); refine by delivery_failure_reason
    0x0FE: failed(5650, "ESME_RDELIVERYFAILURE"),
    0x0FF: _again(Retry.BACKOFF, 9999, "ESME_RUNKNOWNERR", 2),  # unknown error
    0x100: failed(4700, "ESME_RSERTYPUNAUTH"),  # 5.0: not authorised for service_type
    0x101: failed(4750, "ESME_RPROHIBITED"),  # 5.0: operation prohibited
    0x102: _again(Retry.BACKOFF, 4701, "ESME_RSERTYPUNAVAIL", 3),  # 5.0: service_type unavailable
    0x103: failed(4700, "ESME_RSERTYPDENIED"),  # 5.0: service_type denied
    0x104: failed(4752, "ESME_RINVDCS", alarm=True),  # 5.0: data_coding invalid
    0x105: failed(4740, "ESME_RINVSRCADDRSUBUNIT"),
    0x106: failed(4720, "ESME_RINVDSTADDRSUBUNIT"),
    0x107: failed(9999, "ESME_RINVBCASTFREQINT"),
    0x108: failed(9999, "ESME_RINVBCASTALIAS_NAME"),
    0x109: failed(9999, "ESME_RINVBCASTAREAFMT"),
    0x10A: failed(9999, "ESME_RINVNUMBCAST_AREAS"),
    0x10B: failed(9999, "ESME_RINVBCASTCNTTYPE"),
    0x10C: failed(9999, "ESME_RINVBCASTMSGCLASS"),
    0x10D: failed(9999, "ESME_RBCASTFAIL"),
    0x10E: failed(9999, "ESME_RBCASTQUERYFAIL"),
    0x10F: failed(9999, "ESME_RBCASTCANCELFAIL"),
    0x110: failed(9999, "ESME_RINVBCAST_REP"),
    0x111: failed(9999, "ESME_RINVBCASTSRVGRP"),
    0x112: failed(9999, "ESME_RINVBCASTCHANIND"),
})
"""command_status of a response (SMPP 3.4 §5.1.3, and those of 5.0 seen beside it)."""

VENDOR_STATUSES: Final = range(0x400, 0x500)
"""Statuses that every vendor uses as it likes: the carrier's own table comes first."""

UNKNOWN_STATUS: Final = failed(9999, "unknown")
UNKNOWN_STATE: Final = _pending("unknown", 9999)

DELIVERY_FAILURE_REASONS: Final[Mapping[int, Verdict]] = MappingProxyType({
    0: _again(Retry.BACKOFF, 4701, "destination unavailable", 3),
    1: failed(4720, "destination address invalid"),
    2: failed(5650, "permanent network error"),
    3: _again(Retry.BACKOFF, 5650, "temporary network error", 3),
})
"""The TLV delivery_failure_reason, which refines 0xFE (SMPP 3.4 §5.3.2.33)."""

RECEIPT_STATES: Final[Mapping[str, Verdict]] = MappingProxyType({
    "DELIVRD": _delivered("DELIVRD"),
    "DELIVERED": _delivered("DELIVERED"),
    "ENROUTE": _pending("ENROUTE"),
    "SCHEDULED": _pending("SCHEDULED"),
    # the 3.4 text calls it final (read by customer service); in practice 'accepted by the next carrier'. Profile
    # switch acceptd_final=delivered
    "ACCEPTD": _pending("ACCEPTD"),
    "ACCEPTED": _pending("ACCEPTED"),
    "ACKED": _pending("ACKED"),
    "BUFFRED": _pending("BUFFRED"),
    "BUFFERD": _pending("BUFFERD"),
    "BUFFERED": _pending("BUFFERED"),
    "SUBMITD": _pending("SUBMITD"),
    "QUEUED": _pending("QUEUED"),
    "PENDING": _pending("PENDING"),
    "SENT": _pending("SENT"),
    # no information; 9999 if it is the last word when the receipt deadline passes
    "UNKNOWN": _pending("UNKNOWN", 9999),
    # validity ran out before the handset was reached; profile switch expired_code may choose 4702, 5650 or 9902
    # instead
    "EXPIRED": failed(4794, "EXPIRED"),
    "DELETED": failed(4750, "DELETED"),  # removed at the SMSC (operator, cancel, opt-out, bad number)
    "UNDELIV": failed(5650, "UNDELIV"),
    "UNDELIVERABLE": failed(5650, "UNDELIVERABLE"),
    "UNDELIVERED": failed(5650, "UNDELIVERED"),
    "REJECTD": failed(4750, "REJECTD"),
    "REJECTED": failed(4750, "REJECTED"),
    "FAILED": failed(5650, "FAILED"),
    "FAIL": failed(5650, "FAIL"),
    "SYSERR": failed(5620, "SYSERR"),
    "NOCRED": failed(5610, "NOCRED", alarm=True),  # our account at the aggregator has no credit
    "NOCREDIT": failed(5610, "NOCREDIT", alarm=True),
    "SKIPPED": failed(5650, "SKIPPED"),
    "BLOCKED": failed(4770, "BLOCKED"),
    "BLACKLS": failed(4772, "BLACKLS"),
    "CANCELED": failed(4750, "CANCELED"),
    "CANCELLED": failed(4750, "CANCELLED"),
    "ABORTED": failed(5650, "ABORTED"),
})
"""The words of a receipt's stat: SMPP 3.4 Appendix B, and those seen."""

MESSAGE_STATES: Final[Mapping[int, Verdict]] = MappingProxyType({
    0: _pending("SCHEDULED"),
    1: _pending("ENROUTE"),
    2: _delivered("DELIVERED"),
    3: failed(4794, "EXPIRED"),
    4: failed(4750, "DELETED"),
    5: failed(5650, "UNDELIVERABLE"),
    6: _pending("ACCEPTED"),
    7: _pending("UNKNOWN", 9999),
    8: failed(4750, "REJECTED"),
    9: failed(5650, "SKIPPED"),
})
"""The TLV message_state (SMPP 3.4 §5.2.28; 0 and 9 are of 5.0)."""

GSM_ERRORS: Final[Mapping[int, Verdict]] = MappingProxyType({
    1: failed(4720, "unknown subscriber"),
    5: failed(4702, "unidentified subscriber"),
    6: failed(4702, "absent subscriber (SM)"),
    8: failed(4730, "roaming not allowed"),
    9: failed(4750, "illegal subscriber"),
    11: failed(4700, "teleservice not provisioned"),
    12: failed(4750, "illegal equipment"),
    13: failed(4750, "call barred"),
    21: failed(4700, "facility not supported"),
    27: failed(4702, "absent subscriber"),
    28: failed(4700, "incompatible terminal"),
    31: failed(4702, "subscriber busy for MT SMS"),
    32: failed(4753, "SM delivery failure (handset memory, protocol)"),
    33: failed(4702, "message waiting list full"),
    34: failed(5650, "system failure"),
    35: failed(5650, "data missing"),
    36: failed(5650, "unexpected data value"),
})
"""The TLV network_error_code where its network is GSM."""
# fmt: on
