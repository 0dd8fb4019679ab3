"""The schema of the SQLite engine: the sum of its migrations, applied once; and files that cannot be used."""

import asyncio
import re
from pathlib import Path

import apsw
import pytest

from passband.domain.errors import StoreUnavailable
from passband.store.queries import migrations
from passband.store.rows import CALLBACK, RECIPIENT
from passband.store.sqlite import SqliteStore
from store.nodes import NOW, Recorded, SqliteEngine, Stores, a_recipient, the_rules


def schema(connection: apsw.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows}


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "passband.db"
    stores = Stores(SqliteEngine(path))
    await stores.open()
    await stores.close()
    return path


def test_the_schema_is_the_sum_of_its_migrations(path: Path) -> None:
    connection = apsw.Connection(":memory:")
    for _, sql in migrations("sqlite"):
        connection.execute(sql)
    opened = apsw.Connection(str(path))
    found = schema(opened)
    found.pop("migrations")
    assert found == schema(connection)
    assert [name for (name,) in opened.execute("SELECT name FROM migrations")] == [n for n, _ in migrations("sqlite")]
    opened.close()


def test_migrations_are_numbered_without_gaps_and_say_when_they_may_run() -> None:
    names = [name for name, _ in migrations("sqlite")]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_(pre|post)_\w+", name) for name in names)


def test_every_column_of_a_value_is_a_column_of_its_table(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for table, columns in (("recipients", RECIPIENT), ("callbacks", CALLBACK)):
        found = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        assert set(columns) <= set(found)
    connection.close()


async def test_a_file_that_was_opened_before_opens_again_with_what_it_holds(path: Path) -> None:
    stores = Stores(SqliteEngine(path))
    recipient = a_recipient()
    for lives in range(3):
        node = await stores.open()
        if not lives:
            await node.accept(recipient)
        assert await node.lease() == ([recipient] if lives else [])
        await stores.close()


async def test_nodes_that_start_together_create_one_schema(tmp_path: Path) -> None:
    stores = Stores(SqliteEngine(tmp_path / "new" / "passband.db"))
    nodes = await asyncio.gather(*(stores.open() for _ in range(4)))
    assert len({node.store.node for node in nodes}) == 4
    await stores.close()


async def test_a_closed_file_has_no_log_beside_it(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_file_where_the_folder_should_be(path: Path) -> None:
    path.parent.write_text("")


def another_kind_of_file(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"%PDF-1.7 " * 1000)


def another_programs_database(path: Path) -> None:
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE recipients (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    "unusable", [a_folder, a_file_where_the_folder_should_be, another_kind_of_file, another_programs_database]
)
async def test_a_path_cannot_be_used_if_it_is(unusable: object, tmp_path: Path) -> None:
    path = tmp_path / "data" / "passband.db"
    assert callable(unusable)
    unusable(path)
    store = SqliteStore(path, the_rules(), Recorded())
    with pytest.raises(StoreUnavailable, match=f"^cannot use {re.escape(str(path))}: .+"):
        await store.open(NOW)
