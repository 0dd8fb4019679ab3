"""The kit for tests of applications: a whole Passband in a thread, with handsets, failures and a movable clock.

Example:
    with Passband(callback_url="http://127.0.0.1:5000/events") as passband:
        my_application.base_url = passband.base_url
        my_application.remind("+14085550142")
        [message] = passband.wait_for(to="+14085550142")
        passband.receive("STOP", sender="+14085550142")

It is the developers' edition, spoken to by its admin API, so tests in other languages can do the same.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

from passband.config import developers
from passband.kit.running import KitFault, Running
from passband.kit.serving import ApplicationFault, Served, serve
from passband.kit.shown import PICTURE, File, Sent, Told, sent_messages, told
from passband.kit.story import Wanted, nearest_callback, nearest_miss, story

__all__ = ["HANDSET", "PICTURE", "ApplicationFault", "File", "KitFault", "Missed", "Passband", "Sent", "Told"]

HANDSET = "+14085550142"
FIRST_LOOK_SECONDS = 0.002  # the wait after the first look; each is half as long again, up to the longest
LONGEST_LOOK_SECONDS = 0.02
MOST = 10_000

T = TypeVar("T")


class Missed(AssertionError):
    """What the test expected did not happen; the text says what did."""


class Passband:
    """A running Passband, as long as the ``with`` block lasts.

    ``base_url``, ``account``, ``user``, ``password``, ``application`` and ``number`` are what the application under
    test is configured with. Resource handling: one thread, one port of the loopback, one temporary folder, and a thread
    and a port for each application that is served; all of them go with the block. Error handling: what cannot be done
    raises KitFault; what does not come raises Missed, an AssertionError, with what came instead.
    """

    def __init__(
        self,
        *,
        callback_url: str | None = None,
        status_url: str | None = None,
        numbers: Sequence[str] = developers.NUMBERS,
        account: str = developers.ACCOUNT,
        user: str = developers.USER,
        password: str = developers.PASSWORD,
        application: str = developers.APPLICATION,
        rate: float | None = None,
        history_days: int = 0,
        port: int = 0,
    ) -> None:
        """``callback_url`` takes all events; without one they go to the inbox, see ``callbacks``.

        ``status_url`` takes those about messages that were sent, where they go elsewhere. ``rate`` is the account's in
        segments per second, without one there is no limit. ``port`` 0 takes any free one. Raises KitFault.
        """
        if not numbers:
            raise KitFault("numbers: the application needs one at least")
        self.numbers = tuple(numbers)
        self.account, self.user, self.password, self.application = account, user, password, application
        options = {
            "numbers": self.numbers,
            "account": account,
            "user": user,
            "password": password,
            "application": application,
            "rate": rate,
            "history_days": history_days,
        }
        self._running = Running(options, callback_url, status_url, port)
        self._served: list[Served] = []

    def __enter__(self) -> Self:
        self._running.start()
        return self

    def __exit__(self, *exc: object) -> None:
        # Passband first: the callbacks that are under way come to their end.
        self._running.stop()
        while self._served:
            self._served.pop().stop()

    def __repr__(self) -> str:
        return f"<{self._running}>"

    @property
    def number(self) -> str:
        """The application's number, the first where it has several."""
        return self.numbers[0]

    @property
    def url(self) -> str:
        """Where the console is, and the admin API."""
        return self._running.url

    @property
    def base_url(self) -> str:
        """The base of the HTTP API."""
        return f"{self.url}/api/v2"

    # ── the application under test ─────────────────────────────────────────────────────────────────────────────────

    def serve(self, app: Callable[..., Any], *, callbacks: str = "/", status: str | None = None) -> str:
        """Serve a WSGI or ASGI application on a free port until the block ends; return its base URL.

        Its events go to the path ``callbacks``, those about messages that it sent to ``status`` where that is another
        one. Raises ApplicationFault where it does not start.
        """
        served = serve(app)
        self._served.append(served)
        url = f"http://127.0.0.1:{served.port}"
        self.callbacks_to(url + callbacks, status=url + status if status is not None else None)
        return url

    def callbacks_to(self, url: str, *, status: str | None = None) -> None:
        """Let all events from now on go to this address; those about messages that were sent to ``status``, if given.

        Raises KitFault where that is no address.
        """
        self._running.callbacks_to(url, status)

    # ── what the application does ──────────────────────────────────────────────────────────────────────────────────

    def sent(self, *, to: str | None = None, text: str | None = None, tag: str | None = None) -> list[Sent]:
        """Return what the application has sent, oldest first.

        ``to`` (one of the recipients), ``text`` (any part of it) and ``tag`` choose among it.
        """
        wanted = Wanted(to, text, tag)
        return [message for message in self._all_sent() if wanted.fits(message)]

    def _all_sent(self) -> list[Sent]:
        return sent_messages(self.ask("GET", f"/admin/messages?direction=out&limit={MOST}")["messages"])

    def wait_for(
        self,
        count: int = 1,
        *,
        to: str | None = None,
        text: str | None = None,
        tag: str | None = None,
        seconds: float = 5.0,
    ) -> list[Sent]:
        """Return the messages that the application has sent, as ``sent`` does, once so many were delivered or failed.

        Raises Missed after so many seconds, with the nearest miss and everything that did happen.
        """
        __tracebackhide__ = True
        wanted = Wanted(to, text, tag)

        def over() -> list[Sent]:
            return [message for message in self._all_sent() if wanted.fits(message) and message.over]

        found, there = self._until(over, lambda found: len(found) >= count, seconds)
        if not there:
            what = f"{count} message{'s' if count != 1 else ''} {wanted}".rstrip()
            self._miss(f"{what}: {len(found)} after {seconds:g} s", nearest_miss(wanted, self._all_sent()))
        return found

    def callbacks(self, kind: str | None = None, *, to: str | None = None) -> list[Told]:
        """Return the callbacks so far, oldest first, whatever came of them.

        ``kind`` is an event's type; ``to`` the number that the event is about.
        """
        return [told(self.ask("GET", f"/admin/callbacks/{brief['key']}")) for brief in self._briefs(kind, to)]

    def _briefs(self, kind: str | None, to: str | None) -> list[dict[str, Any]]:
        briefs = reversed(self.ask("GET", f"/admin/callbacks?limit={MOST}")["callbacks"])
        return [one for one in briefs if kind in (None, one["type"]) and to in (None, one["to"])]

    def wait_for_callbacks(
        self, kind: str | None = None, count: int = 1, *, to: str | None = None, seconds: float = 5.0
    ) -> list[Told]:
        """Return the callbacks that the application has answered with 2xx, once there are so many.

        Raises Missed after so many seconds, with the nearest miss and everything that did happen.
        """
        __tracebackhide__ = True

        def acknowledged() -> list[dict[str, Any]]:
            return [one for one in self._briefs(kind, to) if one["state"] == "acknowledged"]

        found, there = self._until(acknowledged, lambda found: len(found) >= count, seconds)
        if not there:
            what = f"{count} {kind or 'callback'}{f' to {to}' if to else ''} answered with 2xx"
            self._miss(f"{what}: {len(found)} after {seconds:g} s", nearest_callback(kind, to, self.callbacks()))
        return [told(self.ask("GET", f"/admin/callbacks/{one['key']}")) for one in found]

    def settle(self, *, seconds: float = 5.0) -> None:
        """Return once nothing is on its way: every message is over, every event was told or at least tried.

        What the application does after it has answered a callback cannot be known: use ``wait_for`` for that.
        Raises Missed after so many seconds, with what still is on its way.
        """
        __tracebackhide__ = True

        def on_its_way() -> int:
            # One answer for all: what two tell was not so at the same moment.
            recipients = self.ask("GET", f"/admin/messages?limit={MOST}")["messages"]
            events = [event for one in recipients for event in one["callbacks"]]
            untried = [event for event in events if event["state"] == "pending" and not event["attemptCount"]]
            return len(untried) + sum(not one["result"] for one in recipients)

        left, settled = self._until(on_its_way, lambda left: not left, seconds)
        if not settled:
            self._miss(f"{left} on the way still after {seconds:g} s")

    def assert_nothing_sent(
        self, *, to: str | None = None, text: str | None = None, tag: str | None = None, seconds: float = 5.0
    ) -> None:
        """Let everything settle, then raise Missed if the application has sent such a message."""
        __tracebackhide__ = True
        self.settle(seconds=seconds)
        if found := self.sent(to=to, text=text, tag=tag):
            self._miss(f"no message {Wanted(to, text, tag)}".rstrip() + f" was expected, {len(found)} came: {found[0]}")

    def _until(self, look: Callable[[], T], done: Callable[[T], bool], seconds: float) -> tuple[T, bool]:
        """Look again and again until it is done or time is up; return what was seen last, and whether it was done."""
        until = time.monotonic() + seconds
        rest = FIRST_LOOK_SECONDS
        while not done(found := look()):
            if time.monotonic() > until:
                return found, False
            time.sleep(rest)
            rest = min(rest * 1.5, LONGEST_LOOK_SECONDS)
        return found, True

    def _miss(self, what: str, nearest: str = "") -> NoReturn:
        __tracebackhide__ = True
        raise Missed("\n".join(filter(None, (what, nearest, self.story()))))

    def story(self) -> str:
        """Return in words what has happened so far: what was sent, received, told, refused, and what is due."""
        state = self.ask("GET", "/admin/state")
        return story(
            base_url=self.base_url,
            sent=self._all_sent(),
            received=self.ask("GET", "/admin/messages?direction=in&limit=200")["messages"][::-1],
            told=self.callbacks(),
            refused=self._running.refused(),
            faults=self.ask("GET", "/admin/faults")["faults"],
            time=state["time"],
            offset=state["offset"],
        )

    # ── what the world does ────────────────────────────────────────────────────────────────────────────────────────

    def receive(
        self,
        text: str = "",
        *,
        sender: str = HANDSET,
        to: str | Sequence[str] | None = None,
        media: Sequence[str | Path | File] = (),
    ) -> None:
        """Let a handset send a message to the application's number, or with several numbers in ``to`` to a group.

        ``media`` are files, paths of files, or addresses; ``PICTURE`` is a small one. It is stored on return; whether
        the application was told is for ``wait_for_callbacks``.
        """
        numbers = [to] if isinstance(to, str) else list(to or [self.number])
        files = [one if isinstance(one, str) else _file(one).as_json() for one in media]
        self.ask("POST", "/admin/inbound", {"from": sender, "to": numbers, "text": text, "media": files})

    def fail_next(self, code: int = 4720, *, to: str | None = None, times: int = 1) -> None:
        """Let the next message fail with a delivery error code; ``to``: the next to this number."""
        self.fault("fail", code=code, times=times, **({"number": to} if to else {}))

    def break_endpoint(self, status: int = 503, *, times: int | None = None) -> None:
        """Let the application's endpoint answer with a status, until ``mend`` or so many times.

        The application does not hear of these events.
        """
        self.fault("endpoint-status", status=status, **({"times": times} if times else {}))

    def fault(self, fault: str, **fields: object) -> None:
        """Put any of the faults in force that ``GET /admin/faults`` lists. Raises KitFault for what makes no sense."""
        self.ask("POST", "/admin/faults", {"fault": fault, **fields})

    def mend(self) -> None:
        """Take all faults back."""
        self.ask("DELETE", "/admin/faults")

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, with all that is due in it: retries, expiry, receipt windows, the retention of media."""
        self.ask("POST", "/admin/clock", {"advance": hours * 3600 + minutes * 60 + seconds})

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin API, which ``GET /admin`` describes, and return its answer. Raises KitFault."""
        return self._running.ask(method, path, body)


def _file(one: Path | File) -> File:
    """Return a file that a handset may send. Raises KitFault where it cannot be read."""
    if isinstance(one, File):
        return one
    try:
        return File.read(one)
    except OSError as error:
        raise KitFault(f"{one} cannot be sent along: {error.strerror}") from error
