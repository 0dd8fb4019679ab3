"""The servers that a URL names, and which of them is the primary: all are asked side by side, the newest one counts.

Whoever promotes a standby begins a new timeline there, and it alone goes on counting. So of two servers that both take
writes, the one on the lower timeline is an old primary that came back; and a process that has seen a timeline uses no
lower one as long as it lives. A server that does not tell its timeline is taken as it comes.

**Error handling.** What means that the database is out of order, rather than that a statement is wrong, is told by
psycopg's classes, never by a text: connection lost, server shutting down, standby, disk full, too many connections,
timeout.
"""

import asyncio
import contextlib
import math
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from passband.store.postgres_arrays import adapt

log = structlog.get_logger()

OUT_OF_ORDER = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError, OSError)

# How long one answer may take. The server gives a statement up after ten seconds itself; but a commit waits for a
# standby without end, and a server that was stopped answers nothing although its machine does.
ANSWER_SECONDS = 12.0
# An answer that takes longer may be one of a primary that is none any more: the others are asked, again and again, but
# the connection is cut only where one of them has taken over. A disk that stalls for seconds costs no connection: what
# was handed over and not recorded would be sent twice.
LATE_SECONDS = 1.0
LOOK_SECONDS = 1.0
# Once a server has answered, how long the others are waited for, lest one that was promoted be just slower.
GRACE_SECONDS = 1.0

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
# In the middle of a pipeline only transaction_timeout ends it (PostgreSQL 17 and newer): for the server it is not idle
# there. It is longer than one statement may take and shorter than we wait for an answer.
# A commit returns when it is on disk, and on the standby where one is named, whatever the server's settings say. Who
# waited for another sees what that one wrote, which no stricter isolation allows. Texts are sent as UTF-8.
SESSION = """
SELECT set_config(name, value, false) FROM (VALUES
  ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
  ('enable_hashagg', 'off'), ('enable_memoize', 'off'),
  ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('statement_timeout', '10s'), ('lock_timeout', '10s'),
  ('idle_in_transaction_session_timeout', '8s'), ('transaction_timeout', '11s'),
  ('timezone', 'UTC'), ('client_min_messages', 'warning'),
  ('default_transaction_isolation', 'read committed'), ('client_encoding', 'UTF8'),
  ('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
    ELSE current_setting('synchronous_commit') END)) AS settings (name, value)
WHERE name IN (SELECT pg_settings.name FROM pg_settings)
"""

# The name of the file that is written now begins with it. What the last checkpoint says is older: a promotion does not
# wait for one.
TIMELINE = """
SELECT CASE WHEN pg_is_in_recovery() THEN 0
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""


OLDEST = 15  # of those that the tests were run on


class Session(AsyncConnection[Any]):
    """A connection that is ready for our statements: to which of the servers, and on which timeline that writes."""

    place = 0
    timeline = 0  # 0: it does not tell

    @property
    def server(self) -> str:
        return f"{self.info.host}:{self.info.port}"


class Hosts:
    """The servers of one database. ``timeline`` is the newest on which this process has seen writes taken."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.timeline = 0
        self._left: set[asyncio.Task[Any]] = set()  # what nobody waits for any more, and has to end

    async def connect(self, name: str) -> Session:
        """Return a connection to the primary that was promoted last.

        Raises psycopg.OperationalError, also where the only one that takes writes is older than one known before.
        """
        found = await self._ask(range(len(self._each())), name)
        session = max(found, key=lambda one: one.timeline)
        if len(found) > 1:
            servers = {one.server: one.timeline for one in found}
            log.error("several servers take writes, the one that was promoted last is used", timelines=servers)
        for other in found:
            if other is not session:
                other.pgconn.finish()
        if self.is_old(session):
            server, old = session.server, session.timeline
            await session.close()
            raise psycopg.OperationalError(
                f"{server} is an old primary: it writes on timeline {old}, another server did on {self.timeline}"
            )
        self.timeline = max(self.timeline, session.timeline)
        return session

    @property
    def several(self) -> bool:
        return len(self._each()) > 1

    def is_old(self, session: Session) -> bool:
        """Tell whether another server is known to have become the primary since that of this connection was."""
        return 0 < session.timeline < self.timeline

    @contextlib.contextmanager
    def answering(self, session: Session, most: float | None = None) -> Iterator[None]:
        """Cut the connection if what is asked within takes longer than ``most`` seconds; None: ANSWER_SECONDS.

        It is cut as soon as an answer is late and another server has become the primary. It is then lost, as any other.
        What is under way is not cancelled: the server would end the wait for a standby, and tell that all is well.
        """
        seconds = ANSWER_SECONDS if most is None else most
        overdue: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal overdue
            overdue = asyncio.create_task(self._overdue(session, seconds), name="overdue answer")

        timer = asyncio.get_running_loop().call_later(min(LATE_SECONDS, seconds), begin)
        try:
            yield
        finally:
            timer.cancel()
            if overdue is not None:
                overdue.cancel()

    async def _overdue(self, session: Session, seconds: float) -> None:
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else max(0.0, seconds - LATE_SECONDS)):
                await self.look(session)
                while not self.is_old(session):
                    await asyncio.sleep(LOOK_SECONDS)
                    await self.look(session)
        except TimeoutError:
            log.warning("the database does not answer, its connection is cut", after_seconds=seconds)
        else:
            log.warning("another server has become the primary, the connection to the old one is cut")
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(session.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    async def look(self, session: Session) -> None:
        """Learn whether another server takes writes on a newer timeline; a lone one may have moved behind its name."""
        others = [place for place in range(len(self._each())) if place != session.place]
        found: list[Session] = []
        with contextlib.suppress(psycopg.Error, OSError):
            found = await self._ask(others or [session.place], "passband looks")
        for other in found:
            self.timeline = max(self.timeline, other.timeline)
            await other.close()

    def _each(self) -> list[str]:
        """Return what to connect to each of the servers with."""
        given = {**DEFAULTS, **conninfo_to_dict(self._url)}
        lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr", "port") if given.get(name)}
        count = len(lists.get("hostaddr") or lists.get("host") or [""])
        if any(len(values) not in (1, count) for values in lists.values()):
            return [make_conninfo("", **given)]  # libpq tells what is wrong with it
        return [
            make_conninfo("", **{**given, **{name: values[place % len(values)] for name, values in lists.items()}})
            for place in range(count)
        ]

    async def _ask(self, places: Iterable[int], name: str) -> list[Session]:
        """Connect to some side by side; return the connections to those that take writes, in the order of the URL.

        Raises what the only one raised, or psycopg.OperationalError with what each said, if none does.
        """
        each = self._each()
        tasks = [asyncio.create_task(_open(each[place], place, name)) for place in places]
        try:
            for turn in asyncio.as_completed(tasks):
                with contextlib.suppress(psycopg.Error, OSError):
                    await turn
                    break
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        except BaseException:
            self._leave(tasks)
            raise
        self._leave(task for task in tasks if not task.done())
        errors = [error for task in tasks if task.done() and (error := task.exception())]
        if len(errors) == len(tasks):
            raise errors[0] if len(errors) == 1 else psycopg.OperationalError("; ".join(map(str, errors)))
        return [task.result() for task in tasks if task.done() and not task.exception()]

    def _leave(self, tasks: Iterable[asyncio.Task[Session]]) -> None:
        """Let connections that nobody wants any more be made or fail, and end: a cancelled one might wait for ever."""

        def end(task: asyncio.Task[Session]) -> None:
            self._left.discard(task)
            if not task.cancelled() and not task.exception():
                task.result().pgconn.finish()

        for task in tasks:
            self._left.add(task)
            task.add_done_callback(end)


async def _open(info: str, place: int, name: str) -> Session:
    """Connect to one server, if it is as ``info`` wants it."""
    session = await Session.connect(info, autocommit=True, cursor_factory=AsyncRawCursor, application_name=name)
    session.place = place
    try:
        _refuse_unfit(session)
        adapt(session)
        async with asyncio.timeout(ANSWER_SECONDS):
            await session.execute(SESSION)
            session.timeline = await _timeline(session)
    except BaseException:
        await session.close()
        raise
    return session


def _refuse_unfit(session: Session) -> None:
    """Raise psycopg.OperationalError if this is no server, or no database, that the statements are for."""
    version, encoding = session.info.server_version // 10000, session.info.parameter_status("server_encoding")
    if version < OLDEST:
        raise psycopg.OperationalError(f"{session.server} runs PostgreSQL {version}, needed is {OLDEST} or newer")
    if encoding != "UTF8":
        raise psycopg.OperationalError(
            f"the encoding of the database {session.info.dbname} is {encoding}, needed is UTF8: "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


async def _timeline(session: Session) -> int:
    try:
        ((timeline,),) = await (await session.execute(TIMELINE)).fetchall()
    except (psycopg.ProgrammingError, psycopg.NotSupportedError):
        return 0  # a server that is nearly a PostgreSQL, or this user may not ask
    return int(timeline)
