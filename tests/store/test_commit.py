"""Group commit: what arrives while one commit runs forms the next, and one bad operation harms no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from passband.domain.errors import QueueFull, StoreUnavailable
from passband.store.commit import LARGEST, GroupCommit, Operation


@dataclass(slots=True, eq=False)
class Step(Operation[str]):
    """An operation that gives its name, or fails as it is told."""

    name: str = ""
    fails: Exception | None = None
    refuses_first: int = 0  # how many times it is refused for its own reason


class FakeEngine:
    """An engine that remembers its batches and commits when it may."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.running = asyncio.Event()
        self.told: list[list[str]] = []
        self.unavailable = 0

    async def transact(self, operations: Sequence[Operation[Any]]) -> Callable[[], None]:
        names = []
        for operation in operations:
            assert isinstance(operation, Step)
            names.append(operation.name)
            operation.result = operation.name
            if operation.refuses_first:
                operation.refuses_first -= 1
                operation.error = QueueFull("sms", 1, 900)
        self.batches.append(names)
        self.running.set()
        await self.may_commit.wait()
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable("the disk is full")
        for operation in operations:
            if isinstance(operation, Step) and operation.fails:
                raise operation.fails
        return lambda: self.told.append(names)

    async def hold(self) -> None:
        self.may_commit.clear()
        self.running.clear()


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def commit(engine: FakeEngine) -> AsyncIterator[GroupCommit]:
    commit = GroupCommit(engine)
    commit.start()
    yield commit
    engine.may_commit.set()
    await commit.close()


def submit(commit: GroupCommit, *names: str, **fields: Any) -> list[asyncio.Future[str]]:
    return [commit.submit(Step(name=name, **fields)) for name in names]


async def test_a_lone_call_is_committed_at_once(commit: GroupCommit, engine: FakeEngine) -> None:
    assert await commit.submit(Step(name="a")) == "a"
    assert engine.batches == engine.told == [["a"]]


async def test_calls_that_arrive_during_a_commit_share_the_next(commit: GroupCommit, engine: FakeEngine) -> None:
    await engine.hold()
    first = submit(commit, "a")
    await engine.running.wait()
    rest = submit(commit, "b", "c", "d")
    await asyncio.sleep(0)
    assert not any(task.done() for task in first + rest)
    engine.may_commit.set()
    assert await asyncio.gather(*first, *rest) == ["a", "b", "c", "d"]
    assert engine.batches == [["a"], ["b", "c", "d"]]


async def test_calls_of_one_moment_share_a_commit_in_their_order(commit: GroupCommit, engine: FakeEngine) -> None:
    names = [str(n) for n in range(100)]
    assert await asyncio.gather(*submit(commit, *names)) == names
    assert engine.batches == [names]
    assert (commit.commits, commit.operations, commit.largest) == (1, 100, 100)


async def test_no_commit_is_larger_than_the_largest(commit: GroupCommit, engine: FakeEngine) -> None:
    await asyncio.gather(*submit(commit, *map(str, range(LARGEST + 1))))
    assert [len(batch) for batch in engine.batches] == [LARGEST, 1]


async def test_nobody_is_told_before_the_commit(commit: GroupCommit, engine: FakeEngine) -> None:
    await engine.hold()
    (task,) = submit(commit, "a")
    await engine.running.wait()
    assert engine.told == []
    engine.may_commit.set()
    await task
    assert engine.told == [["a"]]


async def test_a_caller_that_is_cancelled_harms_nobody(commit: GroupCommit, engine: FakeEngine) -> None:
    await engine.hold()
    tasks = submit(commit, "a")
    await engine.running.wait()
    tasks += submit(commit, "b", "c")
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    engine.may_commit.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError, str]
    assert engine.batches == [["a"], ["b", "c"]]
    assert await commit.submit(Step(name="d")) == "d"


async def test_a_refusal_is_told_to_its_caller_alone(commit: GroupCommit, engine: FakeEngine) -> None:
    tasks = [*submit(commit, "a"), *submit(commit, "b", refuses_first=1), *submit(commit, "c")]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, QueueFull, str]
    assert engine.batches == [["a", "b", "c"]]


async def test_an_operation_that_fails_is_run_alone_and_so_are_the_others(
    commit: GroupCommit, engine: FakeEngine
) -> None:
    tasks = [*submit(commit, "a"), *submit(commit, "b", fails=ValueError("of its own")), *submit(commit, "c")]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, StoreUnavailable, str]
    assert str(results[1]) == "Step failed: ValueError"
    assert engine.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert engine.told == [["a"], ["c"]]


async def test_what_fails_every_request_is_said_once_and_then_once_a_minute_with_how_many(
    commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(Exception):
        sqlstate = "42501"

    async def fail(times: int, error: Exception) -> None:
        for _ in range(times):
            with pytest.raises(StoreUnavailable):
                await commit.submit(Step(fails=error))

    with capture_logs() as entries:
        await fail(20, Refused("permission denied"))
        assert await commit.submit(Step(name="a")) == "a"
        await fail(20, ValueError("of another kind"))
        await fail(20, Refused("permission denied"))
    assert [(e["log_level"], e["operation"], e["failed_since_told"], e["exc_info"]) for e in entries] == [
        ("error", "Step", 0, True)
    ] * 2
    monkeypatch.setattr("passband.store.commit.AGAIN_SECONDS", 0)  # a minute later
    with capture_logs() as entries:
        await fail(1, Refused("permission denied"))
    assert [e["failed_since_told"] for e in entries] == [39]


async def test_a_refusal_that_was_rolled_back_with_its_batch_is_not_told(
    commit: GroupCommit, engine: FakeEngine
) -> None:
    """Run alone, the operation is carried out; its caller must not take it for refused."""
    tasks = [*submit(commit, "a", refuses_first=1), *submit(commit, "b", fails=ValueError())]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, StoreUnavailable]


async def test_a_store_out_of_order_is_told_to_all_and_tried_again_for_the_next(
    commit: GroupCommit, engine: FakeEngine
) -> None:
    engine.unavailable = 1
    results = await asyncio.gather(*submit(commit, "a", "b", "c"), return_exceptions=True)
    assert [str(result) for result in results] == ["the disk is full"] * 3
    assert engine.told == []
    assert commit.commits == 0
    assert await commit.submit(Step(name="d")) == "d"


async def test_something_runs_between_two_commits(commit: GroupCommit, engine: FakeEngine) -> None:
    order: list[str] = []

    async def between() -> str:
        order.append(f"between, after {len(engine.told)} commits")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        order.append(f"done, after {len(engine.batches)} commits")
        return "result"

    await engine.hold()
    tasks = submit(commit, "a")
    await engine.running.wait()
    exclusive = asyncio.create_task(commit.exclusively(between))
    await asyncio.sleep(0)
    tasks += submit(commit, "b")
    await asyncio.sleep(0)
    assert order == []
    engine.may_commit.set()
    assert await exclusive == "result"
    await asyncio.gather(*tasks)
    assert order == ["between, after 1 commits", "done, after 1 commits"]
    assert engine.batches == [["a"], ["b"]]


async def test_commits_go_on_after_something_exclusive_has_failed(commit: GroupCommit) -> None:
    async def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await commit.exclusively(fails)
    assert await commit.submit(Step(name="a")) == "a"


async def test_closing_finishes_what_waits_and_refuses_what_comes_later(engine: FakeEngine) -> None:
    commit = GroupCommit(engine)
    commit.start()
    await engine.hold()
    tasks = submit(commit, "a")
    await engine.running.wait()
    tasks += submit(commit, "b", "c")
    await asyncio.sleep(0)
    closing = asyncio.create_task(commit.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await commit.submit(Step(name="d"))
    engine.may_commit.set()
    await closing
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert engine.batches == [["a"], ["b", "c"]]


async def test_closing_an_idle_one_ends(engine: FakeEngine) -> None:
    commit = GroupCommit(engine)
    commit.start()
    await asyncio.sleep(0)
    await commit.close()
    assert engine.batches == []
