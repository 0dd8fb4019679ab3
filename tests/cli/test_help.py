"""What the program says about itself."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli.processes import run
from passband import __version__
from passband.cli import main

pytestmark = pytest.mark.slow

COMMANDS = sorted(main.commands)


def all_commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it, those of groups too."""
    for name, command in sorted(group.commands.items()):
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*before, name))


EVERY = list(all_commands(main))


def test_the_help_names_every_command() -> None:
    ended = run("--help")
    assert ended.status == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ended.out


@pytest.mark.parametrize(("words", "command"), EVERY, ids=[" ".join(words) for words, _ in EVERY])
def test_every_command_explains_itself_and_each_of_its_options_with_an_example(
    words: tuple[str, ...], command: click.Command
) -> None:
    result = CliRunner().invoke(main, [*words, "--help"], prog_name="passband", terminal_width=100)
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: passband {' '.join(words)}")
    assert "Example" in result.output
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.opts[0] in result.output
            assert option.help, f"{option.opts[0]} says nothing"


JSON_LESS = {"serve", "completion", "fault"}  # it runs until told to end, prints a script, is a group


@pytest.mark.parametrize(("words", "command"), EVERY, ids=[" ".join(words) for words, _ in EVERY])
def test_what_a_command_prints_can_be_had_as_json(words: tuple[str, ...], command: click.Command) -> None:
    assert any("--json" in option.opts for option in command.params) is (" ".join(words) not in JSON_LESS)


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
