"""A node as far as a carrier sees it: a real SQLite store, dispatch and receive, and the SMPP carrier over TCP."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from carriers.collector import SENDER, a_message
from carriers.smpp_pair import FastClock, settings
from carriers.told import ACCOUNT
from passband.carriers import Carrier
from passband.carriers.smpp import SmppCarrier
from passband.clock import Clock
from passband.counts import Counts
from passband.domain.account import Directory
from passband.domain.event import Callback
from passband.domain.message import IdSource, Message, Recipient
from passband.domain.rules import Rules
from passband.fetch import Fetcher
from passband.flow.attachments import Attachments
from passband.flow.dispatch import Dispatch
from passband.flow.links import Links
from passband.flow.receive import Receive
from passband.media import open_media
from passband.service import BEAT_SECONDS, LEASE_SECONDS
from passband.store.sqlite import SqliteStore

__all__ = ["SENDER", "SmppNode", "running_node"]


class SmppNode:
    """One node with one carrier."""

    def __init__(self, path: Path, port: int, clock: Clock, *, shared: bool = False, **changes: Any) -> None:
        """``shared``: the carrier's binds are shared with other nodes on the same store."""
        self.clock = clock
        self.callbacks: list[Callback] = []
        self.rules = Rules(Directory([ACCOUNT]))
        self.store = SqliteStore(path, self.rules, self)
        self.carrier = SmppCarrier(settings(port, **changes), clock, Random(1))
        self.rules.joins[self.carrier.name] = self.carrier.join
        if self.carrier.matched is not None:
            self.rules.matched[self.carrier.name] = self.carrier.matched
        self._media = open_media(f"file:{path.parent / 'media'}")
        self._fetcher = Fetcher(allow_private_networks=False)
        carriers: dict[str, Carrier] = {self.carrier.name: self.carrier}
        attachments = Attachments(
            self._media, self._fetcher, clock, public_url="https://passband.example", max_octets=1, limits={}
        )
        self._beats = True
        self._beaten = clock.now()
        linked = {self.carrier.name: self.carrier} if shared else {}
        self.links = Links(self.store, linked, clock, holds_leases=self._holds_leases)
        self.dispatch = Dispatch(
            self.store,
            self.rules,
            carriers,
            clock,
            Counts(),
            attachments=attachments,
            holds_leases=self._holds_leases if shared else lambda: True,
            reachable=self.links.reachable,
        )
        self._shared = shared
        self._receive = Receive(self.store, clock, Counts())
        self._ids = IdSource(Random(7).getrandbits)

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return self.dispatch.room_for_recipients(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return [True] * len(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        self.dispatch.take_recipients(recipients)

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks += callbacks

    async def start(self) -> None:
        await self.store.open(self.clock.now())
        self._beaten = self.clock.now()
        await self.links.step(self.clock.now())
        self._tasks = [
            asyncio.create_task(self.carrier.run(self._receive, self.dispatch.wake.set)),
            asyncio.create_task(self.dispatch.run()),
        ]
        if self._shared:
            self._tasks += [asyncio.create_task(self.links.run()), asyncio.create_task(self._beat())]

    def _holds_leases(self) -> bool:
        return self.clock.now() - self._beaten < LEASE_SECONDS

    async def _beat(self) -> None:
        while True:
            if self._beats:
                if not await self.store.beat(self.clock.now()):
                    self.dispatch.forget()
                    self.links.forget()
                self._beaten = self.clock.now()
            await self.clock.rest(asyncio.Event(), self.clock.now() + BEAT_SECONDS)

    async def until_beaten(self) -> None:
        """Return when the heartbeat has kept up with a clock that was moved: else the node holds nothing any more."""
        async with asyncio.timeout(30):
            while self.clock.now() - self._beaten > BEAT_SECONDS:
                await asyncio.sleep(0.0005)

    def fall_silent(self) -> None:
        """Beat no more, as a node that cannot reach the store."""
        self._beats = False

    def speak_again(self) -> None:
        self._beats = True

    async def stop(self) -> None:
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._fetcher.close()
        await self._media.close()
        await self.store.close()

    async def send(self, count: int, said: str = "hello", number: str = "+14085550142") -> list[Message]:
        """Accept so many messages, each with a text of its own."""
        messages = []
        for place in range(count):
            id_, created_at = self._ids.next(self.clock.now())
            message = a_message(number, text=f"{said} {place}")
            messages.append(_replaced(message, id=id_, created_at=created_at))
        await self.store.accept([Recipient(m, 0, self.carrier.name) for m in messages], [], [])
        return messages

    def events(self) -> dict[str, list[tuple[str, int]]]:
        """What was told of each message."""
        told = defaultdict(list)
        for callback in self.callbacks:
            told[callback.message.id].append((callback.kind.value, callback.code))
        return told

    async def until_told(self, count: int, seconds: float = 20.0) -> None:
        """Return when so many messages have their terminal event."""
        async with asyncio.timeout(seconds):
            while len(self.callbacks) < count:
                await asyncio.sleep(0.005)


def _replaced(message: Message, **changes: Any) -> Message:
    return msgspec.structs.replace(message, **changes)


@asynccontextmanager
async def running_node(
    path: Path, port: int, clock: Clock | None = None, *, shared: bool = False, **changes: Any
) -> AsyncIterator[SmppNode]:
    node = SmppNode(path, port, clock or FastClock(), shared=shared, **changes)
    await node.start()
    try:
        yield node
    finally:
        with suppress(asyncio.CancelledError):
            await node.stop()
