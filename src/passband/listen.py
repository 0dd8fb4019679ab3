"""Receiving callbacks: ``passband listen``, and the endpoint that tests of applications and of ours catch events with.

Rule: it stands in for an application's own receiver, so it is as strict as the contract and no stricter. It answers
200, or what it was told to answer; a body that breaks the contract is shown as such and answered with 400.
"""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import repeat
from typing import Self

import msgspec
from rich.text import Text

from passband.api.asgi import ClientGone, Headers, Receive, Scope, Send, header, read_body
from passband.api.limits import Limits
from passband.api.server import Listener
from passband.domain.account import BasicCredentials
from passband.domain.errors import PeerFault
from passband.terminal import printable, rendered

# ── events as they come ──────────────────────────────────────────────────────────────────────────────────────────────


class EventMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The ``message`` of an event (Callbacks, section 2). ``sender`` is ``from``."""

    id: str
    to: tuple[str, ...]
    sender: str = msgspec.field(name="from")
    owner: str = ""
    application_id: str = ""
    time: str = ""
    segment_count: int = 1
    direction: str = ""
    text: str = ""
    media: tuple[str, ...] = ()
    tag: str = ""
    priority: str = ""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One event as it was received. ``error_code`` is None where there is none."""

    time: str
    type: str
    to: str
    message: EventMessage
    description: str = ""
    error_code: int | None = None


class MalformedCallback(PeerFault):
    """The body is not a JSON array of events."""


_raw_events = msgspec.json.Decoder(tuple[msgspec.Raw, ...]).decode
_event = msgspec.json.Decoder(Event).decode


def read_events(body: bytes) -> tuple[tuple[msgspec.Raw, Event], ...]:
    """Return the events of a callback's body, each with its own octets. Raises MalformedCallback."""
    try:
        events = tuple((raw, _event(raw)) for raw in _raw_events(body))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedCallback(f"not a JSON array of events: {error}") from error
    if not events:
        raise MalformedCallback("not a JSON array of events: it is empty")
    return events


class Caught(msgspec.Struct, frozen=True):
    """One request that came, whatever was answered.

    ``headers`` have their names in lower case. ``fault`` says what is wrong with a malformed body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    events: tuple[tuple[msgspec.Raw, Event], ...]
    status: int
    fault: str = ""


# ── the endpoint ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Catcher:
    """A callback endpoint that keeps what it is told.

        async with Catcher() as catcher:
            ...                                   # let callbacks go to catcher.url, with any path below it
            [event] = await catcher.wait_for(1)

    ``events`` are those that were answered with 2xx, in the order in which they came; ``requests`` are all requests,
    challenged, failed and malformed ones too. Resource handling: ``start`` opens the port, ``stop`` closes it and
    whatever hangs. Error handling: nothing that a client does ends it.
    """

    def __init__(
        self,
        answers: Iterable[int] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay: float = 0.0,
        credentials: BasicCredentials | None = None,
        watch: Callable[[Caught], None] = lambda caught: None,
    ) -> None:
        """``answers`` are the statuses of the next answers; after them it is 200.

        ``delay`` is how long each answer takes, in seconds. With ``credentials`` whoever does not bring them is
        challenged. ``watch`` is called with each request before it is answered.
        """
        self.events: list[Event] = []
        self.requests: list[Caught] = []
        self.delay = delay
        self._answers = iter(answers)
        self._authorization = _authorization(credentials) if credentials else None
        self._watch = watch
        self._host = host
        self._listener = Listener(self._serve, host=host, port=port, limits=Limits(connections=_CONNECTIONS))
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen. Raises OSError where the address cannot be had."""
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop(grace=0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def answer_with(self, answers: Iterable[int]) -> None:
        """Answer the next requests with these statuses, in place of what was left; after them with 200."""
        self._answers = iter(answers)

    async def wait_for(self, wanted: int | Callable[[Event], bool], seconds: float = 10.0) -> list[Event]:
        """Return the events once there are so many of them, or one of them is wanted.

        Raises TimeoutError after ``seconds``.
        """
        async with asyncio.timeout(seconds):
            while not (len(self.events) >= wanted if isinstance(wanted, int) else any(map(wanted, self.events))):
                self._changed.clear()
                await self._changed.wait()
        return list(self.events)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive)
        except ClientGone:
            return
        caught = self._catch(scope, body)
        self.requests.append(caught)
        self._watch(caught)
        if 200 <= caught.status < 300:
            self.events += [event for _, event in caught.events]
        self._changed.set()
        # A challenge is not the application's answer yet.
        if self.delay and caught.status != HTTPStatus.UNAUTHORIZED:
            await asyncio.sleep(self.delay)
        await send({"type": "http.response.start", "status": caught.status, "headers": _HEADERS.get(caught.status, ())})
        await send({"type": "http.response.body", "body": caught.fault.encode()})

    def _catch(self, scope: Scope, body: bytes) -> Caught:
        """Judge a request: what it holds, and what it is answered with."""
        events: tuple[tuple[msgspec.Raw, Event], ...] = ()
        fault = ""
        if scope["method"] != "POST":
            status, fault = HTTPStatus.METHOD_NOT_ALLOWED.value, "callbacks are POSTed"
        elif not self._is_authorized(scope):
            status = HTTPStatus.UNAUTHORIZED.value
        else:
            try:
                events = read_events(body)
                status = HTTPStatus(next(self._answers, 200)).value
            except MalformedCallback as error:
                status, fault = HTTPStatus.BAD_REQUEST.value, str(error)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return Caught(scope["method"], scope["path"], headers, body, events, status, fault)

    def _is_authorized(self, scope: Scope) -> bool:
        if self._authorization is None:
            return True
        scheme, _, sent = (header(scope, b"authorization") or b"").partition(b" ")
        return scheme.lower() == b"basic" and hmac.compare_digest(sent.strip(), self._authorization)


# What a terminal's usual limit on open files allows; the platform opens 256 to one endpoint at most.
_CONNECTIONS = 512

_HEADERS: Mapping[int, Headers] = {
    401: ((b"www-authenticate", b'Basic realm="callbacks"'),),
    405: ((b"allow", b"POST"),),
}


def _authorization(credentials: BasicCredentials) -> bytes:
    return base64.b64encode(f"{credentials.user}:{credentials.password}".encode())


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """The options of ``passband listen``.

    ``port`` 0 takes any free one. ``fail`` is the status of every answer, or with ``fail_first`` of the first so many,
    503 if it is None. ``delay`` is in seconds. ``json`` prints events as they came, one a line. ``auth`` is
    "user:password". Raises ValueError for a status that HTTP does not know and an ``auth`` without colon.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    fail: int | None = None
    fail_first: int = 0
    delay: float = 0.0
    json: bool = False
    auth: str | None = None
    colour: bool = True

    def __post_init__(self) -> None:
        if self.fail is not None:
            HTTPStatus(self.fail)
        if self.auth is not None and ":" not in self.auth:
            raise ValueError("the credentials must be written as user:password")

    @property
    def answers(self) -> Iterable[int]:
        if self.fail_first:
            return repeat(HTTPStatus.SERVICE_UNAVAILABLE if self.fail is None else self.fail, self.fail_first)
        return () if self.fail is None else repeat(self.fail)

    @property
    def credentials(self) -> BasicCredentials | None:
        if self.auth is None:
            return None
        user, _, password = self.auth.partition(":")
        return BasicCredentials(user, password)


async def serve(options: ListenOptions, write: Callable[[str], None], ready: Callable[[int], None]) -> None:
    """Receive callbacks until cancelled, and write a line about each event as soon as it has come.

    ``ready`` is called with the port once it is listened on. With ``options.colour`` the lines hold ANSI sequences of
    ours; what comes from outside never does. Raises OSError where the address cannot be had.
    """

    def show(caught: Caught) -> None:
        for line in _lines(caught, options):
            write(line)

    catcher = Catcher(
        options.answers,
        host=options.host,
        port=options.port,
        delay=options.delay,
        credentials=options.credentials,
        watch=show,
    )
    async with catcher:
        ready(catcher.port)
        await asyncio.Event().wait()


def _lines(caught: Caught, options: ListenOptions) -> list[str]:
    if options.json:
        if caught.fault:
            return [json.dumps({"malformed": caught.fault})]
        return [printable(msgspec.json.format(bytes(raw), indent=-1).decode()) for raw, _ in caught.events]
    shown = [show_event(event) for _, event in caught.events] or [_show_other(caught)]
    if not 200 <= caught.status < 300:
        for line in shown:
            line.append(f"  answered {caught.status}", "bold red")
    return [rendered(line, colour=options.colour) for line in shown]


EVENT_STYLES = {
    "message-received": "bold cyan",
    "message-sending": "blue",
    "message-sent": "blue",
    "message-delivered": "green",
    "message-failed": "bold red",
}


def show_event(event: Event) -> Text:
    """Return an event as one line: time, type, message, recipient, sender, and what else there is to it.

    The event's own time is shown, UTC. Whatever could move the cursor or end the line is written as an escape.
    """
    message = event.message
    clock = event.time.partition("T")[2].rstrip("Z") or event.time
    line = Text()
    line.append(f"{printable(clock):12} ", "dim")
    line.append(f"{printable(event.type):17} ", EVENT_STYLES.get(event.type, "magenta"))
    line.append(f"{printable(message.id)} ", "dim")
    line.append(f"to {printable(event.to)} from {printable(message.sender)}")
    if event.error_code is not None:
        line.append(f"  {event.error_code} {printable(event.description)}", "red")
    if message.text:
        line.append(f"  “{printable(message.text)}”", "bold")
    for url in message.media:
        line.append(f"  {printable(url)}", "underline")
    if message.tag:
        line.append(f"  tag {printable(message.tag)}", "yellow")
    return line


def _show_other(caught: Caught) -> Text:
    """Return a request without events as one line."""
    request = f"{printable(caught.method)} {printable(caught.path)}"
    if caught.status == HTTPStatus.UNAUTHORIZED:
        said = "wrong credentials" if "authorization" in caught.headers else "without credentials, challenged"
        return Text(f"{request}  {said}", "dim")
    preview = printable(caught.body[:_PREVIEW].decode("utf-8", "replace"))
    return Text(f"{request}  {printable(caught.fault)}: {preview}", "magenta")


_PREVIEW = 200  # octets of a malformed body
