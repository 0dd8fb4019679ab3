"""The operations that the engines run: what a call of the store asks for, before it is SQL."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from passband.domain.event import Callback, CallbackKey, Endpoint
from passband.domain.message import Recipient
from passband.domain.report import Report
from passband.store import Attempted, Charge, Line, Pace, Provision, Slots
from passband.store.commit import Operation


@dataclass(slots=True, eq=False)
class Accept(Operation[None]):
    recipients: Sequence[Recipient]
    callbacks: Sequence[Callback]
    charges: Sequence[Charge]


@dataclass(slots=True, eq=False)
class Announce(Operation[None]):
    recipients: Sequence[Recipient]
    now: float


@dataclass(slots=True, eq=False)
class Record(Operation[None]):
    report: Report
    now: float


@dataclass(slots=True, eq=False)
class Fail(Operation[None]):
    recipients: Sequence[tuple[Recipient, int]]
    now: float


@dataclass(slots=True, eq=False)
class Reserve(Operation[list[float]]):
    paces: Sequence[Pace]
    now: float


@dataclass(slots=True, eq=False)
class Attempts(Operation[None]):
    results: Sequence[Attempted]


@dataclass(slots=True, eq=False)
class LeaseRecipients(Operation[list[Recipient]]):
    line: Line
    limit: int
    now: float


@dataclass(slots=True, eq=False)
class LeaseCallbacks(Operation[list[Callback]]):
    endpoint: Endpoint
    limit: int
    now: float
    untried_since: float | None


@dataclass(slots=True, eq=False)
class Hurry(Operation[int]):
    """Make up to ``limit`` callbacks due that wait for their next try; the result is how many they were."""

    what: Endpoint | CallbackKey
    limit: int
    now: float


@dataclass(slots=True, eq=False)
class Release(Operation[None]):
    recipients: Sequence[Recipient]
    callbacks: Sequence[Callback]


@dataclass(slots=True, eq=False)
class Expire(Operation[int]):
    """Settle what waited too long; the keys are of recipients that were found overdue where reading holds up nobody."""

    now: float
    receipts: Sequence[tuple[str, str, int]] = ()
    retries: Sequence[tuple[str, str, int]] = ()
    unmatched: Counter[str] = field(init=False, default_factory=Counter)
    """How many receipts of each carrier were dropped because they had matched nothing for long."""


@dataclass(slots=True, eq=False)
class Beat(Operation[bool]):
    """Renew this node's heartbeat; the result is False if the node is not known any more."""

    now: float


@dataclass(slots=True, eq=False)
class Register(Operation[int]):
    """Enter this process as a node; the result is its number."""

    host: str
    pid: int
    level: int
    now: float


@dataclass(slots=True, eq=False)
class Bury(Operation[None]):
    """Free these leases of a silent node, as its engine found them; forget the node itself once ``last``."""

    node: int
    recipients: Sequence[Any]
    callbacks: Sequence[Any]
    last: bool


@dataclass(slots=True, eq=False)
class LeaseSlots(Operation[Slots]):
    carrier: str
    slots: int


@dataclass(slots=True, eq=False)
class ReleaseSlots(Operation[None]):
    carrier: str
    slots: Sequence[int]


@dataclass(slots=True, eq=False)
class Provide(Operation[int | None]):
    changes: Sequence[Provision]
    at: int
