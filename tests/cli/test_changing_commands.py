"""The commands that change a running Passband: numbers and applications are added and removed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.processes import OURS
from passband.cli import main
from passband.cli.ending import DONE, FAILED, USAGE
from passband.config import developers
from passband.kit import Passband

pytestmark = pytest.mark.slow

NEW = "+19195550119"


@pytest.fixture(scope="module")
def passband() -> Iterator[Passband]:
    with Passband() as passband:
        yield passband


def invoke(passband: Passband, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=typed, env={"PASSBAND_ADMIN_URL": passband.url})


def document(passband: Passband, *arguments: str) -> Any:
    result = invoke(passband, *arguments, "--json")
    assert result.exit_code == DONE, result.output
    return json.loads(result.stdout)


def listed(passband: Passband, kind: str, key: str) -> list[str]:
    return [one[key] for one in passband.ask("GET", f"/admin/{kind}")[kind]]


def test_a_number_is_added_and_removed(passband: Passband) -> None:
    added = document(passband, "numbers", "add", NEW, "--application", developers.APPLICATION, "--rate", "2")
    assert (added["number"], added["account"], added["rate"], added["enabled"]) == (NEW, developers.ACCOUNT, 2, True)
    shown = invoke(passband, "numbers", "add", NEW, "--disabled").stdout.splitlines()[1]
    assert shown.split()[:2] == [NEW, developers.ACCOUNT]
    assert listed(passband, "numbers", "number") == [OURS, NEW]
    assert document(passband, "numbers", "remove", NEW) == {"removed": NEW, "account": developers.ACCOUNT}
    assert listed(passband, "numbers", "number") == [OURS]


def test_what_the_file_says_is_removed_and_let_be_again(passband: Passband) -> None:
    removed = invoke(passband, "numbers", "remove", OURS)
    assert removed.stdout == f"removed {OURS} of account {developers.ACCOUNT}\n"
    assert listed(passband, "numbers", "number") == []
    assert invoke(passband, "numbers", "remove", OURS, "--leave-file").exit_code == DONE
    assert listed(passband, "numbers", "number") == [OURS]


def test_an_application_is_added_with_a_password_that_is_typed_in(passband: Passband) -> None:
    options = ["--callback-url", f"{passband.url}/inbox", "--auth", "desk", "--event", "message-failed"]
    added = invoke(passband, "apps", "add", "survey", "--name", "Survey", *options, "--json", typed="secret\n")
    view = json.loads(added.stdout)
    assert (view["id"], view["name"], view["requested"]) == ("survey", "Survey", ["message-failed"])
    assert "secret" not in added.output
    assert "survey" in invoke(passband, "apps").stdout
    assert document(passband, "apps", "remove", "survey") == {"removed": "survey", "account": developers.ACCOUNT}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["numbers", "add", "+1-919"], FAILED, "number: must be a number such as +19195550117"),
        (["numbers", "add", NEW, "--application", "b"], FAILED, "application: no application of account"),
        (["numbers", "add", NEW, "--account", "12"], FAILED, "there is no account"),
        (["numbers", "remove", NEW], FAILED, f"account '5500123' has no number '{NEW}'"),
        (["numbers", "remove", OURS, "--leave-file"], FAILED, "nothing was set over the file"),
        (["numbers", "--json", "add", NEW], USAGE, "Options come after add"),
        (["apps", "add", "a", "--auth", "u:p"], USAGE, "--auth is for endpoints"),
        (["apps", "add", "a", "--callback-url", "x", "--inbound-url", "http://x/"], FAILED, "remove one of them"),
        (["apps", "remove", developers.APPLICATION], FAILED, f"has numbers: {OURS}; give them another one first"),
    ],
)
def test_what_is_wrong_is_told(passband: Passband, arguments: list[str], status: int, said: str) -> None:
    result = invoke(passband, *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr
