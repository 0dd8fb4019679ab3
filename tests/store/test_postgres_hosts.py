"""Which of several servers is used: the one that was promoted last, and none that is older than one known before."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from passband.domain.errors import StoreUnavailable
from passband.store import postgres_hosts, postgres_link
from passband.store.postgres import PostgresStore
from passband.store.postgres_hosts import Hosts, Session
from store.nodes import NOW, Recorded, a_recipient, the_rules
from store.postgres_proxy import PORT, Proxy, proxy_before
from store.postgres_server import PostgresEngine

NEWER = 99  # a timeline that no server of these tests writes on


@pytest.fixture
def hosts(postgres: PostgresEngine) -> Hosts:
    return Hosts(postgres.url)


@contextlib.asynccontextmanager
async def connected(hosts: Hosts) -> AsyncIterator[Session]:
    session = await hosts.connect("passband")
    try:
        yield session
    finally:
        await session.close()


@contextlib.contextmanager
def ended_afterwards(session: Session, postgres: PostgresEngine) -> Iterator[None]:
    """End what the server still does for a connection that was cut: it would keep vacuums from later tests' rows."""
    pid = session.info.backend_pid
    yield
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")


async def answers(session: Session) -> bool:
    return await (await session.execute("SELECT 1")).fetchall() == [(1,)]


async def test_a_primary_that_is_older_than_one_known_before_is_refused(hosts: Hosts) -> None:
    async with connected(hosts) as session:
        assert hosts.timeline == session.timeline == 1
    hosts.timeline = NEWER
    with pytest.raises(psycopg.OperationalError, match=f"is an old primary: it writes on timeline 1, .* on {NEWER}$"):
        await hosts.connect("passband")


async def test_a_server_that_does_not_tell_its_timeline_is_taken_as_it_comes(
    postgres: PostgresEngine, hosts: Hosts
) -> None:
    role = f"role_{postgres.schema}"
    postgres.execute(f"CREATE ROLE {role} LOGIN; REVOKE EXECUTE ON FUNCTION pg_walfile_name FROM PUBLIC")
    try:
        async with connected(Hosts(postgres.url.replace("postgres@", f"{role}@"))) as session:
            assert session.timeline == 0
            assert await answers(session)
    finally:
        postgres.execute(f"GRANT EXECUTE ON FUNCTION pg_walfile_name TO PUBLIC; DROP ROLE {role}")


async def test_connections_to_the_old_primary_are_given_up_once_a_newer_one_is_known(postgres: PostgresEngine) -> None:
    """Whichever of this node's connections found it."""
    store = PostgresStore(postgres.url, the_rules(), Recorded())
    await store.open(NOW)
    assert await store.depths() == []
    store._hosts.timeline = NEWER
    with pytest.raises(StoreUnavailable, match="no connection"):
        await store.accept([a_recipient()], (), ())
    with pytest.raises(StoreUnavailable, match="old primary"):
        await store.depths()
    assert postgres.execute("SELECT count(*) FROM recipients") == [(0,)]
    await store.close()


# ── an answer that is late ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LATE_SECONDS", "LOOK_SECONDS", "GRACE_SECONDS"):
        monkeypatch.setattr(postgres_hosts, name, 0.02)


@pytest.mark.usefixtures("soon")
async def test_a_late_answer_costs_no_connection_while_no_other_server_has_taken_over(hosts: Hosts) -> None:
    async with connected(hosts) as session:
        with hosts.answering(session):
            await session.execute("SELECT pg_sleep(0.2)")
        assert await answers(session)


@pytest.mark.usefixtures("soon")
async def test_a_late_answer_is_not_waited_for_once_another_server_has_taken_over(
    postgres: PostgresEngine, hosts: Hosts
) -> None:
    async with connected(hosts) as session:
        hosts.timeline = NEWER
        with (
            ended_afterwards(session, postgres),
            pytest.raises(psycopg.OperationalError),
            hosts.answering(session),
        ):
            await asyncio.wait_for(session.execute("SELECT pg_sleep(60)"), 10)


@pytest.fixture
async def standby(postgres: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A proxy stands for another server; as long as it refuses, it takes no writes. It is on a newer timeline."""

    async def timeline(session: Session) -> int:
        return 1 + session.place

    monkeypatch.setattr(postgres_hosts, "_timeline", timeline)
    async with proxy_before(postgres.server.folder) as proxy:
        proxy.refuse = True
        yield proxy


def both(postgres: PostgresEngine) -> str:
    folder = postgres.server.folder
    return f"{postgres.url}&host={folder},{folder}&port=5432,{PORT}"


@pytest.mark.usefixtures("soon")
async def test_a_late_answer_makes_it_look_at_the_other_servers(postgres: PostgresEngine, standby: Proxy) -> None:
    hosts = Hosts(both(postgres))
    async with connected(hosts) as session:
        asyncio.get_running_loop().call_later(0.1, setattr, standby, "refuse", False)
        with (
            ended_afterwards(session, postgres),
            pytest.raises(psycopg.OperationalError),
            hosts.answering(session),
        ):
            await asyncio.wait_for(session.execute("SELECT pg_sleep(60)"), 10)
    async with connected(hosts) as session:
        assert (session.place, session.timeline, hosts.timeline) == (1, 2, 2)


@pytest.mark.usefixtures("soon")
async def test_an_old_primary_that_answers_on_is_left_for_a_newer_one(
    postgres: PostgresEngine, standby: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "WATCH_SECONDS", 0.02)
    store = PostgresStore(both(postgres), the_rules(), Recorded())
    await store.open(NOW)
    await store.accept([a_recipient()], (), ())
    assert store._link.ready().place == 0
    standby.refuse = False
    async with asyncio.timeout(30):
        while store._hosts.timeline < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(StoreUnavailable):
            await store.accept([a_recipient()], (), ())
        while True:
            with contextlib.suppress(StoreUnavailable):
                await store.accept([a_recipient()], (), ())
                break
            await asyncio.sleep(0.01)
    assert store._link.ready().place == 1
    await store.close()


# ── several servers ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """The folder of a socket that takes connections and says nothing, as a server that was stopped does."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / ".s.PGSQL.5432"))
        listener.listen()
        yield tmp_path


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("order", [1, -1], ids=["it comes first", "it comes last"])
async def test_a_silent_server_keeps_nobody_from_the_one_that_answers(
    order: int, postgres: PostgresEngine, silent: Path
) -> None:
    folders = ",".join(map(str, [silent, postgres.server.folder][::order]))
    async with asyncio.timeout(3), connected(Hosts(f"{postgres.url}&host={folders}")) as session:
        assert await answers(session)


async def test_when_no_server_takes_writes_all_their_faults_are_told(tmp_path: Path) -> None:
    nowhere = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(psycopg.OperationalError, match=r"(?s)one/.*; .*two/"):
        await Hosts(f"postgresql:///?host={nowhere[0]},{nowhere[1]}").connect("passband")


PLACES = {
    "postgresql://db1/x": [("db1", None)],
    "postgresql://db1:1,db2:2/x": [("db1", "1"), ("db2", "2")],
    "postgresql://db1,db2/x?port=6": [("db1", "6"), ("db2", "6")],
    "postgresql:///x": [(None, None)],
    "postgresql:///x?host=db1,db2,db3&port=1,2": [("db1,db2,db3", "1,2")],
}


@pytest.mark.parametrize("url", PLACES)
def test_servers_of_a_url(url: str) -> None:
    each = [psycopg.conninfo.conninfo_to_dict(info) for info in Hosts(url)._each()]
    assert [(one.get("host"), one.get("port")) for one in each] == PLACES[url]
    assert {one["target_session_attrs"] for one in each} == {"read-write"}


def test_what_the_url_says_goes_before_what_is_set_otherwise() -> None:
    [info] = Hosts("postgresql://db1/x?connect_timeout=2")._each()
    assert psycopg.conninfo.conninfo_to_dict(info)["connect_timeout"] == "2"


# ── what it must be ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_is_too_old_is_refused(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_hosts, "OLDEST", NEWER)
    with pytest.raises(psycopg.OperationalError, match=rf"runs PostgreSQL \d+, needed is {NEWER} or newer$"):
        await hosts.connect("passband")


async def test_a_database_of_another_encoding_is_refused(postgres: PostgresEngine) -> None:
    name = f"ascii_{postgres.schema}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        store = PostgresStore(postgres.url.replace("/postgres?", f"/{name}?"), the_rules(), Recorded())
        with pytest.raises(StoreUnavailable, match="is SQL_ASCII, needed is UTF8"):
            await store.open(NOW)
    finally:
        postgres.execute(f"DROP DATABASE {name}")


@pytest.mark.parametrize("isolation", ["serializable", "repeatable\\ read"])
async def test_what_an_administrator_set_for_others_changes_nothing_here(
    isolation: str, postgres: PostgresEngine
) -> None:
    """A receipt that came early would be missed by who waited for it, and texts would be read as something else."""
    url = postgres.server.url(
        postgres.schema, default_transaction_isolation=isolation, client_encoding="LATIN1", statement_timeout="3s"
    )
    async with connected(Hosts(url)) as session:
        for name, value in {
            "transaction_isolation": "read committed",
            "client_encoding": "UTF8",
            "statement_timeout": "10s",
        }.items():
            assert await (await session.execute(f"SHOW {name}".encode())).fetchall() == [(value,)]


async def test_a_session_that_stands_still_in_the_middle_of_a_pipeline_keeps_its_locks_for_seconds_only(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a node that is suspended: for the server it is not idle, so no other limit ends it."""
    async with connected(hosts) as other:
        monkeypatch.setattr(postgres_hosts, "SESSION", postgres_hosts.SESSION.replace("'11s'", "'1s'"))
        async with connected(hosts) as session:
            session.pgconn.enter_pipeline_mode()
            for statement in (b"BEGIN", b"SELECT pg_advisory_xact_lock(4711)"):
                session.pgconn.send_query_params(statement, [])
            session.pgconn.send_flush_request()
            session.pgconn.flush()
            taken = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted"
            while await (await other.execute(taken)).fetchall() != [(1,)]:
                await asyncio.sleep(0.01)
            await other.execute("SELECT pg_advisory_xact_lock(4711)")  # raises after 10 s if it is not let go
            assert await (await other.execute(taken)).fetchall() == [(0,)]
