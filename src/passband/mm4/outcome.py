"""What a peer's answers mean for a recipient: one table each for responses, delivery reports and SMTP replies.

The rules of each retry class (how long to wait) are the carrier's; a row says which class, and how the message ends
when that leads nowhere.
"""

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What is known of a recipient now."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    PENDING = "pending"
    RETRY = "retry"
    FAILED = "failed"


class RetryClass(enum.Enum):
    """What to do next."""

    NONE = "none"
    """Nothing: it is final."""
    IGNORE = "ignore"
    """Nothing: the answer changes no state."""
    WAIT = "wait"
    """Keep the message open until a later report or the receipt deadline."""
    BACKOFF = "backoff"
    """Send again after 5, 15, 45, 120, 300 s, at most ``max_attempts`` times, the first included."""
    BIND = "bind"
    """The peer does not let us in: wait, for all messages, before connecting again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means.

    ``code`` is the delivery error code, now or when retrying ends without success; None where there is no failure in
    it. ``max_attempts`` of None is as many as fit before the message's deadline. ``alarm``: an operator must look at
    the link, because nothing about the message is wrong.
    """

    outcome: Outcome
    retry: RetryClass
    code: int | None = None
    max_attempts: int | None = None
    alarm: bool = False


class Stage(enum.Enum):
    """Where in the conversation an SMTP reply came. ``CONNECT`` is all before MAIL: greeting, EHLO, TLS, AUTH."""

    CONNECT = "connect"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"


_ACCEPTED = Verdict(Outcome.ACCEPTED, RetryClass.IGNORE)
_DELIVERED = Verdict(Outcome.DELIVERED, RetryClass.NONE)
_PENDING = Verdict(Outcome.PENDING, RetryClass.WAIT)


def _failed(code: int, *, alarm: bool = False) -> Verdict:
    return Verdict(Outcome.FAILED, RetryClass.NONE, code, alarm=alarm)


def _again(code: int, max_attempts: int | None = None) -> Verdict:
    return Verdict(Outcome.RETRY, RetryClass.BACKOFF, code, max_attempts)


def _locked_out(code: int) -> Verdict:
    return Verdict(Outcome.RETRY, RetryClass.BIND, code, alarm=True)


# Keys are folded here once, so that the tables can be read beside the specification.
_REQUEST_STATUS = {
    key.lower(): verdict
    for key, verdict in {
        "Ok": _ACCEPTED,
        "Error-unspecified": _again(5620, 3),
        "Error-service-denied": _failed(4750),
        "Error-message-format-corrupt": _failed(4752),
        "Error-sending-address-unresolved": _failed(4720),
        "Error-network-problem": _again(5600, 3),
        "Error-content-not-accepted": _failed(4712),
        "Error-unsupported-message": _failed(4700),
        "Error-message-not-found": _failed(5610),
        "Error-transient-failure": _again(5620, 3),
        "Error-transient-sending-address-unresolved": _again(4720, 3),
        "Error-transient-message-not-found": _again(5610, 3),
        "Error-transient-network-problem": _again(5600, 3),
        # Which recipients are meant stands in X-Mms-Request-Recipients.
        "Error-transient-partial-success": _ACCEPTED,
        "Error-permanent-failure": _failed(5650),
        "Error-permanent-service-denied": _failed(4750),
        "Error-permanent-message-format-corrupt": _failed(4752),
        "Error-permanent-sending-address-unresolved": _failed(4720),
        "Error-permanent-message-not-found": _failed(5610),
        "Error-permanent-content-not-accepted": _failed(4712),
        "Error-permanent-lack-of-prepaid": _failed(4750),
        "Error-permanent-reply-charging-limitations-not-met": _failed(4750),
        "Error-permanent-reply-charging-request-not-accepted": _failed(4750),
        "Error-permanent-reply-charging-forwarding-denied": _failed(4750),
        "Error-permanent-reply-charging-not-supported": _failed(4750),
        "Error-permanent-address-hiding-not-supported": _failed(4740),
    }.items()
}
_OTHER_TRANSIENT = _again(5620, 3)
_OTHER_REQUEST_STATUS = _failed(9999)

# Status, or status and extension. Two spellings of one word are two rows.
_MM_STATUS = {
    key.lower(): verdict
    for key, verdict in {
        "Retrieved": _DELIVERED,
        "Forwarded": _PENDING,
        "Deferred": _PENDING,
        "Indeterminate": _PENDING,
        "Expired": _failed(4794),
        "Rejected": _failed(4750),
        "Rejected+Rejection-By-MMS-Recipient": _failed(4753),
        "Rejected+Rejection-By-Other-RS": _failed(4750),
        "Unrecognised": _failed(4712),
        "Unrecognized": _failed(4712),
        "Unreachable": _failed(4702),
        "NotSupported": _failed(4700),
    }.items()
}
# Not final, so that a word of a later release does not fail what may have arrived; 9999 if it stays the last word.
_OTHER_MM_STATUS = Verdict(Outcome.PENDING, RetryClass.WAIT, 9999)

# Reply, or reply at a stage.
_SMTP_REPLY: dict[int | tuple[int, Stage], Verdict] = {
    421: _again(5600),
    450: _again(4701),
    451: _again(5620),
    # After some RCPT were accepted it means "no more in this transaction": the rest goes in another one.
    452: _again(5600),
    500: _failed(5620, alarm=True),
    501: _failed(5620, alarm=True),
    502: _failed(5620, alarm=True),
    503: _failed(5620, alarm=True),
    504: _failed(5620, alarm=True),
    530: _locked_out(5501),
    535: _locked_out(5501),
    (550, Stage.MAIL): _failed(4740),
    (550, Stage.RCPT): _failed(4720),
    551: _failed(4730),
    552: _failed(4711),
    (553, Stage.MAIL): _failed(4740),
    (553, Stage.RCPT): _failed(4720),
    (554, Stage.CONNECT): _locked_out(5501),
    554: _failed(4750),
    556: _failed(4730),
}
_OTHER_TRANSIENT_REPLY = _again(5620)
_OTHER_PERMANENT_REPLY = _failed(5650)
# RFC 3463 §3.8: 5.7.x is security or policy, which is where spam filters put their refusals.
_REFUSED_BY_POLICY = _failed(4770)

NO_CONNECTION = _again(5501)
"""The connection was refused, reset or timed out, or TLS failed; also after a reply that makes no sense."""


def of_request_status(status: str) -> Verdict:
    """What the X-Mms-Request-Status-Code of a response means, without regard to case."""
    key = status.strip().lower()
    if verdict := _REQUEST_STATUS.get(key):
        return verdict
    return _OTHER_TRANSIENT if key.startswith("error-transient-") else _OTHER_REQUEST_STATUS


def of_mm_status(status: str, extension: str | None = None) -> Verdict:
    """What the X-Mms-MM-Status-Code of a delivery report means, with its extension where that says more."""
    key = status.strip().lower()
    if extension and (verdict := _MM_STATUS.get(f"{key}+{extension.strip().lower()}")):
        return verdict
    return _MM_STATUS.get(key, _OTHER_MM_STATUS)


def of_smtp_reply(reply: int, stage: Stage, enhanced: str = "") -> Verdict:
    """What an SMTP reply that is no success means; ``enhanced`` is its RFC 3463 code, such as ``5.7.1``."""
    if not 400 <= reply <= 599:
        return NO_CONNECTION
    if reply == 554 and stage is not Stage.CONNECT and enhanced.startswith("5.7."):
        return _REFUSED_BY_POLICY
    if verdict := _SMTP_REPLY.get((reply, stage)) or _SMTP_REPLY.get(reply):
        return verdict
    return _OTHER_TRANSIENT_REPLY if reply < 500 else _OTHER_PERMANENT_REPLY
