"""Receive: what a carrier reports is stored, with all that follows from it. Only then is the carrier answered."""

from passband.clock import Clock
from passband.counts import Counts
from passband.domain.report import Accepted, Report
from passband.store import Store


class Receive:
    """The report function that carriers are run with."""

    def __init__(self, store: Store, clock: Clock, counts: Counts) -> None:
        self._store = store
        self._clock = clock
        self._counts = counts

    async def __call__(self, report: Report) -> None:
        """Return when everything in the report is durable. Raises StoreUnavailable; then nothing of it was kept."""
        await self._store.record(report, self._clock.now())
        counts = self._counts
        for recipient, outcome in report.outcomes:
            code = "" if isinstance(outcome, Accepted) else str(outcome.code)
            counts["outcomes", recipient.carrier, type(outcome).__name__.lower(), code] += 1
        for receipt in report.receipts:
            counts["receipts", receipt.carrier, "failed" if receipt.code else "delivered"] += 1
        for inbound in report.inbound:
            counts["inbound", inbound.carrier, inbound.kind.value] += 1
