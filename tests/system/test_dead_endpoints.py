"""One application's endpoint hangs; another application's callbacks come as before."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from system.application import Application, Manners, Messages
from system.conftest import MakePlay
from system.installation import AUTHORIZATION, OTHER_APPLICATION, OTHER_SENDER, SIMULATOR, Installation
from system.ledger import Ledger
from system.play import Play
from system.waiting import Latency, until

OTHER = f"""
[[accounts.applications]]
id = "{OTHER_APPLICATION}"
callback_url = "http://127.0.0.1:{{port}}/"
[[accounts.numbers]]
number = "{OTHER_SENDER}"
application = "{OTHER_APPLICATION}"
"""


@contextlib.asynccontextmanager
async def hanging_endpoint() -> AsyncIterator[int]:
    """Accept every connection, read everything and answer nothing; yield the port."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            await reader.read()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def callback_latency(play: Play, installation: Installation, posts: int = 200) -> Latency:
    """From the POST to the last event of each message, in seconds."""
    posted: dict[str, float] = {}
    first = len(play.ledger.told)
    async with aiohttp.ClientSession(headers=AUTHORIZATION) as session:
        for _ in range(posts):
            post = play.application.messages.draw()
            posted[post.tag] = time.monotonic()
            assert await play.application.post(session, installation, post)
            await asyncio.sleep(0.008)
    await until(lambda: play.ledger.missing == 0, 10, lambda: play.ledger.summary)
    came = {one.tag: one.came_at for one in play.ledger.told[first:] if one.tag}
    return Latency.of([came[tag] - at for tag, at in posted.items()])


@pytest.mark.slow
async def test_an_endpoint_that_hangs_delays_nobody_else(make_play: MakePlay) -> None:
    play = make_play(crashes=False, plain=True, manners=Manners(0, 0, 0, 0))
    carrier = SIMULATOR.replace("delay = 0.1", "delay = 0")
    async with (
        hanging_endpoint() as port,
        play.running(carrier=carrier, more=OTHER.format(port=port)) as installation,
    ):
        alone = await callback_latency(play, installation)
        other = Application(Ledger(), Messages(1, plain=True), application=OTHER_APPLICATION, sender=OTHER_SENDER)
        for _ in range(3):  # the machine may be busy with something else
            async with other.posting(installation, rate=200):
                await asyncio.sleep(0.5)
                beside = await callback_latency(play, installation)
            print(alone, beside)
            if beside.is_as(alone):
                break
        assert len(other.ledger.promised) > 200
        assert beside.is_as(alone)
        assert play.ledger.faults() == []
