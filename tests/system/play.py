"""A system test's three parties: an application, an installation, and the ledger between them."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from system.application import MARKS, Application, Manners, Messages
from system.installation import Installation, Platform, installed
from system.ledger import Ledger

QUIET_SECONDS = 60.0
ERASED_SECONDS = 60.0  # how soon after its end nothing of a message may be in any file


class Play:
    """One application and one installation that talk to each other; ``judge`` tells what was broken."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        manners: Manners | None = None,
        **messages: Any,
    ) -> None:
        """``messages`` are options of ``Messages``."""
        self._folder = folder
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.application = Application(self.ledger, Messages(seed, **messages), manners=manners, seed=seed)

    @contextlib.asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Installation]:
        """Start both; ``options`` are the installation's."""
        async with self.application.listening():
            folder = options.pop("folder", self._folder / "passband")
            folder.mkdir(parents=True, exist_ok=True)
            async with installed(Installation(folder, self.application.port, **options)) as installation:
                yield installation

    async def judge(
        self, platform: Platform, found_nowhere: Sequence[str] = MARKS, stay: Sequence[str] = ()
    ) -> list[str]:
        """Wait until it is quiet; return every broken promise: of the ledger, of the store, of files and log.

        ``found_nowhere`` are the octets that must be in no file, ``stay`` the tables that need not be empty.
        """
        rows = await self._quiet(platform, stay)
        faults = self.ledger.faults()
        if rows:
            faults.append(f"rows are left: {rows}")
        if found := await platform.found():
            faults.append(f"the search still finds {found} messages")
        metrics = await platform.metrics()
        for gauge in ("queue_recipients", "handed_recipients", "memory_recipients", "memory_callbacks"):
            left = sum(value for name, value in metrics.items() if name.startswith(f"passband_{gauge}"))
            if left:
                faults.append(f"the gauge {gauge} shows {left:g}")
        faults += await self._left_in_files(platform, found_nowhere)
        faults += [f"logged: {line[:200]}" for line in platform.left_in_log(MARKS)[:3]]
        faults += [f"logged: {line[:2000]}" for line in platform.log.splitlines() if "Traceback" in line][:3]
        print(self.ledger.summary, *faults, sep="\n  ", flush=True)
        return faults

    async def _quiet(self, platform: Platform, stay: Sequence[str]) -> dict[str, int]:
        """Return when everything promised has come and the store is empty, or after a while; return what is in it."""
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            rows = await asyncio.to_thread(platform.rows)
            rows = {table: count for table, count in rows.items() if table not in stay}
            if time.monotonic() > deadline or not (rows or self.ledger.missing):
                return rows
            await asyncio.sleep(0.25)

    async def _left_in_files(self, platform: Platform, looked_for: Sequence[str]) -> list[str]:
        deadline = time.monotonic() + ERASED_SECONDS
        while left := await asyncio.to_thread(platform.left_in_files, looked_for):
            if time.monotonic() > deadline:
                return [f"still there {ERASED_SECONDS:g} s after the end: {one}" for one in left]
            await asyncio.sleep(0.5)
        return []
