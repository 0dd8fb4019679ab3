import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from api.service import Service
from passband.api.limits import Limits
from passband.domain.account import User

Start = Callable[..., Awaitable[Service]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run everything here on both event loops: their transports differ where a connection ends."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a service; with ``limits``, ``tls`` (server and client context) and ``users`` where a test needs others."""
    running: list[Service] = []

    async def begin(
        *,
        limits: Limits | None = None,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
        users: tuple[User, ...] = (User("demo", "secret"),),
        **more: Any,
    ) -> Service:
        service = Service(limits, tls, users, **more)
        await service.listener.start()
        running.append(service)
        return service

    yield begin
    for service in running:
        await service.stop()


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()
