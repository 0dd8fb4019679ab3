"""The loop of a carrier that has no link of its own: the simulated one, and the way from our numbers to our numbers.

Rule: whatever such a carrier has to report is kept until it is durable, and its end is an orderly one.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from passband.carriers import ReportFunction
from passband.clock import Clock
from passband.domain.errors import StoreUnavailable

log = structlog.get_logger()

RETRY_SECONDS = 0.5
"""How long to wait before a report that the store could not keep is made again."""

Step = Callable[[ReportFunction], Awaitable[float | None]]


class Steps:
    """Calls ``step`` whenever something may be due.

    A step reports what is due, as one Report, and returns when it wants to be called again at the latest (None: not
    before ``wake`` is set). Where the report raises StoreUnavailable, the step lets it pass and makes the same report
    when it is called again. Once ``stopping`` is set everything counts as due, and None means that nothing is left.
    """

    def __init__(self, name: str, clock: Clock, step: Step) -> None:
        self._name = name
        self._clock = clock
        self._step = step
        self.wake = asyncio.Event()
        self.stopping = False

    async def run(self, report: ReportFunction) -> None:
        """Step until cancelled; then report what is left, give up what the store cannot keep, and return.

        A cancellation never breaks off a report that is under way: nobody could tell whether it was kept.
        """
        self.stopping = False
        work = asyncio.create_task(self._work(report))
        try:
            await asyncio.shield(work)
        finally:
            self.stopping = True
            self.wake.set()
            await work

    async def _work(self, report: ReportFunction) -> None:
        while True:
            try:
                next_at = await self._step(report)
            except StoreUnavailable as error:
                log.warning("a carrier's report waits for the store", carrier=self._name, cause=str(error))
                if self.stopping:
                    return
                await self._pause()
                continue
            if self.stopping and next_at is None:
                return
            await self._clock.rest(self.wake, next_at)

    async def _pause(self) -> None:
        """Rest until the next try. New submissions set ``wake`` too; they must not hurry a store that is ill."""
        until = self._clock.now() + RETRY_SECONDS
        while not self.stopping and self._clock.now() < until:
            await self._clock.rest(self.wake, until)
