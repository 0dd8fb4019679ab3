"""The examples of tests run as their readers would run them, and the documentation leads to each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import real_parts
from cli.processes import PASSBAND

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 120.0

pytestmark = pytest.mark.slow


def run(*command: str) -> str:
    """Run a command in the folder of the examples, and return what it printed; it must end well."""
    done = subprocess.run(
        command,
        cwd=EXAMPLES,
        env={**os.environ, "PASSBAND": PASSBAND[0], "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_those_in_python_pass() -> None:
    """One session for both, which imports the official client once; plugins that they do not need cost a second."""
    others = [f"-p{name}" for name in ("no:asyncio", "no:xdist", "no:hypothesispytest", "no:schemathesis")]
    printed = run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *others, "reminders", "orders")
    assert re.search(r"^\d+ passed in", printed, re.MULTILINE), printed


def test_the_one_in_node_passes() -> None:
    printed = run(real_parts.command("node"), "--test", "--test-reporter=tap", "node/tables.test.mjs")
    assert re.search(r"^# pass [1-9]", printed, re.MULTILINE), printed
    assert "# fail 0" in printed


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] not in "._")
)
def test_the_page_about_tests_leads_to_each(folder: str) -> None:
    page = (EXAMPLES.parent / "docs" / "testing.md").read_text("utf-8")
    assert f"](../examples/{folder}/" in page
