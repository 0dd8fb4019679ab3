"""A messaging API that answers what the test says, over real HTTP."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple


class Reply(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class ApiServer:
    """Gives its replies in order, the last one again and again; keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.asked: list[Asked] = []
        self._replies = list(replies)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_GET(self) -> None:
                self._answer(None)

            def _answer(self, body: Any) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = server.reply(Asked(self.command, self.path, headers, body))
                content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/api/v2"

    @contextmanager
    def running(self) -> Iterator["ApiServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
