"""An SMPP carrier and the simulated SMSC, over TCP in one process."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from carriers.collector import Collector
from passband.carriers.smpp import SmppCarrier, SmppSettings
from passband.clock import Clock, SystemClock
from passband.smsc import Smsc, SmscOptions
from passband.testing import FakeClock


class FastClock:
    """A clock that runs twenty times as fast as the machine's, so that waits of seconds are over soon."""

    SPEED = 20.0

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_773_044_142.0 + (time.monotonic() - self._began) * self.SPEED

    async def rest(self, wake: asyncio.Event, until: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(0.0, until - self.now()) / self.SPEED):
                await wake.wait()
        wake.clear()


@dataclass
class Pair:
    """Both ends, and what the carrier reported."""

    smsc: Smsc
    port: int
    carrier: SmppCarrier
    collector: Collector
    clock: Clock

    async def bound(self) -> None:
        """Return when the carrier has room."""
        await self.collector.until(lambda: self.carrier.room(self.clock.now()) > 0)

    async def until_smsc(self, counter: str, count: int) -> None:
        """Return when the SMSC has counted so much."""
        async with asyncio.timeout(30):
            while self.smsc.counters[counter] < count:
                await asyncio.sleep(0.001)

    async def until_clock(self, true: Any, seconds: float = 1.0) -> None:
        """Move a fake clock on until it is so, letting the other end answer in between."""
        assert isinstance(self.clock, FakeClock)
        async with asyncio.timeout(30):
            while not true():
                self.clock.advance(seconds)
                await asyncio.sleep(0.002)


def settings(port: int, **changes: Any) -> SmppSettings:
    return SmppSettings(
        **{
            "name": "carrier",
            "host": "127.0.0.1",
            "port": port,
            "system_id": "passband",
            "password": "s3cret08",
            "rate": None,
            "err_dialect": "platform4",
            **changes,
        }
    )


@asynccontextmanager
async def running_smsc(**options: Any) -> AsyncIterator[tuple[Smsc, int]]:
    """Run an SMSC that answers at once and keeps a ledger."""
    smsc = Smsc(
        SmscOptions(**{"port": 0, "ledger": True, "receipt_delay": 0.0, "seed": 7, **options}),
        SystemClock(),
    )
    port = await smsc.start()
    try:
        yield smsc, port
    finally:
        await smsc.stop()


@asynccontextmanager
async def pair(
    collector: Collector, *, clock: Clock | None = None, smsc: Mapping[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Pair]:
    """Run both ends; at the end the carrier is stopped as the program stops it."""
    clock = clock or SystemClock()
    async with running_smsc(**(smsc or {})) as (server, port):
        carrier = SmppCarrier(settings(port, **changes), clock, random.Random(1))
        task = asyncio.create_task(carrier.run(collector, collector.wake))
        try:
            yield Pair(server, port, carrier, collector, clock)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
