"""The one connection that writes: that it comes back by itself, and what is to be known of the server that it is to."""

import asyncio
import select

import psycopg
import structlog
from psycopg.pq import ConnStatus

from passband.domain.errors import StoreUnavailable
from passband.store.postgres_hosts import OUT_OF_ORDER, Hosts, Session

log = structlog.get_logger()

FIRST_WAIT, LONGEST_WAIT = 0.1, 1.0  # seconds between attempts to connect; everyone is refused meanwhile

# How often the other servers are asked while all is well: an old primary whose commits wait for no standby answers on,
# although another was promoted.
WATCH_SECONDS = 10.0

DOUBTFUL = "01000"  # the SQLSTATE of a warning without one of its own; a commit has no other

# What the server would do without our session's own settings.
DURABILITY = """
SELECT name, coalesce(reset_val, '') FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names',
  'log_parameter_max_length', 'log_statement', 'log_min_duration_statement', 'log_min_duration_sample',
  'log_transaction_sample_rate')
"""
UNSAFE = {
    "fsync": "the database does not write its log to disk (fsync): a power cut there loses what was answered with 202",
    "full_page_writes": "the database does not keep whole pages (full_page_writes): a power cut there may break it",
}
# What makes a server log statements, and where it logs none of ours. The parameters in its log are texts and numbers.
SILENT = {
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
    "log_min_duration_sample": ("-1",),
    "log_transaction_sample_rate": ("0",),
}


class Link:
    """The one connection that writes. While it is away every use of it fails at once."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._connection: Session | None = None
        self._mending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._in_doubt = False

    async def open(self) -> Session:
        """Connect for the first time. Raises what ``Hosts.connect`` raises."""
        self._connection = await self._connect()
        if self._hosts.several:
            self._watching = asyncio.create_task(self._watch(), name="watch for another primary")
        return self._connection

    async def _connect(self) -> Session:
        connection = await self._hosts.connect("passband")
        try:
            with self._hosts.answering(connection):
                settings = dict(await (await connection.execute(DURABILITY)).fetchall())
        except BaseException:
            await connection.close()
            raise
        self._tell(connection.server, settings)
        connection.add_notice_handler(self._note)
        return connection

    def _tell(self, server: str, settings: dict[str, str]) -> None:
        """Log what of the server's settings makes a promise worth less than it says, and what is set right."""
        for name, sentence in UNSAFE.items():
            if settings[name] == "off":
                log.warning(sentence, server=server)
        commit, standbys = settings["synchronous_commit"], settings["synchronous_standby_names"]
        if commit in ("off", "local"):
            log.info("the commits of this node wait although the database's do not", server=server, database=commit)
        if self._hosts.several and not standbys:
            log.warning("no standby is named: what is answered with 202 is on one machine alone", server=server)
        logging = {name: settings[name] for name, silent in SILENT.items() if settings[name] not in silent}
        if logging and settings["log_parameter_max_length"] != "0":
            log.warning(
                "the database's log keeps texts and numbers of messages (log_parameter_max_length)",
                server=server, because=logging,
            )  # fmt: skip

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        self._in_doubt |= notice.sqlstate == DOUBTFUL

    def confirm(self, connection: Session) -> None:
        """Raise OperationalError, with the connection lost, if the server has not kept a commit as it should have.

        Somebody who ends the wait for a standby makes it say that a transaction was committed, with a warning.
        """
        if self._in_doubt:
            connection.pgconn.finish()
            raise psycopg.OperationalError("a commit did not wait for the standby")

    def ready(self) -> Session:
        """Return the connection, if it has not ended while it was idle. Raises StoreUnavailable."""
        if self._connection is not None and self._hosts.is_old(self._connection):
            log.warning("another server has become the primary", old=self._connection.server)
            self.lost()
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

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._connection is not None:
                await self._hosts.look(self._connection)

    async def close(self) -> None:
        for task in (self._watching, self._mending):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _has_ended(connection: Session) -> bool:
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
