"""An application under test on a port of its own: WSGI as Flask and Django speak it, or ASGI as FastAPI does.

Rule: nothing here knows of messages. It serves in a thread, so that the test may block while the application answers.
"""

import asyncio
import contextlib
import inspect
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Protocol, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from passband.api.asgi import App, Message, Receive, Scope, Send
from passband.api.server import Listener
from passband.domain.errors import OwnFault

GRACE_SECONDS = 5.0
LIFESPAN_SECONDS = 10.0
POLL_SECONDS = 0.02  # after which the WSGI server sees that it is to end
BODY_OCTETS = 64 * 1024 * 1024  # an application may take more than callbacks


class ApplicationFault(OwnFault):
    """The application under test did not start; the text says why."""


class Served(Protocol):
    """An application that is served; ``stop`` ends it, and what it holds."""

    port: int

    def stop(self) -> None: ...


def serve(app: Callable[..., Any]) -> Served:
    """Serve an application on a free port of the loopback. Raises ApplicationFault."""
    called = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
    return ServedAsgi(cast(App, app)) if inspect.iscoroutinefunction(called) else ServedWsgi(app)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        # The standard library's own looks its name up, for which some machines wait five seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
        """Say nothing of each request: the kit tells what was answered."""


class ServedWsgi:
    """A WSGI application, each request in a thread of its own."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.set_app(app)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="application", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class ServedAsgi:
    """An ASGI application on an event loop of its own, started and ended by its lifespan where it has one."""

    port = 0

    def __init__(self, app: App) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="application", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise ApplicationFault(f"the application did not start: {self._failure}") from self._failure

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # __init__ raises it, in the thread of the test
            self._failure = error
        finally:
            self._ready.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        lifespan = Lifespan(self._app, self._state)
        await lifespan.start()
        listener = Listener(self._answer, body_limit=lambda _: BODY_OCTETS)
        await listener.start()
        self.port = listener.port
        self._ready.set()
        await self._end.wait()
        await listener.stop(GRACE_SECONDS)
        await lifespan.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(self._state)
        await self._app(scope, receive, send)


class Lifespan:
    """The start and the end of an ASGI application (ASGI 3, "Lifespan Protocol"); one that knows of none has none."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        """Raises ApplicationFault where the application says that it cannot start."""
        self._task = asyncio.create_task(self._run())
        answer = await self._tell("lifespan.startup")
        if answer.get("type") == "lifespan.startup.failed":
            await self._over()
            raise ApplicationFault(answer.get("message") or "its lifespan failed")

    async def stop(self) -> None:
        with contextlib.suppress(ApplicationFault):
            await self._tell("lifespan.shutdown")
        await self._over()

    async def _over(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _tell(self, kind: str) -> Message:
        """Return the application's answer, or an empty one where it has ended without. Raises ApplicationFault."""
        self._to_app.put_nowait({"type": kind})
        answered = asyncio.create_task(self._from_app.get())
        await asyncio.wait((answered, self._task), timeout=LIFESPAN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            return answered.result()
        answered.cancel()
        if self._task.done():
            return {}
        raise ApplicationFault(f"no answer to {kind} within {LIFESPAN_SECONDS:g} s")

    async def _run(self) -> None:
        await self._app(self._scope, self._to_app.get, self._answer)

    async def _answer(self, message: Message) -> None:
        self._from_app.put_nowait(message)
