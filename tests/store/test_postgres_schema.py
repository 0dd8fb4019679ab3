"""Schema changes: each once, by one node at a time, and none under the feet of an older node."""

import asyncio

import pytest

from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.store.open import open_store
from passband.store.postgres import PostgresStore
from passband.store.postgres_schema import Migration, level_of
from passband.store.queries import migrations
from passband.store.sqlite import SqliteStore
from store.nodes import NOW, Recorded, the_rules
from store.postgres_server import PostgresEngine

FIRST = migrations("postgres")
SECOND: list[Migration] = [
    ("0002_post_drop", "ALTER TABLE history DROP COLUMN attachments"),
    ("0002_pre_add", "ALTER TABLE history ADD COLUMN files int"),
]


def a_store(postgres: PostgresEngine, changes: list[Migration]) -> PostgresStore:
    store = PostgresStore(postgres.url, the_rules(), Recorded())
    store._migrations = changes
    return store


def made(postgres: PostgresEngine) -> list[str]:
    return [name for (name,) in postgres.execute("SELECT name FROM migrations ORDER BY name")]


async def test_nodes_that_start_at_once_make_each_change_once(postgres: PostgresEngine) -> None:
    stores = [a_store(postgres, FIRST) for _ in range(4)]
    await asyncio.gather(*(store.open(NOW) for store in stores))
    assert made(postgres) == [name for name, _ in FIRST]
    assert len({store.node for store in stores}) == 4
    for store in stores:
        await store.close()


async def test_what_older_nodes_need_is_taken_away_once_none_of_them_lives(postgres: PostgresEngine) -> None:
    older, newer = a_store(postgres, FIRST), a_store(postgres, FIRST + SECOND)
    await older.open(NOW)
    await newer.open(NOW)
    assert made(postgres)[-1] == "0002_pre_add"
    assert await newer.beat(NOW)
    assert made(postgres)[-1] == "0002_pre_add"
    await older.close()
    assert await newer.beat(NOW)
    assert "0002_post_drop" in made(postgres)
    await newer.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        await a_store(postgres, FIRST).open(NOW)


async def test_a_silent_older_node_holds_nothing_up(postgres: PostgresEngine) -> None:
    older, newer = a_store(postgres, FIRST), a_store(postgres, FIRST + SECOND)
    await older.open(NOW)
    postgres.execute("UPDATE nodes SET beat_at = beat_at - interval '1 minute'")
    await newer.open(NOW)
    assert "0002_post_drop" in made(postgres)
    await older.close()
    await newer.close()


def test_the_level_is_the_number_of_the_newest_change() -> None:
    assert level_of(FIRST + SECOND) == 2


def test_names_say_when_a_change_is_made() -> None:
    assert all(name[4:].startswith(("_pre_", "_post_")) for name, _ in FIRST)


# ── which engine a URL means ───────────────────────────────────────────────────────────────────────────────────────


def test_a_url_chooses_the_engine() -> None:
    assert isinstance(open_store("sqlite:passband.db", the_rules(), Recorded()), SqliteStore)
    for scheme in ("postgresql", "postgres"):
        assert isinstance(open_store(f"{scheme}://db/passband", the_rules(), Recorded()), PostgresStore)


@pytest.mark.parametrize("url", ["", "passband.db", "sqlite:", "mysql://db/passband"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        open_store(url, the_rules(), Recorded())


def test_a_missing_driver_is_told_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"passband\[postgres\]"):
        open_store("postgresql://db/passband", the_rules(), Recorded())
