"""Moving the time: the developers' edition can let a minute, an hour or 24 hours pass.

A jump is made in steps that follow the schedule of callbacks, and before and after each the node gets a moment to do
what is due, so that retries happen one by one and in their order, as they would have. 24 hours take about a second.
"""

import asyncio
import time
from collections.abc import Callable

from passband.clock import SystemClock
from passband.domain.schedule import WAITS

MOST_SECONDS = 60 * 86_400.0
PAUSE_SECONDS = 0.001
STEP_SECONDS = 0.5  # how long is waited for what a step has begun, above all for endpoints that answer late or never
BUDGET_SECONDS = 10.0  # all steps together; what is left of the way after that is one jump


async def advance(clock: SystemClock, seconds: float, busy: Callable[[], bool]) -> int:
    """Move the clock forward; ``busy`` tells whether something that is due goes on. Return how many steps it took."""
    steps = 0
    left = seconds
    started = time.monotonic()
    await _settle(clock, clock.resting, busy)
    while left > 0:
        step = min(left, WAITS[min(steps, len(WAITS) - 1)])
        if time.monotonic() - started > BUDGET_SECONDS:
            step = left
        resting = clock.resting
        clock.advance(step)
        left -= step
        steps += 1
        await _settle(clock, resting, busy)
    return steps


async def _settle(clock: SystemClock, rested: frozenset[asyncio.Event], busy: Callable[[], bool]) -> None:
    """Wait until all who rested have done what is due and rest again, and nothing goes on that they began."""
    until = time.monotonic() + STEP_SECONDS
    quiet = 0
    while quiet < 2 and time.monotonic() < until:
        await asyncio.sleep(PAUSE_SECONDS)
        quiet = quiet + 1 if rested <= clock.resting and not busy() else 0
