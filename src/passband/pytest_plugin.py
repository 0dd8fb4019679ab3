"""Fixtures for pytest: ``passband`` is a running Passband of its own for each test, in a tenth of a second.

A project that wants other settings overrides ``passband_options``:

    @pytest.fixture
    def passband_options(live_server):
        return {"callback_url": f"{live_server.url}/events"}
"""

from collections.abc import Iterator
from typing import Any

import pytest

from passband.kit import Passband


@pytest.fixture
def passband_options() -> dict[str, Any]:
    """What ``passband`` is started with: the arguments of ``passband.testing.Passband``."""
    return {}


@pytest.fixture
def passband(passband_options: dict[str, Any]) -> Iterator[Passband]:
    """A running Passband: ``sent``, ``wait_for``, ``receive``, ``fail_next``, ``advance`` and so on."""
    with Passband(**passband_options) as running:
        yield running
