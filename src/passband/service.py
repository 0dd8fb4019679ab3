"""The composition root: builds a node from its settings, starts its parts in order, stops them in reverse.

**Resource handling.** ``Node.start`` opens the store, the outbound client, the carriers' links and the listeners;
``Node.stop`` closes them: no new requests, what is in flight finishes (ten seconds), leases are given back.
**Error handling.** A loop that ends by an error that it does not know takes the node down: the process exits with 1,
and whatever it held is taken over by other nodes, or by itself when it starts again.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from msgspec.structs import replace

from passband.admin.app import body_limit, create_admin
from passband.admin.metrics import LINK_COUNTERS, Held, LinkHeld, Metrics
from passband.admin.panel import Panel
from passband.api.app import Resource, create_app
from passband.api.auth import Authenticator
from passband.api.media import media_resource
from passband.api.server import Listener
from passband.carriers import Carrier
from passband.carriers.onnet import OnNetCarrier
from passband.carriers.simulator import SimulatorCarrier
from passband.carriers.smpp import SmppCarrier
from passband.clock import SystemClock
from passband.config import CarrierSettings, Mm4Settings, Settings, SimulatorSettings, SmppSettings
from passband.config.settings import TlsSettings
from passband.console import console_routes
from passband.counts import Counts
from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.domain.event import Callback, EventKind
from passband.domain.message import IdSource, Recipient
from passband.domain.report import Report
from passband.domain.routing import ON_NET, Router
from passband.domain.rules import Rules
from passband.fetch import Fetcher
from passband.flow.accept import Accept, References
from passband.flow.attachments import Attachments
from passband.flow.dispatch import Dispatch
from passband.flow.expire import Expire
from passband.flow.keep import Keep
from passband.flow.links import Links
from passband.flow.notify import Notify
from passband.flow.receive import Receive
from passband.media import open_media
from passband.provisioning import Provisioner
from passband.store import Attempted
from passband.store.open import open_store
from passband.store.processes import names_of_machines

log = structlog.get_logger()

BEAT_SECONDS = 2.0
# A node may act on its leases only so long after its last heartbeat; others wait 10 s before they take them.
LEASE_SECONDS = 8.0
GRACE_SECONDS = 10.0


class Handoff:
    """Births of one node: recipients go to its dispatch, callbacks to its notify."""

    dispatch: Dispatch  # both are made after the store, which is made with this
    notify: Notify
    panel: Panel

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return self.dispatch.room_for_recipients(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        self.panel.born(callbacks)
        return self.notify.room_for_callbacks(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        self.panel.stored(recipients)
        self.dispatch.take_recipients(recipients)

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.notify.take_callbacks(callbacks)


class Node:
    """One process that runs all five verbs."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: SystemClock | None = None,
        worker: int = 0,
        workers: int = 1,
        developers: bool = False,
    ) -> None:
        """``worker`` counts the ``workers`` processes on this machine that share the configuration, from 0.

        ``developers`` makes it the developers' edition: handsets, faults, an inbox, a movable clock, texts shown.

        Raises ConfigurationError where the files of ``server.tls`` are no certificate and key.
        """
        self.settings = settings
        self._tls = server_tls(settings.server.tls) if settings.server.tls else None
        self.clock = clock or SystemClock()
        self._worker = worker
        self._workers = workers
        self._developers = developers
        self.counts: Counts = Counts()
        self._beaten = time.monotonic()
        self._ready = False
        self._told_of_media = not settings.media.url.startswith("file:")
        self._tasks: list[asyncio.Task[None]] = []
        self.listeners: list[Listener] = []
        self._informed: dict[str, Callable[[Callback], None]] = {}  # carriers, of callbacks that were acknowledged
        self.failed = asyncio.Event()

        windows = [carrier.receipt_window for carrier in settings.carriers]
        self.rules = Rules(
            settings.directory(), retry_window=settings.queue.retry_window, receipt_window=min(windows, default=7200.0)
        )
        self._handoff = Handoff()
        self.store = open_store(settings.store.url, self.rules, self._handoff, history_days=settings.history.days)
        self.provisioning = Provisioner(settings, self.store, self.rules)

    async def start(self) -> None:
        """Open everything and begin to accept. Raises StoreUnavailable, OSError where an address cannot be had."""
        self.media = open_media(self.settings.media.url)
        await self.store.open(self.clock.now())
        self._beaten = time.monotonic()
        await self.provisioning.look()
        self.fetcher = Fetcher(allow_private_networks=self.settings.callbacks.allow_private_networks)
        await self._bind()
        self._make_carriers()
        await self.links.step(self.clock.now())
        self._make_verbs()
        self._make_panel()
        self._run_all()
        await self._listen()
        self._ready = True

    async def _bind(self) -> None:
        """Where the HTTP API takes any port, take it now: links begin with its address."""
        server = self.settings.server
        self._api = Listener(
            host=server.listen.host, port=server.listen.port, tls=self._tls, reuse_port=self._workers > 1
        )
        self.listeners = [self._api]
        if not server.listen.port:
            await self._api.bind()
            bound = replace(server, listen=server.listen._replace(port=self._api.port))
            self.settings = replace(self.settings, server=bound)

    def _make_carriers(self) -> None:
        self.carriers: dict[str, Carrier] = {ON_NET: OnNetCarrier(clock=self.clock)}
        for carrier in self.settings.carriers:
            self.carriers[carrier.name] = self._carrier(carrier)
        linked = {name: carrier for name, carrier in self.carriers.items() if isinstance(carrier, SmppCarrier)}
        self.links = Links(self.store, linked, self.clock, holds_leases=self._holds_leases)

    def _make_verbs(self) -> None:
        settings, clock = self.settings, self.clock
        self.attachments = self._attachments()
        self.keep = Keep(self.media, lambda: self.rules.directory, settings.server.base_url)
        self.accept = Accept(
            self.store,
            self.rules,
            Router({name: c.kinds for name, c in self.carriers.items() if name != ON_NET}, settings.routing()),
            clock,
            IdSource(random.getrandbits),
            References(random.getrandbits),
            self.counts,
        )
        self.dispatch = Dispatch(
            self.store,
            self.rules,
            self.carriers,
            clock,
            self.counts,
            attachments=self.attachments,
            most_held=settings.queue.recipients_in_memory,
            holds_leases=self._holds_leases,
            reachable=self.links.reachable,
        )
        self.receive = Receive(self.store, clock, self.counts, keep=self.keep, settled=self.attachments.settled)
        self.notify = Notify(
            self.store,
            self.rules,
            self.fetcher,
            clock,
            self.counts,
            concurrency=settings.callbacks.per_endpoint_concurrency,
            jitter=random.random,
            timeout=settings.callbacks.timeout,
            waits=settings.callbacks.schedule,
            most_held=settings.queue.callbacks_in_memory,
            holds_leases=self._holds_leases,
        )
        self.expire = Expire(self.store, self.media, clock, self.counts)

    def _make_panel(self) -> None:
        self.panel = Panel(
            clock=self.clock,
            rules=self.rules,
            store=self.store,
            media=self.media,
            fetcher=self.fetcher,
            counts=self.counts,
            carriers=self.carriers,
            dispatch=self.dispatch,
            notify=self.notify,
            held=self._held,
            keep=self.keep,
            provisioning=self.provisioning,
            public_url=self.settings.server.base_url,
            developers=self._developers,
        )
        self.notify.settled = self._settled
        self._handoff.dispatch, self._handoff.notify, self._handoff.panel = self.dispatch, self.notify, self.panel

    def _run_all(self) -> None:
        for name, link in self.carriers.items():
            self._run(f"carrier {name}", link.run(self._report, self.dispatch.wake.set))
        for loop in (self.dispatch, self.notify, self.expire):
            self._run(type(loop).__name__.lower(), loop.run())
        self._run("links", self.links.run())
        self._run("heartbeat", self._beat())
        # Beside the heartbeat, which must not wait for a read.
        self._run("provisioning", self.provisioning.run())
        self._run("rates", self.panel.rates.run())

    def _attachments(self) -> Attachments:
        settings = self.settings
        return Attachments(
            self.media,
            self.fetcher,
            self.clock,
            public_url=settings.server.base_url,
            max_octets=settings.media.max_octets,
            limits={c.name: c.max_message_octets for c in settings.carriers if isinstance(c, Mm4Settings)},
            most_held=settings.queue.media_in_memory,
            released=lambda: self.dispatch.wake.set(),  # it is made after this
        )

    def _mm4(self, settings: Mm4Settings) -> Carrier:
        """Return an MM4 carrier that listens. Raises ConfigurationError without the extra, OSError as ``start``."""
        try:
            from passband.carriers.mm4.carrier import Mm4Carrier
        except ImportError as error:
            needs = f"carriers: {settings.name}: mm4 needs the extra: pip install 'passband[mm4]'"
            raise ConfigurationError([needs]) from error
        carrier = Mm4Carrier(
            settings.profile(),
            self.clock,
            is_ours=self._is_ours,
            receipts_for=self._mms_receipts,
            reuse_port=self._workers > 1,
        )
        carrier.receiver.listen()
        self._informed[carrier.name] = carrier.acknowledged
        return carrier

    def _carrier(self, settings: CarrierSettings) -> Carrier:
        if isinstance(settings, Mm4Settings):
            return self._mm4(settings)
        if isinstance(settings, SmppSettings):
            seed = random.Random()  # noqa: S311 - for references and waits
            carrier = SmppCarrier(settings.profile(), self.clock, seed, self._is_ours)
            self.rules.joins[carrier.name] = carrier.join
            if carrier.matched is not None:
                self.rules.matched[carrier.name] = carrier.matched
            return carrier
        assert isinstance(settings, SimulatorSettings)
        return SimulatorCarrier(
            settings.name,
            self.clock,
            random=random.Random(),  # noqa: S311 - references of a simulated network
            delay=settings.delay,
            rate=settings.rate,
            receipts=settings.receipts,
            receipt_window=settings.receipt_window,
            receipts_for=self._mms_receipts,
        )

    def _is_ours(self, number: str) -> bool:
        return self.rules.directory.number(number) is not None

    def _mms_receipts(self, recipient: Recipient) -> bool:
        account = self.rules.directory.account(recipient.message.account)
        return account is not None and account.mms_receipts

    async def _listen(self) -> None:
        settings = self.settings
        admin = create_admin(
            ready=lambda: self._ready,
            metrics=Metrics(self.counts, self.store, self._held, self.clock.now),
            panel=self.panel,
            more=console_routes(),
        )
        # Of two that ask for port 0 each has its own: the first one is bound by now, and is 0 no more.
        shared = settings.admin.listen == settings.server.listen
        app = create_app(
            authenticator=Authenticator(lambda: self.rules.directory),
            accept=self.accept,
            search=self.store.search,
            now=self.clock.now,
            public_url=settings.server.base_url,
            resources={"media": self._media_api()},
            mounts=[("", admin)] if shared else [],
            refused=self._count_refusal,
        )
        self._api.app = app
        limit = (lambda path: max(app.body_limit(path), body_limit(path))) if shared else app.body_limit
        self._api.body_limit = limit
        if not shared:
            host, port = settings.admin.listen
            port = port + self._worker if port else 0
            self.listeners.append(Listener(admin, host=host, port=port, body_limit=body_limit))
        for listener in self.listeners:
            await listener.start()

    def _media_api(self) -> Resource:
        settings = self.settings
        return media_resource(self.media, self.clock.now, settings.server.base_url, settings.media.max_octets)

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where the node listens: the HTTP API, and the admin API where it has an address of its own."""
        hosts = [self.settings.server.listen.host, self.settings.admin.listen.host]
        return [(host, listener.port) for host, listener in zip(hosts, self.listeners, strict=False)]

    def _settled(self, results: Sequence[Attempted]) -> None:
        """Let the panel know, and the carriers of inbound messages that an application has taken."""
        self.panel.settled(results)
        if self._informed:
            for result in results:
                callback = result.callback
                informed = self._informed.get(callback.carrier or "")
                if result.acknowledged and informed is not None and callback.kind is EventKind.RECEIVED:
                    informed(callback)

    async def _report(self, report: Report) -> None:
        await self.receive(report)
        self.panel.reported(report)

    def _count_refusal(self, status: int) -> None:
        self.counts["answers", str(status)] += 1

    def _held(self) -> Held:
        now = self.clock.now()
        rooms = {name: carrier.room(now) for name, carrier in self.carriers.items()}
        linked = {name: carrier for name, carrier in self.carriers.items() if isinstance(carrier, SmppCarrier)}
        links = [
            LinkHeld(
                name,
                link.place,
                link.bound_at is not None,
                link.pending,
                link.window,
                link.last_error,
                {counted: getattr(link, counted) for counted in LINK_COUNTERS},
            )
            for name, carrier in linked.items()
            for link in carrier.links()
        ]
        counted = {name: carrier.counts for name, carrier in linked.items()}
        refusals = {name: carrier.refusals.by_status for name, carrier in linked.items()}
        return Held(self.dispatch.held, self.notify.held, self.notify.health(), rooms, links, counted, refusals)

    def _holds_leases(self) -> bool:
        """Tell whether others still respect this node's leases: it may have been stopped for a while."""
        return time.monotonic() - self._beaten < LEASE_SECONDS

    async def _beat(self) -> None:
        while True:
            started = time.monotonic()
            try:
                if not await self.store.beat(self.clock.now()):
                    self.dispatch.forget()
                    self.notify.forget()
                    self.links.forget()
                self._beaten = started
                self._compare_machines()
            except StoreUnavailable as error:
                log.warning("the heartbeat waits for the store", cause=str(error))
            await asyncio.sleep(BEAT_SECONDS)

    def _compare_machines(self) -> None:
        """Say once that a folder for media is this machine's, where nodes run on others: it must be shared by all."""
        if not self._told_of_media and len(names := names_of_machines(self.store.hosts)) > 1:
            self._told_of_media = True
            log.warning("media are in a folder, other machines find them only if it is shared", machines=names)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("a part of the node ended", part=task.get_name(), exc_info=task.exception())
            self.failed.set()

    async def stop(self) -> None:
        """Stop accepting, finish what is in flight, give the leases back and close everything."""
        self._ready = False
        time = asyncio.get_running_loop().time
        until = time() + GRACE_SECONDS
        if self._tasks:  # none where an address could not be had
            self.panel.close()
        await asyncio.gather(self._stop_carriers(), *(listener.stop(GRACE_SECONDS) for listener in self.listeners))
        if self._tasks:
            # What the carriers have reported last is told as well, as far as there is time.
            await self.notify.drain(max(0.0, until - time()))
            await _cancel(self._tasks)
        await self.fetcher.close()
        await self.store.close()
        await self.media.close()

    async def _stop_carriers(self) -> None:
        """Give nothing more to the carriers; they report what they have."""
        await _cancel([task for task in self._tasks if task.get_name() in ("dispatch", "links")])
        await _cancel([task for task in self._tasks if task.get_name().startswith("carrier")])


def server_tls(settings: TlsSettings) -> ssl.SSLContext:
    """Return what the server's side of TLS needs. Raises ConfigurationError where the files are no certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError([f"server.tls: certificate and key cannot be used: {error}"]) from error
    return context


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
