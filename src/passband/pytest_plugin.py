"""The plugin for pytest, which finds it once Passband is installed: ``passband`` is a running one for each test.

A project that wants other settings overrides ``passband_options``:

    @pytest.fixture
    def passband_options():
        return {"callback_url": "http://127.0.0.1:5000/events"}

When a test that uses the fixture fails, its report has a section with all that happened. What the fixture needs is
imported by the first test that uses it: a session that uses none pays for an entry in a table.
"""

import contextlib
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from passband.kit import Passband


@pytest.fixture
def passband_options() -> dict[str, Any]:
    """What ``passband`` is started with: the arguments of ``passband.testing.Passband``."""
    return {}


@pytest.fixture
def passband(passband_options: dict[str, Any]) -> "Generator[Passband]":
    """A running Passband: ``sent``, ``wait_for``, ``receive``, ``fail_next``, ``advance`` and so on."""
    from passband.kit import Passband

    with Passband(**passband_options) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what happened within its Passband."""
    report = yield
    kit = sys.modules.get("passband.kit")  # where nobody has imported it, there is nothing to tell
    if kit is None or report.when != "call" or not report.failed:
        return report
    if call.excinfo is not None and isinstance(call.excinfo.value, kit.Missed):
        return report  # it tells all that there is to be told
    for running in getattr(item, "funcargs", {}).values():
        if isinstance(running, kit.Passband):
            with contextlib.suppress(kit.KitFault):
                report.sections.append(("what happened within Passband", running.story()))
    return report
