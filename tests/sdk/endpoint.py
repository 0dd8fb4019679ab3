"""An application's endpoint, made of the standard library only: it keeps what it is told, and serves a picture."""

import http.server
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + bytes(32)


class Told(NamedTuple):
    """One callback: its headers, its body as it came, and the one event in it."""

    headers: Mapping[str, str]
    body: bytes
    event: dict[str, Any]


class Endpoint:
    """Listens on a free port of the loopback as long as the block lasts; answers 204 to every callback."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._changed = threading.Condition()
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece

            def do_POST(self) -> None:
                endpoint._take(dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "image/png")
                self.send_header("Content-Length", str(len(PNG)))
                self.end_headers()
                self.wfile.write(PNG)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
                """Say nothing: the callbacks are kept."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, headers: Mapping[str, str], body: bytes) -> None:
        [event] = json.loads(body)
        with self._changed:
            self.told.append(Told(headers, body, event))
            self._changed.notify_all()

    def wait_for(self, count: int, wanted: Callable[[dict[str, Any]], bool] = lambda event: True) -> list[Told]:
        """Return the callbacks that are wanted, in the order in which they came, once there are so many."""

        def found() -> list[Told]:
            return [told for told in self.told if wanted(told.event)]

        with self._changed:
            there = self._changed.wait_for(lambda: len(found()) >= count, timeout=20)
            assert there, f"{len(found())} of {count} callbacks came: {[told.event for told in self.told]}"
            return found()
