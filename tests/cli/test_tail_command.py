"""``passband tail`` as a user runs it: beside a platform that comes and goes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.processes import OURS, PASSBAND, THEIRS, Command, Dev
from console.pictures import send
from passband.kit import Passband
from ports import free_port

pytestmark = pytest.mark.slow


class Tail(Command):
    """``passband tail`` of a platform, once it follows it."""

    def __init__(self, url: str, *arguments: str) -> None:
        super().__init__("tail", "--url", url, *arguments)

    def __enter__(self) -> "Tail":
        super().__enter__()
        try:
            self.line(r"following http://\S+  \(Ctrl-C ends\)")
        except BaseException:
            self.__exit__()
            raise
        return self


def test_a_platform_that_is_killed_and_started_again_is_followed_on(tmp_path: Path) -> None:
    """What it accepted before and did not tell yet is told after, and nothing is told twice."""
    port = str(free_port())
    data = ("--port", port, "--data", str(tmp_path))
    with Dev(*data) as dev:
        dev.inbound(from_=THEIRS, to=OURS, text="before")
        ends = ("--type", "received", "--type", "message-received", "--type", "delivered", "--type", "queued")
        with Tail(dev.base, *ends) as tail, Tail(dev.base, "--json", "--number", THEIRS) as programs:
            dev.inbound(from_=THEIRS, to=OURS, text="one")
            tail.line("received .*“one”")
            tail.line(r"message-received .*answered 200 after [\d.]+ ms")
            programs.line('"type":"received"')
            assert "before" not in tail.printed
            os.kill(dev.pid, signal.SIGKILL)
            dev.wait()
            tail.line("; waiting for it")
            with Dev(*data) as again:
                tail.line("the stream begins anew")
                assert send(again, THEIRS, "two").status == 202
                tail.line(f"delivered .*to .{THEIRS[1:]}")
                tail.line("queued .*“two”")
                programs.line('"type":"delivered"')
            lines = [json.loads(line) for line in programs.lines if line.startswith("{")]
            assert [line["text"] for line in lines if line["type"] == "received"] == ["one"]
            assert [line["type"] for line in lines if line["direction"] == "out"][:3] == ["queued", "sending", "handed"]
            assert sum("“one”" in line for line in tail.lines) == 1
            assert tail.end(signal.SIGINT) == 0
            assert programs.end(signal.SIGTERM) == 0
            assert "Traceback" not in tail.printed + programs.printed


@pytest.fixture(scope="module")
def running() -> Iterator[Passband]:
    with Passband() as passband:
        yield passband


def test_a_reader_that_goes_away_ends_it_quietly(running: Passband) -> None:
    with Command("-c", f"{PASSBAND[0]} tail --url {running.url} | head -1", program=("sh",)) as piped:
        piped.line("following")
        while not piped.over:
            running.receive("one")
            running.settle()
        assert piped.wait() == 0
        assert len([line for line in piped.lines if "following" not in line]) == 1, piped.printed


def test_a_wait_that_is_interrupted_ends_with_130(running: Passband) -> None:
    running.fault("drop-receipt")
    with Command("send", "--url", running.base_url, "--to", THEIRS, "--text", "x", "--wait") as sending:
        sending.line("SENDING|SENT|QUEUED")
        assert sending.end(signal.SIGINT) == 130
        assert "Traceback" not in sending.printed
