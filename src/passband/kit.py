"""The kit for tests of applications: a whole Passband in a thread, with handsets, failures and a movable clock.

Example:
    with Passband(callback_url="http://127.0.0.1:5000/events") as passband:
        my_application.base_url = passband.base_url
        my_application.remind("+14085550142")
        [message] = passband.wait_for(to="+14085550142")
        passband.receive("STOP", sender="+14085550142")

It is the developers' edition, spoken to by its admin API, so tests in other languages can do the same.
"""

import asyncio
import http.client
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog
import uvloop

from passband.config import Settings, developers
from passband.config.developers import dev_settings
from passband.dev import free_port, inbox_url
from passband.domain.errors import OwnFault
from passband.logs import set_up_logs
from passband.service import Node

HANDSET = "+14085550142"
POLL_SECONDS = 0.005
MOST = 10_000


class KitFault(OwnFault):
    """What a test asked of Passband could not be done; the text says why."""


class Sent(msgspec.Struct, frozen=True):
    """A message that the application sent, whatever became of it.

    ``results`` tell of each recipient what became of it: delivered, failed, or empty as long as that is open;
    ``error_codes`` are 0 where nothing failed.
    """

    id: str
    sender: str
    to: tuple[str, ...]
    text: str
    media: tuple[str, ...]
    tag: str | None
    segment_count: int
    results: tuple[str, ...]
    error_codes: tuple[int, ...]


class Told(msgspec.Struct, frozen=True):
    """A callback to the application: its ``event`` as it was sent, and each attempt's status (0: no answer)."""

    kind: str
    to: str
    state: str
    event: dict[str, Any]
    statuses: tuple[int, ...]


class Passband:
    """A running Passband, as long as the ``with`` block lasts.

    ``base_url``, ``account``, ``user``, ``password``, ``application`` and ``number`` are what the application under
    test is configured with. Resource handling: one thread, one port of the loopback, one temporary folder; all of them
    go with the block. Error handling: what cannot be done raises KitFault; what does not come raises AssertionError
    with what came instead.
    """

    def __init__(
        self,
        *,
        callback_url: str | None = None,
        number: str = developers.NUMBERS[0],
        account: str = developers.ACCOUNT,
        user: str = developers.USER,
        password: str = developers.PASSWORD,
        application: str = developers.APPLICATION,
    ) -> None:
        """``callback_url`` takes all events; without one they go to the inbox, see ``callbacks``."""
        self.number, self.account, self.user, self.password = number, account, user, password
        self.application = application
        self._callback_url = callback_url
        self._started = threading.Event()
        self._failure: BaseException | None = None

    # ── its life ───────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="passband-"))
        self._port = free_port()
        self._settings = self._configure(self._callback_url)
        if not structlog.is_configured():
            set_up_logs(self._settings.log)
        self._thread = threading.Thread(target=self._run, name="passband", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._end()
            raise KitFault(f"Passband did not start: {self._failure}") from self._failure
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._end()

    def _end(self) -> None:
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configure(self, callback_url: str | None) -> Settings:
        settings = dev_settings(
            self._folder,
            port=self._port,
            account=self.account,
            user=self.user,
            password=self.password,
            application=self.application,
            numbers=[self.number],
            callback_url=callback_url or inbox_url(self._port),
        )
        quick = tuple(msgspec.structs.replace(carrier, delay=0.0) for carrier in settings.carriers)
        return msgspec.structs.replace(
            settings, carriers=quick, log=msgspec.structs.replace(settings.log, level="error")
        )

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._node = Node(self._settings, developers=True)
        try:
            await self._node.start()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._started.set()
        await self._stop.wait()
        await self._node.stop()

    @property
    def url(self) -> str:
        """Where the console is, and the admin API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The base of the HTTP API."""
        return f"{self.url}/api/v2"

    def callbacks_to(self, url: str) -> None:
        """Let all events from now on go to this address."""
        directory = self._configure(url).directory()
        self._loop.call_soon_threadsafe(setattr, self._node.rules, "directory", directory)

    # ── what the application does ──────────────────────────────────────────────────────────────────────────────────

    def sent(self, *, to: str | None = None, text: str | None = None) -> list[Sent]:
        """Return what the application has sent, oldest first; ``to`` and ``text`` (a part of it) choose among it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in reversed(self.ask("GET", f"/admin/messages?limit={MOST}")["messages"]):
            if one["direction"] == "out":
                found.setdefault(one["id"], []).append(one)
        messages = [_sent(recipients) for recipients in found.values()]
        return [m for m in messages if (to is None or to in m.to) and (text is None or text in m.text)]

    def wait_for(
        self, count: int = 1, *, to: str | None = None, text: str | None = None, seconds: float = 5.0
    ) -> list[Sent]:
        """Return so many messages that the application has sent, once each of them was delivered or has failed."""

        def settled() -> list[Sent]:
            return [message for message in self.sent(to=to, text=text) if all(message.results)]

        return self._wait(settled, count, seconds, lambda: f"the application sent: {self.sent()}")

    def callbacks(self, kind: str | None = None) -> list[Told]:
        """Return the callbacks so far, oldest first, whatever came of them; ``kind`` is an event's type."""
        briefs = reversed(self.ask("GET", f"/admin/callbacks?limit={MOST}")["callbacks"])
        wanted = [one["key"] for one in briefs if kind in (None, one["type"])]
        return [_told(self.ask("GET", f"/admin/callbacks/{key}")) for key in wanted]

    def wait_for_callbacks(self, kind: str | None = None, count: int = 1, *, seconds: float = 5.0) -> list[Told]:
        """Return so many callbacks, once the application has answered each of them with 2xx."""

        def acknowledged() -> list[Told]:
            return [told for told in self.callbacks(kind) if told.state == "acknowledged"]

        return self._wait(acknowledged, count, seconds, lambda: f"the application was told: {self.callbacks()}")

    def _wait(self, look: Callable[[], list[Any]], count: int, seconds: float, but: Callable[[], str]) -> list[Any]:
        until = time.monotonic() + seconds
        while len(found := look()) < count:
            if time.monotonic() > until:
                raise AssertionError(f"{len(found)} of {count} after {seconds:g} s; {but()}")
            time.sleep(POLL_SECONDS)
        return found

    # ── what the world does ────────────────────────────────────────────────────────────────────────────────────────

    def receive(
        self, text: str = "", *, sender: str = HANDSET, to: str | Sequence[str] | None = None, media: Sequence[str] = ()
    ) -> None:
        """Let a handset send a message to the application's number, or to a group; ``media`` are addresses."""
        numbers = [to] if isinstance(to, str) else list(to or [self.number])
        self.ask("POST", "/admin/inbound", {"from": sender, "to": numbers, "text": text, "media": list(media)})

    def fail_next(self, code: int = 4720, *, to: str | None = None, times: int = 1) -> None:
        """Let the next message fail with a delivery error code; ``to``: the next to this number."""
        self.fault("fail", code=code, times=times, **({"number": to} if to else {}))

    def break_endpoint(self, status: int = 503, *, times: int | None = None) -> None:
        """Let the application's endpoint answer with a status, until ``mend`` or so many times."""
        self.fault("endpoint-status", status=status, **({"times": times} if times else {}))

    def fault(self, fault: str, **fields: object) -> None:
        """Put any of the faults in force that ``GET /admin/faults`` lists."""
        self.ask("POST", "/admin/faults", {"fault": fault, **fields})

    def mend(self) -> None:
        """Take all faults back."""
        self.ask("DELETE", "/admin/faults")

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, with all that is due in it: retries, expiry, receipt windows, the retention of media."""
        self.ask("POST", "/admin/clock", {"advance": hours * 3600 + minutes * 60 + seconds})

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin API, which ``GET /admin`` describes. Raises KitFault."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise KitFault(answer["description"])
        return answer


def _sent(recipients: Sequence[dict[str, Any]]) -> Sent:
    """Return a message from its recipients as the admin API shows them."""
    recipients = sorted(recipients, key=lambda one: int(one["n"]))
    first = recipients[0]
    return Sent(
        id=first["id"],
        sender=first["from"],
        to=tuple(first["recipients"] or [first["to"]]),
        text=first["text"] or "",
        media=tuple(first["media"] or ()),
        tag=first["tag"],
        segment_count=first["segmentCount"],
        results=tuple(one["result"] or "" for one in recipients),
        error_codes=tuple(one["errorCode"] or 0 for one in recipients),
    )


def _told(callback: dict[str, Any]) -> Told:
    events = json.loads(callback["body"] or "[{}]")
    return Told(
        kind=callback["type"],
        to=callback["to"],
        state=callback["state"],
        event=events[0],
        statuses=tuple(attempt["status"] or 0 for attempt in callback["attempts"]),
    )
