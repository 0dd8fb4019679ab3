"""The engine for several machines: one PostgreSQL database, through psycopg, shared by all nodes.

**Resource handling.** One connection writes: batches of operations, each transaction sent through a pipeline. A few
others read what may take long. A commit is as durable as the server's ``synchronous_commit`` says, on the standbys too
where it names some; ``off`` and ``local`` are not accepted, they become ``on``.

**Error handling.** Deadlocks and serialization failures: the transaction is run again. Everything else that is the
database's fault is StoreUnavailable for all who wait, at once, until the connection is back. A connection on which
nothing is answered for twelve seconds is cut; so is one to a server that another has followed as the primary, and one
that tells of a commit which did not wait for the standby.

A connection that is lost *while* a commit is under way leaves it unknown whether that was made. It is told as
StoreUnavailable, never as success, and if it was made after all:

- ``accept``: the messages are sent, although the application was told 500 and may send them again;
- ``announce``, ``record``, ``fail``: the events are told once. A carrier that was not answered repeats a receipt, which
  then matches nothing, or an inbound message, which is known by its identifier;
- ``attempted``: a callback whose row remained is posted once more;
- ``reserve``: some of the rate is unused;
- ``lease_…``, and all rows that are born leased: nobody in this process knows of them. So the node takes a new number
  and is told by ``beat`` that it lost its leases, and what the old number holds is freed for everyone. What it had
  submitted and could not record is submitted again, as after a crash.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from passband.domain.errors import StoreUnavailable
from passband.domain.event import Callback, CallbackKey, Endpoint
from passband.domain.message import Recipient
from passband.domain.report import Report
from passband.domain.rules import Rules
from passband.store import (
    Attempted,
    Births,
    CarrierRef,
    Charge,
    Depth,
    Found,
    Line,
    NodeState,
    Pace,
    Provision,
    Provisions,
    Query,
    Slots,
)
from passband.store import operations as op
from passband.store.bury import bury
from passband.store.commit import GroupCommit, Operation
from passband.store.matches import Matches
from passband.store.postgres_hosts import OUT_OF_ORDER, Hosts, Session
from passband.store.postgres_link import Link
from passband.store.postgres_pipe import UNEXPECTED, Again, Manner, Pipe
from passband.store.postgres_reads import Reads
from passband.store.postgres_schema import migrate
from passband.store.postgres_steps import Batch
from passband.store.postgres_vacuum import vacuum
from passband.store.processes import is_dead, machine
from passband.store.queries import migrations
from passband.store.schema import level_of

log = structlog.get_logger()

SILENT_SECONDS = 10.0  # a node that has not been heard of for so long is given up
OUT_OF_TOUCH_SECONDS = 5.0  # who has not beaten for so long does not judge others: the database may have been away
HURRY_ROWS = 500
VACUUM_SECONDS = 30.0  # well below the minute within which nothing of a message may be left
SKEW_SECONDS = 2.0  # between this machine's clock and the database's, from which on somebody should know
TRIES = 8  # of one transaction that others get in the way of


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise StoreUnavailable for what keeps a database from being used."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        # A statement that is refused, as for want of rights, is quoted in the text of its error.
        cause = error.diag.message_primary if isinstance(error, psycopg.ProgrammingError) else None
        raise StoreUnavailable(f"cannot use the database: {cause or error}") from error


async def try_database(url: str) -> None:
    """Do what a node does to a database when it starts, and take it back. Raises StoreUnavailable."""
    hosts = Hosts(url)
    link = Link(hosts)
    with _told():
        try:
            connection = await link.open()
            with hosts.answering(connection):
                async with connection.transaction(force_rollback=True):
                    await migrate(connection, migrations("postgres"), SILENT_SECONDS, tries=1)
        finally:
            await link.close()


class StatementFailed(Exception):
    """The server refuses a statement because of what is in it."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(f"{error.sqlstate}: {error.diag.message_primary}")
        self.sqlstate = error.sqlstate


class PostgresStore:
    """The store on a PostgreSQL database; see ``passband.store.Store`` for what each method promises."""

    def __init__(self, url: str, rules: Rules, births: Births, *, history_days: int = 0) -> None:
        """``url`` is libpq's, with several hosts where there are standbys; the one that takes writes is used."""
        self._rules = rules
        self._births = births
        self._history_days = history_days
        self._migrations = migrations("postgres")
        self._hosts = Hosts(url)
        self._link = Link(self._hosts)
        self._reads = Reads(self._hosts)
        self._commit = GroupCommit(self)
        self._beaten = 0.0
        self._vacuumed = 0.0
        self._unmatched = 0
        self._clock_differs = False
        self._adrift = False  # a commit's outcome is not known, so neither is what this node holds
        self._left: set[int] = set()  # numbers that this node had, whose leases are to be freed
        self.node = 0
        self.hosts: frozenset[str] = frozenset()

    async def open(self, now: float) -> None:
        """Connect, bring the schema up to date, and enter this process as a node.

        Raises StoreUnavailable if the database cannot be used.
        """
        with _told():
            try:
                connection = await self._link.open()
                with self._hosts.answering(connection, math.inf):  # it may wait for another node's changes
                    self._complete = await migrate(connection, self._migrations, SILENT_SECONDS)
            except BaseException:
                await self._link.close()
                raise
        self._commit.start()
        await self._register(now)

    async def _register(self, now: float) -> None:
        self.node = await self._commit.submit(op.Register(machine(), os.getpid(), level_of(self._migrations), now))
        self._beaten = time.monotonic()

    async def close(self) -> None:
        """Finish what is under way, free this node's leases, and disconnect."""
        try:
            for node in (*self._left, self.node):
                await self._bury(node)
        except StoreUnavailable as error:
            log.warning("this node's leases stay until another node takes over", node=self.node, cause=str(error))
        await self._commit.close()
        await self._reads.close()
        await self._link.close()

    # ── the engine of the group commit ─────────────────────────────────────────────────────────────────────────────

    async def transact(self, operations: Sequence[Operation[Any]]) -> Callable[[], None]:
        """Run operations in one transaction; see ``passband.store.commit.Engine``."""
        manner = Manner()
        for _ in range(TRIES):
            for operation in operations:
                operation.error = None
            try:
                return await self._transaction(operations, manner)
            except Again as again:
                manner = again.manner
            except (DeadlockDetected, SerializationFailure) as error:
                log.info("a transaction is run again", operations=len(operations), sqlstate=error.sqlstate)
            except (psycopg.Error, OSError) as error:
                if isinstance(error, psycopg.Error) and error.sqlstate == UNEXPECTED:
                    manner = replace(manner, careful=True)
                elif isinstance(error, OUT_OF_ORDER):
                    raise StoreUnavailable(f"the database: {error}") from error
                else:  # without the server's details: they quote the row, text and all
                    raise StatementFailed(error) from None
        raise StoreUnavailable(f"other transactions were in the way {TRIES} times")

    async def _transaction(self, operations: Sequence[Operation[Any]], manner: Manner) -> Callable[[], None]:
        connection = self._link.ready()
        batch = Batch(Pipe(connection, self.node, manner), self._rules, self._births, self._history_days)
        committing = False
        try:
            with self._hosts.answering(connection):
                async with connection.pipeline():
                    await connection.execute("BEGIN", prepare=True)
                    born = await batch.run(operations)
                    committing = True
                    await connection.execute("COMMIT", prepare=True)
                self._link.confirm(connection)
                await batch.answer()
        except BaseException:
            await self._clear(connection, committing)
            raise
        return lambda: self._hand_on(*born, batch.matches)

    async def _clear(self, connection: Session, committing: bool) -> None:
        """Make the connection ready for the next transaction, or find another."""
        with contextlib.suppress(*OUT_OF_ORDER), self._hosts.answering(connection):
            await connection.rollback()
        if connection.closed:
            self._adrift |= committing
            self._link.lost()

    def _hand_on(self, recipients: list[Recipient], callbacks: list[Callback], matches: Matches) -> None:
        if recipients:
            self._births.take_recipients(recipients)
        if callbacks:
            self._births.take_callbacks(callbacks)
        matches.tell()

    # ── the steps ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def accept(
        self, recipients: Sequence[Recipient], callbacks: Sequence[Callback], charges: Sequence[Charge]
    ) -> None:
        await self._commit.submit(op.Accept(recipients, callbacks, charges))

    async def announce(self, recipients: Sequence[Recipient], now: float) -> None:
        await self._commit.submit(op.Announce(recipients, now))

    async def record(self, report: Report, now: float) -> None:
        await self._commit.submit(op.Record(report, now))

    async def fail(self, recipients: Sequence[tuple[Recipient, int]], now: float) -> None:
        await self._commit.submit(op.Fail(recipients, now))

    async def reserve(self, paces: Sequence[Pace], now: float) -> list[float]:
        return await self._commit.submit(op.Reserve(paces, now))

    async def attempted(self, results: Sequence[Attempted]) -> None:
        await self._commit.submit(op.Attempts(results))

    async def lease_recipients(self, line: Line, limit: int, now: float) -> list[Recipient]:
        return await self._commit.submit(op.LeaseRecipients(line, limit, now))

    async def lease_callbacks(
        self, endpoint: Endpoint, limit: int, now: float, *, untried_since: float | None = None
    ) -> list[Callback]:
        return await self._commit.submit(op.LeaseCallbacks(endpoint, limit, now, untried_since))

    async def hurry(self, what: Endpoint | CallbackKey, now: float) -> int:
        count = last = await self._commit.submit(op.Hurry(what, HURRY_ROWS, now))
        while last == HURRY_ROWS:
            last = await self._commit.submit(op.Hurry(what, HURRY_ROWS, now))
            count += last
        return count

    async def release(self, recipients: Sequence[Recipient], callbacks: Sequence[Callback]) -> None:
        await self._commit.submit(op.Release(recipients, callbacks))

    async def expire(self, now: float) -> int:
        operation = op.Expire(now)
        count = await self._commit.submit(operation)
        if operation.unmatched:
            self._unmatched += operation.unmatched.total()
            log.info("receipts matched nothing", receipts=dict(operation.unmatched))
        if now - self._vacuumed >= VACUUM_SECONDS:
            self._vacuumed = now
            await vacuum(self._hosts, self._reads)
        return count

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def beat(self, now: float) -> bool:
        """See ``Store.beat``; the database's clock counts. Who was out of touch judges nobody else."""
        began = time.monotonic()
        in_touch = began - self._beaten < OUT_OF_TOUCH_SECONDS
        lives = await self._commit.submit(op.Beat(now)) and not self._adrift
        self._beaten = time.monotonic()
        if not lives:
            log.error("this node does not know what it holds, or was given up by the others", node=self.node)
            # Its leases are freed at the next beat: by then this process has forgotten them.
            self._left.add(self.node)
            await self._register(now)
            self._adrift = False  # not before: without a new number it would go on with what it does not know
            return False
        nodes = await self._reads.nodes()
        self.hosts = frozenset(where for _, where, *_ in nodes)
        self._compare_clocks(now, now + time.monotonic() - began, nodes[0][4] if nodes else now)
        for node, where, pid, silent, _ in nodes:
            gone = node in self._left or is_dead(where, pid)
            if node != self.node and (gone or (in_touch and silent > SILENT_SECONDS)):
                log.info("taking over from a silent node", node=node, silent_seconds=round(silent, 1))
                await self._bury(node)
        if not self._complete:
            self._complete = await self._commit.exclusively(self._finish_schema)
        return True

    def _compare_clocks(self, before: float, after: float, databases: float) -> None:
        """Say once that this node's clock is wrong: all times but those of heartbeats are by the nodes' own."""
        differs = not before - SKEW_SECONDS < databases < after + SKEW_SECONDS
        if differs and not self._clock_differs:
            log.warning("the clocks of this machine and of the database differ", seconds=round(after - databases, 1))
        self._clock_differs = differs

    async def _finish_schema(self) -> bool:
        try:
            connection = self._link.ready()
            with self._hosts.answering(connection, math.inf):
                return await migrate(connection, self._migrations, SILENT_SECONDS, tries=1)
        except LockNotAvailable:
            return False  # next time
        except OUT_OF_ORDER as error:
            raise StoreUnavailable(f"the schema could not be changed: {error}") from error

    async def _bury(self, node: int) -> None:
        await bury(self._commit, node, lambda: self._reads.held(node))
        self._left.discard(node)

    async def lease_slots(self, carrier: str, slots: int, now: float) -> Slots:
        return await self._commit.submit(op.LeaseSlots(carrier, slots))

    async def release_slots(self, carrier: str, slots: Sequence[int]) -> None:
        await self._commit.submit(op.ReleaseSlots(carrier, slots))

    async def provision(self, changes: Sequence[Provision], at: int) -> int | None:
        return await self._commit.submit(op.Provide(changes, at))

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def lines(self, now: float) -> list[Line]:
        return await self._reads.lines(now)

    async def endpoints(self, now: float) -> list[tuple[Endpoint, float]]:
        return await self._reads.endpoints()

    async def search(self, query: Query, now: float) -> tuple[int, list[Found]]:
        return await self._reads.search(query)

    async def provisioned(self, since: int | None = None) -> Provisions | None:
        return await self._reads.provisioned(since)

    async def nodes(self, now: float) -> list[NodeState]:
        return await self._reads.node_states()

    async def carrier_refs(self, account: str, id_: str) -> list[CarrierRef]:
        return await self._reads.carrier_refs(account, id_)

    async def depths(self) -> Sequence[Depth]:
        return await self._reads.depths()

    async def oldest_callback(self) -> float | None:
        return await self._reads.oldest_callback()

    def statistics(self) -> Mapping[str, float]:
        c = self._commit
        counted = {"commits": c.commits, "operations": c.operations, "largest": c.largest, "seconds": c.seconds}
        return {**counted, "unmatched_receipts": self._unmatched}
