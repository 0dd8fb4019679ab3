"""Every conformance test runs on every engine: ``stores`` opens nodes on one database of that engine."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from store.nodes import Engine, Node, SqliteEngine, Stores
from store.postgres_server import PostgresEngine, Server, postgres, postgres_server

__all__ = ["postgres", "postgres_server"]  # fixtures


@pytest.fixture(params=["sqlite", "postgres"])
def new_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes empty databases of one engine, each apart from the others."""
    if request.param == "sqlite":
        numbers = itertools.count()
        yield lambda: SqliteEngine(tmp_path / f"{next(numbers)}" / "passband.db")
        return
    server: Server = request.getfixturevalue("postgres_server")
    engines: list[PostgresEngine] = []

    def new() -> Engine:
        engines.append(PostgresEngine(server, server.take()))
        return engines[-1]

    yield new
    for engine in engines:
        (server.drop if engine.altered else server.give_back)(engine.schema)


@pytest.fixture
async def stores(new_engine: Callable[[], Engine]) -> AsyncIterator[Stores]:
    stores = Stores(new_engine())
    yield stores
    await stores.close()


@pytest.fixture
async def node(stores: Stores) -> Node:
    return await stores.open()


@pytest.fixture
async def other(stores: Stores, node: Node) -> Node:
    return await stores.open()
