"""Waiting for what other processes do, and how long it took them."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


async def until(happened: Callable[[], bool], seconds: float, state: Callable[[], str] = lambda: "") -> None:
    """Return once it has happened. Raises AssertionError with the state if it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {state()}"
        await asyncio.sleep(0.02)


class Latency(NamedTuple):
    """Seconds."""

    median: float
    slowest: float  # the 95th percentile: one slow moment of a busy machine says nothing

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        cuts = statistics.quantiles(seconds, n=20)
        return cls(statistics.median(seconds), cuts[18])

    def is_as(self, other: "Latency") -> bool:
        """Whether it is what the other is, as far as can be told on a machine that does other things meanwhile."""
        return self.median < 3 * other.median + 0.01 and self.slowest < 4 * other.slowest + 0.05
