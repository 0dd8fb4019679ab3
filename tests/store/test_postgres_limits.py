"""Rows of limits on PostgreSQL: one for each account, found at once and written once, whoever else reads or writes."""

import asyncio
import re

import psycopg
import pytest

from passband.domain.errors import QueueFull
from passband.domain.message import Kind
from passband.store import Charge, Pace
from passband.store.postgres_hosts import SESSION
from passband.store.postgres_pipe import Q
from store.nodes import NOW, Stores
from store.postgres_server import PostgresEngine

ACCOUNTS = [f"5500{n}" for n in range(100, 110)]


async def test_nodes_that_use_limits_for_the_first_time_at_once_make_one_of_each(postgres: PostgresEngine) -> None:
    """Nothing in the database says that there must not be two."""
    stores = Stores(postgres)
    nodes = [await stores.open() for _ in range(3)]
    for account in ACCOUNTS:
        calls = [node.store.accept((), (), [Charge(account, Kind.SMS, 2, 100, 100)]) for node in nodes]
        await asyncio.gather(*calls, *(node.store.reserve([Pace(account, "sms", 1, 1, 1)], NOW) for node in nodes))
    await stores.close()
    assert postgres.execute("SELECT account, queued FROM queues ORDER BY account") == [(a, 6) for a in ACCOUNTS]
    assert postgres.execute("SELECT account, used_at FROM paces ORDER BY account") == [(a, NOW + 3) for a in ACCOUNTS]


async def test_nothing_is_lost_between_nodes_that_change_the_same_rows_all_the_time(postgres: PostgresEngine) -> None:
    stores = Stores(postgres)
    nodes = [await stores.open() for _ in range(2)]

    async def use(place: int) -> None:
        for turn in range(40):
            accounts = ACCOUNTS[:2] if (turn + place) % 2 else ACCOUNTS[1::-1]
            await nodes[place].store.accept((), (), [Charge(a, Kind.SMS, 1, 1000, 1000) for a in accounts])
            await nodes[place].store.reserve([Pace(a, "sms", 1, 1, 1) for a in accounts], NOW)

    await asyncio.gather(use(0), use(1))
    await stores.close()
    assert postgres.execute("SELECT queued FROM queues") == [(80,), (80,)]
    assert postgres.execute("SELECT used_at FROM paces") == [(NOW + 80,), (NOW + 80,)]


async def test_a_commit_writes_one_version_of_a_limit_and_none_where_nothing_changes(postgres: PostgresEngine) -> None:
    stores = Stores(postgres)
    node = await stores.open()
    for _ in range(5):
        await node.store.accept((), (), [Charge("5500123", Kind.SMS, 2, 10, 10)])
        await node.store.reserve([Pace("5500123", "sms", 1, 1, 1)], NOW)
    with pytest.raises(QueueFull):
        await node.store.accept((), (), [Charge("5500123", Kind.SMS, 2, 10, 10)])
    await stores.close()
    for table in ("queues", "paces"):  # the place in the page: one for its birth, one for each commit
        assert postgres.execute(f"SELECT ctid::text FROM {table}") == [("(0,6)",)]


@pytest.mark.slow
async def test_a_limit_costs_the_same_however_many_versions_a_reader_keeps(postgres: PostgresEngine) -> None:
    """A dump that runs for an hour keeps hundreds of thousands."""
    stores = Stores(postgres)
    node = await stores.open()
    await node.store.reserve([Pace("5500123", "sms", 1, 1, 1)], NOW)
    with (
        psycopg.connect(postgres.url) as reader,
        psycopg.connect(postgres.url, autocommit=True, cursor_factory=psycopg.RawCursor) as writer,
    ):
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM paces")
        writer.execute(SESSION.encode())
        for _ in range(1500):
            ((account, key, turn, used_at),) = writer.execute(Q["hold_paces"].encode(), (["5500123"], ["sms"]))
            writer.execute(Q["put_paces"].encode(), ([account], [key], [turn], [used_at]))
        assert await node.store.reserve([Pace("5500123", "sms", 1, 1, 1)], NOW) == [NOW + 1]
        explain = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {Q['hold_paces']}".encode()
        plan = "\n".join(line for (line,) in writer.execute(explain, (["5500123"], ["sms"])))
    await stores.close()
    assert int(re.findall(r"Buffers: shared hit=(\d+)", plan)[0]) < 10  # pages, of dozens
