"""What the program says about itself."""

import pytest

from cli.processes import run
from passband import __version__
from passband.cli import main

pytestmark = pytest.mark.slow

COMMANDS = sorted(main.commands)


def test_the_help_names_every_command() -> None:
    ended = run("--help")
    assert ended.status == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(command: str) -> None:
    ended = run(command, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"Usage: passband {command}")
    for option in main.commands[command].params:
        if not getattr(option, "hidden", False):
            assert option.opts[0] in ended.out


def test_the_version_is_told() -> None:
    assert run("--version").out == f"passband, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["nonsense"], "No such command 'nonsense'", id="unknown command"),
        pytest.param(["dev", "--nonsense"], "No such option '--nonsense'", id="unknown option"),
        pytest.param(["dev", "--history", "15"], "15 is not in the range 0<=x<=14", id="history too long"),
        pytest.param(["dev", "--rate", "0"], "0.0 is not in the range x>0", id="rate of nothing"),
        pytest.param(["send"], "Missing option '--to'", id="send to nobody"),
        pytest.param(["listen", "--auth", "demo"], "written as user:password", id="credentials without password"),
        pytest.param(["listen", "--fail", "99"], "99 is not a valid HTTPStatus", id="no status"),
    ],
)
def test_a_wrong_command_line_is_told_and_exits_with_2(arguments: list[str], said: str) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
