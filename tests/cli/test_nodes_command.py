"""``passband nodes``: who shares a store, read from the store itself."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.processes import Serve, configuration
from passband.cli import main
from passband.cli.ending import DONE, FAILED, USAGE

pytestmark = pytest.mark.slow


def nodes(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["nodes", *arguments])


def documents(config: Path) -> list[dict[str, Any]]:
    result = nodes("--config", str(config), "--json")
    assert (result.exit_code, result.stderr) == (DONE, "")
    found: list[dict[str, Any]] = json.loads(result.stdout)["nodes"]
    return found


def test_a_node_is_shown_while_it_lives_and_after_it_was_killed(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    with Serve(config) as serve:
        (node,) = documents(config)
        assert (node["number"], node["pid"], node["givenUp"]) == (1, serve.pid, False)
        assert (node["recipients"], node["callbacks"], node["slots"]) == (0, 0, [])
        assert node["silentSeconds"] < 10
        os.kill(serve.pid, signal.SIGKILL)
        serve.wait()
    assert [(node["number"], node["pid"]) for node in documents(config)] == [(1, serve.pid)]
    head, line = nodes("--store", f"sqlite:{tmp_path}/passband.db").stdout.splitlines()
    assert head.split()[0] == "node"
    assert f", {serve.pid}  " in line
    assert line.endswith("  none")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = nodes("--store", f"sqlite:{tmp_path}/none.db")
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert f"cannot read {tmp_path}/none.db" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "passband.db").write_bytes(b"something else" * 100)
    result = nodes("--store", f"sqlite:{tmp_path}/passband.db")
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert "cannot read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["--store", "mysql://db/"], "begins with neither sqlite: nor postgresql://", id="another database"
        ),
        pytest.param(["--config", "none.toml"], "none.toml", id="no such file"),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], said: str) -> None:
    result = nodes(*arguments)
    assert (result.exit_code, result.stdout) == (USAGE, "")
    assert said in result.stderr
