"""``passband listen``: an endpoint that does as it is told, good or bad."""

import http.client
import json
import signal
import time
from urllib.parse import urlsplit

import pytest

from cli.processes import THEIRS, Listen, run
from listen.callbacks import ID, an_event, basic

pytestmark = pytest.mark.slow


def post(url: str, headers: dict[str, str] | None = None) -> int:
    """Post one event; return the status of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("POST", "/", an_event(), {"Content-Type": "application/json", **(headers or {})})
        with connection.getresponse() as response:
            response.read()
            return response.status
    finally:
        connection.close()


def test_an_event_is_a_line() -> None:
    with Listen() as listen:
        assert post(listen.url) == 200
        assert listen.line("message-delivered").string.split()[2:5] == [ID, "to", THEIRS]


def test_an_event_is_printed_as_it_came() -> None:
    with Listen("--json") as listen:
        assert post(listen.url) == 200
        assert json.loads(listen.line(r"^\{.*")[0]) == json.loads(an_event())[0]


def test_an_endpoint_that_fails_goes_on_failing() -> None:
    with Listen("--fail", "418") as listen:
        assert [post(listen.url) for _ in range(3)] == [418, 418, 418]
        listen.line("message-delivered .* answered 418", count=3)


def test_an_endpoint_that_recovers_fails_so_many_times() -> None:
    with Listen("--fail-first", "2") as listen:
        assert [post(listen.url) for _ in range(3)] == [503, 503, 200]


def test_an_endpoint_that_is_slow_shows_the_event_at_once_and_answers_later() -> None:
    with Listen("--delay", "0.5") as listen:
        started = time.monotonic()
        assert post(listen.url) == 200
        assert time.monotonic() - started >= 0.5


def test_an_endpoint_with_credentials_asks_for_them() -> None:
    with Listen("--auth", "desk:pw") as listen:
        assert post(listen.url) == 401
        assert post(listen.url, basic("desk", "wrong")) == 401
        assert post(listen.url, basic("desk", "pw")) == 200
        listen.line("without credentials, challenged")
        listen.line("wrong credentials")
        listen.line("message-delivered")


def test_a_port_in_use_is_told_and_exits_with_1() -> None:
    with Listen() as listen:
        ended = run("listen", "--port", str(urlsplit(listen.url).port))
    assert ended.status == 1
    assert "address already in use" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(with_signal: signal.Signals) -> None:
    with Listen() as listen:
        assert listen.end(with_signal) == 0
    assert "Traceback" not in listen.printed
