"""A whole node's verbs on a real SQLite store, a fake clock, a scripted carrier and a scripted endpoint."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passband.carriers import Carrier
from passband.carriers.onnet import OnNetCarrier
from passband.counts import Counts
from passband.domain.account import Account, Application, Directory, Number
from passband.domain.event import Callback
from passband.domain.message import IdSource, Message, NewMessage, Recipient
from passband.domain.report import Report
from passband.domain.routing import ON_NET, Router
from passband.domain.rules import Rules
from passband.fetch import Fetcher
from passband.flow.accept import Accept, References
from passband.flow.attachments import Attachments
from passband.flow.dispatch import Dispatch
from passband.flow.expire import Expire
from passband.flow.notify import Notify
from passband.flow.receive import Receive
from passband.media import MAX_OCTETS, once, open_media
from passband.store.sqlite import SqliteStore
from passband.testing import FakeClock, ScriptedCarrier, ScriptedPoster

APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
SENDER = "+19195550117"
RECIPIENT = "+14085550142"
PUBLIC = "https://messaging.example.net"
PICTURE = f"{PUBLIC}/users/5500123/media/a.png"


@dataclass
class World:
    """One node. ``settle`` lets everything that can happen at this moment of the clock happen."""

    path: Path
    account: Account
    clock: FakeClock = field(default_factory=FakeClock)
    carrier: ScriptedCarrier = field(default_factory=ScriptedCarrier)
    poster: ScriptedPoster = field(default_factory=ScriptedPoster)
    counts: Counts = field(default_factory=Counts)
    concurrency: int = 4

    async def start(self) -> None:
        self.rules = Rules(Directory([self.account]))
        self.store = SqliteStore(self.path, self.rules, self)
        self.media = open_media(f"file:{self.path.parent / 'media'}")
        self.fetcher = Fetcher(allow_private_networks=False)
        self.attachments = Attachments(
            self.media, self.fetcher, self.clock, public_url=PUBLIC, max_octets=MAX_OCTETS, limits={}
        )
        self.receive = Receive(self.store, self.clock, self.counts, settled=self.attachments.settled)
        self.on_net = OnNetCarrier(clock=self.clock)
        carriers: dict[str, Carrier] = {self.carrier.name: self.carrier, ON_NET: self.on_net}
        router = Router({self.carrier.name: self.carrier.kinds})
        ids = IdSource(random.Random(7).getrandbits)
        references = References(random.Random(8).getrandbits)
        self.accept = Accept(self.store, self.rules, router, self.clock, ids, references, self.counts)
        self.dispatch = Dispatch(
            self.store, self.rules, carriers, self.clock, self.counts, attachments=self.attachments
        )
        self.notify = Notify(
            self.store, self.rules, self.poster, self.clock, self.counts,
            concurrency=self.concurrency, jitter=lambda: 0.5,
        )  # fmt: skip
        self.expire = Expire(self.store, self.media, self.clock, self.counts)
        self._barriers = 0
        await self.store.open(self.clock.now())
        await self.media.put(
            "5500123", "a.png", once(b"PNG"), content_type="image/png", cache_control=None, now=self.clock.now()
        )
        self._on_net_runs = asyncio.create_task(self.on_net.run(self.receive, self.dispatch.wake.set))

    async def stop(self) -> None:
        self._on_net_runs.cancel()
        await asyncio.wait([self._on_net_runs])
        await self.store.close()
        await self.fetcher.close()
        await self.media.close()

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return self.dispatch.room_for_recipients(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return self.notify.room_for_callbacks(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        self.dispatch.take_recipients(recipients)

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.notify.take_callbacks(callbacks)

    async def send(self, text: str = "hello", **fields: Any) -> Message:
        """Accept one message; what is not given is an ordinary SMS."""
        new = NewMessage(**{"application": APPLICATION, "sender": SENDER, "to": (RECIPIENT,), "text": text, **fields})
        return await self.accept(self.account, new)

    async def report(self, report: Report) -> None:
        await self.receive(report)

    async def settle(self) -> None:
        """Step the verbs until nothing more happens at this moment."""
        quiet = 0
        while quiet < 2:
            before = self._progress()
            await self.dispatch.step(self.clock.now())
            await self.dispatch.idle()
            for _ in range(5):  # what was answered with call_soon, and the on-net carrier's report
                await asyncio.sleep(0)
            await self.store.release([], [])  # whatever was under way is committed when this is
            self._barriers += 1
            await self.notify.step(self.clock.now())
            await self.notify.settle()
            quiet = quiet + 1 if before == self._progress() else 0

    def _progress(self) -> tuple[int, int, float]:
        operations = self.store.statistics()["operations"] - self._barriers
        return len(self.carrier.submitted), len(self.poster.requests), operations

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.settle()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event that was posted, in order, repeats included."""
        return [json.loads(request.body)[0] for request in self.poster.requests]

    def told(self, event: Mapping[str, Any]) -> tuple[str, str, int]:
        return event["type"], event["to"], event.get("errorCode", 0)


def an_account(*, application: Mapping[str, Any] | None = None, **fields: Any) -> Account:
    """Return an account with an application and two numbers."""
    urls = {"inbound_url": "http://app.example/in", "outbound_url": "http://app.example/status"}
    numbers = {
        number: Number(number, "5500123", APPLICATION) for number in (SENDER, "+19195550118", "+18005550100", "72345")
    }
    return Account(
        **{
            "id": "5500123",
            "applications": {APPLICATION: Application(APPLICATION, **{**urls, **(application or {})})},
            "numbers": numbers,
            **fields,
        }
    )
