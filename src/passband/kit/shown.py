"""What the kit shows of messages and callbacks: values made of the admin API's JSON, each of which prints as a line."""

import base64
import json
import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

LONGEST_TEXT = 70


class Sent(msgspec.Struct, frozen=True):
    """A message that the application sent, whatever became of it.

    ``results`` tell of each recipient what became of it: delivered, failed, or empty as long as that is open;
    ``states`` where each is: queued, sending, handed, callback-pending or done; ``error_codes`` are 0 where nothing
    failed. ``time`` is UTC, as in the API.
    """

    id: str
    sender: str
    to: tuple[str, ...]
    text: str
    media: tuple[str, ...]
    tag: str | None
    segment_count: int
    results: tuple[str, ...]
    states: tuple[str, ...]
    error_codes: tuple[int, ...]
    time: str

    @property
    def over(self) -> bool:
        """Whether each recipient was reached or has failed."""
        return all(self.results)

    @property
    def delivered(self) -> bool:
        """Whether every recipient was reached."""
        return all(result == "delivered" for result in self.results)

    def __str__(self) -> str:
        became = [
            f"failed with {code}" if code else result or state
            for result, state, code in zip(self.results, self.states, self.error_codes, strict=True)
        ]
        with_media = f" with {', '.join(self.media)}" if self.media else ""
        tag = f", tag {self.tag}" if self.tag else ""
        return f"{quoted(self.text)}{with_media} to {', '.join(self.to)} from {self.sender}{tag}: {', '.join(became)}"


class Told(msgspec.Struct, frozen=True):
    """A callback to the application: its ``event`` as it was sent, and how the application answered each attempt.

    ``state`` is pending, acknowledged or expired. ``statuses`` are those of its answers, 0 where none came; ``errors``
    say then why. ``event`` is empty before the first attempt.
    """

    kind: str
    to: str
    state: str
    url: str
    event: dict[str, Any]
    statuses: tuple[int, ...]
    errors: tuple[str, ...]
    due: str

    @property
    def text(self) -> str:
        """The text of the message that it tells of; empty in status events."""
        return str(self.event.get("message", {}).get("text", ""))

    def __str__(self) -> str:
        answers = [
            str(status) if status else f"no answer ({error})"
            for status, error in zip(self.statuses, self.errors, strict=True)
        ]
        if len(answers) > 4:
            answers[2:-1] = [f"… {len(answers) - 3} more …"]
        with_text = f" {quoted(self.text)}" if self.text else ""
        answered = "answered " if self.statuses and self.statuses[0] else ""
        tried = f"{answered}{', '.join(answers)} by {self.url}" if answers else "not tried yet"
        due = f"; next try at {clock(self.due)}" if self.due else ""
        return f"{self.kind}{with_text} to {self.to}: {self.state}, {tried}{due}"


class File(msgspec.Struct, frozen=True):
    """A file that a handset sends along."""

    name: str
    content_type: str
    octets: bytes

    @classmethod
    def read(cls, path: Path) -> "File":
        """Return a file of this machine; its name's ending tells of what type it is."""
        return cls(path.name, mimetypes.guess_type(path.name)[0] or "application/octet-stream", path.read_bytes())

    def as_json(self) -> dict[str, str]:
        """Return it as the admin API takes it."""
        data = base64.b64encode(self.octets).decode("ascii")
        return {"name": self.name, "contentType": self.content_type, "base64": data}


PICTURE = File(
    "picture.png",
    "image/png",
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
    ),
)
"""A picture of one pixel, for tests to which it does not matter what it shows."""


def sent_messages(recipients: Iterable[dict[str, Any]]) -> list[Sent]:
    """Return messages from their recipients as the admin API lists them, which is newest first; oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in reversed(list(recipients)):
        if one["direction"] == "out":
            found.setdefault(one["id"], []).append(one)
    return [_sent(sorted(several, key=lambda one: int(one["n"]))) for several in found.values()]


def _sent(recipients: Sequence[dict[str, Any]]) -> Sent:
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
        states=tuple(one["state"] for one in recipients),
        error_codes=tuple(one["errorCode"] or 0 for one in recipients),
        time=first["time"],
    )


def told(callback: dict[str, Any]) -> Told:
    """Return a callback from what the admin API shows of it."""
    events = json.loads(callback["body"] or "[{}]")
    return Told(
        kind=callback["type"],
        to=callback["to"],
        state=callback["state"],
        url=callback["url"],
        event=events[0],
        statuses=tuple(attempt["status"] or 0 for attempt in callback["attempts"]),
        errors=tuple(attempt["error"] or "" for attempt in callback["attempts"]),
        due=(callback["due"] or "") if callback["attempts"] else "",
    )


def quoted(text: str) -> str:
    """Return a text within quotation marks, on one line, cut where it is long."""
    shown = json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= LONGEST_TEXT else f'{shown[: LONGEST_TEXT - 2]}…"'


def clock(timestamp: str) -> str:
    """Return the time of day of one of the API's timestamps."""
    return timestamp.partition("T")[2] or timestamp
