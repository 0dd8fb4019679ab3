"""``passband tail``: what the live stream tells, as one line for each thing that happened, each once.

The stream tells how a recipient or a callback is now. What is new in that is found by what was told before, so that
nothing is told twice or left out when changes came together, when the stream was lost, or when the node was replaced.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.text import Text

from passband.asking import Unreachable
from passband.domain.event import EventKind
from passband.listen import EVENT_STYLES
from passband.remote import Admin, Refused
from passband.remote.streaming import follow
from passband.terminal import printable, rendered

STEPS = ("queued", "sending", "handed", "delivered", "failed", "received", "done")
TYPES = (*STEPS, *(kind.value for kind in EventKind), "clock")
"""What a line may be about: a state that a recipient came into, an attempt to tell of an event, the clock."""

TOPICS = ("message", "callback", "clock")
MOST = 10_000  # what one call of the admin API shows at most
REMEMBERED = 50_000  # recipients and callbacks; five times what a node follows

_STYLES = {**EVENT_STYLES, "delivered": "green", "failed": "bold red", "received": "bold cyan", "done": "dim"}
_WORDS = {"connect": "no connection", "timeout": "no answer in time", "resolve": "its name leads nowhere"}


class Line(msgspec.Struct, frozen=True, rename={"sender": "from", "error_code": "errorCode"}):
    """One thing that happened; what it has not is None. ``time`` is the instant, as the API writes it.

    ``type`` is one of ``TYPES``. Of an attempt, ``status`` is that of the answer, ``error`` why there was none, and
    ``due`` when the next is; ``state`` is what has become of the callback.
    """

    time: str
    type: str
    id: str | None = None
    n: int | None = None
    account: str | None = None
    application: str | None = None
    direction: str | None = None
    sender: str | None = None
    to: str | None = None
    error_code: int | None = None
    detail: str | None = None
    text: str | None = None
    tag: str | None = None
    status: int | None = None
    error: str | None = None
    milliseconds: float | None = None
    state: str | None = None
    due: str | None = None
    url: str | None = None


class Wanted(msgspec.Struct, frozen=True):
    """Which lines are shown: all that match one of each. ``numbers`` and ``ids`` match by any part of them."""

    numbers: Sequence[str] = ()
    ids: Sequence[str] = ()
    types: Sequence[str] = ()

    def takes(self, line: Line) -> bool:
        ends = (line.sender or "", line.to or "")
        return (
            (not self.numbers or any(number in end for number in self.numbers for end in ends))
            and (not self.ids or any(id_ in (line.id or "") for id_ in self.ids))
            and (not self.types or line.type in self.types)
        )


class _Told(msgspec.Struct, frozen=True):
    """What was told of a callback: how many attempts, when the last was, and whether it is over."""

    attempts: int = 0
    last: str | None = None
    state: str = "pending"


class Teller:
    """Finds what is new in what a node tells. ``whole`` returns all attempts of a callback, by its key."""

    def __init__(self, whole: Callable[[str], Sequence[Mapping[str, Any]]]) -> None:
        self._whole = whole
        self._steps: OrderedDict[str, set[str]] = OrderedDict()
        self._told: OrderedDict[str, _Told] = OrderedDict()

    def lines(self, topic: str, view: Mapping[str, Any]) -> list[Line]:
        """Return what has not been told yet, oldest first."""
        if topic == "message":
            return self._of_message(view)
        if topic == "callback":
            return self._of_callback(view)
        return [Line(view["time"], "clock", detail=f"moved by {view['offset']:g} s in all")]

    def pass_over(self, topic: str, view: Mapping[str, Any]) -> None:
        """Take what is known as told."""
        if topic == "message":
            self._of_message(view)
        else:
            self._remember(view)

    def _of_message(self, view: Mapping[str, Any]) -> list[Line]:
        told = self._steps.setdefault(view["key"], set())
        self._steps.move_to_end(view["key"])
        while len(self._steps) > REMEMBERED:
            self._steps.popitem(last=False)
        lines = []
        for step in view["history"]:
            at, state, detail = step["time"], step["state"], step["detail"]
            if f"{at} {state} {detail}" in told:
                continue
            told.add(f"{at} {state} {detail}")
            failed = state == "failed"
            begins = state == "received" or (state == "queued" and not detail)
            lines.append(
                Line(
                    at,
                    state,
                    view["id"],
                    view["n"],
                    view["account"],
                    view["application"],
                    view["direction"],
                    view["from"],
                    view["to"],
                    error_code=view["errorCode"] if failed else None,
                    detail=(view["description"] if failed else detail) or None,
                    text=view["text"] if begins else None,
                    tag=view["tag"],
                )
            )
        return lines

    def _of_callback(self, view: Mapping[str, Any]) -> list[Line]:
        before = self._remember(view)
        last, count = view["last"], view["attemptCount"]
        attempts: Sequence[Mapping[str, Any]] = [last] if last else []
        new = count - before.attempts
        if new == 0 and last and last["time"] == before.last:
            attempts = []
        elif new != 1 and count > 1:  # several since, of which the stream tells the last; or those of another node
            attempts = self._whole(view["key"])[-new if new > 0 else 0 :] or attempts
        lines = [_attempt(view, attempt) for attempt in attempts]
        if view["state"] == "expired" != before.state:
            over_at = max(view["expires"], last["time"] if last else "")  # the last attempt may have outlasted it
            lines.append(msgspec.structs.replace(_attempt(view, {}), time=over_at, state="expired"))
        return lines

    def _remember(self, view: Mapping[str, Any]) -> _Told:
        """Take a callback as told; return what was told of it before."""
        key, last = view["key"], view["last"]
        before = self._told.pop(key, _Told())
        self._told[key] = _Told(view["attemptCount"], last["time"] if last else None, view["state"])
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return before


def _attempt(view: Mapping[str, Any], attempt: Mapping[str, Any]) -> Line:
    """Return one attempt at a callback as a line; without one, that it is over."""
    is_last = bool(attempt) and attempt["time"] == view["last"]["time"]
    succeeded = attempt.get("error") is None and 200 <= (attempt.get("status") or 0) <= 299
    return Line(
        attempt.get("time", view["time"]), view["type"], view["id"], view["n"], view["account"], view["application"],
        view["direction"], to=view["to"], error_code=view["errorCode"],
        status=attempt.get("status"), error=attempt.get("error"), milliseconds=attempt.get("milliseconds"),
        state="acknowledged" if succeeded else "pending", due=view["due"] if is_last else None,
        url=view["url"] or None,
    )  # fmt: skip


def tail(
    admin: Admin,
    wanted: Wanted,
    *,
    write: Callable[[Line], None],
    warn: Callable[[str], None],
    ready: Callable[[], None] = lambda: None,
    everything: bool = False,
    count: int | None = None,
) -> None:
    """Write what happens, line by line, for ever, or until there were so many lines.

    ``ready`` is called once it is known where to begin; ``everything`` begins with what the node still knows. ``warn``
    is told of breaks, which are bridged, and of gaps, which are not. Raises Unreachable and Refused where there is no
    admin API at first.
    """
    left = count
    for line in _happening(admin, warn, ready, everything=everything):
        if wanted.takes(line):
            write(line)
            left = None if left is None else left - 1
            if left == 0:
                return


def _happening(
    admin: Admin, warn: Callable[[str], None], ready: Callable[[], None], *, everything: bool
) -> Iterator[Line]:
    def whole(key: str) -> Sequence[Mapping[str, Any]]:
        try:
            attempts: Sequence[Mapping[str, Any]] = admin.ask("GET", f"/admin/callbacks/{key}")["attempts"]
        except (Refused, Unreachable):  # forgotten meanwhile, or the stream will be lost as well
            return ()
        return attempts

    def lost(why: str) -> None:
        warn(f"{why}; waiting for it")

    teller = Teller(whole)
    cursor, views = _now(admin)
    ready()
    if everything:
        yield from _told_of(teller, views)
    else:
        for topic, view in views:
            teller.pass_over(topic, view)
    for event in follow(admin, TOPICS, cursor, lost):
        if event.topic == "reset":
            warn("the stream begins anew; what the node does not remember is not told")
            try:
                yield from _told_of(teller, _now(admin)[1])
            except (Refused, Unreachable):  # it went again at once; its next stream begins anew, too
                continue
        elif event.topic in TOPICS:
            yield from teller.lines(event.topic, json.loads(event.data))


def _now(admin: Admin) -> tuple[str, list[tuple[str, Any]]]:
    """Return where the stream is, and all that the node remembers."""
    query = {"limit": str(MOST)}
    messages = admin.ask("GET", "/admin/messages", query)  # first: its cursor is before all that is seen here
    callbacks = admin.ask("GET", "/admin/callbacks", query)
    views = [("message", view) for view in messages["messages"]]
    return messages["live"], views + [("callback", view) for view in callbacks["callbacks"]]


def _told_of(teller: Teller, views: Sequence[tuple[str, Any]]) -> list[Line]:
    lines = [line for topic, view in views for line in teller.lines(topic, view)]
    return sorted(lines, key=lambda line: line.time)


# ── how a line looks ─────────────────────────────────────────────────────────────────────────────────────────────────


def shown(line: Line, *, colour: bool) -> str:
    """Return a line for people, as ``passband listen`` shows events."""
    clock = line.time.partition("T")[2].rstrip("Z") or line.time
    text = Text()
    text.append(f"{printable(clock):12} ", "dim")
    text.append(f"{printable(line.type):17} ", _STYLES.get(line.type, "blue"))
    if line.id:
        text.append(f"{printable(line.id)} ", "dim")
    if line.to:
        text.append(f"to {printable(line.to)}")
    if line.sender:
        text.append(f" from {printable(line.sender)}")
    if line.state:
        _append_attempt(text, line)
    if line.error_code is not None:
        text.append(f"  {line.error_code}", "red")
    if line.detail:
        text.append(f"  {printable(line.detail)}", "red" if line.error_code is not None else "")
    if line.text:
        text.append(f"  “{printable(line.text)}”", "bold")
    if line.tag:
        text.append(f"  tag {printable(line.tag)}", "yellow")
    return rendered(text, colour=colour)


def _append_attempt(text: Text, line: Line) -> None:
    """Append what came of an attempt to tell of an event."""
    if line.status is not None:
        text.append(f"  answered {line.status}", "green" if line.state == "acknowledged" else "bold red")
    elif line.error is not None:
        text.append(f"  {_WORDS.get(line.error, line.error)}", "bold red")
    else:
        text.append("  expired untold", "bold red")
    if line.milliseconds is not None:
        text.append(f" after {line.milliseconds:g} ms", "dim")
    if line.due:
        text.append(f", again at {re.sub(r'.*T|Z', '', printable(line.due))}", "yellow")
