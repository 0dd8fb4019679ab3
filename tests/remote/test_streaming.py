"""The live stream as a command reads it: over real connections, which break."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pytest

from passband.asking import BadUrl, Unreachable
from passband.remote import Admin, Refused
from passband.remote.streaming import ServerEvent, events, follow

READ = {
    # label: octets, events
    "one": (b"id: e-1\nevent: message\ndata: {}\n\n", [ServerEvent("e-1", "message", "{}")]),
    "two lines of data": (b"data: one\ndata: two\n\n", [ServerEvent("", "message", "one\ntwo")]),
    "comments": (b": watching\n\n: still here\n\n", []),
    "CR LF": (b"id: e-1\r\nevent: clock\r\ndata: {}\r\n\r\n", [ServerEvent("e-1", "clock", "{}")]),
    "an identifier stays": (b"id: e-1\ndata: a\n\ndata: b\n\n", [
        ServerEvent("e-1", "message", "a"), ServerEvent("e-1", "message", "b"),
    ]),
    "an event without data is none": (b"event: clock\n\ndata: {}\n\n", [ServerEvent("", "message", "{}")]),
    "what was cut off is none": (b"id: e-1\ndata: {}\n", []),
    "no UTF-8": (b"data: \xff\n\n", [ServerEvent("", "message", "\ufffd")]),
}  # fmt: skip


@pytest.mark.parametrize(("octets", "read"), READ.values(), ids=READ.keys())
def test_events_are_read(octets: bytes, read: list[ServerEvent]) -> None:
    assert list(events(octets.splitlines(keepends=True))) == read


class Streams:
    """Answers each request for the stream with the next of its pieces, then breaks off."""

    def __init__(self, *pieces: bytes | int) -> None:
        self.asked: list[tuple[str, str]] = []
        pending = list(pieces)
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers["Last-Event-ID"]))
                piece = pending.pop(0)
                self.send_response(200 if isinstance(piece, bytes) else piece)
                self.end_headers()
                self.wfile.write(piece if isinstance(piece, bytes) else b'{"description": "not now"}')

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["Streams"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def an_event(number: int) -> bytes:
    return b"id: e-%d\nevent: message\ndata: %d\n\n" % (number, number)


def test_it_goes_on_after_a_break_where_the_last_event_was() -> None:
    lost: list[str] = []
    pauses: list[float] = []
    with Streams(an_event(1) + an_event(2) + b"id: e-3\n", b"", 503, an_event(3)).running() as streams:
        stream = follow(Admin(streams.url), ("message", "clock"), "e-0", lost.append, pauses.append)
        assert [event.data for event in islice(stream, 3)] == ["1", "2", "3"]
    path = "/admin/live?topics=message%2Cclock"
    assert streams.asked == [(path, "e-0"), (path, "e-2"), (path, "e-2"), (path, "e-2")]
    assert lost[0] == f"{streams.url} has ended the stream"
    assert pauses == [0.1, 0.2, 0.4]


def test_nobody_there_at_first_is_an_error() -> None:
    with Streams().running() as streams:
        pass
    with pytest.raises(Unreachable, match="nobody listens at"):
        next(follow(Admin(streams.url), (), "e-0", pytest.fail))


def test_no_stream_at_first_is_an_error() -> None:
    with Streams(404).running() as streams, pytest.raises(Refused, match="not now"):
        next(follow(Admin(streams.url), (), "e-0", pytest.fail))


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:x/", "http://["])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(BadUrl):
        Admin(url)
