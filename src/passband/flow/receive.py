"""Receive: what a carrier reports is stored, with all that follows from it. Only then is the carrier answered."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from passband.clock import Clock
from passband.counts import Counts
from passband.domain.message import Recipient
from passband.domain.report import Accepted, Deferred, Inbound, Outcome, Rejected, Report
from passband.store import Store

_NAMES: dict[type[Outcome], str] = {Accepted: "accepted", Deferred: "deferred", Rejected: "rejected"}

KeepFunction = Callable[[Inbound, float], Awaitable[Inbound]]


class Receive:
    """The report function that carriers are run with."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        counts: Counts,
        *,
        keep: KeepFunction | None = None,
        settled: Callable[[Sequence[tuple[Recipient, Outcome]]], None] = lambda outcomes: None,
    ) -> None:
        """``keep`` makes the files of inbound messages durable; without it they are dropped.

        ``settled`` is told of outcomes once they are durable.
        """
        self._store = store
        self._clock = clock
        self._counts = counts
        self._keep = keep
        self._settled = settled

    async def __call__(self, report: Report) -> None:
        """Return when everything in the report is durable. Raises StoreUnavailable; then nothing of it was kept."""
        now = self._clock.now()
        if self._keep is not None and any(inbound.attachments for inbound in report.inbound):
            kept = await asyncio.gather(*(self._keep(inbound, now) for inbound in report.inbound))
            report = msgspec.structs.replace(report, inbound=kept)
        await self._store.record(report, self._clock.now())
        if report.outcomes:
            self._settled(report.outcomes)
        counted = Counter([_outcome_key(recipient, outcome) for recipient, outcome in report.outcomes])
        counted.update([("receipts", r.carrier, "failed" if r.code else "delivered") for r in report.receipts])
        counted.update([("inbound", inbound.carrier, inbound.kind) for inbound in report.inbound])
        for key, count in counted.items():
            self._counts[key] += count


def _outcome_key(recipient: Recipient, outcome: Outcome) -> tuple[str, ...]:
    code = "" if isinstance(outcome, Accepted) else str(outcome.code)
    return "outcomes", recipient.carrier, _NAMES[type(outcome)], code
