"""The command against the real API and a real store: what waiting promises follows from how the search behaves."""

import asyncio
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from flow.world import APPLICATION, RECIPIENT, World, an_account
from passband.api.app import create_app
from passband.api.auth import Authenticator
from passband.api.server import Listener
from passband.domain.account import User
from passband.domain.report import Accepted, Rejected
from passband.send import DONE, FAILED, SendOptions, send
from passband.testing import ScriptedPoster, answered


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "passband.db", an_account(users=(User("demo", "demo"),)))
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    authenticator = Authenticator(lambda: world.rules.directory)
    app = create_app(
        authenticator=authenticator,
        accept=world.accept,
        search=world.store.search,
        now=world.clock.now,
        public_url="http://127.0.0.1",
    )
    listener = Listener(app)
    await listener.start()
    yield f"http://127.0.0.1:{listener.port}/api/v2"
    await listener.stop()
    authenticator.close()


async def run(world: World, url: str, outcome: Accepted | Rejected) -> tuple[int, str]:
    """Send and wait; between two looks everything happens that can, and at the second the carrier speaks."""
    out = StringIO()
    loop = asyncio.get_running_loop()
    looks = iter(range(100))

    async def go_on() -> None:
        if next(looks):
            await world.report(world.carrier.take(lambda recipient: outcome))
        await world.settle()

    def pause(seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(go_on(), loop).result()

    options = SendOptions(to=(RECIPIENT,), application=APPLICATION, text="hello", url=url, wait=True)
    console = Console(file=out, highlight=False)
    code = await asyncio.to_thread(send, options, console, pause, console)
    return code, out.getvalue()


async def test_a_message_whose_event_was_acknowledged_is_over(world: World, url: str) -> None:
    code, printed = await run(world, url, Accepted(("ref",), None))
    assert code == DONE
    assert "QUEUED" in printed
    assert "over: the application took its last event" in printed
    assert [event["type"] for event in world.events] == ["message-delivered"]


async def test_a_message_whose_event_still_waits_tells_how_it_ended(world: World, url: str) -> None:
    world.poster.answer = ScriptedPoster(lambda request: answered(503)).answer
    code, printed = await run(world, url, Rejected(4720))
    assert code == FAILED
    assert "FAILED  4720 invalid-destination-address" in printed
