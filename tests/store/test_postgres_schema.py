"""Schema changes of a PostgreSQL database that is in use, what its statistics keep, and which engine a URL means."""

import asyncio

import psycopg
import pytest

from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.store import postgres_schema
from passband.store.open import open_store, try_store
from passband.store.postgres import PostgresStore
from passband.store.queries import migrations
from passband.store.sqlite import SqliteStore
from store.nodes import NOW, Recorded, Stores, a_recipient, the_rules
from store.postgres_server import PostgresEngine


def test_migrations_are_numbered_without_gaps_and_say_when_they_may_run() -> None:
    names = [name for name, _ in migrations("postgres")]
    assert sorted({int(name[:4]) for name in names}) == list(range(1, int(names[-1][:4]) + 1))
    assert all(name[4:].startswith(("_pre_", "_post_")) for name in names)


@pytest.mark.slow
async def test_a_change_gives_way_while_a_long_transaction_uses_its_table(
    postgres: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a table makes everyone wait who comes later."""
    monkeypatch.setattr(postgres_schema, "GIVE_WAY", "SET LOCAL lock_timeout = '50ms'")
    monkeypatch.setattr(postgres_schema, "PAUSE_SECONDS", 0.01)
    stores = Stores(postgres)
    older = await stores.open()
    changes = [("0002_pre_add", "ALTER TABLE recipients ADD COLUMN colour int")]
    async with await psycopg.AsyncConnection.connect(postgres.url) as backup:
        await backup.execute("SELECT count(*) FROM recipients")
        opening = asyncio.create_task(stores.open(changes=changes))
        async with asyncio.timeout(30):
            for _ in range(3):
                while not postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"):
                    await asyncio.sleep(0)
                await older.accept(a_recipient())
        assert not opening.done()
    await (await opening).accept(a_recipient())
    await stores.close()
    assert len(postgres.execute("SELECT colour FROM recipients")) == 4


# ── which engine a URL means ───────────────────────────────────────────────────────────────────────────────────────


def test_a_url_chooses_the_engine() -> None:
    assert isinstance(open_store("sqlite:passband.db", the_rules(), Recorded()), SqliteStore)
    for scheme in ("postgresql", "postgres"):
        assert isinstance(open_store(f"{scheme}://db/passband", the_rules(), Recorded()), PostgresStore)


@pytest.mark.parametrize("url", ["", "passband.db", "sqlite:", "mysql://db/passband"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        open_store(url, the_rules(), Recorded())


@pytest.mark.parametrize("url", ["postgresql://user:pass%zzword@db/", "postgresql://db/?colour=password"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url: invalid [a-zA-Z -]+; in a password %, @") as refused:
        open_store(url, the_rules(), Recorded())
    assert "zz" not in str(refused.value)


async def test_trying_a_database_changes_nothing_in_it(postgres: PostgresEngine) -> None:
    """Not even while nodes run: a further one would cost them a link, and a newer one their schema."""

    def tables() -> list[tuple[object, ...]]:
        return postgres.execute(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{postgres.schema}'")

    await try_store(postgres.url, the_rules(), Recorded(), NOW)
    assert tables() == [(0,)]
    stores = Stores(postgres)
    await stores.open()
    await try_store(postgres.url, the_rules(), Recorded(), NOW)
    assert postgres.execute("SELECT last_value FROM nodes_node_seq") == [(1,)]
    await stores.close()
    postgres.execute("INSERT INTO migrations VALUES ('9999_post_later')")
    with pytest.raises(StoreUnavailable, match="newer version of Passband"):
        await try_store(postgres.url, the_rules(), Recorded(), NOW)


def test_a_missing_driver_is_told_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"passband\[postgres\]"):
        open_store("postgresql://db/passband", the_rules(), Recorded())
