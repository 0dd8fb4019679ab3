"""How fast a limit lets through: the generic cell rate algorithm, counted in segments.

The whole state of a limit is one instant, ``used_at``: until then the rate is used up. It lets through the same as a
token bucket of ``burst`` segments that fills at ``rate``, without a bucket to keep topping up.
"""


def reserve(used_at: float, now: float, segments: float, rate: float, burst: float) -> tuple[float, float]:
    """Take ``segments`` from a limit; return its new state and the instant from which on they may go.

    ``rate`` is in segments per second. ``burst`` segments may go at once after a rest; a larger message may go when the
    limit is wholly rested, and is paid for afterwards.
    """
    start = max(used_at, now)
    at = max(now, start + (min(segments, burst) - burst) / rate)
    return start + segments / rate, at
