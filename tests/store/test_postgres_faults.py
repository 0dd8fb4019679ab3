"""What goes wrong with a database: who is told, what is kept, and that the engine recovers by itself."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from passband.domain.errors import StoreUnavailable
from passband.domain.message import Kind
from passband.store import Charge
from passband.store.postgres import PostgresStore
from store.nodes import NOW, Node, Recorded, Stores, a_recipient, the_rules
from store.postgres_proxy import PORT, Proxy, proxy_before
from store.postgres_server import PostgresEngine

CHARGE = Charge("5500123", Kind.SMS, 1, 1000, 1.0)


@pytest.fixture
async def proxy(postgres: PostgresEngine) -> AsyncIterator[Proxy]:
    async with proxy_before(postgres.server.folder) as proxy:
        yield proxy


@pytest.fixture
async def stores(postgres: PostgresEngine, proxy: Proxy) -> AsyncIterator[Stores]:
    postgres.url += f"&port={PORT}"
    stores = Stores(postgres)
    yield stores
    proxy.refuse = proxy.cut_answers = False
    await stores.close()


@pytest.fixture
async def node(stores: Stores) -> Node:
    return await stores.open()


async def recovered(node: Node) -> None:
    """Return when the store is connected again, which nobody has to ask for."""
    async with asyncio.timeout(30):
        while True:
            try:
                await node.store.release((), ())
            except StoreUnavailable:
                await asyncio.sleep(0.01)
            else:
                return


def terminate(postgres: PostgresEngine) -> int:
    """Let the server end the connections that write, and wait until they have; return how many."""
    ended = postgres.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'passband'"
    )
    return len(ended)


async def waits_for_a_lock(postgres: PostgresEngine) -> None:
    async with asyncio.timeout(30):
        while not postgres.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'passband' AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.005)


async def test_a_connection_that_was_lost_while_it_was_idle_loses_nothing(postgres: PostgresEngine) -> None:
    stores = Stores(postgres)
    node = await stores.open()
    kept = a_recipient()
    await node.accept(kept)
    assert terminate(postgres) == 1
    await recovered(node)
    assert await node.store.beat(NOW)
    await node.store.release([kept], ())
    assert await node.lease() == [kept]
    await stores.close()


async def test_a_commit_that_is_cut_off_is_refused_and_not_kept(postgres: PostgresEngine, node: Node) -> None:
    await node.store.accept((), (), [CHARGE])
    with psycopg.connect(postgres.server.url(postgres.schema)) as holder:
        holder.execute("SELECT FROM queues FOR UPDATE")
        accepting = [asyncio.create_task(node.store.accept([a_recipient()], (), [CHARGE])) for _ in range(3)]
        await waits_for_a_lock(postgres)
        terminate(postgres)
        for result in await asyncio.gather(*accepting, return_exceptions=True):
            assert isinstance(result, StoreUnavailable)
    await recovered(node)
    assert node.births.recipients == []
    assert postgres.execute("SELECT count(*) FROM recipients") == [(0,)]
    recipient = a_recipient()
    await node.accept(recipient)
    assert node.births.recipients == [recipient]


async def test_a_commit_whose_answer_is_lost_is_refused_and_what_it_kept_is_found(
    stores: Stores, node: Node, proxy: Proxy
) -> None:
    """It was made, but nobody here knows: the node takes a new number, and its old one's rows are freed."""
    held, unknown = a_recipient(), a_recipient()
    await node.accept(held)
    proxy.cut_answers = True
    with pytest.raises(StoreUnavailable):
        await node.accept(unknown)
    proxy.cut_answers = False
    await recovered(node)
    assert node.births.recipients == [held]
    number = node.store.node
    assert not await node.store.beat(NOW)
    assert node.store.node != number
    assert await node.lease() == []
    assert await node.store.beat(NOW)
    assert await node.lease() == [held, unknown]


async def test_while_the_database_is_away_everyone_is_refused_at_once(node: Node, proxy: Proxy) -> None:
    proxy.refuse = True
    proxy.cut()
    for _ in range(3):
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable):
                await node.accept(a_recipient())
            with pytest.raises(StoreUnavailable):
                await node.store.depths()
    proxy.refuse = False
    await recovered(node)
    await node.accept(a_recipient())
    assert await node.store.depths() != []


async def test_a_database_that_cannot_be_reached_is_told_at_the_start(postgres: PostgresEngine, proxy: Proxy) -> None:
    proxy.refuse = True
    store = PostgresStore(postgres.url + f"&port={PORT}", the_rules(), Recorded())
    with pytest.raises(StoreUnavailable, match="cannot use the database"):
        await store.open(NOW)


async def test_too_many_connections_are_told_at_the_start(postgres: PostgresEngine) -> None:
    role = f"role_{postgres.schema}"
    postgres.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
    store = PostgresStore(postgres.url.replace("postgres@", f"{role}@"), the_rules(), Recorded())
    with pytest.raises(StoreUnavailable, match="cannot use the database"):
        await store.open(NOW)
    postgres.execute(f"DROP ROLE {role}")


async def test_a_user_who_may_not_make_tables_is_told_so_at_the_start(postgres: PostgresEngine) -> None:
    role = f"role_{postgres.schema}"
    postgres.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {postgres.schema} TO {role}")
    store = PostgresStore(postgres.url.replace("postgres@", f"{role}@"), the_rules(), Recorded())
    with pytest.raises(
        StoreUnavailable, match=f"^cannot use the database: permission denied for schema {postgres.schema}$"
    ):
        await store.open(NOW)
    postgres.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


# ── faults of a statement ──────────────────────────────────────────────────────────────────────────────────────────


def failing(postgres: PostgresEngine, sqlstate: str, times: int, table: str = "recipients") -> None:
    """Let as many insertions into a table fail with a state."""
    postgres.execute(f"""
        CREATE SEQUENCE failed;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('failed') <= {times} THEN
            RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '{sqlstate}';
          END IF;
          RETURN NULL;
        END $$;
        CREATE TRIGGER fails BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION fail()
    """)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"], ids=["serialization failure", "deadlock"])
async def test_a_conflict_is_tried_again(sqlstate: str, postgres: PostgresEngine, node: Node) -> None:
    failing(postgres, sqlstate, 3)
    recipient = a_recipient()
    await node.accept(recipient)
    assert node.births.recipients == [recipient]
    assert postgres.execute("SELECT count(*) FROM recipients") == [(1,)]


@pytest.mark.parametrize(
    ("sqlstate", "times"),
    [("40001", 100), ("53100", 1), ("53200", 1), ("57014", 1), ("55P03", 1), ("58030", 1), ("XX000", 1), ("25006", 1)],
    ids=["conflicts without end", "disk full", "out of memory", "statement timeout", "lock timeout", "disk failing",
         "database broken", "standby"],
)  # fmt: skip
async def test_a_fault_of_the_database_refuses_all_who_wait(
    sqlstate: str, times: int, postgres: PostgresEngine, node: Node
) -> None:
    failing(postgres, sqlstate, times)
    together = [node.accept(a_recipient()) for _ in range(5)]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 5
    assert postgres.execute("SELECT count(*) FROM recipients") == [(0,)]
    postgres.execute("DROP TRIGGER fails ON recipients")
    await node.accept(a_recipient())
    assert len(node.births.recipients) == 1


async def test_a_node_that_cannot_take_a_new_number_at_once_takes_it_later(
    postgres: PostgresEngine, node: Node, proxy: Proxy
) -> None:
    """With the old one it would hold for ever what it does not know that it holds."""
    unknown = a_recipient()
    proxy.cut_answers = True
    with pytest.raises(StoreUnavailable):
        await node.accept(unknown)
    proxy.cut_answers = False
    await recovered(node)
    failing(postgres, "57014", 1, "nodes")
    with pytest.raises(StoreUnavailable):
        await node.store.beat(NOW)
    assert not await node.store.beat(NOW)
    assert await node.store.beat(NOW)
    assert await node.lease() == [unknown]


async def test_a_faulty_operation_harms_no_other(node: Node) -> None:
    repeated = a_recipient()
    await node.accept(repeated)
    together = [node.accept(recipient) for recipient in (a_recipient(), repeated, a_recipient())]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), StoreUnavailable, type(None)]


@pytest.mark.slow
async def test_a_deadlock_with_another_client_is_resolved(postgres: PostgresEngine, stores: Stores) -> None:
    postgres.url += "%20-c%20deadlock_timeout%3D300ms"
    postgres.url = postgres.url.replace(f"&port={PORT}%20", "%20") + f"&port={PORT}"
    node = await stores.open()
    both = [Charge(account, Kind.SMS, 1, 1000, 1.0) for account in ("5500123", "5500999")]
    await node.store.accept((), (), both)
    async with await psycopg.AsyncConnection.connect(
        postgres.server.url(postgres.schema, deadlock_timeout="10s")
    ) as holder:
        await holder.execute("SELECT FROM queues WHERE account = '5500999' FOR UPDATE")
        accepting = asyncio.create_task(node.store.accept([a_recipient()], (), both))
        await waits_for_a_lock(postgres)
        await holder.execute("SELECT FROM queues WHERE account = '5500123' FOR UPDATE")
        await holder.commit()
        await accepting
    assert postgres.execute("SELECT queued FROM queues") == [(2,), (2,)]


# ── several nodes at once ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
async def test_receipts_and_outcomes_that_cross_between_nodes_never_miss_each_other(stores: Stores) -> None:
    nodes = [await stores.open() for _ in range(2)]
    recipients = [a_recipient() for _ in range(150)]
    await nodes[0].accept(*recipients)

    async def cross(number: int) -> None:
        recipient = recipients[number]
        outcome = nodes[0].hand_over(recipient, f"{number}")
        receipt = nodes[1].receipt(f"{number}")
        await asyncio.gather(*((outcome, receipt) if number % 2 else (receipt, outcome)))

    for first in range(0, 150, 10):
        await asyncio.gather(*(cross(number) for number in range(first, first + 10)))
    events = [event for node in nodes for event in node.events]
    assert events.count(("delivered", 0)) == 150
    assert await nodes[0].store.depths() == []


@pytest.mark.slow
async def test_receipts_of_one_messages_segments_on_two_nodes_decide_it_once(stores: Stores) -> None:
    nodes = [await stores.open() for _ in range(2)]
    recipients = [a_recipient(segment_count=2) for _ in range(100)]
    await nodes[0].accept(*recipients)
    for recipient in recipients:
        await nodes[0].hand_over(recipient, f"{recipient.message.id}a", f"{recipient.message.id}b")

    for recipient in recipients:
        await asyncio.gather(nodes[0].receipt(f"{recipient.message.id}a"), nodes[1].receipt(f"{recipient.message.id}b"))
    assert sum(node.events.count(("delivered", 0)) for node in nodes) == 100
    assert await nodes[0].store.depths() == []


async def test_a_silent_node_is_judged_by_the_databases_clock(postgres: PostgresEngine) -> None:
    """Whatever the nodes think the time is."""
    stores = [PostgresStore(postgres.url, the_rules(), Recorded()) for _ in range(2)]
    for store in stores:
        await store.open(NOW)
    await stores[0].accept([a_recipient()], (), ())
    assert await stores[1].beat(NOW + 1_000_000)
    assert await stores[0].beat(NOW - 1_000_000)
    postgres.execute(f"UPDATE nodes SET beat_at = beat_at - interval '11 seconds' WHERE node = {stores[0].node}")
    assert await stores[1].beat(NOW)
    assert not await stores[0].beat(NOW)
    for store in stores:
        await store.close()


@pytest.mark.parametrize(("ahead", "warnings"), [(0.0, 0), (60.0, 1), (-60.0, 1)])
async def test_a_clock_that_is_wrong_is_told_of_once(
    ahead: float, warnings: int, postgres: PostgresEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    store = PostgresStore(postgres.url, the_rules(), Recorded())
    await store.open(NOW)
    for _ in range(2):
        [(databases,)] = postgres.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        assert await store.beat(databases + ahead)
    await store.close()
    assert capsys.readouterr().out.count("the clocks of this machine and of the database differ") == warnings


async def test_a_node_that_was_out_of_touch_itself_gives_nobody_up(
    postgres: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the database was away for long every node seems silent to the first that comes back."""
    stores = [PostgresStore(postgres.url, the_rules(), Recorded()) for _ in range(2)]
    for store in stores:
        await store.open(NOW)
    postgres.execute("UPDATE nodes SET beat_at = beat_at - interval '60 seconds'")
    monkeypatch.setattr(stores[0], "_beaten", stores[0]._beaten - 60)
    assert await stores[0].beat(NOW)
    assert await stores[1].beat(NOW)
    for store in stores:
        await store.close()
