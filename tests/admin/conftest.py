from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin.running import Running


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running.started(tmp_path) as running:
        yield running


@pytest.fixture
async def production(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running.started(tmp_path, edition="production") as running:
        yield running
