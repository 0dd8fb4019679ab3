from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from carriers.collector import Collector
from carriers.told import Told
from passband.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
async def told(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Told]:
    told = Told(tmp_path / "passband.db", clock)
    await told.store.open(clock.now())
    yield told
    await told.store.close()
