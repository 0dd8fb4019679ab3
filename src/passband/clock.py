"""The node's clock: the only place that reads the time of day."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets a loop rest until something happens or a moment comes."""

    def now(self) -> float:
        """Return the seconds since 1970, UTC."""
        ...

    async def rest(self, wake: asyncio.Event, until: float | None) -> None:
        """Return when ``wake`` is set or ``now()`` has reached ``until``, and clear ``wake``.

        It may return early: callers look at what is due, they never count on the moment.
        """
        ...


class SystemClock:
    """The machine's clock, which ``advance`` can move forward (the developers' edition, tests)."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._resting: set[asyncio.Event] = set()

    def now(self) -> float:
        return time.time() + self._offset

    async def rest(self, wake: asyncio.Event, until: float | None) -> None:
        if not wake.is_set():
            self._resting.add(wake)
            try:
                async with asyncio.timeout(None if until is None else max(0.0, until - self.now())):
                    await wake.wait()
            except TimeoutError:
                pass
            finally:
                self._resting.discard(wake)
        wake.clear()

    @property
    def resting(self) -> frozenset[asyncio.Event]:
        """Who rests at this moment, by what wakes them."""
        return frozenset(self._resting)

    def advance(self, seconds: float) -> None:
        """Move the time forward and wake all who rest, so that each looks at what is now due."""
        self._offset += seconds
        for wake in self._resting:
            wake.set()
