"""Notify: callbacks go out, until the endpoint answers 2xx or 24 hours are over.

Each endpoint has a concurrency and a health of its own. While it answers, callbacks go as they come, and one that fails
is tried again by the schedule. After a few failures in a row it is failing: it gets one probe at a time, always with
what has waited longest, and everything else for it stays in the store. The first 2xx ends that: all that waits goes out
at once, whatever its next try was. An endpoint that hangs or fails so costs the others nothing.
"""

import asyncio
import base64
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from passband.clock import Clock
from passband.counts import Counts
from passband.domain.account import Application, BasicCredentials
from passband.domain.errors import StoreUnavailable
from passband.domain.event import Callback, Endpoint
from passband.domain.rules import Rules
from passband.domain.schedule import WAITS, next_try
from passband.fetch import Request, Response
from passband.store import Attempted, Store
from passband.wire import event_body

log = structlog.get_logger()

MOST_HELD = 50_000  # callbacks in this node's memory
MOST_OF_ENDPOINT = 5_000
REFILL = 500  # rows read at a time, and the level at which more are read
SCAN_SECONDS = 1.0  # how often the store is asked what waits that nobody spoke of
UNKNOWN_SECONDS = 600.0  # so old, what is for an unknown application is dropped; till then it is left to other nodes
LEFT_SECONDS = 30.0  # until such a callback may be met again
FAILURES = 3  # in a row, without a success between them, and the endpoint is failing
FIRST_PROBE = 1.0
# With the 10 s that a request may take, the oldest event still goes out within a minute of the endpoint's recovery.
LAST_PROBE = 30.0
TIMEOUT = 10.0

HEADERS = ("Content-Type: application/json; charset=utf-8",)


class Poster(Protocol):
    """Sends one request, and calls ``done`` with what came of it, later and exactly once."""

    def post(self, request: Request, done: Callable[[Response], None]) -> None: ...


class Desk:
    """One endpoint: what waits for it in memory, how much is under way, how it is."""

    __slots__ = ("endpoint", "failures", "flushing_since", "in_flight", "probe_at", "probe_wait", "stored", "waiting")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.waiting: deque[Callback] = deque()
        self.in_flight = 0
        self.failures = 0
        self.probe_wait = FIRST_PROBE
        self.probe_at = 0.0
        self.stored = False  # free rows wait in the store
        self.flushing_since: float | None = None  # set by a recovery: all that was not tried since then goes out

    @property
    def failing(self) -> bool:
        return self.failures >= FAILURES

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.in_flight or self.failures or self.stored)


class Attempt(msgspec.Struct, gc=False):
    """One try at a callback."""

    desk: Desk
    callback: Callback
    url: str
    body: bytes
    credentials: BasicCredentials | None
    sent_credentials: bool
    probe: bool


class Notify:
    """The notify of one node. ``jitter`` gives random numbers from 0 to 1."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        poster: Poster,
        clock: Clock,
        counts: Counts,
        *,
        concurrency: int,
        jitter: Callable[[], float],
        timeout: float = TIMEOUT,
        waits: Sequence[float] = WAITS,
        most_held: int = MOST_HELD,
        holds_leases: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._rules = rules
        self.poster = poster  # may be replaced at any time
        self._clock = clock
        self._counts = counts
        self._concurrency = concurrency
        self._jitter = jitter
        self._timeout = timeout
        self._waits = waits
        self._most_held = most_held
        self._holds_leases = holds_leases
        self._desks: dict[Endpoint, Desk] = {}
        self._total = 0
        self._results: list[Attempted] = []
        self._released: list[Callback] = []
        self._settling = False
        self._settle_wake = asyncio.Event()
        self._ended = asyncio.Event()  # one more attempt
        self._draining = False
        self._due_at = 0.0  # when a free callback is due next, as far as is known
        self.wake = asyncio.Event()
        # Told of each attempt with its outcome, while somebody watches; and of each batch that is recorded.
        self.attempted: Callable[[Request, Callback, Response, Attempted], None] | None = None
        self.settled: Callable[[Sequence[Attempted]], None] | None = None

    # ── births ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        """Tell which of these rows should be born leased to this node: those that can go out soon."""
        coming: dict[Desk, int] = {}
        verdicts = []
        total = self._total
        # Before the commit, because only here all pass by; a transaction that fails counts them once too often.
        for kind, count in Counter([callback.kind for callback in callbacks]).items():
            self._counts["events", kind] += count
        for callback in callbacks:
            desk = self._desk(callback.endpoint)
            more = coming.get(desk, 0)
            room = not desk.failing and len(desk.waiting) + more < MOST_OF_ENDPOINT and total < self._most_held
            if room:
                coming[desk] = more + 1
                total += 1
            else:
                desk.stored = True
            verdicts.append(room)
        return verdicts

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Take over rows that this node holds, and send what may go at once."""
        now = self._clock.now()
        desks: dict[Desk, None] = {}
        for callback in callbacks:
            desk = self._desk(callback.endpoint)
            desk.waiting.append(callback)
            desks[desk] = None
        self._total += len(callbacks)
        for desk in desks:
            self._pump(desk, now)
            if desk.failing:  # it began to fail while these were being stored
                self._give_back(desk)

    def _desk(self, endpoint: Endpoint) -> Desk:
        desk = self._desks.get(endpoint)
        if desk is None:
            desk = self._desks[endpoint] = Desk(endpoint)
        return desk

    # ── attempts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self, desk: Desk, now: float) -> None:
        if not (desk.waiting or desk.stored) or self._draining or not self._holds_leases():
            return
        failing = desk.failing
        limit = 1 if failing else self._concurrency
        while desk.waiting and desk.in_flight < limit and (not failing or now >= desk.probe_at):
            self._total -= 1
            self._try(desk, desk.waiting.popleft(), now)
        if desk.stored and len(desk.waiting) <= REFILL // 2:
            self.wake.set()

    def _try(self, desk: Desk, callback: Callback, now: float) -> None:
        application = self._rules.directory.application(callback.message.account, callback.application)
        url = application.url(callback.message.direction) if application else None
        if application is None and now - callback.at < UNKNOWN_SECONDS:
            # Nodes of which the file is newer may know it.
            self._settle(Attempted(callback, now + LEFT_SECONDS, now, acknowledged=False))
            return
        if application is None or url is None:
            log.warning("a callback has nowhere to go any more", message=callback.message.id, kind=callback.kind)
            self._settle(Attempted(callback, None, now, acknowledged=False))
            return
        desk.in_flight += 1
        credentials = application.credentials(callback.message.direction)
        attempt = Attempt(
            desk, callback, url, _body(callback, application), credentials,
            sent_credentials=credentials is not None and application.preemptive_auth, probe=desk.failing,
        )  # fmt: skip
        self._post(attempt)

    def _post(self, attempt: Attempt) -> None:
        credentials = attempt.credentials if attempt.sent_credentials else None
        request = Request(
            url=attempt.url,
            body=attempt.body,
            headers=HEADERS if credentials is None else (*HEADERS, basic(credentials)),
            timeout=self._timeout,
        )
        self.poster.post(request, partial(self._done, attempt, request))

    def _done(self, attempt: Attempt, request: Request, response: Response) -> None:
        """Judge an answer: only 2xx is success; a challenge is met once, at once (Callbacks, sections 7 and 8)."""
        if response.status == 401 and response.challenge and attempt.credentials and not attempt.sent_credentials:
            attempt.sent_credentials = True
            self._post(attempt)
            return
        now = self._clock.now()
        desk, callback = attempt.desk, attempt.callback
        desk.in_flight -= 1
        if self._draining:
            self._ended.set()
        self._counts["attempts", _answer_class(response)] += 1
        if response.error is None and 200 <= response.status <= 299:
            self._settle(Attempted(callback, None, now, acknowledged=True))
            if desk.failures:
                if desk.failing:
                    self._recovered(desk, now)
                desk.failures = 0
        else:
            self._failed(attempt, response, now)
        if self.attempted is not None:
            self.attempted(request, callback, response, self._results[-1])
        self._pump(desk, now)

    def _recovered(self, desk: Desk, now: float) -> None:
        log.info("an endpoint answers again", endpoint=desk.endpoint.application, account=desk.endpoint.account)
        desk.stored = True
        desk.flushing_since = now
        desk.probe_wait = FIRST_PROBE
        self.wake.set()

    def _failed(self, attempt: Attempt, response: Response, now: float) -> None:
        desk, callback = attempt.desk, attempt.callback
        due_at = next_try(callback.attempts + 1, now, callback.expires_at, self._jitter(), self._waits)
        if due_at is None:
            self._counts["dropped", callback.kind] += 1
            log.warning("a callback is dropped after 24 hours", message=callback.message.id, kind=callback.kind)
        else:
            self._due_at = min(self._due_at, due_at)
        self._settle(Attempted(callback, due_at, now, acknowledged=False))
        was_failing = desk.failing
        desk.failures += 1
        if not desk.failing:
            return
        if not was_failing:
            log.warning(
                "an endpoint is failing, it gets one probe at a time",
                endpoint=desk.endpoint.application,
                account=desk.endpoint.account,
                status=response.status,
                error=response.error,
            )
            desk.flushing_since = None
            self._give_back(desk)
        elif attempt.probe:
            desk.probe_wait = min(desk.probe_wait * 2, LAST_PROBE)
        else:
            return  # it was under way when the endpoint began to fail, and tells nothing new
        desk.probe_at = now + desk.probe_wait * (0.8 + 0.2 * self._jitter())
        self.wake.set()

    def _give_back(self, desk: Desk) -> None:
        """Leave to the store what waits in memory for a failing endpoint; a probe takes what has waited longest."""
        desk.stored = True
        self._released += desk.waiting
        self._total -= len(desk.waiting)
        desk.waiting.clear()
        self._settle_wake.set()

    def _settle(self, result: Attempted) -> None:
        self._results.append(result)
        self._settle_wake.set()

    # ── loops ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Send and settle whenever something may be due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_settle())
            while True:
                try:
                    next_at = await self.step(self._clock.now())
                except StoreUnavailable as error:
                    log.warning("notify waits for the store", cause=str(error))
                    next_at = self._clock.now() + SCAN_SECONDS
                await self._clock.rest(self.wake, next_at)

    async def _run_settle(self) -> None:
        while True:
            await self._settle_wake.wait()
            self._settle_wake.clear()
            try:
                await self.settle()
            except StoreUnavailable as error:
                log.warning("attempts wait for the store to be recorded", cause=str(error))
                await self._clock.rest(asyncio.Event(), self._clock.now() + SCAN_SECONDS)
                self._settle_wake.set()

    async def settle(self) -> int:
        """Record the attempts that have ended; return how many. What cannot be recorded is kept for the next time."""
        results, self._results = self._results, []
        released, self._released = self._released, []
        self._settling = True
        try:
            if released:
                await self._store.release([], released)
                released = []
            if results:
                await self._store.attempted(results)
                if self.settled is not None:
                    self.settled(results)
        except StoreUnavailable:
            self._results = results + self._results
            self._released = released + self._released
            raise
        finally:
            self._settling = False
        return len(results)

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; let what is under way end, for so many seconds, and record it."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                while self.in_flight:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            log.warning("attempts at callbacks are given up, to stop", in_flight=self.in_flight)
        await self.settle()

    async def step(self, now: float) -> float:
        """Read what is due from the store and send it; return when to look again at the latest."""
        if not self._holds_leases():
            return now + SCAN_SECONDS
        if now >= self._due_at:
            self._due_at = now + SCAN_SECONDS
            for endpoint, due_at in await self._store.endpoints(now):
                desk = self._desk(endpoint)
                if desk.failing or due_at <= now:
                    desk.stored = True
                else:
                    self._due_at = min(self._due_at, due_at)
        for desk in list(self._desks.values()):
            if desk.waiting:  # since the leases were doubtful, nobody has looked
                self._pump(desk, now)
        next_at = self._due_at
        for desk in [desk for desk in self._desks.values() if desk.stored]:
            next_at = min(next_at, await self._refill(desk, now))
        for endpoint in [desk.endpoint for desk in self._desks.values() if desk.idle]:
            del self._desks[endpoint]
        return next_at

    async def _refill(self, desk: Desk, now: float) -> float:
        """Take what waits in the store for one endpoint; return when to look at it again."""
        later = now + SCAN_SECONDS
        if desk.failing:
            if desk.in_flight or desk.waiting:
                return later
            if now < desk.probe_at:
                return desk.probe_at
            callbacks = await self._store.lease_callbacks(desk.endpoint, 1, now, untried_since=now)
            if not callbacks:  # nothing waits any more: what there was has expired
                desk.stored = False
                desk.failures = 0
        elif len(desk.waiting) > REFILL // 2 or self._total >= self._most_held:
            return later
        else:
            callbacks = await self._store.lease_callbacks(desk.endpoint, REFILL, now, untried_since=desk.flushing_since)
            if len(callbacks) < REFILL:
                desk.stored = False
                desk.flushing_since = None
        if callbacks:
            self.take_callbacks(callbacks)
        return now if desk.stored and not desk.failing and len(desk.waiting) <= REFILL // 2 else later

    # ── the node ───────────────────────────────────────────────────────────────────────────────────────────────────

    def forget(self) -> None:
        """Drop everything that is held: the leases are gone, other nodes have them."""
        for desk in self._desks.values():
            desk.waiting.clear()
            desk.stored = True
        self._total = 0
        self._due_at = 0.0

    @property
    def held(self) -> int:
        """How many callbacks wait in this node's memory."""
        return self._total

    @property
    def in_flight(self) -> int:
        return sum(desk.in_flight for desk in self._desks.values())

    @property
    def busy(self) -> bool:
        """Whether attempts are under way, or not yet recorded."""
        return bool(self._results or self._released or self._settling or self.in_flight)

    def retry(self, endpoint: Endpoint) -> None:
        """Try what waits for an endpoint now, whenever it would be due: all of it, or one probe while it is failing."""
        desk = self._desk(endpoint)
        now = self._clock.now()
        desk.stored = True
        desk.probe_at = now
        if not desk.failing:
            desk.flushing_since = now
        self.wake.set()

    def look(self, endpoint: Endpoint) -> None:
        """Look now for what is due at an endpoint, as after ``Store.hurry``; a failing one gets its probe now."""
        desk = self._desk(endpoint)
        desk.stored = True
        desk.probe_at = self._clock.now()
        self.wake.set()

    def health(self) -> Sequence[tuple[Endpoint, bool, int, int]]:
        """Return of each endpoint in use: whether it is failing, how many attempts are under way, how many wait."""
        return [(d.endpoint, d.failing, d.in_flight, len(d.waiting)) for d in self._desks.values()]


def _answer_class(response: Response) -> str:
    return f"{response.status // 100}xx" if response.error is None else response.error.value


def basic(credentials: BasicCredentials) -> str:
    """Return the header line of Basic authentication (RFC 7617)."""
    token = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    return f"Authorization: Basic {token}"


def _body(callback: Callback, application: Application) -> bytes:
    return event_body(callback, omit_default_priority=application.omit_default_priority)
