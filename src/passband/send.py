"""Sending one message from the command line: ``passband send``.

Rule: it is a client like any other. It knows the public API and nothing of the platform's inside.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from passband.asking import Answer, BadUrl, Site, Unreachable
from passband.domain.error_codes import ERROR_CODES
from passband.domain.errors import PassbandError

DONE, FAILED, USAGE = 0, 1, 2
"""Exit statuses: it went as asked; it was refused or failed; the command line is wrong."""

POLL_SECONDS = 0.25  # well below the search's 3,500 in five minutes


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The options of ``passband send``; the defaults are those of ``passband dev``.

    ``application`` has none here: which one the developers' edition has is a matter of configuration. ``url`` is the
    base of the API. With ``wait`` the command ends when the message has ended, or after ``wait_seconds``. ``json``
    prints one document in place of words.
    """

    to: tuple[str, ...]
    application: str
    text: str = ""
    sender: str = "+19195550117"
    media: tuple[str, ...] = ()
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None
    url: str = "http://127.0.0.1:8080/api/v2"
    account: str = "5500123"
    user: str = "demo"
    password: str = "demo"  # noqa: S105 - the published one of the developers' edition
    wait: bool = False
    wait_seconds: float = 60.0
    json: bool = False

    def __repr__(self) -> str:
        return f"SendOptions(to={self.to}, url={self.url!r}, …)"


class _Usage(PassbandError):
    """The command line is wrong."""


class _NoApi(PassbandError):
    """What answered is no messaging API."""


class _Told:
    """What is known of the message: what ``--json`` prints, one document with the same keys whatever happened.

    ``status`` and ``answer`` are those of the POST. ``over`` is None unless the end was waited for; ``recipients``
    have a ``status`` then, as the search shows it or the developers' edition remembers it (None: over, and how it ended
    is in the last event).
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.answer: Any = None
        self.over: bool | None = None
        self.recipients: list[dict[str, Any]] = []

    def view(self) -> dict[str, Any]:
        return {"status": self.status, "answer": self.answer, "over": self.over, "recipients": self.recipients}


def send(
    options: SendOptions,
    console: Console | None = None,
    pause: Callable[[float], None] = time.sleep,
    errors: Console | None = None,
) -> int:
    """Send a message, tell what was answered, and return the exit status.

    With ``options.wait`` it follows the message through the search until nothing more can become of it: 0 if every
    recipient was reached or its end was told to the application, 1 if one failed or the time is over. ``pause`` is
    called with the seconds between two looks. Faults are told on ``errors`` (standard error if None).
    """
    console = console or Console(highlight=False)
    errors = errors or Console(stderr=True, highlight=False)
    words = Console(quiet=True) if options.json else console
    told = _Told()
    try:
        status = _send(options, words, errors, pause, told)
    except (_Usage, BadUrl) as error:
        errors.print(Text(str(error), "bold red"), soft_wrap=True)
        return USAGE
    except (_NoApi, Unreachable) as error:
        errors.print(Text(str(error), "bold red"), soft_wrap=True)
        status = FAILED
    if options.json and told.status is not None:
        console.out(json.dumps(told.view()), highlight=False)
    return status


def _send(options: SendOptions, console: Console, errors: Console, pause: Callable[[float], None], told: _Told) -> int:
    if not options.to:
        raise _Usage("Say whom to send it to: --to NUMBER")
    if not (options.text or options.media):
        raise _Usage("There is nothing to send: --text TEXT, --media URL, or both")
    api = _Api(options)
    answer = api.request("POST", body=_request(options))
    told.status, told.answer = answer.status, answer.body
    if answer.status != HTTPStatus.ACCEPTED:
        for line in explain(answer.status, answer.body, options):
            errors.print(line, soft_wrap=True)
        return FAILED
    message_id = _show_accepted(answer.body, console)
    return _Wait(options, api, console, errors, pause, told).follow(message_id) if options.wait else DONE


def _request(options: SendOptions) -> dict[str, object]:
    fields: dict[str, object] = {
        "applicationId": options.application,
        "to": list(options.to),
        "from": options.sender,
        "text": options.text,
        "media": list(options.media),
        "tag": options.tag,
        "priority": options.priority,
        "expiration": options.expiration,
    }
    return {name: value for name, value in fields.items() if value}


class _Api:
    """The messages of one account, as the API shows them."""

    def __init__(self, options: SendOptions) -> None:
        credentials = base64.b64encode(f"{options.user}:{options.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json; charset=utf-8"}
        self._site = Site(options.url, headers, example="http://127.0.0.1:8080/api/v2")
        self._path = f"/users/{quote(options.account, safe='')}/messages"
        self._beside = Site(options.url.rstrip("/").removesuffix("/api/v2"), {}, example=options.url)

    def request(self, method: str, query: Mapping[str, str] | None = None, body: object = None) -> Answer:
        """Return the answer to one request. Raises Unreachable where there is none."""
        return self._site.ask(method, self._path, query, body)

    def remembered(self, message_id: str) -> list[Mapping[str, Any]]:
        """Return how recipients ended, where the developers' edition is at this address: it remembers that."""
        try:
            answer = self._beside.ask("GET", f"/admin/messages/{quote(message_id, safe='')}")
        except Unreachable:
            return []
        known = answer.body.get("recipients") if isinstance(answer.body, dict) else None
        return known if answer.status == HTTPStatus.OK and isinstance(known, list) else []


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def _show_accepted(body: Any, console: Console) -> str:
    """Show the 202 and return the message's id."""
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):
        raise _NoApi("The answer was 202, but not that of a messaging API. Is the URL right?")
    message_id: str = body["id"]
    segments = body.get("segmentCount", 1)
    line = Text("accepted ", "bold green")
    line.append(message_id, "bold")
    line.append(f"  {body.get('from')} to {', '.join(map(str, body.get('to', ())))}")
    line.append(f"  {segments} segment{'' if segments == 1 else 's'}  {body.get('time')}", "dim")
    console.print(line, soft_wrap=True)
    return message_id


_WORDS = {
    400: "The request is at fault; nothing was sent.",
    401: "User name or password are wrong.",
    403: "This user has nothing to do with account {account}.",
    404: "There is no such API at {url}. Its base ends in /api/v2.",
    429: "The account's queue is full; nothing was sent. Try again later.",
}


def explain(status: int, body: Any, options: SendOptions) -> list[Text]:
    """Return what a refusal means, in words and in those of the answer."""
    words = _WORDS.get(status, "The platform could not do it; nothing is known to have been sent.")
    lines = [Text(f"{status}  {words.format(account=options.account, url=options.url)}", "bold red")]
    if not isinstance(body, dict):
        return lines
    faults = body.get("fieldErrors")
    if isinstance(faults, list):
        lines += [Text(f"  {fault.get('fieldName')}: {fault.get('description')}") for fault in faults]
    elif isinstance(body.get("description"), str):
        lines.append(Text(f"  {body['description']}"))
    return lines


# ── waiting for the end ──────────────────────────────────────────────────────────────────────────────────────────────

_ENDED = {"DELIVERED": DONE, "ACCEPTED": DONE, "FAILED": FAILED, "UNDELIVERED": FAILED}
_STATUS_STYLES = {"DELIVERED": "bold green", "FAILED": "bold red", "UNDELIVERED": "bold red"}


class _Wait:
    """Follows one message through the search.

    A recipient is found while it waits, is sent, and while its last event waits for the application's 2xx; after that
    only where the platform keeps a history, or is the developers' edition. Gone without a word elsewhere means: it has
    ended, and the application was told how, or has nowhere to be told. More cannot be known from outside, and more is
    not claimed.
    """

    def __init__(
        self,
        options: SendOptions,
        api: _Api,
        console: Console,
        errors: Console,
        pause: Callable[[float], None],
        told: _Told,
    ) -> None:
        self._options = options
        self._api = api
        self._console = console
        self._errors = errors
        self._pause = pause
        self._told = told
        self._seen: dict[str, str] = {}
        self._items: dict[str, Mapping[str, Any]] = {}

    def follow(self, message_id: str) -> int:
        """Return the exit status once every recipient has ended, or the time is over."""
        self._told.over = False
        waited = 0.0
        while True:
            answer = self._api.request("GET", {"messageId": message_id})
            wait = answer.retry_after
            if wait is None:
                if answer.status != HTTPStatus.OK:
                    for line in explain(answer.status, answer.body, self._options):
                        self._errors.print(line, soft_wrap=True)
                    return FAILED
                wait = POLL_SECONDS
                found = {item["destinationTn"]: item for item in answer.body["messages"]}
                over = self._look(found)
                if over:
                    self._look_back(message_id, found)
                self._told.recipients = [self._view(number, found) for number in dict.fromkeys(self._options.to)]
                if over:
                    self._told.over = True
                    return self._conclude(found)
            if waited + wait > self._options.wait_seconds:
                self._errors.print(f"Not over after {self._options.wait_seconds:g} seconds; the platform goes on.")
                return FAILED
            self._pause(wait)
            waited += wait

    def _look(self, found: Mapping[str, Mapping[str, Any]]) -> bool:
        """Show what has changed; tell whether everything is over."""
        self._items.update(found)
        for number, item in found.items():
            status = str(item["messageStatus"])
            if self._seen.get(number) == status:
                continue
            self._seen[number] = status
            line = Text(f"{number}  ")
            line.append(status, _STATUS_STYLES.get(status, "blue"))
            code = int(item["errorCode"])
            if code:
                known = ERROR_CODES.get(code)
                line.append(f"  {code} {known.name if known else ''}".rstrip(), "red")
                if known:
                    line.append(f"  {known.meaning}", "dim")
            self._console.print(line, soft_wrap=True)
        return all(item["messageStatus"] in _ENDED for item in found.values())

    def _look_back(self, message_id: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Show how those ended that are gone from the search, where that is known."""
        if all(number in found or self._seen.get(number) in _ENDED for number in self._options.to):
            return
        for one in self._api.remembered(message_id):
            status = str(one.get("result")).upper()
            if status in _ENDED and one.get("to") not in found:
                self._look({str(one["to"]): {"messageStatus": status, "errorCode": one.get("errorCode") or 0}})

    def _view(self, number: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return a recipient as ``--json`` shows it."""
        item = self._items.get(number, {})
        code = int(item.get("errorCode", 0))
        known = ERROR_CODES.get(code)
        seen = self._seen.get(number)
        return {
            "to": number,
            "status": seen if number in found or seen in _ENDED else None,
            "errorCode": code or None,
            "description": known.name if known else None,
        }

    def _conclude(self, found: Mapping[str, Mapping[str, Any]]) -> int:
        result = DONE
        for number in dict.fromkeys(self._options.to):
            status = self._seen.get(number)
            if status in _ENDED:
                result = max(result, _ENDED[status])
            elif number not in found:
                self._console.print(
                    Text(
                        f"{number}  over: the application took its last event, or has nowhere to be told. How it "
                        "ended is in that event; a platform that keeps a history (passband dev --history 1) shows it."
                    ),
                    soft_wrap=True,
                )
        return result
