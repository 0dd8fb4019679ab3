"""``passband dev`` and ``passband send``, as a developer meets them first."""

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

import real_parts
from cli.processes import OURS, PASSBAND, THEIRS, Dev, Listen, ask, reserved_port, run
from passband.config import developers

pytestmark = pytest.mark.slow

FAILING = "+19195554720"  # invalid-destination-address, by its last four digits


def printed_curl(dev: Dev) -> str:
    """Return the command that ``passband dev`` prints, exactly as it is printed."""
    match = re.search(r"^  (curl .*?)\n\n", dev.printed, re.DOTALL | re.MULTILINE)
    assert match, dev.printed
    return match[1]


def paste(line: str) -> str:
    """Run a line in a shell and return what it prints."""
    real_parts.command("curl")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True).stdout


def test_the_printed_curl_line_sends_a_message_and_its_callback_is_heard_within_a_second() -> None:
    with Listen() as listen, Dev("--callback-url", listen.url) as dev:
        answer = paste(printed_curl(dev))
        assert answer.startswith("HTTP/1.1 202 Accepted\n")
        id_ = re.search(r'"id":"(\d{13}[a-z2-7]{16})"', answer)
        assert id_, answer
        heard = listen.line(f"message-delivered +{id_[1]}", seconds=1)
        assert heard.string.endswith("tag booking 4711")


def test_it_prints_all_that_an_application_has_to_be_told() -> None:
    with Dev() as dev:
        for name, value in (
            ("account", developers.ACCOUNT),
            ("user, password", "demo, demo"),
            ("application", developers.APPLICATION),
            ("numbers", OURS),
            ("callbacks to", f"{dev.base}/inbox (see the console"),
            ("documentation", f"{dev.base}/docs"),
        ):
            assert re.search(rf"^{name} +{re.escape(value)}", dev.printed, re.MULTILINE), name
        assert ask(f"{dev.base}/docs").status == 200
        assert ask(f"{dev.base}/readyz").status == 200
        assert ask(f"{dev.base}/healthz").status == 200
        assert "passband_accepted_total" in ask(f"{dev.base}/metrics").body


def test_every_option_shows_in_what_is_printed_and_the_printed_line_still_works(tmp_path: Path) -> None:
    application = "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4"
    with Dev(
        *("--data", str(tmp_path / "data"), "--account", "7700001", "--user", "desk"),
        *("--password", "it's a secret", "--application", application),
        *("--number", "+19195550188", "--number", "+19195550189", "--history", "1", "--rate", "5"),
    ) as dev:
        line = printed_curl(dev)
        for value in ("7700001", "desk, it's a secret", application, "+19195550188, +19195550189", str(tmp_path)):
            assert value in dev.printed
        assert shlex.split(line)[3] == "desk:it's a secret"
        assert "202 Accepted" in paste(line)
    assert (tmp_path / "data" / "passband.db").exists()


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_temporary_data_go_with_it(with_signal: signal.Signals) -> None:
    with Dev() as dev:
        folder = Path(dev.line(r"data +(/\S+)")[1])
        assert (folder / "passband.db").exists()
        assert dev.end(with_signal) == 0
        assert not folder.exists()


def test_kept_data_hold_what_was_not_acknowledged_yet(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    with Listen("--fail", "503") as broken, Dev(*data, "--callback-url", broken.url) as dev:
        assert run("send", "--url", dev.api, "--to", THEIRS, "--text", "hello").status == 0
        broken.line("message-delivered .* answered 503")
    with Listen() as listen, Dev(*data, "--callback-url", listen.url) as dev:
        ask(f"{dev.base}/admin/clock", {"advance": 60})  # the next attempt is five seconds away
        listen.line("message-delivered")


def test_a_port_in_use_is_told_and_exits_with_1() -> None:
    with Dev() as dev:
        port = dev.base.rpartition(":")[2]
        ended = run("dev", "--port", port)
    assert ended.status == 1
    assert f"('127.0.0.1', {port})" in ended.err
    assert "address already in use" in ended.err
    assert "Traceback" not in ended.err


def test_wrong_values_are_told_all_at_once_and_exit_with_2() -> None:
    ended = run("dev", "--number", "12", "--callback-url", "nowhere", "--account", "a/b")
    assert ended.status == 2
    for path in ("accounts[0].numbers[0].number", "accounts[0].applications[0].callback_url", "accounts[0].id"):
        assert path in ended.err
    assert "3 faults" in ended.err


def test_it_tells_programs_where_it_is_and_who_they_are() -> None:
    command = [*PASSBAND, "dev", "--port", "0", "--json", "--number", "+19195550188"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = json.loads(process.stdout.readline())
            state = ask(told["baseUrl"].removesuffix("/api/v2") + "/admin/state").json
        finally:
            process.terminate()
    assert process.returncode == 0
    assert state["edition"] == "developers"
    assert (told["account"], told["user"], told["password"]) == ("5500123", "demo", "demo")
    assert told["numbers"] == ["+19195550188"]
    assert told["callbackUrl"].endswith("/inbox")
    assert not Path(told["data"]).exists(), "temporary data go with it"


# ── send ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("history", ["0", "1"])
def test_send_waits_for_the_end_of_a_message_and_tells_how_it_ended(history: str) -> None:
    with Dev("--history", history) as dev:
        sent = run("send", "--url", dev.api, "--to", THEIRS, "--text", "hello", "--wait")
        assert sent.status == 0
        assert re.search(r"^accepted \d{13}\w{16} .* 1 segment ", sent.out, re.MULTILINE)
        assert f"{THEIRS}  DELIVERED" in sent.out
        failed = run("send", "--url", dev.api, "--to", FAILING, "--text", "hello", "--wait")
        assert failed.status == 1
        # The search says UNDELIVERED; without a history the developers' edition remembers that it failed.
        assert re.search(f"{re.escape(FAILING)}  (UNDELIVERED|FAILED)  4720 invalid-destination-address", failed.out)


def test_send_takes_a_group_with_tag_priority_and_expiration() -> None:
    with Listen() as listen, Dev("--callback-url", listen.url) as dev:
        sent = run(
            *("send", "--url", dev.api, "--to", THEIRS, "--to", FAILING, "--text", "a group"),
            *("--tag", "booking 4711", "--priority", "high", "--expiration", "2100-01-01T00:00:00Z"),
        )
        assert sent.status == 0
        assert listen.line(f"message-delivered .*to {re.escape(THEIRS)} ").string.endswith("tag booking 4711")
        assert "4720" in listen.line(f"message-failed .*to {re.escape(FAILING)} ").string


def test_send_to_nobody_who_listens_says_so_and_exits_with_1() -> None:
    with reserved_port() as port:
        ended = run("send", "--url", f"http://127.0.0.1:{port}/api/v2", "--to", THEIRS, "--text", "hello")
    assert ended.status == 1
    assert ended.out == ""
    assert f"nobody listens at http://127.0.0.1:{port}/api/v2: start it with `passband dev`" in ended.err


def test_a_refusal_is_told_in_words_and_exits_with_1() -> None:
    with Dev() as dev:
        wrong = run("send", "--url", dev.api, "--to", "12", "--text", "hello")
        assert wrong.status == 1
        assert "to: '12' must be replaced with a valid E164 formatted telephone number" in wrong.err
        assert "wrong" in run("send", "--url", dev.api, "--to", THEIRS, "--text", "x", "--password", "no").err
