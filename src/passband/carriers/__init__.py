"""Carriers: the ways out and in. One protocol, obeyed alike by the simulated carrier and by the real ones.

A carrier is handed submissions while it has room, and reports in batches what came of them and what came in. It
acknowledges its peer only after ``report`` has returned, that is after the commit.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from passband.domain.message import Kind
from passband.domain.report import Report, Submission

ReportFunction = Callable[[Report], Awaitable[None]]


class Carrier(Protocol):
    """One way out. ``submit`` and ``room`` are called on the node's event loop and do not block."""

    name: str
    kinds: frozenset[Kind]

    def room(self, now: float) -> int:
        """Return how many more segments it takes now: window, pace and the state of its link."""
        ...

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Take these over; for each recipient exactly one outcome follows through ``report``."""
        ...

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        """Hold the link until cancelled, then close it in good order.

        ``wake`` is called whenever there is room again. Outcomes, receipts and inbound messages go to ``report``, which
        returns when they are durable and raises StoreUnavailable when they could not be kept; only then is the peer
        answered.
        """
        ...
