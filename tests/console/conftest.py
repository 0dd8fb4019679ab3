from collections.abc import Iterator
from typing import Any

import pytest

from cli.processes import Dev
from console.looking import browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture
def dev() -> Iterator[Dev]:
    with Dev() as running:
        yield running
