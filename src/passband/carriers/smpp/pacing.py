"""How fast one carrier may be sent to: its rate, and the pause that it asks for by throttling.

A throttled segment says that the whole carrier is sent to too fast. To delay that segment alone would let others pass
it and keep the limit exceeded; so everything stops, for 1 s, doubling to 60 s, and goes on at half the rate until ten
segments in a row were taken (SMPP chapter, section 6).
"""

from passband.domain.pace import reserve

LONGEST_PAUSE = 60.0
LEAST_SHARE = 1 / 64
SUCCESSES = 10
BURST_SECONDS = 0.1  # what the rate lets go at once after a rest
UNLIMITED = 1_000_000


class Pacing:
    """One carrier's pace. ``rate`` is in segments per second, None: no limit but the windows."""

    def __init__(self, rate: float | None) -> None:
        self._whole = rate
        self._rate = rate
        self._used_at = 0.0
        self._share = 1.0
        self._pause = 0.0
        self._successes = 0
        self.paused_until = 0.0

    @property
    def rate(self) -> float | None:
        """What may be sent per second now."""
        return None if self._rate is None else self._rate * self._share

    def share_out(self, share: float) -> None:
        """From now on only this share of the rate is this node's: others send to the same carrier."""
        self._rate = None if self._whole is None else self._whole * share

    @property
    def throttled(self) -> bool:
        """Whether the carrier has asked for less, and has not yet taken enough since."""
        return self._pause > 0.0

    def paused(self, now: float) -> bool:
        """Whether nothing may be written now because the carrier has asked for less."""
        return now < self.paused_until

    def window(self, window: int) -> int:
        """Return how much of a window may be used; without a rate, half of it stands for half the rate."""
        return max(1, int(window * self._share)) if self._rate is None else window

    def allowance(self, now: float) -> int:
        """Return how many segments may be written now."""
        if self.paused(now):
            return 0
        rate = self.rate
        if rate is None:
            return UNLIMITED
        if now < self._at(1.0):
            return 0
        burst = _burst(rate)
        # By the moment rather than by the level, which rounding keeps just below 1 at that very moment.
        return max(1, int(min(burst, burst - (self._used_at - now) * rate)))

    def next_at(self) -> float:
        """Return from when on it is worth to look again: for half a burst, not for each single segment."""
        rate = self.rate
        return self.paused_until if rate is None else max(self.paused_until, self._at(max(1.0, _burst(rate) / 2)))

    def _at(self, segments: float) -> float:
        rate = self.rate
        assert rate is not None
        return self._used_at - (_burst(rate) - segments) / rate

    def spend(self, segments: int, now: float) -> None:
        """Note that so many were written."""
        rate = self.rate
        if rate is not None:
            self._used_at, _ = reserve(self._used_at, now, segments, rate, _burst(rate))

    def throttle(self, now: float) -> float:
        """The carrier asks for less; return how long nothing is sent.

        Answers to what was written before a pause arrive within it and say nothing new.
        """
        self._successes = 0
        if now >= self.paused_until:
            self._pause = min(LONGEST_PAUSE, self._pause * 2 or 1.0)
            self._share = max(LEAST_SHARE, self._share / 2)
            self.paused_until = now + self._pause
        return self._pause

    def succeed(self) -> None:
        """A segment was taken while throttled."""
        self._successes += 1
        if self._successes >= SUCCESSES:
            self._pause, self._share, self._successes = 0.0, 1.0, 0


def _burst(rate: float) -> float:
    return max(1.0, rate * BURST_SECONDS)
