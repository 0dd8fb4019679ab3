"""The disk fails under the SQLite engine: who is told, what is kept, and that it recovers by itself.

The disk is a shim of SQLite's own between it and the file system; the real thing, a full one, is in
test_sqlite_processes.py.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from passband.domain.errors import StoreUnavailable
from passband.domain.report import Rejected
from passband.store import operations as op
from passband.store.commit import Operation
from passband.store.sqlite import SqliteStore
from passband.store.sqlite_steps import Steps
from store.nodes import NOW, Node, SqliteEngine, Stores, a_recipient

ERRORS = {"write": apsw.FullError, "sync": apsw.IOError}
COMMITTING = ["write to the log", "sync of the log"]
COPYING = ["write to the file", "sync of the file"]
names = itertools.count()


class FaultyFile(apsw.VFSFile):
    """A file that fails on demand."""

    def __init__(self, disk: "FaultyDisk", name: object, flags: list[int]) -> None:
        super().__init__(disk.below, name, flags)  # type: ignore[arg-type]
        self.disk = disk
        self.kind = "log" if flags[0] & apsw.SQLITE_OPEN_WAL else "file"

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.disk.check(f"write to the {self.kind}")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self.disk.check(f"sync of the {self.kind}")
        super().xSync(flags)


class FaultyDisk(apsw.VFS):
    def __init__(self) -> None:
        self.below = apsw.vfs_names()[0]
        super().__init__(f"faulty{next(names)}", self.below, makedefault=True)
        self.failing: str | None = None

    def xOpen(self, name: object, flags: list[int]) -> FaultyFile:  # noqa: N802
        return FaultyFile(self, name, flags)

    def check(self, call: str) -> None:
        if call == self.failing:
            raise ERRORS[call.split()[0]]


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk()
    yield disk
    disk.unregister()


@pytest.fixture
async def stores(disk: FaultyDisk, tmp_path: Path) -> AsyncIterator[Stores]:
    stores = Stores(SqliteEngine(tmp_path / "passband.db"))
    yield stores
    await stores.close()


@pytest.fixture
async def node(stores: Stores) -> Node:
    return await stores.open()


@pytest.mark.parametrize("fault", COMMITTING)
async def test_all_who_wait_are_told_and_nothing_is_half_kept(fault: str, disk: FaultyDisk, node: Node) -> None:
    before = [a_recipient() for _ in range(3)]
    await node.accept(*before)
    disk.failing = fault
    results = await asyncio.gather(
        *(node.accept(a_recipient(), a_recipient()) for _ in range(10)),
        node.outcome(before[0], Rejected(4720)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreUnavailable] * 11
    disk.failing = None
    await node.outcome(before[1], Rejected(4720))
    assert [c.message.id for c in node.births.callbacks] == [before[1].message.id]
    assert node.births.recipients == before
    await node.store.release([before[0], before[2]], ())
    assert await node.lease() == [before[0], before[2]]


@pytest.mark.parametrize("fault", COMMITTING)
async def test_it_recovers_by_itself(fault: str, disk: FaultyDisk, node: Node, stores: Stores) -> None:
    for failing in (fault, None) * 3:
        disk.failing = failing
        recipient = a_recipient()
        if failing:
            with pytest.raises(StoreUnavailable):
                await node.accept(recipient)
        else:
            await node.accept(recipient)
    assert len(node.births.recipients) == 3
    other = await stores.open()
    await stores.close(node)
    assert await other.lease() == node.births.recipients


@pytest.mark.parametrize("fault", COPYING)
async def test_the_files_are_rid_of_deleted_rows_later_if_the_disk_fails_meanwhile(
    fault: str, disk: FaultyDisk, node: Node, tmp_path: Path
) -> None:
    recipient = a_recipient(text="Lorem ipsum")
    await node.accept(recipient)
    await node.store.fail([(recipient, 4360)], NOW)
    await node.acknowledge(*node.births.callbacks)
    disk.failing = fault
    await node.store.expire(NOW + 20)
    assert any(b"Lorem ipsum" in file.read_bytes() for file in tmp_path.iterdir())
    disk.failing = None
    await node.store.expire(NOW + 40)
    assert not any(b"Lorem ipsum" in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_store_closes_although_the_disk_fails(disk: FaultyDisk, node: Node, stores: Stores) -> None:
    recipient = a_recipient()
    await node.accept(recipient)
    disk.failing = "write to the log"
    await stores.close(node)
    disk.failing = None
    other = await stores.open(now=NOW + 60)
    await other.store.beat(NOW + 60)
    assert await other.lease() == [recipient]


async def test_an_operation_that_cannot_be_carried_out_harms_no_other_of_its_batch(node: Node) -> None:
    """A lone surrogate cannot be stored; the API lets none through."""
    good = [a_recipient() for _ in range(6)]
    bad = a_recipient(text="\ud800")
    results = await asyncio.gather(
        *(node.accept(recipient) for recipient in [*good[:3], bad, *good[3:]]), return_exceptions=True
    )
    assert [result is None for result in results] == [True] * 3 + [False] + [True] * 3
    assert isinstance(results[3], StoreUnavailable)
    assert "text" not in str(results[3])
    assert node.births.recipients == good


async def test_an_error_in_the_middle_of_a_batch_leaves_nothing_of_the_batch(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Steps.run
    broken = iter([True, True])

    def fails_after_running(self: Steps, operations: list[Operation[object]]) -> object:
        result = run(self, operations)
        if any(isinstance(o, op.Accept) for o in operations) and next(broken, False):
            raise apsw.NoMemError
        return result

    monkeypatch.setattr(Steps, "run", fails_after_running)
    recipients = [a_recipient() for _ in range(2)]
    for recipient in recipients:
        with pytest.raises(StoreUnavailable):
            await node.accept(recipient)
    await node.accept(recipients[0])
    assert node.births.recipients == recipients[:1]


async def test_a_step_that_is_cancelled_holds_the_connection_until_its_thread_is_done(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads in one connection at once would ruin it: it has no lock of its own."""
    begun, may_end = threading.Event(), threading.Event()
    truncate = SqliteStore._truncate_log

    def truncates_slowly(self: SqliteStore) -> bool:
        begun.set()
        assert may_end.wait(10)
        return truncate(self)

    monkeypatch.setattr(SqliteStore, "_truncate_log", truncates_slowly)
    await node.accept(a_recipient())
    expiring = asyncio.create_task(node.store.expire(NOW + 20))
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        accepting = asyncio.create_task(node.accept(a_recipient()))
        for _ in range(2):
            expiring.cancel()
            await asyncio.sleep(0)
        assert not expiring.done()
        assert not accepting.done()
    finally:
        may_end.set()
    await accepting
    with pytest.raises(asyncio.CancelledError):
        await expiring


async def test_a_closed_store_refuses(stores: Stores, node: Node) -> None:
    assert isinstance(node.store, SqliteStore)
    await stores.close(node)
    with pytest.raises(StoreUnavailable):
        await node.accept(a_recipient())
