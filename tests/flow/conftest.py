from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flow.world import World, an_account
from passband.domain.account import Account

MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    worlds = []

    async def make(account: Account | None = None, **fields: Any) -> World:
        world = World(tmp_path / "passband.db", account or an_account(), **fields)
        await world.start()
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.stop()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()
