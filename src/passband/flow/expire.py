"""Expire: what waited too long comes to its end, and what is over leaves the files."""

import asyncio

import structlog

from passband.clock import Clock
from passband.counts import Counts
from passband.domain.errors import StoreUnavailable
from passband.media import MediaStore
from passband.store import Store

log = structlog.get_logger()

EVERY_SECONDS = 5.0
MEDIA_SECONDS = 60.0  # looking at every file costs more than looking at an index, and a minute of 48 hours is nothing


class Expire:
    """The expire of one node; several nodes may run it at once."""

    def __init__(self, store: Store, media: MediaStore, clock: Clock, counts: Counts) -> None:
        self._store = store
        self._media = media
        self._clock = clock
        self._counts = counts
        self._media_at = 0.0
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
        """Settle everything that is overdue at ``now``; return how many rows and files that were."""
        total = 0
        while count := await self._store.expire(now):
            total += count
        if now >= self._media_at:
            self._media_at = now + MEDIA_SECONDS
            total += await self._media.expire(now)
        self._counts["expired",] += total
        return total
