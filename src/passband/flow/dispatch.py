"""Dispatch: what waits goes to its carrier, as fast as pace and the carrier's room allow.

Rows that this node has just stored arrive through ``take_recipients``; rows that it had no room for, that wait for a
further attempt, or that another node gave up are read from the store, a few hundred at a time. The memory used is
bounded whatever the backlog.
"""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TypeVar

import structlog

from passband.carriers import Carrier
from passband.clock import Clock
from passband.counts import Counts
from passband.domain.errors import StoreUnavailable
from passband.domain.message import MMS, SMS, Kind, Recipient
from passband.domain.report import Deferred, Report, Submission
from passband.domain.rules import Rules
from passband.flow.attachments import UNAVAILABLE, Attachments, MediaRefused
from passband.flow.waiting import Line, LineKey, Waiting
from passband.store import Line as StoredLine
from passband.store import Pace, Store

log = structlog.get_logger()

T = TypeVar("T")

_Lines = dict[tuple[str, Kind, str], tuple[LineKey, bool]]  # by account, kind and sender

EXPIRED = 4360
CARRIER_REMOVED = 5111
NO_CARRIER = 5501

MOST_HELD = 50_000  # recipients in this node's memory: at about 1 kB each, what design allows a node under load
MOST_OF_LINE = 5_000  # of one account for one carrier, so that one backlog does not take all of it
REFILL = 500  # rows read at a time, and the level at which more are read
SCAN_SECONDS = 1.0  # how often the store is asked what waits that nobody spoke of
SOON_SECONDS = 0.05  # and how soon again where something did: nodes without a link leave it to those that have one
UNKNOWN_SECONDS = 600.0  # for so long what waits for an unknown carrier is left to other nodes: their file may be newer
UNSEEN_SECONDS = 60.0  # after which it has been taken by one of them, and what comes then is left to them anew
SCAN_SHARE = 0.1  # of the time at most is spent on asking again soon
MEDIA_SECONDS = 30.0  # until media are asked for again that our own store of media could not give
BURST_SECONDS = 0.25  # what a limit lets go at once after a rest; more would break 5 % over 10 s


class Dispatch:
    """The dispatch of one node. ``holds_leases`` tells whether the node may still act on what it holds."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        carriers: Mapping[str, Carrier],
        clock: Clock,
        counts: Counts,
        *,
        attachments: Attachments,
        most_held: int = MOST_HELD,
        holds_leases: Callable[[], bool] = lambda: True,
        reachable: Callable[[str], bool] = lambda carrier: True,
    ) -> None:
        """``reachable`` tells of a carrier whether what waits for it may leave by this node soon.

        What waits for one that is not reachable stays free in the store, where other nodes take it.
        """
        self._store = store
        self._rules = rules
        self._carriers = carriers
        self._clock = clock
        self._counts = counts
        self._attachments = attachments
        self._attaching = dict.fromkeys(carriers, 0)  # segments whose files are being fetched
        self._most_held = most_held
        self._holds_leases = holds_leases
        self._is_reachable = reachable
        self._unreachable: set[str] = set()
        self._waiting = {name: Waiting() for name in carriers}
        self._held: dict[tuple[str, str], int] = {}  # by carrier and account
        self._total = 0
        self._stored: dict[StoredLine, None] = {}  # lines with rows in the store that this node should read
        self._granted: list[tuple[float, int, Waiting, Line, list[Submission]]] = []  # a heap, by the moment to go
        self._sequence = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fetches: set[asyncio.Task[None]] = set()  # those of them that fetch files
        self._scan_at = 0.0
        self._scan_pause = SCAN_SECONDS
        # Carriers that this node does not have, since when something has waited for each, and when it last did.
        self._unknown: dict[str, tuple[float, float]] = {}
        self._epoch = 0  # counts how often everything was forgotten
        self.wake = asyncio.Event()
        self.leaving: Callable[[Sequence[Submission]], None] | None = None  # told what leaves, while somebody watches

    # ── births ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        """Tell which of these rows should be born leased to this node: those that it can hold, and that are next."""
        if not (self._stored or self._unreachable) and self._total + len(recipients) <= MOST_OF_LINE:
            return [True] * len(recipients)
        coming: dict[tuple[str, str], int] = {}
        verdicts = []
        total = self._total
        for recipient in recipients:
            key = (recipient.carrier, recipient.message.account)
            held = coming.get(key, 0) + self._held.get(key, 0)
            line = StoredLine(recipient.carrier, recipient.message.account, recipient.high)
            # What waits in the store is older, and goes first.
            room = line not in self._stored and held < MOST_OF_LINE and total < self._most_held
            if room and recipient.carrier not in self._unreachable:
                coming[key] = coming.get(key, 0) + 1
                total += 1
            else:
                self._stored[line] = None
                room = False
            verdicts.append(room)
        return verdicts

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        """Take over rows that this node holds; the recipients of one message follow each other."""
        lines: _Lines = {}
        for submission in _submissions(recipients):
            self._add(submission, lines)
        self.wake.set()

    def _add(self, submission: Submission, lines: _Lines) -> None:
        """Let a submission wait in its line; ``lines`` has those found so far of the batch that it belongs to."""
        first = submission.recipients[0]
        message = first.message
        waiting = self._waiting.get(first.carrier)
        if waiting is None:
            self._start(self._fail([(r, CARRIER_REMOVED) for r in submission.recipients]))
            return
        key = (first.carrier, message.account)
        size = len(submission.recipients)
        self._held[key] = self._held.get(key, 0) + size
        self._total += size
        sender = (message.account, message.kind, message.sender)
        line = lines.get(sender)
        if line is None:
            line = lines[sender] = self._line(*sender)
        waiting.add(*line, submission)

    def _line(self, account_id: str, kind: Kind, sender: str) -> tuple[LineKey, bool]:
        """Return the line that a submission waits in, and whether it is paced: by the account, its number, or both."""
        account = self._rules.directory.account(account_id)
        number = account.numbers.get(sender) if account else None
        own = number.number if number and number.rate is not None else ""
        limited = account is not None and account.rate is not None
        return LineKey(account_id, kind.value if limited or own else "", own), limited or bool(own)

    # ── the step ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Step whenever something may be due, until cancelled; files under way are given up then."""
        try:
            while True:
                try:
                    next_at = await self.step(self._clock.now())
                except StoreUnavailable as error:
                    log.warning("dispatch waits for the store", cause=str(error))
                    next_at = self._clock.now() + SCAN_SECONDS
                await self._clock.rest(self.wake, next_at)
        finally:
            for task in self._fetches:
                task.cancel()
            await asyncio.gather(*self._fetches, return_exceptions=True)

    async def step(self, now: float) -> float:
        """Hand over what may go now; return when to look again at the latest."""
        if not self._holds_leases():
            return now + SCAN_SECONDS
        while self._granted and self._granted[0][0] <= now:
            _, _, granted_by, line, submissions = heapq.heappop(self._granted)
            granted_by.paid(line, submissions)
        self._unreachable = {name for name in self._waiting if not self._is_reachable(name)}
        for name, waiting in self._waiting.items():
            if len(waiting):
                if name in self._unreachable:
                    self._free(waiting)
                else:
                    self._pump(name, waiting, now)
            if self._attachments.turns.is_waiting(name):
                self._attach(self._carriers[name], now)
        if now >= self._scan_at:
            await self._scan(now)
        for stored in list(self._stored):
            if stored.carrier not in self._unreachable:
                await self._refill(stored, now)
        return min(self._scan_at, self._granted[0][0]) if self._granted else self._scan_at

    def _pump(self, name: str, waiting: Waiting, now: float) -> None:
        while line := waiting.wanting():
            self._start(self._pay(waiting, line, now))
        carrier = self._carriers[name]
        room = carrier.room(now)
        ready: list[Submission] = []
        while room > 0 and (taken := waiting.next(room)):
            if self.leaving is not None:
                self.leaving(taken)
            for submission in taken:
                if submission.recipients[0].message.kind is MMS:
                    # It takes no room yet, so that no SMS waits for somebody's files.
                    self._attachments.turns.add(name, submission)
                    continue
                room -= submission.cost
                self._forget_one(submission)
                if not self._is_expired(submission, now):
                    ready.append(submission)
        if ready:
            self._counts["submits", name] += len(ready)
            carrier.submit(ready)

    def _free(self, waiting: Waiting) -> None:
        """Give back to the store what waits for a carrier that this node cannot reach."""
        if taken := waiting.take_all():
            for submission in taken:
                self._forget_one(submission)
            recipients = [r for submission in taken for r in submission.recipients]
            self._stored |= {StoredLine(r.carrier, r.message.account, r.high): None for r in recipients}
            self._start(self._insist(lambda: self._store.release(recipients, [])))

    def _end_overdue(self, now: float) -> None:
        """Fail what has waited in memory for longer than the retry window, as the store does with what is free."""
        before = now - self._rules.retry_window
        over: list[Submission] = []
        for name, waiting in self._waiting.items():
            if len(waiting):
                over += waiting.take_overdue(before)
            over += self._attachments.turns.take_overdue(name, before)
        if over:
            for submission in over:
                self._forget_one(submission)
            self._start(self._fail([(r, r.code or NO_CARRIER) for s in over for r in s.recipients]))

    def _is_expired(self, submission: Submission, now: float) -> bool:
        expires_at = submission.recipients[0].message.expires_at
        if expires_at is None or expires_at > now:
            return False
        self._start(self._fail([(r, EXPIRED) for r in submission.recipients]))
        return True

    def _attach(self, carrier: Carrier, now: float) -> None:
        """Let those MMS leave the queue for which there is room: at the carrier, and for their files in memory.

        What is under way to the carrier counts against its room for MMS only.
        """
        turns = self._attachments.turns
        while carrier.room(now) > self._attaching[carrier.name] and (submission := turns.next(carrier.name)):
            self._forget_one(submission)
            if self._is_expired(submission, now):
                turns.release(submission.recipients)
            else:
                self._attaching[carrier.name] += submission.cost
                fetch = self._start(self._send_mms(carrier, submission, now))
                self._fetches.add(fetch)
                fetch.add_done_callback(self._fetches.discard)

    def _forget_one(self, submission: Submission) -> None:
        first = submission.recipients[0]
        size = len(submission.recipients)
        key = (first.carrier, first.message.account)
        self._total -= size
        if left := self._held[key] - size:
            self._held[key] = left
        else:
            del self._held[key]

    async def _send_mms(self, carrier: Carrier, submission: Submission, now: float) -> None:
        """Store message-sending for those who want it, once; fetch the message's files; then hand it over."""
        epoch = self._epoch
        handed_over = False
        try:
            new = [r for r in submission.recipients if not r.announced]
            if new:
                await self._insist(lambda: self._store.announce(new, now))
            try:
                complete = await self._attachments.attach(carrier.name, submission)
            except MediaRefused as error:
                log.info("a message's files cannot be had", message=str(submission.recipients[0]), cause=error.reason)
                await self._fail([(r, error.code) for r in submission.recipients])
                return
            except StoreUnavailable as error:
                log.warning("a message waits for the store of media", cause=str(error))
                await self._defer(submission)
                return
            # Fetching takes up to a minute, in which this node may have been given up; then the others send it.
            if epoch != self._epoch:
                return
            if self._holds_leases():
                self._counts["submits", carrier.name] += 1
                self._attachments.kept.handed_over(complete)
                carrier.submit([complete])
                handed_over = True
            else:  # out of touch with the store, and not given up yet, maybe never: it waits here
                self._add(submission, {})
        finally:
            self._attaching[carrier.name] -= submission.cost
            if not handed_over:
                self._attachments.turns.release(submission.recipients)
            self.wake.set()

    async def _defer(self, submission: Submission) -> None:
        report = Report([(r, Deferred(UNAVAILABLE, MEDIA_SECONDS)) for r in submission.recipients])
        await self._insist(lambda: self._store.record(report, self._clock.now()))

    async def _fail(self, recipients: Sequence[tuple[Recipient, int]]) -> None:
        await self._insist(lambda: self._store.fail(recipients, self._clock.now()))

    # ── pace ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pay(self, waiting: Waiting, line: Line, now: float) -> None:
        """Ask for the right to send what is first in a paced line; it goes when its moment has come.

        The right is taken from the store, because other nodes send under the same limit. One request a line is out at a
        time, for as much as its limit lets go in one burst.
        """
        account = self._rules.directory.account(line.key.account)
        number = account.numbers.get(line.key.number) if account and line.key.number else None
        limits: list[tuple[str, float]] = []
        if account is not None and account.rate is not None:
            limits.append((line.key.kind, account.rate))
        if number is not None and number.rate is not None:
            limits.append((number.number, number.rate))
        if not len(line):
            waiting.paid(line, [])  # emptied before its turn came
            return
        burst = {key: max(1.0, rate * BURST_SECONDS) for key, rate in limits}
        submissions = line.take(int(min(burst.values(), default=REFILL)))
        segments = sum(submission.cost for submission in submissions)
        paces = [Pace(line.key.account, key, segments, rate, burst[key]) for key, rate in limits]
        starts = await self._insist(lambda: self._store.reserve(paces, now)) if paces else []
        heapq.heappush(self._granted, (max(starts, default=now), next(self._sequence), waiting, line, submissions))
        self.wake.set()

    # ── reading what waits in the store ────────────────────────────────────────────────────────────────────────────

    async def _scan(self, now: float) -> None:
        """Ask the store what waits, and take what this node can send; the more comes, the sooner it asks again."""
        self._scan_at = now + SCAN_SECONDS
        self._end_overdue(now)
        self._attachments.kept.forget_old(now)
        began_at = self._clock.now()
        lines = [line for line in await self._store.lines(now) if not self._is_others(line.carrier, now)]
        took = self._clock.now() - began_at
        # A line that is known already is read as there is room: nobody need ask for it.
        new = [line for line in lines if line not in self._stored and line.carrier not in self._unreachable]
        self._stored |= dict.fromkeys(lines)
        came = sum([await self._refill(line, now) for line in new])
        pause = max(SOON_SECONDS, took / SCAN_SHARE) if came else 2 * self._scan_pause
        self._scan_pause = min(SCAN_SECONDS, pause)
        self._scan_at = now + self._scan_pause

    def _is_others(self, carrier: str, now: float) -> bool:
        """Tell whether other nodes may have this carrier, although this one does not."""
        if carrier in self._waiting:
            return False
        since, seen = self._unknown.get(carrier, (now, now))
        since = since if now - seen < UNSEEN_SECONDS else now
        self._unknown[carrier] = since, now
        return now - since < UNKNOWN_SECONDS

    async def _refill(self, line: StoredLine, now: float) -> int:
        """Read rows of a line if there is room for them; return how many."""
        if line.carrier not in self._waiting:
            recipients = await self._store.lease_recipients(line, REFILL, now)
            self._start(self._fail([(r, CARRIER_REMOVED) for r in recipients]))
        elif self._held.get((line.carrier, line.account), 0) > REFILL or self._total >= self._most_held:
            return 0
        else:
            recipients = await self._store.lease_recipients(line, REFILL, now)
            cut = _cut_group(recipients) if len(recipients) == REFILL else []
            if cut:
                self._start(self._insist(lambda: self._store.release(cut, [])))
            self.take_recipients(recipients[: len(recipients) - len(cut)])
        if len(recipients) < REFILL:
            self._stored.pop(line, None)
        return len(recipients)

    # ── the node ───────────────────────────────────────────────────────────────────────────────────────────────────

    def forget(self) -> None:
        """Drop everything that is held: the leases are gone, other nodes have them."""
        self._waiting = {name: Waiting() for name in self._carriers}
        self._held.clear()
        self._total = 0
        self._granted.clear()
        self._attachments.forget()
        self._epoch += 1
        self._scan_at = 0.0

    @property
    def held(self) -> int:
        """How many recipients wait in this node's memory."""
        return self._total

    async def idle(self) -> None:
        """Return when no step is being recorded."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step until the store can take it: what it is about is held by this node and by nobody else."""
        while True:
            try:
                return await step()
            except StoreUnavailable as error:
                log.warning("a step of dispatch waits for the store", cause=str(error))
                await self._clock.rest(asyncio.Event(), self._clock.now() + SCAN_SECONDS)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its rows keep their leases until this node ends or is given up; nothing is lost.
            log.error("a step of dispatch failed", exc_info=error)


def _submissions(recipients: Sequence[Recipient]) -> Iterable[Submission]:
    """Put the recipients of one MMS that go the same way together; an SMS has one recipient."""
    groups: dict[tuple[str, str], list[Recipient]] = {}
    for recipient in recipients:
        if recipient.message.kind is SMS:
            yield Submission((recipient,))
        else:
            groups.setdefault((recipient.message.id, recipient.carrier), []).append(recipient)
    for group in groups.values():
        yield Submission(tuple(group))


def _cut_group(recipients: Sequence[Recipient]) -> list[Recipient]:
    """Return the last group of a page that was cut off at its limit, if others came before it."""
    last = recipients[-1].message
    if len(last.to) == 1:
        return []
    cut = [r for r in recipients if r.message.id == last.id]
    return cut if len(cut) < len(recipients) else []
