"""Group commit: calls that arrive while one commit runs form the next.

A call becomes an operation; one fsync serves all that wait. Under little load an operation waits for one fsync only.
The engine runs a batch of operations in one transaction; if that fails for a reason of one operation's own, each runs
alone, so that the faulty one harms no other.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import structlog

from passband.domain.errors import PassbandError, StoreUnavailable

log = structlog.get_logger()

R = TypeVar("R")

# More in one transaction gains nothing (the fsync is a few percent of it by then) and makes everyone in it wait longer.
LARGEST = 2000

AGAIN_SECONDS = 60.0  # until a failure of which the cause was said is said again


@dataclass(slots=True, eq=False)
class Operation(Generic[R]):
    """One step that waits to become durable. The engine sets ``result`` or ``error`` while it runs."""

    future: asyncio.Future[R] = field(init=False, default_factory=asyncio.Future)
    result: R | None = field(init=False, default=None)
    error: PassbandError | None = field(init=False, default=None)


class Engine(Protocol):
    """Runs operations in one transaction."""

    async def transact(self, operations: Sequence[Operation[Any]]) -> Callable[[], None]:
        """Run these and commit. Return what is to be done when their callers are told.

        Raises StoreUnavailable if nothing of it was kept because the store is out of order, and any other exception if
        nothing was kept because of an operation.
        """
        ...


class _Faults:
    """What is said of operations that fail for a reason of their own: at once for each cause, then once a minute.

    The reason may be the database's: a right that was revoked fails every request, many times a second.
    """

    def __init__(self) -> None:
        self._said: dict[object, tuple[float, int]] = {}  # when, and how many there were since

    def say(self, operation: str, error: Exception) -> None:
        """Log an error that is being handled, with its traceback, unless it was said just now."""
        cause = operation, type(error), getattr(error, "sqlstate", None)
        now = time.monotonic()
        said_at, unsaid = self._said.get(cause, (-math.inf, 0))
        if now - said_at < AGAIN_SECONDS:
            self._said[cause] = said_at, unsaid + 1
            return
        log.exception("an operation of the store failed", operation=operation, failed_since_told=unsaid)
        self._said[cause] = now, 0


class GroupCommit:
    """The queue before an engine's one writing connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[Operation[Any]] = []
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._failures = 0  # commits in a row that the store could not make
        self._faults = _Faults()
        self.commits = 0
        self.operations = 0
        self.largest = 0
        self.seconds = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group commit")

    def submit(self, operation: Operation[R]) -> asyncio.Future[R]:
        """Return what gets the operation's result once that is durable, or its error, or StoreUnavailable.

        Raises StoreUnavailable once the queue is closed, and RuntimeError once it has ended by an error that it does
        not know: nobody is to wait for ever.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if self._task and self._task.done():
            raise RuntimeError("the group commit has ended")
        self._waiting.append(operation)
        self._wake.set()
        return operation.future

    async def exclusively(self, function: Callable[[], Awaitable[R]]) -> R:
        """Run ``function`` between two commits."""
        async with self._turn:
            return await function()

    async def close(self) -> None:
        """Finish what waits; what is submitted later is refused."""
        self._closing = True
        self._wake.set()
        if self._task:
            await self._task

    async def _run(self) -> None:
        batch: list[Operation[Any]] = []
        try:
            await self._serve(batch)
        finally:
            for operation in [*batch, *self._waiting]:
                if not operation.future.done():
                    operation.future.set_exception(StoreUnavailable("the group commit has ended"))

    async def _serve(self, batch: list[Operation[Any]]) -> None:
        """Commit what waits, in batches; ``batch`` is the one under way."""
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch[:], self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            async with self._turn:
                if not await self._commit(batch):
                    for operation in batch:
                        await self._commit([operation])

    async def _commit(self, batch: list[Operation[Any]]) -> bool:
        """Run a batch and tell its callers; return False if it should be run one by one."""
        started = time.monotonic()
        for operation in batch:  # what an attempt that was rolled back left in it
            operation.error = None
        try:
            after = await self._engine.transact(batch)
        except StoreUnavailable as error:
            for operation in batch:
                operation.error = error
            self._failures += 1
            # Said once: a full disk fails hundreds of times a second, and the log may be on it.
            if self._failures == 1:
                log.error("the store could not commit", operations=len(batch), cause=str(error))
        except Exception as error:
            if len(batch) > 1:
                return False
            self._faults.say(type(batch[0]).__name__, error)
            batch[0].error = StoreUnavailable(f"{type(batch[0]).__name__} failed: {type(error).__name__}")
        else:
            if self._failures:
                log.warning("the store commits again", failed_commits=self._failures)
                self._failures = 0
            self.commits += 1
            self.operations += len(batch)
            self.largest = max(self.largest, len(batch))
            self.seconds += time.monotonic() - started
            try:
                after()
            except Exception:  # the top of a loop: what is committed must be told to its callers all the same
                log.exception("what was stored could not be handed on; it is taken over when this node ends")
        for operation in batch:
            if operation.future.done():  # its caller has gone
                continue
            if operation.error is not None:
                operation.future.set_exception(operation.error)
            else:
                operation.future.set_result(operation.result)
        return True
