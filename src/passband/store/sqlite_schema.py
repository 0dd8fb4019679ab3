"""Schema changes of the SQLite engine, those that ``schema.py`` names: under the write lock, all in one transaction."""

from collections.abc import Sequence
from typing import Any

import apsw
import structlog

from passband.store.schema import Migration, to_make

log = structlog.get_logger()


def migrate(connection: apsw.Connection, migrations: Sequence[Migration], silent_since: float) -> bool:
    """Make the changes that the file has not seen, one node at a time.

    Nodes that have not been heard of since ``silent_since`` are not waited for. Return False if post changes are left,
    because nodes of an older version live. Raises StoreUnavailable if the file has had post changes that this version
    does not know, and apsw's errors; BusyError if another node writes.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) WITHOUT ROWID")
        done = {name for (name,) in _fetch(connection, "SELECT name FROM migrations")}
        oldest = None
        if done:
            ((oldest,),) = _fetch(connection, "SELECT min(level) FROM nodes WHERE beat_at > ?", silent_since)
        changes, complete = to_make(migrations, done, oldest)
        for name, sql in changes:
            connection.execute(sql)
            connection.execute("INSERT INTO migrations (name) VALUES (?)", (name,))
            log.info("the schema was changed", change=name)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return complete


def _fetch(connection: apsw.Connection, sql: str, *values: float) -> list[Any]:
    return connection.execute(sql, values).fetchall()
