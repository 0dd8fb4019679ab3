"""The plugin as a project finds it that has installed Passband and pytest and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
import sys

import pytest


def test_nothing_is_imported_before_it_is_used():
    imported = [name for name in sys.modules if name.startswith("passband")]
    assert imported == ["passband", "passband.pytest_plugin"]
    assert not {"uvloop", "apsw", "pycurl", "starlette"} & set(sys.modules)


def test_a_fixture_runs_one(passband):
    passband.receive("STOP")
    passband.settle()
    assert passband.sent() == ["an answer"]


class TestWithOptions:
    @pytest.fixture
    def passband_options(self):
        return {"numbers": ["+19195550118"], "account": "4711"}

    def test_its_options_are_arguments(self, passband):
        assert (passband.number, passband.account) == ("+19195550118", "4711")


def test_what_was_waited_for_in_vain_is_told_once(passband):
    passband.wait_for(seconds=0.01)
"""


@pytest.mark.slow
def test_a_project_finds_it_and_is_told_what_happened_when_a_test_fails(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(PROJECT, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", "utf-8")
    # Other plugins of this machine import much, and are not what is looked at.
    others = [f"-p{name}" for name in ("no:asyncio", "no:xdist", "no:hypothesispytest", "no:schemathesis", "no:anyio")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", *others, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("what happened within Passband") == 1
    assert done.stdout.count('message-received "STOP" to +19195550117: acknowledged, answered 200 by') == 1
    assert done.stdout.count("the application was told: nothing") == 1
