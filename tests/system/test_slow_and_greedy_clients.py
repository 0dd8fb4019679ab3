"""Clients that hold connections, dawdle or send without end, against the real process: nobody else notices."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from system.application import Manners
from system.conftest import MakePlay
from system.installation import AUTHORIZATION, Installation, open_files
from system.play import Play
from system.waiting import Latency

IDLE, DAWDLING, ENDLESS = 10_000, 500, 4
MOST_MEGABYTES = 250

Attack = Callable[[Installation], contextlib.AbstractAsyncContextManager[None]]


def connected(installation: Installation) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", installation.api_port), timeout=5)
    one.setblocking(False)
    return one


def is_closed(one: socket.socket) -> bool:
    """Whether the other side has answered, which is the end of it: it never gets a request."""
    try:
        return one.recv(65536) is not None
    except BlockingIOError:
        return False


@contextlib.asynccontextmanager
async def idle(installation: Installation) -> AsyncIterator[None]:
    """Connections that never send anything."""
    with contextlib.ExitStack() as sockets:
        for n in range(min(IDLE, open_files(IDLE + 1000) - 1000)):
            sockets.enter_context(connected(installation))
            if n % 100 == 0:
                await asyncio.sleep(0)
        yield


@contextlib.asynccontextmanager
async def dawdling(installation: Installation) -> AsyncIterator[None]:
    """Clients that send a byte of a request in every second."""
    request = b"POST /api/v2/users/5500123/messages HTTP/1.1\r\nHost: passband.test\r\nX-Slow: " + b"x" * 1000
    sockets = [connected(installation) for _ in range(DAWDLING)]

    async def dawdle() -> None:
        for n in range(len(request)):
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.send(request[n : n + 1])
            await asyncio.sleep(1)

    task = asyncio.create_task(dawdle())
    try:
        yield
    finally:
        task.cancel()
        for one in sockets:
            one.close()


@contextlib.asynccontextmanager
async def endless_headers(installation: Installation) -> AsyncIterator[None]:
    """Clients whose headers never end, and that come again when they are thrown out."""

    async def send() -> None:
        while True:
            with connected(installation) as one, contextlib.suppress(OSError):
                one.send(b"POST / HTTP/1.1\r\n")
                while not is_closed(one):
                    with contextlib.suppress(BlockingIOError):
                        one.send(b"X-Header: " + b"x" * 1000 + b"\r\n")
                    await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(send()) for _ in range(ENDLESS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def latency(play: Play, installation: Installation, posts: int = 200) -> Latency:
    """How long a client waits for its 202 that posts one message after the other, and connects anew for every tenth."""
    seconds = []
    for _ in range(posts // 10):
        async with aiohttp.ClientSession(headers=AUTHORIZATION) as session:
            for _ in range(10):
                started = time.monotonic()
                assert await play.application.post(session, installation, play.application.messages.draw())
                seconds.append(time.monotonic() - started)
                await asyncio.sleep(0.002)
    return Latency.of(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [idle, dawdling, endless_headers])
async def test_another_client_is_answered_as_before(make_play: MakePlay, attack: Attack) -> None:
    play = make_play(crashes=False, plain=True, manners=Manners(0, 0, 0, 0))
    async with play.running(files=IDLE + 1000) as installation:
        for _ in range(3):  # the machine may be busy with something else
            before = await latency(play, installation)
            async with attack(installation):
                during = await latency(play, installation)
                memory = installation.megabytes
            print(before, during, f"{memory:.0f} MB")
            assert memory < MOST_MEGABYTES
            if during.is_as(before):
                break
        assert during.is_as(before)
        assert await play.judge(installation, found_nowhere=()) == []
