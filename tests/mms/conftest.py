from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mms.world import World, world


@pytest.fixture
async def mms(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as here:
        yield here
