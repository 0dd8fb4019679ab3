"""What a carrier has to report, gathered in batches: one report for each turn of the event loop.

Two reports are under way at most, one that is being committed and one that waits for the next commit: then the store
never waits for the carrier, and what comes meanwhile makes the next one larger.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from passband.carriers import ReportFunction
from passband.carriers.smpp.connection import Connection
from passband.carriers.smpp.inbound import Arrival
from passband.clock import Clock
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Recipient
from passband.domain.report import Doubt, Inbound, Outcome, Part, Receipt, Report, Unclear
from passband.smpp.pdu import Pdu

log = structlog.get_logger()

BATCH: Final = 500  # a larger report would hold up the event loop for milliseconds
MOST_REPORTS: Final = 2
MOST_ARRIVALS: Final = 10_000  # not yet answered; who sends more without waiting is told to send it again
RETRY_SECONDS: Final = 0.5

Entry = tuple[Connection, Pdu, Arrival, float]
Answer = Callable[[Connection, Pdu, Arrival, float, bool], None]


class Reports:
    """The reports of one carrier.

    ``answer`` is called for each arrival when its report is over, with whether it was kept. ``failure`` gets an error
    that nobody expects.
    """

    failure: "asyncio.Future[None]"

    def __init__(self, name: str, clock: Clock, answer: Answer) -> None:
        self._name = name
        self._clock = clock
        self._answer = answer
        self._report: ReportFunction | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._retrying: asyncio.Task[None] | None = None
        self._ill = False
        self._changed = asyncio.Event()
        self.outcomes: list[tuple[Recipient, Outcome]] = []
        self._arrivals: list[Entry] = []
        self._doubts: list[Doubt] = []

    def start(self, report: ReportFunction) -> None:
        """From now on there is somebody to report to."""
        self._report = report
        self.failure = asyncio.get_running_loop().create_future()
        self._schedule()

    @property
    def takes_arrivals(self) -> bool:
        """Whether one more may be kept until it is durable."""
        return self._report is not None and len(self._arrivals) < MOST_ARRIVALS

    def outcome(self, recipient: Recipient, outcome: Outcome) -> None:
        self.outcomes.append((recipient, outcome))
        if not self._scheduled:
            self._schedule()

    def arrival(self, connection: Connection, pdu: Pdu, value: Arrival, now: float) -> None:
        self._arrivals.append((connection, pdu, value, now))
        if not self._scheduled:
            self._schedule()

    def doubt(self, digests: Iterable[str]) -> None:
        """Let it be known that the answers to these messages may not have arrived."""
        self._doubts += [Doubt(self._name, digest) for digest in digests]
        if self._doubts and not self._scheduled:
            self._schedule()

    @property
    def _waiting(self) -> bool:
        return bool(self.outcomes or self._arrivals or self._doubts)

    def _schedule(self) -> None:
        """Report when everything of this turn of the loop is gathered, or when one of the reports under way is over."""
        if self._report is not None and not self._ill:
            self._scheduled = True
            if len(self._tasks) < MOST_REPORTS:
                asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        while not self._ill and len(self._tasks) < MOST_REPORTS and self._waiting:
            outcomes, self.outcomes = self.outcomes[:BATCH], self.outcomes[BATCH:]
            room = BATCH - len(outcomes)
            arrivals, self._arrivals = self._arrivals[:room], self._arrivals[room:]
            doubts, self._doubts = self._doubts, []
            task = asyncio.get_running_loop().create_task(self._deliver(outcomes, arrivals, doubts))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failure.done():
            self.failure.set_exception(error)
        self._changed.set()
        self._flush()

    async def _deliver(
        self, outcomes: list[tuple[Recipient, Outcome]], arrivals: list[Entry], doubts: list[Doubt]
    ) -> None:
        assert self._report is not None
        receipts: list[Receipt] = []
        unclear: list[Unclear] = []
        inbound: list[Inbound] = []
        parts: list[Part] = []
        for _, _, value, _ in arrivals:
            if type(value) is Receipt:
                receipts.append(value)
            elif type(value) is Inbound:
                inbound.append(value)
            elif type(value) is Unclear:
                unclear.append(value)
            else:
                assert isinstance(value, Part)
                parts.append(value)
        kept = True
        try:
            await self._report(Report(outcomes, receipts, inbound, parts, doubts=doubts, unclear=unclear))
        except StoreUnavailable as error:
            kept = False
            log.warning("a carrier's report waits for the store", carrier=self._name, cause=str(error))
            self.outcomes[:0] = outcomes
            self._doubts[:0] = doubts
            self._rest()
        answer = self._answer
        connections = set()
        for connection, pdu, value, received_at in arrivals:
            answer(connection, pdu, value, received_at, kept)
            connections.add(connection)
        for connection in connections:
            connection.flush()

    def _rest(self) -> None:
        """Report nothing for a while: new answers must not hurry a store that is ill."""
        if not self._ill:
            self._ill = True
            self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        until = self._clock.now() + RETRY_SECONDS
        while self._clock.now() < until:
            await self._clock.rest(asyncio.Event(), until)
        self._ill = False
        self._flush()
        self._changed.set()

    async def idle(self) -> None:
        """Return when everything is reported."""
        while self._tasks or self._waiting:
            self._changed.clear()
            await self._changed.wait()

    async def stop(self) -> None:
        """Report what is left, once, and give up what the store cannot keep."""
        if self._retrying is not None:
            self._retrying.cancel()
        while self._tasks or (not self._ill and self._waiting):
            self._flush()
            if self._tasks:
                await asyncio.wait(self._tasks)
        self._report = None
        self._ill = False
