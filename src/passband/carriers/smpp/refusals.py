"""The statuses with which one carrier refuses segments: how often each, and how often the same in a row."""

from collections import Counter
from typing import Final

import structlog

from passband.smpp.error_mapping import Verdict

log = structlog.get_logger()

ALARMING: Final = 20  # equal refusals in a row: an empty balance (0x14) or a suspended account (0x03)
MOST_STATUSES: Final = 100  # that are told apart: a peer may send any
OTHERS: Final = "other"


class Refusals:
    """Counts one carrier's refusals. Set ``in_a_row`` to 0 when a segment was taken."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._last = 0
        self.in_a_row = 0
        self.by_status: Counter[str] = Counter()

    def count(self, status: int, verdict: Verdict, *, nacked: bool) -> None:
        """Count one; call the operator at the first that is our own fault, and at the twentieth equal one."""
        self.in_a_row = self.in_a_row + 1 if status == self._last else 1
        self._last = status
        by_status = self.by_status
        by_status[verdict.name if verdict.name in by_status or len(by_status) < MOST_STATUSES else OTHERS] += 1
        if (verdict.alarm and self.in_a_row == 1) or self.in_a_row == ALARMING:
            log.error(
                "the carrier refuses segments",
                carrier=self._carrier,
                status=verdict.name,
                in_a_row=self.in_a_row,
                nack=nacked,
            )
