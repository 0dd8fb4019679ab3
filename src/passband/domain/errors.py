"""What can go wrong, and whose fault it is.

    PassbandError
    ├── RequestFault                 the application's request is at fault: a 4xx, nothing was accepted
    │   ├── InvalidRequest           400, with every fault of every field
    │   ├── Unauthenticated          401
    │   ├── Forbidden                403
    │   ├── UnknownPath              404
    │   ├── MethodNotAllowed         405
    │   ├── UnsupportedContentType   415
    │   ├── QueueFull                429, the account's queue holds 15 minutes of its rate
    │   └── SearchRateExceeded       429, too many searches from one address
    ├── PeerFault                    a carrier or an endpoint is at fault; what it concerns is tried again
    └── OwnFault                     we are at fault: a 5xx, nothing was accepted
        ├── StoreUnavailable         the store could not make it durable
        └── ConfigurationError       what the operator wrote cannot be run

Parts of the program add their own below the branch that fits. Only ``api/problems.py`` turns them into HTTP statuses.
"""

from collections.abc import Sequence
from typing import NamedTuple


class PassbandError(Exception):
    """Something that Passband knows how to name."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (type(self).__doc__ or "").strip())


class RequestFault(PassbandError):
    """The request cannot be accepted."""


class FieldFault(NamedTuple):
    """One fault of one field: the field's name as in the request, and the public text about it."""

    field: str
    description: str


class InvalidRequest(RequestFault):
    """The request could not be read or broke a rule of its fields."""

    def __init__(self, faults: Sequence[FieldFault] = (), description: str | None = None) -> None:
        super().__init__(description or "; ".join(f"{f.field}: {f.description}" for f in faults) or None)
        self.faults = tuple(faults)
        self.description = description


class Unauthenticated(RequestFault):
    """The credentials are missing, unreadable or wrong."""


class Forbidden(RequestFault):
    """The credentials are good, but not for this account."""


class UnknownPath(RequestFault):
    """No such endpoint."""


class MethodNotAllowed(RequestFault):
    """The path is known, the method is not among those that it takes."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not one of {', '.join(allowed)}")
        self.method = method
        self.allowed = tuple(allowed)


class UnsupportedContentType(RequestFault):
    """The body is not announced as JSON."""

    def __init__(self, received: str) -> None:
        super().__init__(f"content type {received!r}")
        self.received = received


class QueueFull(RequestFault):
    """The account's queue holds as much as its capacity allows; nothing of the request was queued."""

    def __init__(self, kind: str, rate: float, capacity: float) -> None:
        """``kind`` is "sms" or "mms"; ``rate`` is in segments per second, ``capacity`` in segments."""
        super().__init__(f"{kind} queue full: {capacity:g} segments at {rate:g}/s")
        self.kind = kind
        self.rate = rate
        self.capacity = capacity


class SearchRateExceeded(RequestFault):
    """More searches from one source address than are allowed."""


class PeerFault(PassbandError):
    """The other side of a connection did not do its part."""


class OwnFault(PassbandError):
    """Passband could not do its part."""


class StoreUnavailable(OwnFault):
    """The store could not make the change durable; nothing of it was kept."""


class ConfigurationError(OwnFault):
    """The configuration cannot be run; ``faults`` holds every fault as "path: what is wrong"."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
