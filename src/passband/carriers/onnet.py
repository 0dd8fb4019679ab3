"""On-net: from one of our numbers to another, without leaving the house (Semantics, section 8)."""

from collections import deque
from collections.abc import Callable, Sequence

from passband.carriers import ReportFunction
from passband.carriers.groups import shown
from passband.carriers.steps import Steps
from passband.clock import Clock, SystemClock
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Inbound, Outcome, Report, Submission
from passband.domain.routing import ON_NET

BATCH = 250  # submissions in one report: each is settled and becomes at least one event
MOST_HELD = 10_000  # segments without durable outcome


class OnNetCarrier:
    """Delivers to our own numbers; obeys ``Carrier``.

    The outcome and the inbound message are one report, so one transaction: the sender's message-delivered and the
    receiver's message-received exist both or not at all. No receipt is awaited.

    A group is reported as one inbound message, which the rules turn into one event for each of our numbers in it. Its
    ``ref`` is the message's id, so that it happens once even where the group reaches this carrier in several
    submissions, or again after a node was given up: repeats of a reference are dropped by the store. The first
    submission tells all of our numbers; the others only get their outcomes. The addresses that the receivers see are
    without those that failed beforehand, the sender itself (4401) and impossible numbers (4303), so that none of them
    gets an event by being shown (Semantics, section 4). Files are copied to the receivers' accounts; without files the
    sender's URLs are listed. A number of ours that is not enabled goes to an outside
    carrier; within a group it is told here all the same, because that restricts who may send, not who is told.

    Resource and error handling: as of ``Steps``; when cancelled, everything it was handed is reported first.
    """

    kinds = frozenset(Kind)

    def __init__(self, name: str = ON_NET, clock: Clock | None = None) -> None:
        """``clock`` paces the tries again where the store could not keep a report; by default the machine's."""
        self.name = name
        self._submitted: deque[Submission] = deque()
        self._held = 0
        self._blocked = False
        self._batch: list[Submission] = []  # under way, or to be reported again
        self._steps = Steps(name, clock or SystemClock(), self._step)

    def room(self, now: float) -> int:
        return max(0, MOST_HELD - self._held)

    def submit(self, submissions: Sequence[Submission]) -> None:
        self._submitted.extend(submissions)
        self._held += sum(submission.cost for submission in submissions)
        # Whoever leaves room unused has nothing that waits for it.
        if self._held >= MOST_HELD:
            self._blocked = True
        self._steps.wake.set()

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        self._wake = wake
        await self._steps.run(report)

    async def _step(self, report: ReportFunction) -> float | None:
        if not self._batch:
            self._batch = [self._submitted.popleft() for _ in range(min(BATCH, len(self._submitted)))]
        if self._batch:
            await report(self._said(self._batch))
            self._held -= sum(submission.cost for submission in self._batch)
            self._batch = []
        if self._blocked and self._held < MOST_HELD:
            self._blocked = False
            self._wake()
        return 0.0 if self._submitted else None

    def _said(self, submissions: Sequence[Submission]) -> Report:
        outcomes: list[tuple[Recipient, Outcome]] = []
        inbound = []
        for submission in submissions:
            outcomes += [(recipient, _accepted(recipient)) for recipient in submission.recipients]
            message = submission.recipients[0].message
            inbound.append(
                Inbound(
                    carrier=self.name,
                    sender=message.sender,
                    to=shown(message),
                    text=message.text,
                    kind=message.kind,
                    segment_count=message.segment_count,
                    media=() if submission.attachments else message.media,
                    ref=message.id,
                    attachments=submission.attachments,
                )
            )
        return Report(outcomes, (), inbound)


def _accepted(recipient: Recipient) -> Accepted:
    message = recipient.message
    segments = message.segment_count if message.kind is Kind.SMS else 1
    return Accepted(tuple(f"{message.id}-{recipient.n}-{segment}" for segment in range(segments)), None)
