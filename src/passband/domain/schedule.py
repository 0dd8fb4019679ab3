"""When a callback is tried again (Callbacks, section 8).

A callback is tried at once, then after 5 s, 15 s, 1 min, 5 min, 15 min, and from then on every 30 min, each wait
changed at random by up to 20 percent, until 2xx or until 24 hours have passed since the event.
"""

from collections.abc import Sequence

CALLBACK_WINDOW = 24 * 3600.0
WAITS: tuple[float, ...] = (5, 15, 60, 300, 900, 1800)
JITTER = 0.2


def next_try(
    attempts: int, now: float, expires_at: float, jitter: float, waits: Sequence[float] = WAITS
) -> float | None:
    """Return when the next attempt is due after ``attempts`` have failed, or None when the window is over.

    ``jitter`` is a random number from 0 to 1. The last attempt is made when the window ends, never later.
    """
    if now >= expires_at:
        return None
    wait = waits[min(attempts, len(waits)) - 1] * (1 - JITTER + 2 * JITTER * jitter)
    return min(now + wait, expires_at)
