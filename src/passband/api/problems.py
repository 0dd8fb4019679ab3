"""Errors as HTTP answers: the only place where statuses are assigned.

Rule: every error that leaves the API is an entry of the tables below, or it is ours and hidden behind a 500. No 4xx and
no 5xx answer means that anything was accepted.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from passband.api.asgi import JSON, Answer, BodyTooLarge, Headers
from passband.api.auth import AuthenticationBusy
from passband.domain.errors import (
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    QueueFull,
    SearchRateExceeded,
    StoreUnavailable,
    Unauthenticated,
    UnknownPath,
    UnsupportedContentType,
)
from passband.media import MediaNotFound
from passband.wire import timestamp

_log = structlog.get_logger()

_NOT_ACCEPTED = "Your request could not be accepted"
_CHALLENGE = ((b"www-authenticate", b'Basic realm="Passband"'),)
_SOON = ((b"retry-after", b"1"),)
# As printed for the original; its window is five minutes, and ours too.
_WINDOW = ((b"retry-after", b"300"),)


class Problem(NamedTuple):
    """What the answer to one kind of error is made of."""

    status: int
    type: str
    description: str
    headers: Headers = ()


_INTERNAL = Problem(500, "internal-server-error", "Internal server error. No further information available")
_INTERNAL_FOR_NOW = _INTERNAL._replace(status=503, headers=_SOON)

_PROBLEMS: dict[type[BaseException], Problem] = {
    BodyTooLarge: Problem(400, "request-validation", _NOT_ACCEPTED),
    Unauthenticated: Problem(401, "unauthorized", "Authentication Failed", _CHALLENGE),
    Forbidden: Problem(403, "forbidden", "Access Denied"),
    MediaNotFound: Problem(404, "object-not-found", "Object not found"),
    SearchRateExceeded: Problem(
        429,
        "rate_limit_exceeded",
        "Rate limit exceeded. Wait for Retry-After time before sending another request.",
        _WINDOW,
    ),
    StoreUnavailable: _INTERNAL_FOR_NOW,
    AuthenticationBusy: _INTERNAL_FOR_NOW,
}


def _invalid_request(error: InvalidRequest) -> Answer:
    body: dict[str, object] = {"type": "request-validation", "description": error.description or _NOT_ACCEPTED}
    if error.faults:
        body["fieldErrors"] = [{"fieldName": fault.field, "description": fault.description} for fault in error.faults]
    return Answer(400, (JSON,), _encode(body))


def _method_not_allowed(error: MethodNotAllowed) -> Answer:
    description = f"Method '{error.method}' not supported for this resource."
    allow = (b"allow", ", ".join(error.allowed).encode())
    return _answer(Problem(405, "method-not-allowed", description, (allow,)))


def _unsupported_content_type(error: UnsupportedContentType) -> Answer:
    # Not a Problem of the table: the received type, its parameters without blanks, is part of the text.
    received = ";".join(part.strip() for part in error.received.split(";"))
    description = f"Content type '{received}' not supported. Please use 'application/json'"
    return _answer(Problem(415, "unsupported-content-type", description))


def _queue_full(error: QueueFull) -> Answer:
    rate = _number(60 * error.rate)
    minutes = _number(error.capacity / (60 * error.rate)) if error.rate else "0"
    description = (
        f"The {error.kind.upper()} queue for your account is full and cannot accept more messages right now. "
        f"Your allowed rate is {rate} messages per minute. "
        f"The capacity of this queue is {_number(error.capacity)} messages ({minutes} minutes). "
        "Reduce your message sending rate, or contact support to increase your allowed rate."
    )
    return _answer(Problem(429, "max-message-queue-size-exceeded", description))


_SPOKEN: dict[type[BaseException], Callable[..., Answer]] = {
    InvalidRequest: _invalid_request,
    MethodNotAllowed: _method_not_allowed,
    UnsupportedContentType: _unsupported_content_type,
    QueueFull: _queue_full,
}


def problem(error: Exception, path: str, now: float) -> Answer:
    """Return the answer to an error. ``path`` is the request's, as sent, without the query.

    Whatever is not in the tables is logged, and answered with the 500 that tells nothing.
    """
    if isinstance(error, UnknownPath):
        return _unknown_path(path, now)
    for kind in type(error).__mro__:
        if kind in _SPOKEN:
            return _SPOKEN[kind](error)
        if kind in _PROBLEMS:
            return _answer(_PROBLEMS[kind])
    _log.error("a request failed by our fault", path=path, exc_info=error)
    return _answer(_INTERNAL)


def _unknown_path(path: str, now: float) -> Answer:
    """Not like the others: other keys, and another spelling of the content type and of the instant (captured)."""
    body = {
        "timestamp": timestamp(now).replace("Z", "+0000"),
        "status": 404,
        "error": "Not Found",
        "message": "Not Found",
        "path": path,
    }
    return Answer(404, ((b"content-type", b"application/json;charset=UTF-8"),), _encode(body))


def _answer(problem: Problem) -> Answer:
    body = {"type": problem.type, "description": problem.description}
    return Answer(problem.status, (JSON, *problem.headers), _encode(body))


def _number(value: float) -> str:
    """Write 900.0 as 900, and 0.5 as 0.5; never with an exponent."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


_encode = msgspec.json.Encoder().encode
