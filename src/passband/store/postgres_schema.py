"""Schema changes of the PostgreSQL engine, those that ``schema.py`` names: under a lock, all in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from passband.store.schema import Migration, to_make

log = structlog.get_logger()

LOCK = "SELECT pg_advisory_xact_lock(1885500002)"
OLDEST = """
SELECT min(level) FROM nodes WHERE NOT given_up AND beat_at > clock_timestamp() - make_interval(secs => $1::float8)
"""
# A change waits for those who use its table, and everyone who wants it later waits behind: so it gives way soon.
TAKE_TIME = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
"""
GIVE_WAY = "SET LOCAL lock_timeout = '200ms'"
TRIES = 15
PAUSE_SECONDS = 2.0


async def migrate(
    connection: AsyncConnection[Any], migrations: Sequence[Migration], silent_seconds: float, *, tries: int = TRIES
) -> bool:
    """Make the changes that the database has not seen, one node at a time.

    Return False if post changes are left, because nodes of an older version live. Raises StoreUnavailable if the
    database has had post changes that this version does not know, and psycopg's errors; LockNotAvailable if a long
    transaction used a table every time that it was tried.
    """
    while True:
        tries -= 1
        try:
            return await _migrate(connection, migrations, silent_seconds)
        except LockNotAvailable:
            log.warning("a schema change waits for a long transaction that uses its table", tries_left=tries)
            if not tries:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def _migrate(connection: AsyncConnection[Any], migrations: Sequence[Migration], silent_seconds: float) -> bool:
    async with connection.transaction():
        await connection.execute(TAKE_TIME)
        await connection.execute(LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        done = {name for (name,) in await (await connection.execute("SELECT name FROM migrations")).fetchall()}
        oldest = None
        if done:
            ((oldest,),) = await (await connection.execute(OLDEST, (silent_seconds,))).fetchall()
        changes, complete = to_make(migrations, done, oldest)
        await connection.execute(GIVE_WAY)
        for name, sql in changes:
            await connection.execute(sql)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", (name,))
            log.info("the schema was changed", change=name)
    return complete
