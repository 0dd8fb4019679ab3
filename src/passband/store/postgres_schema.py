"""Schema changes of the PostgreSQL engine: forward only, each once, and never under the feet of an older node.

A ``pre`` change (0002_pre_…) is one that older nodes do not notice: it is made when a node starts. A ``post`` change
(0002_post_…) takes away what older nodes need: it is made once none of them lives. Each node tells in ``nodes`` the
number of the newest change that it knows, its level.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from psycopg import AsyncConnection

from passband.domain.errors import StoreUnavailable

log = structlog.get_logger()

Migration = tuple[str, str]  # its name and its SQL

LOCK = "SELECT pg_advisory_xact_lock(1885500002)"
OLDER_NODES = """
SELECT count(*) FROM nodes
WHERE level < $1::int AND NOT given_up AND beat_at > clock_timestamp() - make_interval(secs => $2::float8)
"""


def level_of(migrations: Sequence[Migration]) -> int:
    """Return the number of the newest schema change."""
    return max(_number(name) for name, _ in migrations)


def _number(name: str) -> int:
    return int(name[:4])


def _is_post(name: str) -> bool:
    return name[4:].startswith("_post_")


async def migrate(connection: AsyncConnection[Any], migrations: Sequence[Migration], silent_seconds: float) -> bool:
    """Make the changes that the database has not seen, one node at a time, in one transaction.

    Return False if post changes are left, because nodes of an older version live. Raises StoreUnavailable if the
    database has had post changes that this version does not know, and psycopg's errors.
    """
    known = {name for name, _ in migrations}
    complete = True
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await connection.execute(LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        done = {name for (name,) in await (await connection.execute("SELECT name FROM migrations")).fetchall()}
        if newer := sorted(name for name in done - known if _is_post(name)):
            raise StoreUnavailable(f"the database belongs to a newer version of Passband ({newer[-1]})")
        for name, sql in sorted(migrations):
            if name in done:
                continue
            if _is_post(name) and await _older_nodes(connection, _number(name), silent_seconds):
                complete = False
                continue
            await connection.execute(sql)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", (name,))
            log.info("the schema was changed", change=name)
    return complete


async def _older_nodes(connection: AsyncConnection[Any], level: int, silent_seconds: float) -> int:
    cursor = await connection.execute(OLDER_NODES, (level, silent_seconds))
    ((count,),) = await cursor.fetchall()
    return int(count)
