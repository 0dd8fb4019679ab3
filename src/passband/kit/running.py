"""The node of the kit: its thread, its port and its folder; how it starts, is asked, and ends."""

import asyncio
import errno
import http.client
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvloop

from passband.config import Settings
from passband.config.developers import dev_settings
from passband.dev import free_port, inbox_url
from passband.domain.errors import ConfigurationError, OwnFault
from passband.logs import set_up_logs
from passband.service import Node

ANSWER_SECONDS = 30.0  # 24 hours of retries take a second, at most ten
STARTS = 5  # a port that was free may be somebody else's a moment later


class KitFault(OwnFault):
    """What a test asked of Passband could not be done; the text says why."""


class Running:
    """A node in a thread between ``start`` and ``stop``. ``options`` are those of ``dev_settings``."""

    def __init__(
        self, options: Mapping[str, Any], callback_url: str | None, status_url: str | None, port: int = 0
    ) -> None:
        self._options = options
        self._urls = (callback_url, status_url)
        self._wanted_port = port
        self._port = 0
        self._thread: threading.Thread | None = None
        self._sets_up_logs = False

    def __str__(self) -> str:
        return f"Passband at {self.url}" if self._thread is not None else "Passband that is not running"

    # ── its life ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start, and return once messages are accepted. Raises KitFault."""
        if self._thread is not None:
            raise KitFault("this Passband is running already; another one is another Passband()")
        self._folder = Path(tempfile.mkdtemp(prefix="passband-"))
        for _ in range(STARTS):
            failure = self._try(self._wanted_port or free_port())
            if self._wanted_port or not isinstance(failure, OSError) or failure.errno != errno.EADDRINUSE:
                break
        if failure is not None:
            self._clean()
            raise KitFault(f"Passband did not start: {failure}") from failure

    def _try(self, port: int) -> BaseException | None:
        """Start on a port; return why that did not work."""
        self._port = port
        try:
            self._settings = self._configure(*self._urls)
        except KitFault as fault:
            return fault
        if not structlog.is_configured():
            set_up_logs(self._settings.log)
            self._sets_up_logs = True
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="passband", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
        return self._failure

    def stop(self) -> None:
        """Finish what is in flight, and leave nothing behind."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None
        self._clean()

    def _clean(self) -> None:
        self._port = 0
        if self._sets_up_logs:
            structlog.reset_defaults()  # how the application under test logs is its own affair
            self._sets_up_logs = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # start() raises it, in the thread of the test
            self._failure = error
        finally:
            self._started.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._node = Node(self._settings, developers=True)
        await self._node.start()
        self._started.set()
        await self._stop.wait()
        await self._node.stop()

    # ── its settings ───────────────────────────────────────────────────────────────────────────────────────────────

    def _configure(self, callback_url: str | None, status_url: str | None) -> Settings:
        """Return the settings of a node whose carrier delivers at once. Raises KitFault."""
        try:
            settings = self._dev_settings(callback_url or inbox_url(self._port))
            if status_url is not None:
                [account] = settings.accounts
                [inbound] = account.applications
                [status] = self._dev_settings(status_url).accounts[0].applications
                both = msgspec.structs.replace(
                    inbound, callback_url=None, inbound_url=inbound.callback_url, outbound_url=status.callback_url
                )
                settings = msgspec.structs.replace(
                    settings, accounts=(msgspec.structs.replace(account, applications=(both,)),)
                )
        except ConfigurationError as error:
            raise KitFault("these settings are wrong: " + "; ".join(map(str, error.faults))) from error
        quick = tuple(msgspec.structs.replace(carrier, delay=0.0) for carrier in settings.carriers)
        return msgspec.structs.replace(
            settings, carriers=quick, log=msgspec.structs.replace(settings.log, level="error")
        )

    def _dev_settings(self, callback_url: str) -> Settings:
        return dev_settings(self._folder, port=self._port, callback_url=callback_url, **self._options)

    def callbacks_to(self, url: str, status: str | None) -> None:
        """Let events go there from now on. Raises KitFault."""
        self._demand()
        settings = self._configure(url, status)
        self._loop.call_soon_threadsafe(self._node.provisioning.configure, settings)

    # ── what it is asked ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        self._demand()
        return f"http://127.0.0.1:{self._port}"

    def _demand(self) -> None:
        __tracebackhide__ = True
        if self._thread is None:
            raise KitFault("this Passband is not running: it does within `with Passband() as passband:`")

    def refused(self) -> dict[int, int]:
        """Return how many requests the HTTP API has answered with an error, by status."""
        self._demand()
        return {int(key[1]): count for key, count in list(self._node.counts.items()) if key[0] == "answers"}

    def ask(self, method: str, path: str, body: object) -> Any:
        """Return what the admin API answers. Raises KitFault."""
        __tracebackhide__ = True
        self._demand()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
        except OSError as error:
            raise KitFault(f"Passband does not answer {method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise KitFault(f"{method} {path}: {_description(answer)}")
        return json.loads(answer)


def _description(answer: bytes) -> str:
    """Return what an error says of itself."""
    try:
        return str(json.loads(answer)["description"])
    except (ValueError, KeyError, TypeError):
        return answer.decode("utf-8", "replace")
