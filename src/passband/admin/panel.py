"""What people see of a running node, and what they can do to it, in one place: the state behind the admin API.

Rule: the panel looks at the parts of a node through hooks that are set only while somebody watches; the path of a
message never waits for it. The developers' edition has handsets, faults, an inbox and a movable clock besides, and its
journal is always on; there texts are shown, in production never.
"""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from passband import __version__
from passband.admin.clock import advance
from passband.admin.faults import Faults, Poster
from passband.admin.handsets import Handsets
from passband.admin.inbox import Inbox
from passband.admin.journal import Journal
from passband.admin.live import Live
from passband.admin.metrics import Held
from passband.admin.provisioning import Provisioning
from passband.admin.rates import Rates
from passband.carriers.simulator import SimulatorCarrier
from passband.clock import SystemClock
from passband.counts import Counts
from passband.domain.event import SLOTS, Callback, CallbackKey, Endpoint
from passband.domain.message import Direction, Recipient
from passband.domain.report import Inbound, Report, Submission
from passband.domain.rules import Rules
from passband.fetch import Fetcher, Request, Response
from passband.media import MediaStore
from passband.store import Attempted, Found, Query, Store
from passband.wire import timestamp

MOST_FOLLOWED = 2_000
MOST_FOLLOWED_BY_DEVELOPERS = 5_000  # with texts, bodies and every attempt, about 20 MB
MOST_ENDPOINTS = 200
MOST_ACCOUNTS = 50  # that a search goes through


class DispatchHooks(Protocol):
    """What the panel needs of dispatch."""

    leaving: Callable[[Sequence[Submission]], None] | None

    @property
    def held(self) -> int: ...


class NotifyHooks(Protocol):
    """What the panel needs of notify."""

    poster: Poster
    attempted: Callable[[Request, Callback, Response, Attempted], None] | None

    @property
    def busy(self) -> bool: ...

    def health(self) -> Sequence[tuple[Endpoint, bool, int, int]]: ...

    def retry(self, endpoint: Endpoint) -> None: ...

    def look(self, endpoint: Endpoint) -> None: ...


class Panel:
    """The panel of one node. ``inbound`` is there where a simulated carrier is configured."""

    def __init__(
        self,
        *,
        clock: SystemClock,
        rules: Rules,
        store: Store,
        media: MediaStore,
        fetcher: Fetcher,
        counts: Counts,
        carriers: Mapping[str, object],
        dispatch: DispatchHooks,
        notify: NotifyHooks,
        held: Callable[[], Held],
        keep: Callable[[Inbound, float], Awaitable[Inbound]],
        provisioning: Provisioning,
        public_url: str,
        developers: bool,
    ) -> None:
        self.clock = clock
        self.rules = rules
        self.store = store
        self.media = media
        self.fetcher = fetcher
        self.keep = keep
        self.provisioning = provisioning
        self.public_url = public_url
        self.developers = developers
        self.offset = 0.0
        self.closed = False
        self._dispatch = dispatch
        self._notify = notify
        self._journal_on = False
        self.live = Live(secrets.token_hex(4), self._watching)
        self.journal = Journal(
            self.live,
            clock.now,
            keeps_text=developers,
            most=MOST_FOLLOWED_BY_DEVELOPERS if developers else MOST_FOLLOWED,
            new_in_flush=MOST_FOLLOWED_BY_DEVELOPERS if developers else 200,
        )
        self.rates = Rates(self.live, counts, store, held, clock.now, self._second)
        simulators = {name: carrier for name, carrier in carriers.items() if isinstance(carrier, SimulatorCarrier)}
        self.inbound: Callable[[Inbound], Awaitable[None]] | None = next((s.inbound for s in simulators.values()), None)
        self.handsets: Handsets | None = None
        self.faults: Faults | None = None
        self.inbox: Inbox | None = None
        if developers:
            self.handsets = Handsets(self.live, clock.now, lambda number: rules.directory.number(number) is not None)
            self.faults = Faults(self.live, simulators, fetcher, self._set_poster)
            self.inbox = Inbox(self.live, clock.now)
            for simulator in simulators.values():
                simulator.on_delivered = self.handsets.arrived
            self._observe(True)

    # ── what the node tells ────────────────────────────────────────────────────────────────────────────────────────

    def stored(self, recipients: Sequence[Recipient]) -> None:
        """Take note of recipients that were stored and leased to this node."""
        self.rates.stored_in.sample(self.clock.now() - recipients[0].message.created_at)
        if self._journal_on:
            self.journal.queued(recipients)

    def born(self, callbacks: Sequence[Callback]) -> None:
        if self._journal_on:
            self.journal.born(callbacks)

    def reported(self, report: Report) -> None:
        """Take note of a carrier's report that is durable now."""
        if report.outcomes:
            self.rates.handed_in.sample(self.clock.now() - report.outcomes[0][0].message.created_at)
        if self._journal_on:
            self.journal.reported(report)

    def settled(self, results: Sequence[Attempted]) -> None:
        """Take note of attempts at callbacks that are recorded now."""
        if results[0].acknowledged:
            self.rates.told_in.sample(results[0].tried_at - results[0].callback.at)

    def _watching(self, watched: bool) -> None:
        if not self.developers:
            self._observe(watched)
            if not watched:
                self.journal.clear()

    def _observe(self, on: bool) -> None:
        self._journal_on = on
        self._dispatch.leaving = self.journal.leaving if on else None
        self._notify.attempted = self.journal.attempted if on else None

    def _set_poster(self, poster: Poster) -> None:
        self._notify.poster = poster

    def _second(self) -> None:
        if self._journal_on:
            self.journal.expired(self.clock.now())

    def close(self) -> None:
        """End the streams and whatever waits for a time."""
        self.closed = True
        self.live.close()
        self.journal.close()
        if self.faults is not None:
            self.faults.close()

    # ── what people ask ────────────────────────────────────────────────────────────────────────────────────────────

    def state(self) -> dict[str, Any]:
        """Return what the console needs to know of the node before it shows anything.

        ``api`` is with what developers may send; their password is on their terminal as well.
        """
        return {
            "version": __version__,
            "edition": "developers" if self.developers else "production",
            "time": timestamp(self.clock.now()),
            "offset": self.offset,
            "simulator": self.inbound is not None,
            "api": [
                {"account": account.id, "user": user.name, "password": user.secret, "application": application}
                for account in self.rules.directory.accounts.values()
                for user in account.users
                for application in account.applications
            ][:1]
            if self.developers
            else [],
            "numbers": [
                {"number": number, "account": account.id, "application": own.application}
                for account in list(self.rules.directory.accounts.values())[:MOST_ACCOUNTS]
                for number, own in account.numbers.items()
            ][:MOST_ENDPOINTS],
        }

    def endpoints(self) -> list[dict[str, Any]]:
        """Return the endpoints with their health: those in use first, then others that are configured."""
        health = {endpoint: rest for endpoint, *rest in self._notify.health()}
        last = self.journal.last_attempts()
        pending = Counter(told.endpoint for told in self.journal.told.values() if told.state == "pending")
        known = dict.fromkeys([*health, *last])
        for account in self.rules.directory.accounts.values():
            for application in account.applications:
                for direction in Direction:
                    if len(known) < MOST_ENDPOINTS:
                        known[Endpoint(account.id, application, direction)] = None
        views = []
        for endpoint in known:
            told = self.rules.directory.application(endpoint.account, endpoint.application)
            url = told.url(endpoint.direction) if told else None
            if told is None or url is None:
                continue
            failing, in_flight, waiting = health.get(endpoint, [False, 0, 0])
            views.append(
                {
                    "account": endpoint.account,
                    "application": endpoint.application,
                    "name": told.name,
                    "direction": endpoint.direction,
                    "url": url,
                    "failing": failing,
                    "inFlight": in_flight,
                    "waiting": waiting,
                    "pending": pending[endpoint],
                    "last": last[endpoint].view() if endpoint in last else None,
                }
            )
        return views

    def retry(self, endpoint: Endpoint) -> bool:
        """Try what waits for an endpoint now; return False where there is no such endpoint."""
        application = self.rules.directory.application(endpoint.account, endpoint.application)
        if application is None or application.url(endpoint.direction) is None:
            return False
        self._notify.retry(endpoint)
        return True

    async def hurry(self, account: str, id_: str, n: int, slot: int) -> bool:
        """Try one callback now, whichever node it would be due at; return False where it is over or unknown.

        A failing endpoint gets its probe now, and of what waits there this one goes before what was tried later.
        """
        told = self.journal.told.get(((account, id_, n), slot))
        # The instant of the last attempt is as far ahead in the line as the store lets it go.
        at = told.attempts[-1].at if told and told.attempts else self.clock.now()
        kinds = [told.kind] if told else [kind for kind in SLOTS if SLOTS[kind] == slot]
        found = [await self.store.hurry(CallbackKey(account, id_, n, kind), at) for kind in kinds]
        if told is not None and told.state == "pending":
            self._notify.look(told.endpoint)
            return True
        return any(found)

    async def advance(self, seconds: float) -> int:
        """Let time pass; return in how many steps. The developers' edition only."""
        steps = await advance(self.clock, seconds, lambda: self._notify.busy or self._dispatch.held > 0)
        self.offset += seconds
        self.journal.expired(self.clock.now())
        self.live.publish("clock", {"time": timestamp(self.clock.now()), "offset": self.offset})
        return steps

    async def search(self, *, id_: str = "", number: str = "", limit: int = 50) -> list[Found]:
        """Return recipients that the store knows, of the first accounts, by identifier or number."""
        found: list[Found] = []
        for account in list(self.rules.directory.accounts)[:MOST_ACCOUNTS]:
            wanted: list[dict[str, Any]] = [{"id": id_ or None}]
            if number:
                wanted = [{"id": id_ or None, side: (number,)} for side in ("sources", "destinations")]
            for fields in wanted:
                _, page = await self.store.search(Query(account, limit=limit, **fields), self.clock.now())
                found += page
            if len(found) >= limit:
                break
        return found[:limit]
