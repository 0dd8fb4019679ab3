"""Faults on demand, for developers: what the network, the link and the endpoints do wrong, until told otherwise.

A fault is a row of a table that somebody put there: whom it concerns, what happens, how often still. The newest that
fits wins. While there is none, nothing of this is on the path of a message: the carrier's plan and notify's poster are
replaced only while a fault asks for it.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from passband.admin.live import Live
from passband.carriers.simulator import Plan, SimulatorCarrier, plan_by_number
from passband.domain.error_codes import ERROR_CODES
from passband.domain.errors import RequestFault
from passband.domain.message import Recipient
from passband.fetch import ErrorKind, Request, Response

MOST_FAULTS = 200
TELL_SECONDS = 0.2  # after which it is told how often faults have happened


class BadFault(RequestFault):
    """The fault that was asked for does not make sense; the text says why."""


class NewFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault as it is asked for.

    ``number``, ``prefix`` and ``account`` choose recipients, ``url`` endpoints by the beginning of their address; with
    none of them it concerns all. ``times`` is how often it happens before it ends; absent: until it is deleted.
    """

    fault: str
    number: str | None = None
    prefix: str | None = None
    account: str | None = None
    url: str | None = None
    code: int | None = None
    seconds: float | None = None
    status: int | None = None
    rate: float | None = None
    times: int | None = None


class Sort(NamedTuple):
    """A sort of fault: what it does, in words, and which fields it needs and may have beside whom it concerns."""

    does: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


_WHOM = ("number", "prefix", "account", "times")
SORTS: Mapping[str, Sort] = {
    "fail": Sort("the message fails with a delivery error code", ("code",), ("seconds", *_WHOM)),
    "delay": Sort("the message arrives so many seconds later, and its receipts with it", ("seconds",), _WHOM),
    "late-receipt": Sort("the message arrives, its receipts come so many seconds later", ("seconds",), _WHOM),
    "drop-receipt": Sort("receipts never come", (), _WHOM),
    "repeat-receipt": Sort("every receipt comes twice", (), ("seconds", *_WHOM)),
    "early-receipt": Sort("receipts come before the response", (), _WHOM),
    "slow-carrier": Sort("the carrier takes so many segments per second", ("rate",)),
    "link-down": Sort("the carrier's link is down: messages wait"),
    "endpoint-status": Sort("endpoints answer with a status, and do not hear of the event", ("status",),
                            ("seconds", "url", "times")),
    "endpoint-timeout": Sort("endpoints do not answer within the time", (), ("seconds", "url", "times")),
    "endpoint-refuse": Sort("endpoints refuse the connection", (), ("url", "times")),
    "endpoint-lost-answer": Sort("endpoints get the event, their answer is lost: the event comes again", (),
                                 ("url", "times")),
    "endpoint-slow": Sort("endpoints get the event so many seconds later", ("seconds",), ("url", "times")),
}  # fmt: skip


class Fault:
    """A fault that is in force. ``hits`` counts how often it happened."""

    __slots__ = ("asked", "hits", "id")

    def __init__(self, id_: str, asked: NewFault) -> None:
        self.id = id_
        self.asked = asked
        self.hits = 0

    @property
    def spent(self) -> bool:
        return self.asked.times is not None and self.hits >= self.asked.times

    def concerns(self, recipient: Recipient) -> bool:
        asked = self.asked
        return (
            (asked.number is None or asked.number == recipient.number)
            and (asked.prefix is None or recipient.number.startswith(asked.prefix))
            and (asked.account is None or asked.account == recipient.message.account)
        )

    def plan(self) -> Plan:
        asked = self.asked
        return Plan(
            code=asked.code or 0,
            delay=asked.seconds,
            receipts=_RECEIPTS.get(asked.fault, 1),
            early=asked.fault == "early-receipt",
            slow=asked.fault == "delay",
        )

    def view(self) -> dict[str, Any]:
        asked: dict[str, Any] = msgspec.to_builtins(self.asked)
        told = {name: value for name, value in asked.items() if value is not None}
        return {"id": self.id, **told, "does": SORTS[self.asked.fault].does, "hits": self.hits}


_RECEIPTS = {"drop-receipt": 0, "repeat-receipt": 2}
_PLANNED = ("fail", "delay", "late-receipt", "drop-receipt", "repeat-receipt", "early-receipt")


class Poster(Protocol):
    """Sends callbacks, as notify's does."""

    def post(self, request: Request, done: Callable[[Response], None]) -> None: ...


class Faults:
    """The faults of one node. ``set_poster`` puts another poster into notify's place of it."""

    def __init__(
        self,
        live: Live,
        carriers: Mapping[str, SimulatorCarrier],
        poster: Poster,
        set_poster: Callable[[Poster], None],
    ) -> None:
        self._live = live
        self._carriers = carriers
        self._rates = {name: carrier.rate for name, carrier in carriers.items()}
        self._poster = poster
        self._set_poster = set_poster
        self._ids = itertools.count(1)
        self._timers: set[asyncio.TimerHandle] = set()
        self._telling: asyncio.TimerHandle | None = None
        self.faults: dict[str, Fault] = {}

    def add(self, new: NewFault) -> Fault:
        """Put a fault in force. Raises BadFault."""
        _check(new)
        if len(self.faults) >= MOST_FAULTS:
            raise BadFault(f"there are {MOST_FAULTS} faults already; delete some")
        fault = Fault(f"f{next(self._ids)}", new)
        self.faults[fault.id] = fault
        self._apply()
        return fault

    def remove(self, id_: str | None = None) -> int:
        """Take back one fault, or all of them; return how many that were."""
        gone = [id_] if id_ in self.faults else [] if id_ else list(self.faults)
        for key in gone:
            del self.faults[key]
        self._apply()
        return len(gone)

    def view(self) -> list[dict[str, Any]]:
        return [fault.view() for fault in self.faults.values()]

    def _apply(self) -> None:
        """Put in place what the faults in force ask for, and take away what none asks for any more."""
        newest = {fault.asked.fault: fault for fault in self.faults.values()}
        planned = any(sort in newest for sort in _PLANNED)
        slow = newest.get("slow-carrier")
        for name, carrier in self._carriers.items():
            carrier.plan = self._plan if planned else plan_by_number
            carrier.limit(slow.asked.rate if slow else self._rates[name])
            carrier.set_link("link-down" not in newest)
        broken = any(sort.startswith("endpoint") for sort in newest)
        self._set_poster(self if broken else self._poster)
        self._live.publish("faults", self.view())

    def _hit(self, fault: Fault) -> None:
        fault.hits += 1
        if fault.spent:
            del self.faults[fault.id]
            self._apply()
        elif self._telling is None and self._live.watched:
            self._telling = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._live.publish("faults", self.view())

    # ── the network ────────────────────────────────────────────────────────────────────────────────────────────────

    def _plan(self, recipient: Recipient) -> Plan:
        for fault in reversed(self.faults.values()):
            if fault.asked.fault in _PLANNED and fault.concerns(recipient):
                plan = fault.plan()
                self._hit(fault)
                return plan
        return plan_by_number(recipient)

    # ── the endpoints ──────────────────────────────────────────────────────────────────────────────────────────────

    def post(self, request: Request, done: Callable[[Response], None]) -> None:
        """Send a callback as the faults let it."""
        for fault in reversed(self.faults.values()):
            asked = fault.asked
            if asked.fault.startswith("endpoint") and request.url.startswith(asked.url or ""):
                self._misbehave(asked, request, done)
                self._hit(fault)
                return
        self._poster.post(request, done)

    def _misbehave(self, asked: NewFault, request: Request, done: Callable[[Response], None]) -> None:
        seconds = min(asked.seconds or 0.0, request.timeout)
        late = (asked.seconds or 0.0) >= request.timeout
        if asked.fault == "endpoint-lost-answer":
            self._poster.post(request, lambda answer: done(Response(0, ErrorKind.CONNECT, answer.seconds)))
        elif asked.fault == "endpoint-slow" and not late:
            rest = msgspec.structs.replace(request, timeout=request.timeout - seconds)
            self._later(seconds, lambda: self._poster.post(rest, done))
        elif asked.fault == "endpoint-refuse":
            self._later(0.0, lambda: done(Response(0, ErrorKind.CONNECT, 0.0)))
        elif asked.fault == "endpoint-status" and not late:
            status = asked.status or 500
            self._later(seconds, lambda: done(Response(status, None, seconds)))
        else:
            waits = request.timeout if asked.seconds is None or late else seconds
            self._later(waits, lambda: done(Response(0, ErrorKind.TIMEOUT, waits)))

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def close(self) -> None:
        for timer in (*self._timers, *filter(None, [self._telling])):
            timer.cancel()


def _check(new: NewFault) -> None:
    """Raise BadFault for what does not make sense, with everything that is wrong."""
    sort = SORTS.get(new.fault)
    if sort is None:
        raise BadFault(f"fault: must be one of {', '.join(SORTS)}")
    given = {name for name in new.__struct_fields__ if name != "fault" and getattr(new, name) is not None}
    wrong = [f"{name}: {new.fault} needs it" for name in sort.needs if name not in given]
    wrong += [f"{name}: does not go with {new.fault}" for name in sorted(given - {*sort.needs, *sort.may})]
    if new.code is not None and new.code not in ERROR_CODES:
        wrong.append(f"code: {new.code} is not a delivery error code")
    if new.seconds is not None and not 0 <= new.seconds <= 86_400:
        wrong.append("seconds: must be from 0 to 86400")
    if new.status is not None and not 100 <= new.status <= 599:
        wrong.append("status: must be from 100 to 599")
    if new.rate is not None and not 0 < new.rate <= 100_000:
        wrong.append("rate: must be above 0, at most 100000 segments per second")
    if new.times is not None and not 1 <= new.times <= 1_000_000:
        wrong.append("times: must be from 1 to 1000000")
    if wrong:
        raise BadFault("; ".join(wrong))
