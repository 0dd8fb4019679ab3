"""The application in the system tests: it posts messages over real HTTP, and takes callbacks, not always gracefully."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import MappingProxyType

import aiohttp
from aiohttp import web

from system.installation import ACCOUNT, APPLICATION, AUTHORIZATION, SENDER, SENDER_TOO, Installation, Platform
from system.ledger import DELIVERED, FAILED, Fate, Ledger, Post

DELIVERS: Fate = (DELIVERED, 0)
LOSES_ITS_RECEIPT: Fate = (FAILED, 9902)
LOSES_TWO_ANSWERS: Fate = (FAILED, 5630)  # of the carrier's, to one segment: it is not submitted a third time

# What no text, tag or number of these tests is without, at its beginning and at its end.
MARK, MARK_END = "qz7Kestrel", "wren7zq"
ANSWER_SECONDS = 30.0  # however ill the store is: the longest that a stopped process keeps the others waiting

FICTION, HANDSETS = "+1919555", "+140877"

# What must be found nowhere: pieces of every text and tag, and of every number but our own.
MARKS = (MARK, MARK_END, FICTION, HANDSETS)


class Messages:
    """Draws messages of every kind, each with a tag, a text and numbers of its own."""

    def __init__(
        self,
        seed: int,
        *,
        crashes: bool = True,
        plain: bool = False,
        texts: bool = False,
        may: frozenset[Fate] = frozenset(),
    ) -> None:
        """With ``crashes`` a receipt that the simulated network held in its memory may be lost.

        With ``plain`` all of them are short, go to one handset each and are delivered. With ``texts`` all of them are
        such that SMPP can carry them and tell what became of them. What they ``may`` end with otherwise is forgiven.
        """
        self._kinds = {Messages._plain: 1} if plain else Messages._TEXTS if texts else Messages._KINDS
        self._random = random.Random(seed)
        self._numbers = itertools.count(seed % 1000)
        self._count = itertools.count()
        self._lost = may | {LOSES_ITS_RECEIPT} if crashes else may

    def draw(self) -> Post:
        make = self._random.choices(list(self._kinds), list(self._kinds.values()))[0]
        return make(self, self._lost)

    def text(self, length: int = 60) -> str:
        n = next(self._count)
        return f"{MARK}-{n}-".ljust(length, "x") + f"-{n}-{MARK_END}"

    def _post(self, *to: tuple[str, frozenset[Fate]], length: int = 60) -> Post:
        n = next(self._count)
        return Post(
            f"{MARK} tag {n} {MARK_END}", self.text(length), tuple(t for t, _ in to), tuple(fates for _, fates in to)
        )

    def _number(self) -> str:
        return f"{HANDSETS}{next(self._numbers) % 100_000:05d}"

    def _plain(self, lost: frozenset[Fate]) -> Post:
        return self._post((self._number(), lost | {DELIVERS}))

    def _long(self, lost: frozenset[Fate]) -> Post:
        return self._post((self._number(), lost | {DELIVERS}), length=400)

    def _group(self, lost: frozenset[Fate]) -> Post:
        sure = frozenset({DELIVERS})
        return self._post(
            (self._number(), sure), (f"{FICTION}4750", frozenset({(FAILED, 4750)})), (self._number(), sure)
        )

    def _failing(self, lost: frozenset[Fate]) -> Post:
        code = self._random.choice((4720, 4750, 4770))
        return self._post((f"{FICTION}{code}", lost | {(FAILED, code)}))

    def _rejected(self, lost: frozenset[Fate]) -> Post:
        # Receipts over SMPP have few words: most delivery error codes become another one on the way.
        return self._post((f"{FICTION}4750", lost | {(FAILED, 4750)}))

    def _receiptless(self, lost: frozenset[Fate]) -> Post:
        return self._post((f"{FICTION}9902", frozenset({LOSES_ITS_RECEIPT})))

    def _impossible(self, lost: frozenset[Fate]) -> Post:
        return self._post((f"{HANDSETS}", frozenset({(FAILED, 4303)})))

    def _on_net(self, lost: frozenset[Fate]) -> Post:
        return self._post((SENDER_TOO, frozenset({DELIVERS})))

    # How often each is drawn.
    _KINDS = MappingProxyType(
        {_plain: 70, _long: 8, _group: 6, _failing: 6, _receiptless: 1, _impossible: 4, _on_net: 5}
    )
    _TEXTS = MappingProxyType({_plain: 70, _long: 8, _rejected: 6, _impossible: 4, _on_net: 5})


@dataclass
class Manners:
    """How often, of a thousand callbacks, the endpoint answers otherwise than with 200 at once."""

    unavailable: int = 15
    slow: int = 20
    too_slow: int = 2
    closed: int = 8


class Application:
    """Posts what ``Messages`` draws, from several connections at once, and notes everything in the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        messages: Messages,
        *,
        manners: Manners | None = None,
        seed: int = 0,
        application: str = APPLICATION,
        sender: str = SENDER,
    ) -> None:
        self._application = application
        self._sender = sender
        self.ledger = ledger
        self.messages = messages
        self.manners = manners or Manners()
        self.answer = 200  # what a well-behaved answer is
        self.handsets = ""  # the URL of their network; empty: they are played on the platform's admin API
        self._random = random.Random(seed)
        self._endpoint = _Endpoint(self._callback)

    @property
    def port(self) -> int:
        return self._endpoint.port

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        await self._endpoint.start()
        try:
            yield
        finally:
            await self._endpoint.stop()

    # ── callbacks ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        now = time.monotonic()
        noted = self.ledger.note_events(await request.json(), now)
        manners, draw = self.manners, self._random.randrange(1000)
        if self.answer != 200 or (draw := draw - manners.unavailable) < 0:
            return web.Response(status=503 if self.answer == 200 else self.answer)
        if (draw := draw - manners.closed) < 0:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=200)
        if (draw := draw - manners.too_slow) < 0:
            await asyncio.sleep(Installation.CALLBACK_SECONDS + 0.5)
            return web.Response(status=200)
        if draw - manners.slow < 0:
            await asyncio.sleep(0.2)
        if request.transport is not None and not request.transport.is_closing():
            for one in noted:
                one.acknowledged_at = time.monotonic()
        return web.Response(status=200)

    # ── posting ────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def posting(self, platform: Platform, *, connections: int = 8, rate: float = 400) -> AsyncIterator[None]:
        """Keep posting as long as the context lasts, and let handsets send now and then."""
        connector = aiohttp.TCPConnector(limit=connections + 1)
        stop = asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, headers=AUTHORIZATION, timeout=timeout) as session:
            work = [self._post_until(stop, session, platform, connections / rate) for _ in range(connections)]
            tasks = [asyncio.create_task(one) for one in [*work, self._handsets(stop, session, platform)]]
            try:
                yield
            finally:
                stop.set()
                await asyncio.gather(*tasks)

    async def _post_until(
        self, stop: asyncio.Event, session: aiohttp.ClientSession, platform: Platform, pause: float
    ) -> None:
        while not stop.is_set():
            started = time.monotonic()
            if not await self.post(session, platform, self.messages.draw()):
                await asyncio.sleep(0.05)
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - started)))

    async def post(self, session: aiohttp.ClientSession, platform: Platform, post: Post) -> bool:
        """Post a message and note what came of it; return whether it was answered."""
        body = {
            "applicationId": self._application,
            "from": self._sender,
            "to": post.to,
            "text": post.text,
            "tag": post.tag,
        }
        try:
            async with session.post(f"{platform.api}/users/{ACCOUNT}/messages", json=body) as answer:
                if answer.status == 202:
                    self.ledger.promised[(await answer.json())["id"]] = post
                else:
                    self.ledger.refused[post.tag] = answer.status
                    if answer.status >= 500 and self.ledger.unsure:
                        self.ledger.uncertain[post.tag] = post
        except aiohttp.ClientConnectorError:
            return False  # nobody listens: nothing was sent
        except (aiohttp.ClientError, ConnectionError):
            self.ledger.uncertain[post.tag] = post
            return False
        return True

    async def _handsets(self, stop: asyncio.Event, session: aiohttp.ClientSession, platform: Platform) -> None:
        while not stop.is_set():
            await asyncio.sleep(0.04)
            text = self.messages.text()
            body = {"from": f"{HANDSETS}00001", "to": self._sender, "text": text}
            try:
                async with session.post(self.handsets or f"{platform.admin}/admin/inbound", json=body) as answer:
                    if answer.status in (200, 202):
                        self.ledger.inbound_promised.add(text)
                    elif answer.status == 503 and self.ledger.unsure:
                        self.ledger.inbound_uncertain.add(text)
                    elif answer.status != 503:
                        raise AssertionError(f"an inbound message was answered with {answer.status}")
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, ConnectionError):
                self.ledger.inbound_uncertain.add(text)


class _Endpoint:
    def __init__(self, handler: Callable[[web.Request], object]) -> None:
        application = web.Application()
        application.router.add_post("/{path:.*}", handler)  # type: ignore[arg-type]
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)

    async def start(self) -> None:
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()

    @property
    def port(self) -> int:
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()
