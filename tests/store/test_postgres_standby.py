"""A synchronous standby that does not answer: a commit that it has not got is never told as made."""

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest

from passband.domain.errors import StoreUnavailable
from passband.domain.message import Recipient
from passband.store import postgres_hosts
from passband.store.postgres import PostgresStore
from passband.store.postgres_hosts import Hosts
from passband.store.postgres_link import Link
from store.nodes import NOW, Node, Recorded, Stores, a_recipient, the_rules
from store.postgres_server import PostgresEngine

pytestmark = pytest.mark.slow

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'passband'"


class Standby:
    """Named by the server, and there or not."""

    def __init__(self, postgres: PostgresEngine) -> None:
        self._postgres = postgres

    def is_away(self) -> None:
        self._postgres.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self._postgres.execute("SELECT pg_reload_conf()")

    def is_back(self) -> None:
        """As far as those can tell who waited for it."""
        self._postgres.execute("ALTER SYSTEM RESET synchronous_standby_names")
        self._postgres.execute("SELECT pg_reload_conf()")


@pytest.fixture
def standby(postgres: PostgresEngine) -> Iterator[Standby]:
    standby = Standby(postgres)
    yield standby
    standby.is_back()


@pytest.fixture
def new_engine(postgres: PostgresEngine) -> Callable[[], PostgresEngine]:
    return lambda: postgres


async def waits_for_the_standby(postgres: PostgresEngine) -> int:
    """Return the server's process whose commit waits."""
    async with asyncio.timeout(30):
        while not (rows := postgres.execute(WAITING)):
            await asyncio.sleep(0.01)
    return int(rows[0][0])


async def accepting(postgres: PostgresEngine, node: Node) -> tuple[Recipient, asyncio.Task[None]]:
    """Accept until the server has noticed that the standby is away; return what waits."""
    async with asyncio.timeout(30):
        while True:
            recipient = a_recipient()
            task = asyncio.create_task(node.accept(recipient))
            while not task.done():
                if postgres.execute(WAITING):
                    return recipient, task
                await asyncio.sleep(0.01)
            await task


async def found_after_all(node: Node, recipient: Recipient) -> bool:
    """Tell whether a node, with a new number, finds what it did not know that it was kept."""
    number = node.store.node
    async with asyncio.timeout(30):
        while node.store.node == number:
            try:
                await node.store.beat(NOW)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
    assert await node.store.beat(NOW)
    return recipient in await node.lease(1000)


async def test_a_commit_whose_wait_for_the_standby_is_ended_is_refused(
    postgres: PostgresEngine, standby: Standby, node: Node
) -> None:
    """The server answers it with success, and a warning."""
    standby.is_away()
    recipient, waiting = await accepting(postgres, node)
    postgres.execute(f"SELECT pg_cancel_backend({await waits_for_the_standby(postgres)})")
    with pytest.raises(StoreUnavailable, match="did not wait"):
        await waiting
    assert recipient not in node.births.recipients
    standby.is_back()
    assert await found_after_all(node, recipient)


async def test_a_commit_that_waits_for_ever_is_refused(
    postgres: PostgresEngine, standby: Standby, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_hosts, "ANSWER_SECONDS", 1.0)
    standby.is_away()
    recipient, waiting = await accepting(postgres, node)
    await waits_for_the_standby(postgres)
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(waiting, 30)
    assert recipient not in node.births.recipients
    standby.is_back()
    assert await found_after_all(node, recipient)


async def test_a_read_that_is_not_answered_is_given_up(
    postgres: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(postgres.url, the_rules(), Recorded())
    await store.open(NOW)
    monkeypatch.setattr(postgres_hosts, "ANSWER_SECONDS", 0.2)
    with pytest.raises(StoreUnavailable):
        await store._reads.fetch("SELECT pg_sleep(5)")
    monkeypatch.undo()
    assert await store.lines(NOW) == []
    await store.close()


# ── what the server's settings say of its commits ──────────────────────────────────────────────────────────────────

SETTINGS = {
    "of the server": "ALTER SYSTEM SET synchronous_commit = {}",
    "of the database": "ALTER DATABASE postgres SET synchronous_commit = {}",
    "of the user": "ALTER ROLE postgres SET synchronous_commit = {}",
}


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest, postgres: PostgresEngine) -> Iterator[str]:
    """How ``synchronous_commit`` is set; reset afterwards."""
    statement = SETTINGS[request.param]
    yield statement
    postgres.execute(statement.split(" = ")[0].replace(" SET ", " RESET "))
    postgres.execute("SELECT pg_reload_conf()")


def default_of_a_new_session(postgres: PostgresEngine) -> str:
    with psycopg.connect(postgres.url) as connection:
        [(value,)] = connection.execute("SHOW synchronous_commit").fetchall()
    return str(value)


@pytest.mark.parametrize("value", ["local", "off"])
async def test_a_commit_waits_for_the_standby_whatever_the_settings_are(
    value: str, setting: str, postgres: PostgresEngine, standby: Standby, stores: Stores
) -> None:
    postgres.execute(setting.format(value))
    postgres.execute("SELECT pg_reload_conf()")
    while default_of_a_new_session(postgres) != value:
        await asyncio.sleep(0.01)
    node = await stores.open()
    standby.is_away()
    _, waiting = await accepting(postgres, node)
    await waits_for_the_standby(postgres)
    assert not waiting.done()
    standby.is_back()
    await waiting


@pytest.mark.parametrize("value", ["on", "remote_write", "remote_apply"])
async def test_a_setting_that_waits_for_the_standby_is_left_as_it_is(value: str, postgres: PostgresEngine) -> None:
    session = await Hosts(f"{postgres.url}%20-c%20synchronous_commit%3D{value}").connect("passband")
    assert await (await session.execute("SHOW synchronous_commit")).fetchall() == [(value,)]
    await session.close()


async def test_a_server_that_a_power_cut_harms_is_told_of_in_the_log(
    stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    await stores.open()
    assert "(fsync): a power cut there loses what was answered with 202" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({}, False),
        ({"log_min_duration_statement": "1s"}, True),
        ({"log_statement": "mod"}, True),
        ({"log_statement": "ddl"}, False),
        ({"log_statement": "mod", "log_parameter_max_length": 0}, False),
    ],
    ids=str,
)
async def test_a_server_that_logs_what_is_in_messages_is_told_of_in_the_log(
    settings: dict[str, object], warned: bool, postgres: PostgresEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    link = Link(Hosts(postgres.server.url(postgres.schema, **settings)))
    await link.open()
    await link.close()
    assert ("keeps texts and numbers of messages" in capsys.readouterr().out) == warned
