"""The simulated carrier: takes everything, and says what became of it a short while later.

What happens to a recipient is decided by a ``Plan``, and by its number alone: the last four digits of a fictitious
number +1NPA555CCCC choose a delivery error code. It is the developers' network, and on the path of every message of a
benchmark: reports go out in batches, one for each turn of its loop, and no message has a task or a timer of its own.
Making outcome and receipt takes 2.7 µs of processor time a message (CPython 3.11, reports of about 100).
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec

from passband.carriers import ReportFunction
from passband.carriers.steps import Steps
from passband.clock import Clock
from passband.domain.error_codes import ERROR_CODES
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Kind, Recipient
from passband.domain.pace import reserve
from passband.domain.report import Accepted, Inbound, Outcome, Receipt, Rejected, Report, Submission

DELAY_SECONDS = 0.1
RECEIPT_EXPIRED = 9902

BATCH = 500  # segments, and due receipts, in one report: a larger one would hold up the event loop for milliseconds
MOST_HELD = 100_000  # segments without durable outcome or with a receipt to come; at 300 octets each, 30 MB
BURST_SECONDS = 0.1  # what a limit takes at once after a rest


class Plan(msgspec.Struct, frozen=True):
    """What the network does with one recipient.

    ``code`` is the delivery error code that it fails with, 0: it is delivered. ``delay`` is how long after the outcome
    its receipts come, in seconds; None: the carrier's. ``receipts`` is how often each receipt comes: 0 it is lost, 2
    it is repeated. With ``early`` the receipts come before the outcome; with ``slow`` the handset has the message only
    when they are due.
    """

    code: int = 0
    delay: float | None = None
    receipts: int = 1
    early: bool = False
    slow: bool = False


DELIVERED = Plan()
_BY_SUBSCRIBER: Mapping[str, Plan] = {
    f"555{code}": Plan(receipts=0) if code == RECEIPT_EXPIRED else Plan(code) for code in ERROR_CODES
}


def plan_by_number(recipient: Recipient) -> Plan:
    """Return what becomes of a number: +1NPA555CCCC fails with the code CCCC, where there is such a code.

    9902 is accepted and never gets its receipt. Everything else is delivered.
    """
    number = recipient.number
    # The slice has seven characters, like the keys, only if the number is twelve long.
    if number.startswith("+1"):
        return _BY_SUBSCRIBER.get(number[5:], DELIVERED)
    return DELIVERED


class _Batch(msgspec.Struct):
    """A report, and what follows once it is durable.

    ``later`` are the receipts to come by their delay, ``held`` the segments and receipts that are done with.
    ``arrived`` are the recipients whose handsets have the message now, ``arriving`` those to come by their delay.
    """

    report: Report
    later: dict[float, list[Receipt]]
    held: int
    arrived: list[Recipient]
    arriving: dict[float, list[Recipient]]


class SimulatorCarrier:
    """A network without a network; obeys ``Carrier``.

    Every segment of an SMS gets a reference and a receipt of its own, an MMS one for each recipient. A recipient whose
    receipts are not awaited, which is an MMS of an account without MMS receipts, or any with ``receipts`` off, has its
    fate in the outcome; 9902 is then delivered, because there is no receipt to miss.

    Resource handling: at most ``MOST_HELD`` segments are held, then there is no room. When cancelled, everything that
    is still to come is reported at once, whatever its delay: a network that has gone could never tell it. What a crash
    leaves without a receipt fails with 9902 when its window is over. Error handling: what the store cannot keep is
    reported again until it can.
    """

    kinds = frozenset(Kind)

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        random: Random,
        delay: float = DELAY_SECONDS,
        rate: float | None = None,
        receipts: bool = True,
        receipt_window: float = 7200.0,
        receipts_for: Callable[[Recipient], bool] = lambda recipient: False,
        plan: Callable[[Recipient], Plan] = plan_by_number,
        on_delivered: Callable[[Sequence[Recipient]], None] | None = None,
    ) -> None:
        """``delay`` and ``receipt_window`` are in seconds, ``rate`` in segments per second (None: no limit).

        ``receipts_for`` tells of an MMS recipient whether receipts are awaited; of an SMS they always are.
        ``on_delivered`` is told which handsets have a message now, text and media with it, in batches and after the
        outcome is durable.
        """
        self.name = name
        self._clock = clock
        self._delay = delay
        self.limit(rate)
        self._used_at = 0.0
        self._receipts = receipts
        self._receipt_window = receipt_window
        self._receipts_for = receipts_for
        self.plan = plan  # may be replaced at any time, as may this:
        self.on_delivered = on_delivered
        self._link_up = True
        # Receipts of an earlier run may still be awaited: references must differ from its references.
        self._prefix = f"{random.getrandbits(48):012x}"
        self._references = itertools.count(1)
        self._submitted: deque[Submission] = deque()
        self._late: list[tuple[Recipient, Outcome]] = []  # their receipts came early
        self._due: list[tuple[float, int, list[Receipt], list[Recipient]]] = []  # a heap, by the moment
        self._sequence = itertools.count()
        self._batch: _Batch | None = None  # under way, or to be reported again
        self._held = 0
        self._blocked = False
        self._report: ReportFunction | None = None
        self._steps = Steps(name, clock, self._step)

    # ── the way out ────────────────────────────────────────────────────────────────────────────────────────────────

    def room(self, now: float) -> int:
        room = MOST_HELD - self._held if self._link_up else 0
        if self._rate is not None:
            # By the moment rather than by the level, which rounding keeps just below 1 at that very moment.
            level = self._burst - (self._used_at - now) * self._rate
            room = min(room, max(1, int(min(level, self._burst))) if now >= self._room_at(1.0) else 0)
        return max(0, room)

    def limit(self, rate: float | None) -> None:
        """Take so many segments per second from now on; None: as many as come."""
        self._rate = rate
        self._burst = max(1.0, (rate or 0.0) * BURST_SECONDS)

    @property
    def rate(self) -> float | None:
        return self._rate

    def set_link(self, up: bool) -> None:
        """Take the link down, or up again: while it is down nothing goes out or comes in, and all of it waits."""
        self._link_up = up
        self._blocked = True
        self._steps.wake.set()

    def _room_at(self, segments: float) -> float:
        """Return the moment from which on the limit takes so many segments at once."""
        assert self._rate is not None
        return self._used_at - (self._burst - segments) / self._rate

    def submit(self, submissions: Sequence[Submission]) -> None:
        cost = sum(submission.cost for submission in submissions)
        self._submitted.extend(submissions)
        self._held += cost
        now = self._clock.now()
        if self._rate is not None:
            self._used_at, _ = reserve(self._used_at, now, cost, self._rate, self._burst)
        # Whoever leaves room unused has nothing that waits for it.
        if not self.room(now):
            self._blocked = True
        self._steps.wake.set()

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        self._report = report
        self._wake = wake
        try:
            await self._steps.run(report)
        finally:
            self._report = None

    async def inbound(self, inbound: Inbound) -> None:
        """Take a message from a handset to our numbers; it is durable on return.

        Raises StoreUnavailable where it could not be kept, or where the carrier is not running.
        """
        if self._report is None or not self._link_up:
            raise StoreUnavailable(f"the carrier {self.name} is not running")
        await self._report(Report(inbound=(inbound,)))

    # ── the step ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _step(self, report: ReportFunction) -> float | None:
        if not self._link_up and not self._steps.stopping:
            return None
        batch = self._batch = self._batch or self._next_batch(self._clock.now())
        if batch is not None:
            await report(batch.report)
            self._batch = None
            self._follow(batch)
        now = self._clock.now()
        if self._blocked and self._is_roomy(now):
            self._blocked = False
            self._wake()
        return self._next_at()

    def _next_batch(self, now: float) -> _Batch | None:
        outcomes, self._late = self._late, []
        batch = _Batch(Report(), {}, 0, [], {})
        receipts: list[Receipt] = []
        while self._submitted and batch.held < BATCH:
            submission = self._submitted.popleft()
            batch.held += submission.cost
            for recipient in submission.recipients:
                self._decide(recipient, outcomes, receipts, batch)
        while self._due and len(receipts) < BATCH and (self._steps.stopping or self._due[0][0] <= now):
            _, _, due, arriving = heapq.heappop(self._due)
            receipts += due
            batch.held += len(due)
            batch.arrived += arriving
        if not (outcomes or receipts or batch.arrived):
            return None
        batch.report = Report(outcomes, receipts)
        return batch

    def _decide(
        self,
        recipient: Recipient,
        outcomes: list[tuple[Recipient, Outcome]],
        receipts: list[Receipt],
        batch: _Batch,
    ) -> None:
        """Add what becomes of a recipient: to the report, or to what follows it."""
        plan = self.plan(recipient)
        code = plan.code
        message = recipient.message
        is_sms = message.kind is Kind.SMS
        delay = self._delay if plan.delay is None else plan.delay
        if not code and self.on_delivered is not None:
            (batch.arriving.setdefault(delay, []) if plan.slow else batch.arrived).append(recipient)
        awaited = self._receipts and (is_sms or self._receipts_for(recipient))
        if code and not awaited:
            outcomes.append((recipient, Rejected(code)))
            return
        if message.segment_count == 1 or not is_sms:
            refs: tuple[str, ...] = (f"{self._prefix}{next(self._references):x}",)
        else:
            refs = tuple(f"{self._prefix}{next(self._references):x}" for _ in range(message.segment_count))
        outcome = Accepted(refs, self._receipt_window if awaited else None)
        if not awaited or not plan.receipts:
            outcomes.append((recipient, outcome))
            return
        if plan.early:
            self._late.append((recipient, outcome))
            coming = receipts
        else:
            outcomes.append((recipient, outcome))
            coming = batch.later.setdefault(delay, [])
        for _ in range(plan.receipts):
            coming += [Receipt(self.name, (ref,), recipient.number, code) for ref in refs]

    def _follow(self, batch: _Batch) -> None:
        """Do what a batch was waiting for until it was durable."""
        now = self._clock.now()
        for delay in batch.later.keys() | batch.arriving.keys():
            receipts, arriving = batch.later.get(delay, []), batch.arriving.get(delay, [])
            heapq.heappush(self._due, (now + delay, next(self._sequence), receipts, arriving))
            self._held += len(receipts)
        self._held -= batch.held
        if batch.arrived and self.on_delivered is not None:
            self.on_delivered(batch.arrived)

    def _is_roomy(self, now: float) -> bool:
        """Whether there is so much room that it is worth to wake somebody: not for each single segment of a burst."""
        if self._held >= MOST_HELD:
            return False
        return self._rate is None or now >= self._room_at(max(1.0, self._burst / 2))

    def _next_at(self) -> float | None:
        if self._submitted or self._late:
            return self._clock.now()
        moments = [self._due[0][0]] if self._due else []
        if self._blocked and self._rate is not None and not self._steps.stopping and self._held < MOST_HELD:
            moments.append(self._room_at(max(1.0, self._burst / 2)))
        if self._steps.stopping and moments:
            return self._clock.now()
        return min(moments, default=None)
