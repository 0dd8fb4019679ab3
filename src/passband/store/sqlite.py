"""The embedded engine: one SQLite file, through apsw, shared by the nodes of one machine.

Write-ahead log with ``synchronous=FULL``: a commit is on disk when it returns. ``secure_delete`` overwrites what is
deleted, the log is emptied every few seconds, and then what SQLite left between the rows (``sqlite_gaps.py``), so that
nothing of a message stays in the files once it is over.

**Resource handling.** One connection writes; its statements run on the event loop and only the commit, the fsync, in a
thread, where it gives up the interpreter for as long as the disk takes. Another connection reads, in a thread of its
own, what may take long. **Error handling.** A full disk or a failing one is StoreUnavailable for all who wait; the
transaction is rolled back and the next one may succeed.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import structlog

from passband.domain.errors import StoreUnavailable
from passband.domain.event import Callback, CallbackKey, Endpoint
from passband.domain.message import Direction, Recipient
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
from passband.store.processes import is_dead, machine
from passband.store.queries import migrations
from passband.store.schema import level_of
from passband.store.sqlite_gaps import Gaps
from passband.store.sqlite_reads import Reads
from passband.store.sqlite_schema import migrate
from passband.store.sqlite_steps import Steps

log = structlog.get_logger()

T = TypeVar("T")

CHECKPOINT_FRAMES = 4000  # 16 MiB of log: hot pages are copied to the file once for many commits
EMPTY_LOG_SECONDS = 15.0  # well below the minute within which nothing of a message may be left
OTHERS_PATIENCE = 0.1  # how long other nodes' readers and writers are waited for; commits wait behind it
SWEEP_SLICES = 500  # 1 GB of the file is looked through each time; what is larger takes several times
CLEAR_PAGES = 500  # cleared at once, 5 ms
CLEAR_TRIES = 10
SILENT_SECONDS = 10.0  # a node that has not been heard of for so long is given up
BUSY_SECONDS = 10.0
PAUSE_SECONDS = 0.0005  # between tries for a lock that another node holds for the time of a commit
HURRY_ROWS = 500

# What means that the store is out of order, rather than that a statement is wrong.
OUT_OF_ORDER = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
    apsw.ProtocolError,  # too many nodes at the log's locks at once
)


class SqliteStore:
    """The store on one SQLite file; see ``passband.store.Store`` for what each method promises."""

    def __init__(self, path: Path, rules: Rules, births: Births, *, history_days: int = 0) -> None:
        self._path = path
        self._rules = rules
        self._births = births
        self._history_days = history_days
        self._migrations = migrations("sqlite")
        self._complete = False  # no schema change is left to make
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sqlite-read")
        self._commit = GroupCommit(self)
        self._frames = 0
        self._log_emptied = 0.0
        self._written = False
        self._unmatched = 0
        self._beaten = time.monotonic()
        self.node = 0
        self.hosts: frozenset[str] = frozenset()

    async def open(self, now: float) -> None:
        """Open or create the file, bring its schema up to date, and enter this process as a node.

        Raises StoreUnavailable if the file cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self._in_writer(lambda: self._connect(now))
            self._reads = await self._in_reader(lambda: Reads(_open(self._path)))
        except (apsw.Error, OSError, StoreUnavailable) as error:
            self._writer.shutdown()
            self._reader.shutdown()
            raise StoreUnavailable(f"cannot use {self._path}: {error}") from error
        self._commit.start()
        await self._register(now)

    async def _register(self, now: float) -> None:
        level = level_of(self._migrations)
        self.node = await self._commit.submit(op.Register(machine(), os.getpid(), level, now))
        self._steps.become(self.node)

    def _connect(self, now: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = _open(self._path)
        # SQLite does not wait by itself where two connections switch a new file to its log at once.
        self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall(), BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.set_wal_hook(self._on_wal)
        self._patiently(lambda: self._change_schema(connection, now), BUSY_SECONDS)
        connection.set_busy_timeout(0)  # the event loop must not wait for a lock; _begin does so in the thread
        self._connection = connection
        self._gaps = Gaps(self._path)
        self._steps = Steps(connection, self._rules, self._births, self._history_days)

    def _on_wal(self, _connection: apsw.Connection, _database: str, frames: int) -> int:
        self._frames = frames
        return apsw.SQLITE_OK

    async def close(self) -> None:
        """Finish what is under way, free this node's leases, empty the log and close the file."""
        try:
            await self._bury(self.node)
        except StoreUnavailable as error:
            log.warning("this node's leases stay until another node takes over", node=self.node, cause=str(error))
        await self._commit.close()
        await self._in_reader(lambda: self._reads.close())
        await self._in_writer(self._disconnect)
        self._writer.shutdown()
        self._reader.shutdown()

    def _disconnect(self) -> None:
        self._truncate_log()
        self._gaps.close()
        self._connection.close()

    async def _in_writer(self, function: Callable[[], T]) -> T:
        """Run a function in the thread that writes. Whoever is cancelled meanwhile waits for its end all the same:
        until then nobody else may use the connection, which has no lock of its own."""
        work = self._writer.submit(function)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(PAUSE_SECONDS)
            raise

    async def _in_reader(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def _read(self, function: Callable[[], T]) -> T:
        try:
            return await self._in_reader(function)
        except OUT_OF_ORDER as error:
            raise StoreUnavailable(str(error)) from error

    # ── the engine of the group commit ─────────────────────────────────────────────────────────────────────────────

    async def transact(self, operations: Sequence[Operation[Any]]) -> Callable[[], None]:
        """Run operations in one transaction; see ``passband.store.commit.Engine``."""
        try:
            await self._begin()
            try:
                recipients, callbacks = self._steps.run(operations)
                await self._in_writer(self._finish)
            except asyncio.CancelledError:
                raise  # the process ends, and with it the transaction
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except OUT_OF_ORDER as error:
            raise StoreUnavailable(str(error)) from error
        self._written = True
        matches = self._steps.matches

        def after() -> None:
            if recipients:
                self._births.take_recipients(recipients)
            if callbacks:
                self._births.take_callbacks(callbacks)
            matches.tell()

        return after

    async def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            await self._in_writer(self._begin_patiently)

    def _begin_patiently(self) -> None:
        self._patiently(lambda: self._connection.execute("BEGIN IMMEDIATE"), BUSY_SECONDS)

    def _patiently(self, attempt: Callable[[], object], seconds: float) -> None:
        """Do something once no other node holds the lock; SQLite's own waits grow to 25 ms, commits take 0.2."""
        give_up = time.monotonic() + seconds
        while True:
            try:
                attempt()
            except apsw.BusyError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def _finish(self) -> None:
        self._connection.execute("COMMIT")
        if self._frames >= CHECKPOINT_FRAMES:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _checkpoint(self, mode: int, patience: float = 0.0) -> bool:
        """Copy the log to the file; return False if another node was in the way or the disk failed."""
        try:
            self._patiently(lambda: self._connection.wal_checkpoint(mode=mode), patience)
        except OUT_OF_ORDER as error:
            log.warning("the log could not be copied to the database", cause=str(error))
            return False
        self._frames = 0
        return True

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
        receipts_over = now - self._rules.receipt_window
        retries_over = now - self._rules.retry_window
        receipts, retries = await self._read(lambda: self._reads.overdue(now, receipts_over, retries_over))
        operation = op.Expire(now, receipts, retries)
        count = await self._commit.submit(operation)
        if operation.unmatched:
            self._unmatched += operation.unmatched.total()
            log.info("receipts matched nothing", receipts=dict(operation.unmatched))
        if self._written and now - self._log_emptied >= EMPTY_LOG_SECONDS:
            await self._empty_log(now)
        return count

    async def _empty_log(self, now: float) -> None:
        """Rid the files of deleted rows: truncate the log, then clear what is left of them between other rows."""
        self._log_emptied = now
        emptied = await self._commit.exclusively(lambda: self._in_writer(self._truncate_log))
        self._written = not emptied
        for _ in range(SWEEP_SLICES if emptied else 0):
            pages, over = await self._read(self._gaps.look)
            for first in range(0, len(pages), CLEAR_PAGES):
                clear = partial(self._clear_gaps, pages[first : first + CLEAR_PAGES])
                await self._commit.exclusively(partial(self._in_writer, clear))
            if over:
                break

    def _truncate_log(self) -> bool:
        return self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE, OTHERS_PATIENCE)

    def _clear_gaps(self, pages: Sequence[int]) -> None:
        """Clear gaps while the log is empty and the write lock held; a page's copies in memory must go with it."""
        try:
            for _ in range(CLEAR_TRIES):
                if not self._truncate_log():
                    return
                self._begin_patiently()
                cleared = self._gaps.clear(pages)
                # Any change will do: it makes the other nodes forget the pages that they have in memory.
                changes = self._connection.pragma("user_version")
                self._connection.pragma("user_version", (changes + 1) & 0x7FFFFFFF)
                self._connection.execute("COMMIT")
                self._connection.execute("PRAGMA shrink_memory")
                if cleared:
                    return
        except OUT_OF_ORDER as error:
            log.warning("the file could not be rid of deleted rows", cause=str(error))
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def beat(self, now: float) -> bool:
        """See ``Store.beat``. A process of this machine that is gone is given up at once, others by their silence."""
        lives = await self._commit.submit(op.Beat(now))
        since, self._beaten = time.monotonic() - self._beaten, time.monotonic()
        if not lives:
            log.error("this node was given up by the others, its leases are gone", node=self.node)
            await self._register(now)
        # Where this node could not beat itself, the others may not have been able to either: a full disk silences all.
        judges = since < SILENT_SECONDS / 2
        nodes = await self._read(lambda: self._reads.nodes())
        self.hosts = frozenset(host for _, host, *_ in nodes)
        for node, host, pid, beat_at in nodes:
            silent = judges and beat_at < now - SILENT_SECONDS
            if node != self.node and (silent or is_dead(host, pid)):
                log.info("taking over from a silent node", node=node, silent_seconds=round(now - beat_at, 1))
                await self._bury(node)
        if not self._complete:
            await self._commit.exclusively(lambda: self._in_writer(lambda: self._finish_schema(now)))
        return lives

    def _change_schema(self, connection: apsw.Connection, now: float) -> None:
        self._complete = migrate(connection, self._migrations, now - SILENT_SECONDS)

    def _finish_schema(self, now: float) -> None:
        try:
            self._patiently(lambda: self._change_schema(self._connection, now), OTHERS_PATIENCE)
        except OUT_OF_ORDER as error:
            log.warning("the schema could not be changed", cause=str(error))

    async def _bury(self, node: int) -> None:
        await bury(self._commit, node, lambda: self._read(lambda: self._reads.held(node)))

    async def lease_slots(self, carrier: str, slots: int, now: float) -> Slots:
        return await self._commit.submit(op.LeaseSlots(carrier, slots))

    async def release_slots(self, carrier: str, slots: Sequence[int]) -> None:
        await self._commit.submit(op.ReleaseSlots(carrier, slots))

    async def provision(self, changes: Sequence[Provision], at: int) -> int | None:
        return await self._commit.submit(op.Provide(changes, at))

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def lines(self, now: float) -> list[Line]:
        return await self._read(lambda: self._reads.lines(now))

    async def endpoints(self, now: float) -> list[tuple[Endpoint, float]]:
        rows = await self._read(lambda: self._reads.endpoints())
        return [
            (Endpoint(account, application, Direction(direction)), due) for account, application, direction, due in rows
        ]

    async def search(self, query: Query, now: float) -> tuple[int, list[Found]]:
        return await self._read(lambda: self._reads.search(query))

    async def provisioned(self, since: int | None = None) -> Provisions | None:
        return await self._read(lambda: self._reads.provisioned(since))

    async def nodes(self, now: float) -> list[NodeState]:
        return await self._read(lambda: self._reads.node_states(now))

    async def carrier_refs(self, account: str, id_: str) -> list[CarrierRef]:
        return await self._read(lambda: self._reads.carrier_refs(account, id_))

    async def depths(self) -> Sequence[Depth]:
        return await self._read(lambda: self._reads.depths())

    async def oldest_callback(self) -> float | None:
        return await self._read(lambda: self._reads.oldest_callback())

    def statistics(self) -> Mapping[str, float]:
        c = self._commit
        counted = {"commits": c.commits, "operations": c.operations, "largest": c.largest, "seconds": c.seconds}
        return {**counted, "unmatched_receipts": self._unmatched}


def _open(path: Path) -> apsw.Connection:
    # No lock of its own: each connection is used by one thread at a time, and locking took 2 % of all that a node did.
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOMUTEX
    connection = apsw.Connection(os.fspath(path), flags)
    connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
    # One plan for each statement: else SQLite makes a new one whenever a value is bound that might matter to it, which
    # took 6 µs for each receipt, half of its whole step.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -65536")  # KiB; the rows in use, not the file
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
