"""What the tests of the carriers share: messages to hand over, and a real listener to what is reported of them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from passband.carriers import Carrier
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Direction, Kind, Message, Recipient
from passband.domain.report import Accepted, Inbound, Outcome, Receipt, Report, Submission

SENDER = "+19195550117"

_numbers = itertools.count(1)


def a_message(*to: str, kind: Kind = Kind.SMS, text: str = "hello", segments: int = 1) -> Message:
    return Message(
        account="5500123",
        id=f"1773044142317{next(_numbers):016d}",
        direction=Direction.OUT,
        kind=kind,
        application="7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",
        created_at=1_773_044_142.317,
        sender=SENDER,
        to=to,
        text=text,
        length=len(text),
        media=("https://cdn.example.org/menu.png",) if kind is Kind.MMS else (),
        tag=None,
        priority=None,
        expires_at=None,
        segment_count=segments,
    )


def a_submission(
    *to: str, kind: Kind = Kind.SMS, text: str = "hello", segments: int = 1, carrier: str = "sim"
) -> Submission:
    """Return one message as a carrier is handed it; without numbers, to an ordinary one."""
    message = a_message(*(to or ("+14085550142",)), kind=kind, text=text, segments=segments)
    return Submission(tuple(Recipient(message, n, carrier) for n in range(len(message.to))))


def an_mms(*to: str) -> Submission:
    return a_submission(*to, kind=Kind.MMS)


class Collector:
    """Keeps what a carrier reports; the next ``failures`` reports it refuses, as a store does that is out of order.

    While ``open`` is not set, reports hang like a commit that takes its time.
    """

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.refused = 0
        self.failures = 0
        self.woken = 0
        self.open = asyncio.Event()
        self.open.set()
        self.hanging = 0
        self._changed = asyncio.Event()

    async def __call__(self, report: Report) -> None:
        self.hanging += 1
        self._changed.set()
        try:
            await self.open.wait()
        finally:
            self.hanging -= 1
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            self.refused += 1
            self._changed.set()
            raise StoreUnavailable("the disk is full")
        self.reports.append(report)
        self._changed.set()

    def wake(self) -> None:
        self.woken += 1
        self._changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Return when it is so; every report and every call of ``wake`` is a reason to look."""
        async with asyncio.timeout(30):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    @property
    def outcomes(self) -> list[tuple[Recipient, Outcome]]:
        return [outcome for report in self.reports for outcome in report.outcomes]

    @property
    def receipts(self) -> list[Receipt]:
        return [receipt for report in self.reports for receipt in report.receipts]

    @property
    def inbound(self) -> list[Inbound]:
        return [inbound for report in self.reports for inbound in report.inbound]

    @property
    def refs(self) -> list[str]:
        return [ref for _, outcome in self.outcomes if isinstance(outcome, Accepted) for ref in outcome.refs]

    def recipients(self) -> list[Recipient]:
        return [recipient for recipient, _ in self.outcomes]


@asynccontextmanager
async def running(carrier: Carrier, collector: Collector) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a carrier with a collector; at the end it is stopped as the program stops it."""
    task = asyncio.create_task(carrier.run(collector, collector.wake))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def turns(count: int = 30) -> None:
    """Let everything happen that needs no time, where the test is that nothing does."""
    for _ in range(count):
        await asyncio.sleep(0)
