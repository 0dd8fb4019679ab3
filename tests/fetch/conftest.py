"""Real servers on the loopback, and fetchers to send at them, on both event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
import uvloop

from fetch.peers import Behaviour, MakeFetcher, MakePeer, Peer, Post, answering
from passband.fetch import Fetcher, Request, Response


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test of this folder on the loop of production, and on that of the standard library."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
async def make_peer() -> AsyncIterator[MakePeer]:
    peers: list[Peer] = []

    async def make(behaviour: Behaviour | bytes, tls: ssl.SSLContext | None = None) -> Peer:
        peer = Peer(answering(behaviour) if isinstance(behaviour, bytes) else behaviour)
        await peer.start(tls)
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        await peer.stop()


@pytest.fixture
async def make_fetcher() -> AsyncIterator[MakeFetcher]:
    """Make fetchers that may go to the loopback and know the names that end in .example by heart."""
    fetchers: list[Fetcher] = []

    def lookup(host: str) -> Sequence[str]:
        return ["127.0.0.1"] if host.endswith(".example") else []

    def make(**options: Any) -> Fetcher:
        fetcher = Fetcher(**{"allow_private_networks": True, "lookup": lookup, **options})
        fetchers.append(fetcher)
        return fetcher

    yield make
    for fetcher in fetchers:
        await fetcher.close()


@pytest.fixture
def post() -> Post:
    """Send one request, and prove that ``done`` is called once and not from inside ``post``."""

    async def send(
        fetcher: Fetcher,
        url: str,
        body: bytes = b"[]",
        headers: tuple[str, ...] = (),
        timeout: float = 5.0,
    ) -> Response:
        responses: list[Response] = []
        arrived = asyncio.Event()

        def done(response: Response) -> None:
            responses.append(response)
            arrived.set()

        fetcher.post(Request(url, body, headers, timeout), done)
        assert not responses
        await asyncio.wait_for(arrived.wait(), timeout + 5)
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(responses) == 1
        return responses[0]

    return send
