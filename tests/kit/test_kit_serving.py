"""Applications of any framework are served as they are: WSGI and ASGI, with and without a lifespan."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from passband.api.asgi import Receive, Scope, Send, answer, read_body
from passband.testing import ApplicationFault, Passband


class Wsgi:
    """A WSGI application that keeps the paths and bodies it was posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.posted.append((environ["PATH_INFO"], environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start("204 No Content", [])
        return []


class Asgi:
    """An ASGI application that keeps the same, and in which order it was started, asked and ended."""

    def __init__(self, lifespan: str = "complete") -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.order: list[str] = []
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.order.append(scope["state"].get("kept", "nothing kept"))
            self.posted.append((scope["path"], await read_body(receive)))
            await answer(send, 204, (), b"")
        elif self._lifespan == "none":
            raise AssertionError("only http is known here")
        else:
            await self._live(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        for what in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{what}"}
            self.order.append(what)
            scope["state"]["kept"] = "kept from the start"
            await send({"type": f"lifespan.{what}.{self._lifespan}", "message": "there is no database"})


@pytest.mark.parametrize("make", [Wsgi, Asgi, lambda: Asgi("none")], ids=["WSGI", "ASGI", "ASGI without a lifespan"])
def test_an_application_gets_its_events_at_the_paths_that_it_has(make: Callable[[], Wsgi | Asgi]) -> None:
    app = make()
    with Passband() as passband:
        url = passband.serve(app, callbacks="/events/in", status="/events/status")
        passband.receive("hello")
        [told] = passband.wait_for_callbacks("message-received")
    [(path, body)] = app.posted
    assert (path, told.url, told.statuses) == ("/events/in", f"{url}/events/in", (204,))
    assert b'"hello"' in body


def test_an_asgi_application_is_started_before_and_ended_after_all_it_is_asked() -> None:
    app = Asgi()
    with Passband() as passband:
        passband.serve(app)
        passband.receive("hello")
        passband.settle()
    assert app.order == ["startup", "kept from the start", "shutdown"]


def test_an_application_that_cannot_start_says_why(passband: Passband) -> None:
    with pytest.raises(ApplicationFault, match="there is no database"):
        passband.serve(Asgi("failed"))


async def test_a_plain_coroutine_is_an_application_and_its_faults_are_answers(passband: Passband) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    passband.serve(app)
    passband.receive("hello")
    await asyncio.to_thread(passband.settle)
    assert [told.statuses for told in passband.callbacks()] == [(500,)]


def test_an_application_that_blocks_does_not_hold_up_passband(passband: Passband) -> None:
    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if b'"hello"' in environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])):
            passband.receive("asked from within")
        start("204 No Content", [])
        return []

    passband.serve(app)
    passband.receive("hello")
    assert [told.text for told in passband.wait_for_callbacks(count=2)] == ["hello", "asked from within"]
