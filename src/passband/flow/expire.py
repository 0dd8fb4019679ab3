"""Expire: what waited too long comes to its end, and what is over leaves the files."""

import asyncio

import structlog

from passband.clock import Clock
from passband.domain.errors import StoreUnavailable
from passband.store import Store

log = structlog.get_logger()

EVERY_SECONDS = 5.0


class Expire:
    """The expire of one node; several nodes may run it at once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Step every few seconds, until cancelled."""
        while True:
            now = self._clock.now()
            try:
                await self.step(now)
            except StoreUnavailable as error:
                log.warning("expire waits for the store", cause=str(error))
            await self._clock.rest(self.wake, now + EVERY_SECONDS)

    async def step(self, now: float) -> int:
        """Settle everything that is overdue at ``now``; return how many rows that were."""
        total = 0
        while count := await self._store.expire(now):
            total += count
        return total
