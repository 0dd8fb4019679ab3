"""The live stream over HTTP, as plain ASGI: server-sent events (HTML Living Standard, section 9.2)."""

import asyncio
import contextlib
from urllib.parse import parse_qs

from passband.admin.live import Live
from passband.api.asgi import Receive, Scope, Send, header

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class LiveStream:
    """``GET /admin/live``: everything from now on, or what comes after ``Last-Event-ID`` or ``?after=``.

    Ends when the client goes, or with the node.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        last = header(scope, b"last-event-id")
        after = last.decode("latin-1") if last else query.get("after", [None])[0]
        topics = frozenset(filter(None, ",".join(query.get("topics", [])).split(",")))
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        writing = asyncio.create_task(self._write(after, topics, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((writing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, gone):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
        if gone.cancelled() or not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, after: str | None, topics: frozenset[str], send: Send) -> None:
        stream = self._live.stream(after, topics)
        async with contextlib.aclosing(stream):
            async for lines in stream:
                await send({"type": "http.response.body", "body": lines, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
