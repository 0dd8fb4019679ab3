"""Connections to PostgreSQL: how they are set up, and that the writing one comes back by itself.

**Error handling.** What means that the database is out of order, rather than that a statement is wrong, is told by
psycopg's classes, never by a text: connection lost, server shutting down, standby, disk full, too many connections,
timeout.
"""

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ConnStatus

from passband.domain.errors import StoreUnavailable
from passband.store.postgres_arrays import adapt

log = structlog.get_logger()

OUT_OF_ORDER = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError, OSError)

FIRST_WAIT, LONGEST_WAIT = 0.1, 1.0  # seconds between attempts to connect; everyone is refused meanwhile

# How long one answer may take. The server gives a statement up after ten seconds itself; but a commit waits for a
# standby without end, and a server that was stopped answers nothing although its machine does.
ANSWER_SECONDS = 12.0

DOUBTFUL = "01000"  # the SQLSTATE of a warning without one of its own; a commit has no other

# What the URL may change. A server that has vanished is noticed within about ten seconds, a standby is passed over.
DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
}

# The statements that change something are planned once, and by one plan: from keys, through an index (postgres.sql).
# A node that is paused within a transaction must not keep the others from its rows for longer than it is respected.
SESSION = """
SELECT set_config(name, value, false) FROM (VALUES
  ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
  ('enable_hashagg', 'off'), ('enable_memoize', 'off'),
  ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('statement_timeout', '10s'), ('lock_timeout', '10s'),
  ('idle_in_transaction_session_timeout', '8s'), ('timezone', 'UTC'), ('client_min_messages', 'warning'),
  ('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
    ELSE current_setting('synchronous_commit') END)) AS settings (name, value)
"""


async def connect(url: str, name: str) -> AsyncConnection[Any]:
    """Return a connection that is ready for our statements. Raises psycopg.OperationalError."""
    given = conninfo_to_dict(url)
    info = make_conninfo(url, **{key: value for key, value in DEFAULTS.items() if key not in given})
    connection = await AsyncConnection.connect(
        info, autocommit=True, cursor_factory=AsyncRawCursor, application_name=name
    )
    try:
        adapt(connection)
        with answering(connection):
            await connection.execute(SESSION)
    except BaseException:
        await connection.close()
        raise
    return connection


@contextlib.contextmanager
def answering(connection: AsyncConnection[Any]) -> Iterator[None]:
    """Cut the connection if what is asked within takes longer than ANSWER_SECONDS: it is then lost, as any other.

    What is under way is not cancelled: the server would end the wait for a standby, and tell that all is well.
    """
    timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, _cut, connection)
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: AsyncConnection[Any]) -> None:
    log.warning("the database does not answer, its connection is cut", after_seconds=ANSWER_SECONDS)
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


class Link:
    """The one connection that writes. While it is away every use of it fails at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection[Any] | None = None
        self._mending: asyncio.Task[None] | None = None
        self._in_doubt = False

    async def open(self) -> AsyncConnection[Any]:
        """Connect for the first time. Raises what ``connect`` raises."""
        self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> AsyncConnection[Any]:
        connection = await connect(self._url, "passband")
        connection.add_notice_handler(self._note)
        return connection

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        self._in_doubt |= notice.sqlstate == DOUBTFUL

    def confirm(self, connection: AsyncConnection[Any]) -> None:
        """Raise OperationalError, with the connection lost, if the server has not kept a commit as it should have.

        Somebody who ends the wait for a standby makes it say that a transaction was committed, with a warning.
        """
        if self._in_doubt:
            connection.pgconn.finish()
            raise psycopg.OperationalError("a commit did not wait for the standby")

    def ready(self) -> AsyncConnection[Any]:
        """Return the connection, if it has not ended while it was idle. Raises StoreUnavailable."""
        if self._connection is not None and _has_ended(self._connection):
            log.warning("the connection to the database was lost while it was idle")
            self.lost()
        if self._connection is None:
            raise StoreUnavailable("there is no connection to the database")
        return self._connection

    def lost(self) -> None:
        """Give the connection up and begin to make another."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None
            self._in_doubt = False
            self._mending = asyncio.create_task(self._mend(), name="database connection")

    async def _mend(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                self._connection = await self._connect()
            except OUT_OF_ORDER as error:
                log.warning("the database cannot be reached", cause=str(error), next_try_in=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                log.info("connected to the database again")
                return

    async def close(self) -> None:
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _has_ended(connection: AsyncConnection[Any]) -> bool:
    """Tell whether the server has closed an idle connection: that nothing was sent yet makes it harmless."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    for _ in range(3):  # a last message, and then the end
        if not poll.poll(0):
            return False
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return True
    return connection.pgconn.status == ConnStatus.BAD
