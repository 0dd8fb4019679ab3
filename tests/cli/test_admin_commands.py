"""The commands that speak to a running Passband: what they print for people and for programs, and how they end."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

import real_parts
from cli.processes import OURS, PASSBAND, THEIRS, reserved_port
from passband.cli import main
from passband.cli.ending import DONE, FAILED, USAGE
from passband.config import developers
from passband.kit import PICTURE, Passband
from send.api_server import ApiServer, Reply

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[Passband]:
    with Passband() as passband:
        yield passband


@pytest.fixture
def passband(running: Passband) -> Passband:
    """The one that all tests of this file share, without faults and messages of others."""
    running.mend()
    running.ask("DELETE", "/admin/messages")
    return running


def invoke(passband: Passband, *arguments: str) -> Result:
    """Run a command in this process: it asks over a real connection, and what it prints is caught."""
    return CliRunner().invoke(main, arguments, env={"PASSBAND_ADMIN_URL": passband.url})


def document(passband: Passband, *arguments: str) -> Any:
    """Return the one JSON document that a command prints."""
    result = invoke(passband, *arguments, "--json")
    assert result.exit_code == DONE, result.output
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


# ── numbers and applications ─────────────────────────────────────────────────────────────────────────────────────────


def test_numbers_are_listed(passband: Passband) -> None:
    lines = invoke(passband, "numbers").stdout.splitlines()
    assert lines[0].split() == ["number", "account", "application", "carrier", "rate", "set", "by"]
    assert lines[1].split()[:3] == [OURS, developers.ACCOUNT, developers.APPLICATION]
    assert lines[1].endswith("  by the routes  no limit  file")
    said = document(passband, "numbers")
    assert said["total"] == 1
    assert said["numbers"][0] == {
        "number": OURS, "account": developers.ACCOUNT, "application": developers.APPLICATION, "carrier": None,
        "rate": None, "enabled": True, "setBy": "file",
    }  # fmt: skip


def test_applications_are_listed_with_where_their_events_go(passband: Passband) -> None:
    (_, line) = invoke(passband, "apps").stdout.splitlines()
    assert line.startswith(f"{developers.APPLICATION}  {developers.ACCOUNT}  Developers' edition  {passband.url}/inbox")
    (application,) = document(passband, "apps")["applications"]
    assert application == {
        "id": developers.APPLICATION,
        "account": developers.ACCOUNT,
        "name": "Developers' edition",
        "inboundUrl": f"{passband.url}/inbox",
        "outboundUrl": f"{passband.url}/inbox",
        "requested": None,
        "setBy": "file",
    }


@pytest.mark.parametrize("command", ["numbers", "apps"])
def test_an_account_that_is_none_has_nothing(passband: Passband, command: str) -> None:
    assert invoke(passband, command, "--account", "7700001").stdout.startswith("there are no ")
    assert document(passband, command, "--account", "7700001")["total"] == 0


# ── inbound ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_arrives(passband: Passband) -> None:
    told = len(passband.callbacks("message-received"))
    said = document(passband, "inbound", "--text", "On my way")
    assert said == {"from": THEIRS, "to": [OURS], "segmentCount": 1, "media": []}
    (event,) = passband.wait_for_callbacks("message-received", told + 1)[told:]
    assert event.event["message"]["text"] == "On my way"
    assert invoke(passband, "inbound", "--text", "x").stdout == f"stored  {THEIRS} to {OURS}  1 segment\n"


def test_a_group_arrives_with_a_picture_and_another_file(passband: Passband, tmp_path: Path) -> None:
    picture, other = tmp_path / "terrace.png", tmp_path / "menu.pdf"
    picture.write_bytes(base64.b64decode(PICTURE.as_json()["base64"]))
    other.write_bytes(b"%PDF-1.7")
    url = "https://cdn.example.org/menu.png"
    said = document(
        passband, "inbound", "--from", "+14085550177", "--to", OURS, "--to", THEIRS, "--text", "look",
        *("--media", str(picture), "--media", str(other), "--media", url),
    )  # fmt: skip
    assert said["to"] == [OURS, THEIRS]
    assert said["media"][0] == url
    assert [one.rpartition(".")[2] for one in said["media"]] == ["png", "png", "pdf"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param([], USAGE, "There is nothing to send", id="nothing"),
        pytest.param(["--media", "none.png"], USAGE, "none.png: No such file or directory", id="no such file"),
        pytest.param(["--media", "/"], USAGE, "/: Is a directory", id="a folder"),
        pytest.param(["--text", "x", "--to", "12"], FAILED, "not a telephone number: '12'", id="no number"),
        pytest.param(["--text", "x", "--from", ""], FAILED, "not a telephone number: ''", id="no sender"),
    ],
)
def test_what_cannot_arrive_is_told(passband: Passband, arguments: list[str], status: int, said: str) -> None:
    result = invoke(passband, "inbound", *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr


def test_files_that_are_too_large_are_not_sent(passband: Passband, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(3_932_161)
    result = invoke(passband, "inbound", "--media", str(large))
    assert result.exit_code == USAGE
    assert "at most 3,932,160 go at once" in result.stderr
    with large.open("wb") as file:
        file.truncate(3_932_160)
    assert invoke(passband, "inbound", "--media", str(large)).exit_code == DONE


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fault_is_set_listed_and_removed(passband: Passband) -> None:
    set_ = document(passband, "fault", "set", "fail", "--code", "4720", "--number", THEIRS, "--times", "2")
    assert set_["does"] == "the message fails with a delivery error code"
    assert {"fault": "fail", "code": 4720, "number": THEIRS, "times": 2, "hits": 0}.items() <= set_.items()
    assert document(passband, "fault", "list") == {"faults": [set_]}
    assert f"{set_['id']}  fail   number {THEIRS}, code 4720, times 2" in invoke(passband, "fault", "list").stdout
    assert document(passband, "fault", "remove", set_["id"]) == {"removed": [set_["id"]]}
    assert invoke(passband, "fault", "list").stdout == "no faults are in force\n"


def test_all_faults_are_removed_at_once(passband: Passband) -> None:
    ids = [document(passband, "fault", "set", "link-down")["id"] for _ in range(2)]
    assert document(passband, "fault", "remove", "--all") == {"removed": ids}
    assert document(passband, "fault", "list") == {"faults": []}


def test_a_fault_of_endpoints_concerns_those_whose_url_begins_so(passband: Passband) -> None:
    url = "http://127.0.0.1:5000/"
    assert document(passband, "fault", "set", "endpoint-status", "--status", "503", "--endpoint", url)["url"] == url
    lines = invoke(passband, "fault", "sorts").stdout.splitlines()
    assert any(line.startswith("endpoint-status") and "--endpoint" in line for line in lines)
    assert all(" --url" not in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["set", "fail"], FAILED, "code: fail needs it", id="without a code"),
        pytest.param(["set", "nonsense"], FAILED, "fault: must be one of fail, delay", id="no such sort"),
        pytest.param(["set", "link-down", "--rate", "1"], FAILED, "rate: does not go with", id="too much"),
        pytest.param(["set", "fail", "--code", "x"], USAGE, "'x' is not a valid integer", id="no code"),
        pytest.param(["set", "fail", "--number", "12"], USAGE, "'12' is not a telephone number", id="no number"),
        pytest.param(["set"], USAGE, "Missing argument", id="no sort"),
        pytest.param(
            ["remove", "f999"], FAILED, "there is no such fault (DELETE /admin/faults/f999)", id="no such fault"
        ),
        pytest.param(["remove"], USAGE, "Say which, or --all", id="remove nothing"),
        pytest.param(["remove", "f1", "--all"], USAGE, "Say which, or --all", id="remove one and all"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told(passband: Passband, arguments: list[str], status: int, said: str) -> None:
    result = invoke(passband, "fault", *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("span", "seconds"), [("+90s", 90), ("10m", 600), ("+1h30m", 5400), ("+0.5H", 1800), ("+1d", 86_400)]
)
def test_time_passes(passband: Passband, span: str, seconds: float) -> None:
    before = document(passband, "clock")
    after = document(passband, "clock", span)
    assert (before["advanced"], after["advanced"]) == (0, seconds)
    assert after["offset"] == before["offset"] + seconds
    assert invoke(passband, "clock").stdout.endswith(f"  moved by {after['offset']:g} s in all\n")


@pytest.mark.parametrize(
    ("span", "status"), [("-1h", USAGE), ("24", USAGE), ("+", USAGE), ("+1w", USAGE), ("+0s", FAILED)]
)
def test_a_time_that_cannot_pass_is_told(passband: Passband, span: str, status: int) -> None:
    result = invoke(passband, "clock", span)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr


# ── tail ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_node_still_knows_is_told_first(passband: Passband) -> None:
    passband.receive("On my way")
    passband.settle()
    result = invoke(passband, "tail", "--all", "--count", "2", "--type", "received", "--type", "message-received")
    assert result.exit_code == DONE
    received, told = sorted(result.stdout.splitlines(), key=lambda line: line.split()[1])[::-1]
    assert received.endswith(f"to {OURS} from {THEIRS}  “On my way”")
    assert "answered 200" in told


def test_every_attempt_of_a_day_is_told(passband: Passband) -> None:
    """They come faster than the stream tells of each."""
    passband.break_endpoint()
    passband.receive("hello")
    passband.settle()
    passband.advance(hours=24)
    callback = passband.callbacks("message-received")[-1]
    result = invoke(passband, "tail", "--all", "--count", str(len(callback.statuses) + 1), "--type", "message-received",
                    "--id", callback.event["message"]["id"], "--json")  # fmt: skip
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) > 40
    assert [line["status"] for line in lines] == [503] * (len(lines) - 1) + [None]
    assert lines[-1]["state"] == "expired"


def test_a_type_that_is_none_is_told(passband: Passband) -> None:
    result = invoke(passband, "tail", "--type", "nonsense")
    assert result.exit_code == USAGE
    assert "'nonsense' is not one of queued, sending" in result.stderr


# ── where there is nothing to ask ────────────────────────────────────────────────────────────────────────────────────

ASKING = (
    ["numbers"], ["apps"], ["inbound", "--text", "x"], ["fault", "list"], ["fault", "sorts"],
    ["fault", "set", "link-down"], ["fault", "remove", "--all"], ["clock"], ["clock", "+1h"], ["tail"],
)  # fmt: skip


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_a_passband_that_does_not_run_is_told_with_the_way_out(command: list[str]) -> None:
    with reserved_port() as port:
        result = CliRunner().invoke(main, [*command, "--url", f"http://127.0.0.1:{port}"])
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert f"nobody listens at http://127.0.0.1:{port}: start it with `passband dev`" in result.stderr


def test_the_base_of_the_http_api_will_do_where_both_have_one_address(passband: Passband) -> None:
    result = CliRunner().invoke(main, ["numbers", "--url", passband.base_url])
    assert (result.exit_code, result.stdout.count(OURS)) == (DONE, 1)


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_where_there_is_no_admin_api_that_is_told(command: list[str]) -> None:
    with ApiServer(Reply(404, {"type": "not-found", "description": "Not Found"})).running() as server:
        result = CliRunner().invoke(main, [*command, "--url", server.url])
    assert (result.exit_code, result.stdout) == (FAILED, "")
    assert f"there is no admin API at {server.url.removesuffix('/api/v2')} (it answers 404)" in result.stderr


def test_what_only_the_developers_edition_has_is_told() -> None:
    said = "this is there in the developers' edition only"
    with ApiServer(Reply(404, {"description": said})).running() as server:
        result = CliRunner().invoke(main, ["clock", "--url", server.url])
    assert (result.exit_code, result.stderr) == (FAILED, f"passband: {said} (GET /admin/clock)\n")


def test_a_url_that_is_none_is_a_wrong_command_line(passband: Passband) -> None:
    result = CliRunner().invoke(main, ["numbers", "--url", "127.0.0.1:8080"])
    assert result.exit_code == USAGE
    assert "'127.0.0.1:8080' is not a URL like http://127.0.0.1:8080" in result.stderr


# ── completion ───────────────────────────────────────────────────────────────────────────────────────────────────────


def completed(words: str) -> list[str]:
    """Return what a shell would be offered for the last of these words."""
    *before, incomplete = words.split(" ")[1:]
    found = ShellComplete(main, {}, "passband", "_PASSBAND_COMPLETE").get_completions(before, incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param("passband in", ["inbound"], id="commands"),
        pytest.param("passband fault s", ["sorts", "set"], id="commands of a command"),
        pytest.param("passband tail --ty", ["--type"], id="options"),
        pytest.param("passband inbound --to ", [OURS], id="our numbers"),
        pytest.param("passband send --url URL --from +1", [OURS], id="our numbers for the HTTP API"),
        pytest.param("passband send --url URL --application b7", [developers.APPLICATION], id="applications"),
        pytest.param("passband fault set link", ["link-down"], id="sorts of faults"),
        pytest.param("passband fault set fail --code 472", ["4720", "4721"], id="error codes"),
        pytest.param("passband fault remove ", ["f"], id="faults in force"),
        pytest.param("passband tail --type message-f", ["message-failed"], id="types"),
        pytest.param("passband clock ", ["+1m", "+1h", "+24h"], id="spans"),
        pytest.param("passband completion ", ["bash", "zsh", "fish"], id="shells"),
    ],
)
def test_a_shell_offers_what_may_come_next(
    passband: Passband, monkeypatch: pytest.MonkeyPatch, words: str, offered: list[str]
) -> None:
    monkeypatch.setenv("PASSBAND_ADMIN_URL", passband.url)
    passband.fault("link-down")
    found = completed(words.replace("URL", passband.base_url))
    assert len(found) >= len(offered)
    assert all(any(one.startswith(start) for one in found) for start in offered)


def test_a_shell_offers_the_developers_values_where_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved_port() as port:
        monkeypatch.setenv("PASSBAND_ADMIN_URL", f"http://127.0.0.1:{port}")
        assert completed("passband inbound --to ") == list(developers.NUMBERS)
        assert completed("passband fault remove ") == []


def test_bash_completes_with_what_is_printed_for_it(passband: Passband) -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    script += (
        'COMP_WORDS=(passband inbound --to ""); COMP_CWORD=3; _passband_completion passband; echo "${COMPREPLY[@]}"'
    )
    environment = {
        **os.environ,
        "PATH": f"{Path(PASSBAND[0]).parent}:{os.environ['PATH']}",
        "PASSBAND_ADMIN_URL": passband.url,
    }
    done = subprocess.run(
        [real_parts.command("bash"), "-c", script], env=environment, capture_output=True, text=True, timeout=30,
        check=True,
    )  # fmt: skip
    assert done.stdout == f"{OURS}\n"


@pytest.mark.parametrize(("shell", "begins"), [("zsh", "#compdef passband"), ("fish", "function _passband_completion")])
def test_the_other_shells_have_a_script_as_well(shell: str, begins: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == DONE
    assert result.stdout.startswith(begins)
    assert f"_PASSBAND_COMPLETE={shell}_complete" in result.stdout


def test_a_shell_that_is_none_is_told() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert result.exit_code == USAGE
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr
