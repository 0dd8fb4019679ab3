"""Nothing is kept: when the last event of a message is over, the files of the database hold no byte of it.

What must go is searched for in the octets of all files. Among other messages each has a mark of its own, in its text,
its tag and its numbers.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from passband.domain.event import Callback
from passband.domain.message import Recipient
from passband.domain.report import Accepted, Deferred, Inbound, Part, Rejected, Report
from passband.store import Attempted
from store.nodes import DAY, HOUR, NOW, OURS, THEIRS, Node, SqliteEngine, Stores, a_recipient, the_rules


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "passband.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Stores]:
    stores = Stores(SqliteEngine(path))
    yield stores
    await stores.close()


@pytest.fixture
async def node(database: Stores) -> Node:
    return await database.open()


def left(path: Path, *marks: str) -> dict[str, set[str]]:
    """Return which marks are in which file."""
    found = {}
    for file in path.parent.glob(f"{path.name}*"):
        octets = file.read_bytes()
        found[file.name] = {mark for mark in marks if mark.encode() in octets}
    return {name: marks for name, marks in found.items() if marks}


async def test_nothing_is_left_after_the_last_acknowledgement(path: Path, node: Node) -> None:
    recipient = a_recipient(text="Lorem ipsum", tag="dolor sit", to=(THEIRS,), sender=OURS)
    await node.accept(recipient)
    assert left(path, "Lorem ipsum", "dolor sit", THEIRS)
    await node.hand_over(recipient, "1")
    await node.receipt("1")
    await node.acknowledge(*node.births.callbacks)
    await node.store.expire(NOW + 60)
    assert left(path, "Lorem ipsum", "dolor sit", THEIRS, OURS, recipient.message.id) == {}


async def test_nothing_is_left_of_an_inbound_message(path: Path, node: Node) -> None:
    await node.store.record(Report(inbound=[Inbound("carrier", THEIRS, (OURS,), "Lorem ipsum", ref="1")]), NOW)
    assert left(path, "Lorem ipsum")
    await node.acknowledge(*node.births.callbacks)
    await node.store.expire(NOW + 60)
    assert left(path, "Lorem ipsum", THEIRS, OURS) == {}


async def test_nothing_is_left_after_the_last_callback_has_expired(path: Path, node: Node) -> None:
    recipient = a_recipient(text="Lorem ipsum", tag="dolor sit")
    await node.accept(recipient)
    await node.outcome(recipient, Rejected(4720))
    await node.store.release((), node.births.callbacks)
    await node.store.expire(NOW + DAY)
    assert left(path, "Lorem ipsum", "dolor sit", THEIRS) == {}


async def test_nothing_is_left_of_a_message_that_came_in_parts(path: Path, database: Stores) -> None:
    """Its digests stay for an hour; they tell nothing."""
    rules = the_rules()
    rules.joins["carrier"] = lambda parts: Inbound("carrier", parts[0].sender, (parts[0].to,), "Consectetur")
    node = await database.open(rules=rules)
    for sequence in (1, 2):
        part = Part("carrier", "key", sequence, 2, b"Lorem ipsum", 0, THEIRS, OURS)
        await node.store.record(Report(parts=[part]), NOW)
        assert left(path, "Lorem ipsum", THEIRS)
    await node.acknowledge(*node.births.callbacks)
    await node.store.expire(NOW + 60)
    assert left(path, "Lorem ipsum", "Consectetur", THEIRS, OURS) == {}


async def test_nothing_is_left_of_a_receipt_that_matched_nothing(path: Path, node: Node) -> None:
    await node.receipt("1")
    await node.store.expire(NOW + 601)
    assert left(path, THEIRS) == {}


async def test_the_text_is_gone_while_events_are_being_retried(path: Path, node: Node) -> None:
    handed, failed = a_recipient(text="the first text"), a_recipient(text="the second text" * 200)
    await node.accept(handed, failed)
    await node.hand_over(handed, "1")
    await node.outcome(failed, Rejected(4720))
    await node.store.attempted([Attempted(c, NOW + 300, NOW, False) for c in node.births.callbacks])
    await node.store.expire(NOW + 60)
    assert left(path, "the first text", "the second text", THEIRS) == {path.name: {THEIRS}}


async def test_history_keeps_numbers_for_its_days_and_never_text_or_tag(path: Path, database: Stores) -> None:
    node = await database.open(history_days=14)
    recipient = a_recipient(text="Lorem ipsum", tag="dolor sit")
    await node.accept(recipient)
    await node.outcome(recipient, Rejected(4720))
    await node.acknowledge(*node.births.callbacks)
    await node.store.expire(NOW + 60)
    assert left(path, "Lorem ipsum", "dolor sit", THEIRS) == {path.name: {THEIRS}}
    await node.store.expire(NOW + 14 * DAY + 1)
    assert left(path, THEIRS) == {}


# ── among other rows ───────────────────────────────────────────────────────────────────────────────────────────────


class Traffic:
    """Messages of many sizes, of which some stay while those before, between and after them go."""

    def __init__(self, nodes: list[Node], seed: int) -> None:
        self.nodes = nodes
        self.draw = random.Random(seed)
        self.marks: list[str] = []
        self.queued: list[tuple[Node, Recipient]] = []
        self.callbacks: list[tuple[Node, Callback]] = []

    def mark(self) -> str:
        self.marks.append(f"mark{len(self.marks):06d}.")
        return self.marks[-1]

    def message(self) -> Recipient:
        mark = self.mark()
        text = f"text {mark}" + "x" * int(self.draw.expovariate(1 / 150))
        return a_recipient(NOW + self.draw.random(), text=text, tag=f"tag {mark}", to=(f"+{mark}",), length=len(text))

    async def step(self) -> None:
        await asyncio.gather(*(self.accept(node) for node in self.nodes))
        self.draw.shuffle(self.queued)
        self.draw.shuffle(self.callbacks)
        await asyncio.gather(*(self.settle(self.queued.pop()) for _ in range(len(self.queued) * 2 // 3)))
        await asyncio.gather(*(self.tell(self.callbacks.pop()) for _ in range(len(self.callbacks) * 2 // 3)))
        for node in self.nodes:
            self.collect(node)

    def collect(self, node: Node) -> None:
        self.queued += [(node, recipient) for recipient in node.births.recipients]
        self.callbacks += [(node, callback) for callback in node.births.callbacks]
        node.births.recipients.clear()
        node.births.callbacks.clear()

    async def accept(self, node: Node) -> None:
        for _ in range(3):
            await node.accept(*(self.message() for _ in range(self.draw.randint(1, 20))))
        text = self.mark()
        await node.store.record(Report(inbound=[Inbound("carrier", f"+{text}", (OURS,), text)]), NOW)

    async def settle(self, held: tuple[Node, Recipient]) -> None:
        node, recipient = held
        id_ = recipient.message.id
        match self.draw.randint(0, 4):
            case 0:
                await node.outcome(recipient, Rejected(4720))
            case 1:
                await node.outcome(recipient, Accepted((id_,), None))
            case 2:
                await node.outcome(recipient, Accepted((id_,), 2 * HOUR, given=(recipient.number,)))
                await node.receipt(id_, number=recipient.number)
            case 3:
                given = (f"a{recipient.number}", f"b{recipient.number}")
                await node.outcome(recipient, Accepted((f"{id_}a", f"{id_}b"), 2 * HOUR, given=given))
                await node.receipt(f"{id_}b", number=recipient.number, code=4720)
            case _:
                await node.outcome(recipient, Deferred(5600, 0.0))
                self.queued += [(node, again) for again in await node.lease(1)]

    async def tell(self, held: tuple[Node, Callback]) -> None:
        node, callback = held
        if self.draw.random() < 0.3:
            await node.store.attempted([Attempted(callback, NOW, NOW, False)])
            self.callbacks += [(node, c) for c in await node.callbacks(1, endpoint=callback.endpoint)]
        else:
            await node.acknowledge(callback)


MARK = re.compile(r"mark\d{6}\.")


def in_rows(path: Path) -> set[str]:
    """Return which marks are in rows."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = " ".join(
        str(row)
        for table in ("recipients", "callbacks", "orphans")
        for row in connection.execute(f"SELECT * FROM {table}")
    )
    connection.close()
    return set(MARK.findall(rows))


def in_files(path: Path) -> set[str]:
    """Return which marks are in files, in rows or not."""
    return {mark for file in path.parent.glob(f"{path.name}*") for mark in MARK.findall(file.read_text("latin-1"))}


def gone(path: Path, traffic: Traffic) -> set[str]:
    """Check that the files hold nothing but what is in rows; return what is in none."""
    over = set(traffic.marks) - in_rows(path)
    assert not over & in_files(path)
    return over


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("nodes", [1, 2], ids=["one node", "two nodes"])
async def test_nothing_is_left_between_the_rows_of_others(nodes: int, seed: int, path: Path, database: Stores) -> None:
    """Where SQLite moves rows from page to page, it leaves copies of them between those that stay."""
    traffic = Traffic([await database.open() for _ in range(nodes)], seed)
    over: set[str] = set()
    for round_ in range(6):
        for _ in range(4):
            await traffic.step()
        await traffic.nodes[round_ % nodes].store.expire(NOW + 20 * round_ + 20)
        over = gone(path, traffic)
        await traffic.step()
        assert not over & in_files(path), "what was gone has come back from memory"
    assert len(over) > 300
    assert len(traffic.queued) + len(traffic.callbacks) > 50


@pytest.mark.slow
async def test_nothing_is_left_although_the_others_never_rest(path: Path, database: Stores) -> None:
    """The files are rid of deleted rows while two nodes write; what they had in memory does not bring it back."""
    traffic = Traffic([await database.open(), await database.open()], seed=9)
    for round_ in range(6):
        await asyncio.gather(
            *(node.store.expire(NOW + 20 * round_ + 20) for node in traffic.nodes),
            *(traffic.step() for _ in range(3)),
        )
    for node in traffic.nodes:
        await node.store.expire(NOW + 200)
    assert len(gone(path, traffic)) > 300


@pytest.mark.slow
async def test_the_remains_of_a_crash_are_cleared_by_whoever_comes_next(path: Path, tmp_path: Path) -> None:
    """The files as they were in the middle of the work, without a goodbye."""
    before = Stores(SqliteEngine(tmp_path / "before" / "passband.db"))
    traffic = Traffic([await before.open()], seed=3)
    for _ in range(12):
        await traffic.step()
    for file in (tmp_path / "before").iterdir():
        if not file.name.endswith("-shm"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    await before.close()
    after = Stores(SqliteEngine(path))
    node = await after.open()
    await node.store.expire(NOW + 60)
    assert len(gone(path, traffic)) > 100
    await after.close()


async def test_the_rows_are_whole_after_their_gaps_were_cleared(path: Path, database: Stores) -> None:
    traffic = Traffic([await database.open(), await database.open()], seed=5)
    for round_ in range(4):
        await traffic.step()
        await traffic.nodes[round_ % 2].store.expire(NOW + 20 * round_ + 20)
    connection = apsw.Connection(str(path))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
