"""What carriers' statuses, states and error numbers mean, as tables.

Rows only: a status or state with its name, what it does to the segment, and the delivery error code with which the
message ends if that is its end. How several of them together become one verdict is the business of ``outcome``.

``err`` in a receipt means something else at every aggregator (1 is absent, unknown subscriber or a routing error,
depending on who sends it), so its tables are dialects, and a carrier's profile names the one that it speaks.
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


def _failed(code: int, name: str, *, alarm: bool = False) -> Verdict:
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
    0x001: _failed(4751, "ESME_RINVMSGLEN"),  # message length invalid
    # command length invalid (our framing or a field over its limit)
    0x002: _failed(4752, "ESME_RINVCMDLEN", alarm=True),
    # command not supported by the peer; some aggregators return it for a suspended account
    0x003: _failed(5610, "ESME_RINVCMDID", alarm=True),
    # wrong bind state for this command (peer lost our bind, or submit on a receiver bind)
    0x004: _again(Retry.RECONNECT, 5501, "ESME_RINVBNDSTS", 3),
    # already bound: the peer still holds our previous session; wait at least 30 s
    0x005: _again(Retry.BIND, 5501, "ESME_RALYBND"),
    0x006: _failed(4752, "ESME_RINVPRTFLG", alarm=True),  # priority_flag invalid
    0x007: _failed(4752, "ESME_RINVREGDLVFLG", alarm=True),  # registered_delivery invalid
    # system error at the SMSC; also used as a catch-all reject, so attempts are few
    0x008: _again(Retry.BACKOFF, 5620, "ESME_RSYSERR", 3),
    0x00A: _failed(4740, "ESME_RINVSRCADR"),  # source address invalid or not allowed
    0x00B: _failed(4720, "ESME_RINVDSTADR"),  # destination address invalid
    0x00C: _failed(5610, "ESME_RINVMSGID"),  # message_id invalid (query/cancel/replace)
    0x00D: _again(Retry.BIND, 5501, "ESME_RBINDFAIL", alarm=True),  # bind failed, reason not given
    # password invalid: slow retry, never faster than 30 s
    0x00E: _again(Retry.BIND, 5501, "ESME_RINVPASWD", alarm=True),
    # system_id invalid: slow retry, never faster than 30 s
    0x00F: _again(Retry.BIND, 5501, "ESME_RINVSYSID", alarm=True),
    0x011: _failed(5610, "ESME_RCANCELFAIL"),  # cancel_sm failed
    0x013: _failed(5610, "ESME_RREPLACEFAIL"),  # replace_sm failed
    # message queue full; also sent when our window is larger than allowed, or when prepaid credit is exhausted
    0x014: _again(Retry.THROTTLE, 5600, "ESME_RMSGQFUL"),
    0x015: _failed(4700, "ESME_RINVSERTYP", alarm=True),  # service_type invalid
    0x033: _failed(4752, "ESME_RINVNUMDESTS"),  # number of destinations invalid (submit_multi)
    0x034: _failed(4752, "ESME_RINVDLNAME"),  # distribution list name invalid
    0x040: _failed(4752, "ESME_RINVDESTFLAG"),  # destination flag invalid (submit_multi)
    0x042: _failed(4752, "ESME_RINVSUBREP"),  # submit-with-replace invalid
    0x043: _failed(4752, "ESME_RINVESMCLASS", alarm=True),  # esm_class invalid (e.g. UDHI not allowed)
    0x044: _failed(5610, "ESME_RCNTSUBDL"),  # cannot submit to distribution list
    # submit failed, reason not given; some peers use it for window overrun
    0x045: _again(Retry.BACKOFF, 5610, "ESME_RSUBMITFAIL", 2),
    0x048: _failed(4740, "ESME_RINVSRCTON", alarm=True),  # source TON invalid
    0x049: _failed(4740, "ESME_RINVSRCNPI", alarm=True),  # source NPI invalid
    0x050: _failed(4720, "ESME_RINVDSTTON", alarm=True),  # destination TON invalid
    0x051: _failed(4720, "ESME_RINVDSTNPI", alarm=True),  # destination NPI invalid
    0x053: _again(Retry.BIND, 5501, "ESME_RINVSYSTYP", alarm=True),  # system_type invalid (bind)
    0x054: _failed(4752, "ESME_RINVREPFLAG"),  # replace_if_present_flag invalid
    0x055: _failed(4752, "ESME_RINVNUMMSGS"),  # number_of_messages invalid
    0x058: _again(Retry.THROTTLE, 5600, "ESME_RTHROTTLED"),  # rate limit exceeded
    0x061: _failed(4752, "ESME_RINVSCHED"),  # schedule_delivery_time invalid
    0x062: _failed(4752, "ESME_RINVEXPIRY", alarm=True),  # validity_period invalid or already past
    0x063: _failed(4752, "ESME_RINVDFTMSGID"),  # predefined message id invalid
    0x064: _again(Retry.BACKOFF, 5620, "ESME_RX_T_APPN", 5),  # receiver application: temporary error
    0x065: _failed(5620, "ESME_RX_P_APPN"),  # receiver application: permanent error
    0x066: _failed(4750, "ESME_RX_R_APPN"),  # receiver application: message rejected
    0x067: _failed(5610, "ESME_RQUERYFAIL"),  # query_sm failed
    0x0C0: _failed(4752, "ESME_RINVOPTPARSTREAM", alarm=True),  # error in the optional part of the PDU
    0x0C1: _failed(4752, "ESME_ROPTPARNOTALLWD", alarm=True),  # optional parameter not allowed
    0x0C2: _failed(4752, "ESME_RINVPARLEN", alarm=True),  # parameter length invalid
    # expected optional parameter missing (e.g. a mandatory vendor TLV)
    0x0C3: _failed(4752, "ESME_RMISSINGOPTPARAM", alarm=True),
    0x0C4: _failed(4752, "ESME_RINVOPTPARAMVAL", alarm=True),  # optional parameter value invalid
    # delivery failure (data_sm_resp / transaction mode); refine by delivery_failure_reason
    0x0FE: _failed(5650, "ESME_RDELIVERYFAILURE"),
    0x0FF: _again(Retry.BACKOFF, 9999, "ESME_RUNKNOWNERR", 2),  # unknown error
    0x100: _failed(4700, "ESME_RSERTYPUNAUTH"),  # 5.0: not authorised for service_type
    0x101: _failed(4750, "ESME_RPROHIBITED"),  # 5.0: operation prohibited
    0x102: _again(Retry.BACKOFF, 4701, "ESME_RSERTYPUNAVAIL", 3),  # 5.0: service_type unavailable
    0x103: _failed(4700, "ESME_RSERTYPDENIED"),  # 5.0: service_type denied
    0x104: _failed(4752, "ESME_RINVDCS", alarm=True),  # 5.0: data_coding invalid
    0x105: _failed(4740, "ESME_RINVSRCADDRSUBUNIT"),
    0x106: _failed(4720, "ESME_RINVDSTADDRSUBUNIT"),
    0x107: _failed(9999, "ESME_RINVBCASTFREQINT"),
    0x108: _failed(9999, "ESME_RINVBCASTALIAS_NAME"),
    0x109: _failed(9999, "ESME_RINVBCASTAREAFMT"),
    0x10A: _failed(9999, "ESME_RINVNUMBCAST_AREAS"),
    0x10B: _failed(9999, "ESME_RINVBCASTCNTTYPE"),
    0x10C: _failed(9999, "ESME_RINVBCASTMSGCLASS"),
    0x10D: _failed(9999, "ESME_RBCASTFAIL"),
    0x10E: _failed(9999, "ESME_RBCASTQUERYFAIL"),
    0x10F: _failed(9999, "ESME_RBCASTCANCELFAIL"),
    0x110: _failed(9999, "ESME_RINVBCAST_REP"),
    0x111: _failed(9999, "ESME_RINVBCASTSRVGRP"),
    0x112: _failed(9999, "ESME_RINVBCASTCHANIND"),
})
"""command_status of a response (SMPP 3.4 §5.1.3, and those of 5.0 seen beside it)."""

VENDOR_STATUSES: Final = range(0x400, 0x500)
"""Statuses that every vendor uses as it likes: the carrier's own table comes first."""

UNKNOWN_STATUS: Final = _failed(9999, "unknown")
UNKNOWN_STATE: Final = _pending("unknown", 9999)

DELIVERY_FAILURE_REASONS: Final[Mapping[int, Verdict]] = MappingProxyType({
    0: _again(Retry.BACKOFF, 4701, "destination unavailable", 3),
    1: _failed(4720, "destination address invalid"),
    2: _failed(5650, "permanent network error"),
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
    "EXPIRED": _failed(4794, "EXPIRED"),
    "DELETED": _failed(4750, "DELETED"),  # removed at the SMSC (operator, cancel, opt-out, bad number)
    "UNDELIV": _failed(5650, "UNDELIV"),
    "UNDELIVERABLE": _failed(5650, "UNDELIVERABLE"),
    "UNDELIVERED": _failed(5650, "UNDELIVERED"),
    "REJECTD": _failed(4750, "REJECTD"),
    "REJECTED": _failed(4750, "REJECTED"),
    "FAILED": _failed(5650, "FAILED"),
    "FAIL": _failed(5650, "FAIL"),
    "SYSERR": _failed(5620, "SYSERR"),
    "NOCRED": _failed(5610, "NOCRED", alarm=True),  # our account at the aggregator has no credit
    "NOCREDIT": _failed(5610, "NOCREDIT", alarm=True),
    "SKIPPED": _failed(5650, "SKIPPED"),
    "BLOCKED": _failed(4770, "BLOCKED"),
    "BLACKLS": _failed(4772, "BLACKLS"),
    "CANCELED": _failed(4750, "CANCELED"),
    "CANCELLED": _failed(4750, "CANCELLED"),
    "ABORTED": _failed(5650, "ABORTED"),
})
"""The words of a receipt's stat: SMPP 3.4 Appendix B, and those seen."""

MESSAGE_STATES: Final[Mapping[int, Verdict]] = MappingProxyType({
    0: _pending("SCHEDULED"),
    1: _pending("ENROUTE"),
    2: _delivered("DELIVERED"),
    3: _failed(4794, "EXPIRED"),
    4: _failed(4750, "DELETED"),
    5: _failed(5650, "UNDELIVERABLE"),
    6: _pending("ACCEPTED"),
    7: _pending("UNKNOWN", 9999),
    8: _failed(4750, "REJECTED"),
    9: _failed(5650, "SKIPPED"),
})
"""The TLV message_state (SMPP 3.4 §5.2.28; 0 and 9 are of 5.0)."""

GSM_ERRORS: Final[Mapping[int, Verdict]] = MappingProxyType({
    1: _failed(4720, "unknown subscriber"),
    5: _failed(4702, "unidentified subscriber"),
    6: _failed(4702, "absent subscriber (SM)"),
    8: _failed(4730, "roaming not allowed"),
    9: _failed(4750, "illegal subscriber"),
    11: _failed(4700, "teleservice not provisioned"),
    12: _failed(4750, "illegal equipment"),
    13: _failed(4750, "call barred"),
    21: _failed(4700, "facility not supported"),
    27: _failed(4702, "absent subscriber"),
    28: _failed(4700, "incompatible terminal"),
    31: _failed(4702, "subscriber busy for MT SMS"),
    32: _failed(4753, "SM delivery failure (handset memory, protocol)"),
    33: _failed(4702, "message waiting list full"),
    34: _failed(5650, "system failure"),
    35: _failed(5650, "data missing"),
    36: _failed(5650, "unexpected data value"),
})
"""The TLV network_error_code where its network is GSM."""

ERR_DIALECTS: Final[Mapping[str, Mapping[int, Verdict]]] = MappingProxyType({
    "map_ext": MappingProxyType({
        1: _failed(4720, "unknown subscriber"),
        5: _failed(4702, "unidentified subscriber"),
        9: _failed(4750, "illegal subscriber"),
        11: _failed(4700, "teleservice not provisioned"),
        12: _failed(4750, "illegal equipment"),
        13: _failed(4750, "call barred"),
        21: _failed(4700, "facility not supported"),
        27: _failed(4702, "absent subscriber"),
        31: _failed(4702, "subscriber busy for MT SMS"),
        33: _failed(4702, "memory capacity exceeded (HLR)"),
        34: _failed(5650, "system failure"),
        35: _failed(5650, "data missing"),
        36: _failed(5650, "unexpected data value"),
        2: _failed(4720, "unknown subscriber (portability mismatch)"),
        6: _failed(9999, "no final state available"),
        10: _failed(4730, "no translation for the address"),
        28: _failed(4702, "absent, no page response"),
        29: _failed(4702, "absent, IMSI detached"),
        30: _failed(5650, "controlling MSC failure"),
        32: _failed(4700, "equipment not SMS capable"),
        37: _failed(5650, "HLR system failure"),
        38: _failed(5650, "HLR data missing"),
        39: _failed(5650, "HLR unexpected data value"),
        40: _failed(4702, "memory capacity exceeded (MSC)"),
        69: _failed(5650, "generic delivery failure"),
        140: _failed(5650, "signalling error at the SMSC"),
        160: _failed(5650, "signalling link fault"),
        200: _failed(5650, "response not decodable"),
        201: _failed(5650, "provider abort"),
        202: _failed(5650, "user abort"),
        203: _failed(5650, "signalling timeout"),
        205: _failed(5650, "signalling timeout"),
        206: _failed(4750, "network refused"),
        207: _failed(5650, "local cancel"),
        300: _failed(4750, "screened or blocked"),
        301: _failed(4752, "carrier syntax error"),
        302: _failed(5620, "carrier internal error"),
        303: _failed(5620, "carrier internal error, not retried"),
        304: _failed(4730, "carrier routing error, retried"),
        305: _failed(4730, "carrier routing error, not retried"),
        999: _failed(5600, "congestion"),
    }),
    "sinch": MappingProxyType({
        1: _failed(4740, "invalid or missing source"),
        2: _failed(4730, "internal routing"),
        3: _failed(4730, "internal routing"),
        4: _failed(4730, "internal routing"),
        5: _failed(4730, "internal routing"),
        6: _failed(4730, "internal routing"),
        7: _failed(4730, "internal routing"),
        8: _failed(4730, "internal routing"),
        9: _failed(4720, "unsupported number plan"),
        10: _failed(4720, "unsupported type of number"),
        11: _failed(5650, "not delivered"),
        12: _failed(4730, "dialling zone not found"),
        13: _failed(4730, "not home zone"),
        14: _failed(4730, "not home zone, lookup failed"),
        15: _failed(4770, "screening block"),
        16: _failed(4772, "terminating IMSI blocked"),
        17: _failed(4730, "destination network type unknown"),
        18: _failed(5620, "receiver error"),
        19: _failed(4740, "originating location mismatch"),
        40: _failed(5620, "internal"),
        60: _failed(4772, "originator blocked"),
        61: _failed(4772, "destination blocked"),
        62: _failed(4770, "keyword blocked"),
        63: _failed(4750, "service-centre address blocked"),
        64: _failed(4785, "quota exceeded"),
        65: _failed(4730, "loop detected"),
        66: _failed(4752, "data coding blocked"),
        67: _failed(4752, "information element blocked"),
        100: _failed(4720, "unidentified subscriber"),
        101: _failed(4700, "facility not supported"),
        102: _failed(5650, "system failure"),
        107: _failed(5600, "service-centre congestion"),
        108: _failed(4720, "invalid address"),
        110: _failed(4750, "reject"),
        150: _failed(4720, "unknown subscriber"),
        151: _failed(4750, "call barred"),
        152: _failed(4700, "no SMS subscription"),
        153: _failed(4702, "absent subscriber"),
        154: _failed(4700, "facility not supported"),
        155: _failed(5650, "system failure"),
        158: _failed(4702, "memory full"),
        159: _failed(4702, "not reachable"),
        200: _failed(4702, "unidentified subscriber"),
        201: _failed(4702, "absent, detached"),
        202: _failed(4702, "absent, no page response"),
        203: _failed(4702, "busy"),
        204: _failed(4700, "facility not supported"),
        205: _failed(4750, "illegal subscriber"),
        206: _failed(4750, "illegal equipment"),
        207: _failed(5650, "system failure"),
        210: _failed(4702, "memory full"),
        211: _failed(4753, "equipment protocol error"),
        212: _failed(4700, "equipment not SMS capable"),
        213: _failed(4750, "reject"),
        255: _failed(4775, "personal barring list"),
        300: _failed(4720, "invalid destination"),
        301: _failed(4720, "invalid destination NPI"),
        302: _failed(4720, "invalid destination TON"),
        310: _failed(4740, "invalid source"),
        311: _failed(4740, "invalid source NPI"),
        312: _failed(4740, "invalid source TON"),
        320: _failed(5620, "receiver permanent error"),
        321: _failed(4750, "receiver rejected"),
        322: _failed(5620, "receiver temporary error"),
        330: _failed(4752, "invalid command length"),
        331: _failed(4700, "invalid service type"),
        332: _failed(4752, "invalid operation"),
        333: _failed(4750, "operation not allowed"),
        334: _failed(4752, "invalid parameter"),
        337: _failed(4752, "invalid optional parameter"),
        338: _failed(4752, "optional parameter missing"),
        339: _failed(4752, "invalid validity"),
        343: _failed(4751, "invalid length"),
        349: _failed(5610, "request failed"),
        360: _failed(5600, "queue full"),
        399: _failed(9999, "unknown"),
    }),
    "eightx8": MappingProxyType({
        1: _failed(4702, "absent subscriber"),
        2: _failed(4770, "content"),
        3: _failed(4752, "data missing"),
        7: _failed(5650, "delivery failure"),
        8: _failed(4750, "denied"),
        9: _failed(4753, "equipment protocol"),
        10: _failed(5620, "external receiver error"),
        11: _failed(4785, "flooding"),
        12: _failed(5650, "HLR error"),
        13: _failed(4750, "illegal subscriber or equipment"),
        14: _failed(5620, "internal"),
        15: _failed(4720, "invalid destination"),
        16: _failed(4752, "invalid format"),
        17: _failed(4751, "invalid length"),
        18: _failed(4752, "invalid parameter"),
        19: _failed(4740, "invalid source"),
        20: _failed(5650, "local cancel"),
        21: _failed(4702, "memory full"),
        23: _failed(5650, "network failure"),
        26: _failed(4750, "operation barred"),
        27: _failed(5650, "permanent operator error"),
        28: _failed(4753, "permanent phone error"),
        29: _failed(4753, "phone error"),
        30: _failed(4730, "portability error"),
        32: _failed(4730, "roaming"),
        33: _failed(4730, "route error"),
        34: _failed(4770, "screening"),
        35: _failed(5600, "service-centre congestion"),
        36: _failed(4702, "expired"),
        37: _failed(4700, "SMS not supported"),
        38: _failed(4752, "malformed"),
        39: _failed(4750, "SMSC cancel"),
        40: _failed(5620, "SMSC error"),
        41: _failed(4750, "SMSC reject"),
        42: _failed(5610, "source credit"),
        43: _failed(4770, "spam filter"),
        44: _failed(4750, "subscriber billing"),
        45: _failed(4702, "busy"),
        46: _failed(4702, "not reachable"),
        47: _failed(4702, "temporarily unavailable"),
        48: _failed(5650, "system failure"),
        49: _failed(5650, "signalling error"),
        50: _failed(5600, "throttled"),
        51: _failed(5650, "timeout"),
    }),
    "flowroute": MappingProxyType({
        1005: _failed(4750, "rejected"),
        1006: _failed(4702, "expired"),
        1007: _failed(5650, "failed"),
        1008: _failed(5650, "permanent send error"),
        1100: _failed(9999, "unknown"),
        1101: _failed(4740, "source carrier invalid"),
        1102: _failed(4730, "destination carrier invalid"),
        1103: _failed(4740, "source not authorised"),
        1104: _failed(4740, "source carrier disabled"),
        1105: _failed(4730, "destination carrier disabled"),
        1106: _failed(4730, "no valid route"),
        1107: _failed(4740, "invalid source TON"),
        1108: _failed(4720, "invalid destination TON"),
        1109: _failed(4730, "route denied"),
        1110: _failed(4775, "user opted out (STOP)"),
        1111: _failed(4730, "temporary resolution failure"),
        1112: _failed(4730, "permanent resolution failure"),
        1115: _failed(4730, "no handler"),
        1116: _failed(4720, "destination not text enabled"),
        1150: _failed(4770, "spam"),
        1152: _failed(4770, "spam reject"),
        1160: _failed(4785, "toll-free limits exceeded"),
        1200: _failed(9999, "unknown"),
        1201: _failed(4751, "too long"),
        1204: _failed(5620, "system error"),
        1205: _failed(4740, "invalid source"),
        1206: _failed(4720, "invalid destination"),
        1210: _failed(5600, "queue full"),
        1211: _failed(4700, "invalid service type"),
        1218: _failed(5610, "submit failed"),
    }),
})
"""The err of a receipt, by dialect."""

PLATFORM_DIALECT: Final = "platform4"
"""The dialect of an upstream that already speaks the delivery error codes: its err is the code."""
# fmt: on
