"""What did happen, in words: for a test that waited in vain, and for one that failed for whatever reason."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Any

import msgspec

from passband.kit.shown import Sent, Told, clock, quoted

MOST_LINES = 20  # of a kind; the newest

WHY_REFUSED: Mapping[int, str] = {
    400: "a field of the request is at fault; the answer's body names it",
    401: "user or password: passband.user, passband.password",
    403: "the account in the path: passband.account",
    404: "the path: passband.base_url, and then /users/{account}/messages",
    415: "the body must be application/json",
    429: "the queue of the account is full: see its rate",
}


class Wanted(msgspec.Struct, frozen=True):
    """What a test looks for among the messages that the application sent: all that is given must fit.

    ``to`` is one of the recipients, ``text`` any part of the text, ``tag`` the whole tag.
    """

    to: str | None = None
    text: str | None = None
    tag: str | None = None

    def fits(self, message: Sent) -> bool:
        return not self.misses(message)

    def misses(self, message: Sent) -> list[str]:
        """Return what of it does not fit, in words."""
        wrong = []
        if self.to is not None and self.to not in message.to:
            wrong.append(f"it went to {', '.join(message.to)}")
        if self.text is not None and self.text not in message.text:
            wrong.append(f"its text lacks {quoted(self.text)}")
        if self.tag is not None and self.tag != message.tag:
            wrong.append(f"its tag is {message.tag!r}")
        return wrong

    def likeness(self, message: Sent) -> float:
        """Return how near a message comes, the more the nearer."""
        near = max((_ratio(self.to, number) for number in message.to), default=0.0) if self.to else 0.0
        near += _ratio(self.text, message.text) if self.text else 0.0
        near += _ratio(self.tag, message.tag or "") if self.tag else 0.0
        return near - len(self.misses(message))

    def __str__(self) -> str:
        parts = [f"to {self.to}"] if self.to is not None else []
        parts += [f"with {quoted(self.text)} in the text"] if self.text is not None else []
        parts += [f"with tag {self.tag}"] if self.tag is not None else []
        return " ".join(parts)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def nearest_miss(wanted: Wanted, sent: Sequence[Sent]) -> str:
    """Return which message came nearest to what was wanted, and what was missing; empty where nothing was sent."""
    if not sent:
        return ""
    late = [message for message in sent if wanted.fits(message) and not message.over]
    if late:
        return f"nearest: {late[-1]}\n  it fits, but is not over: {', '.join(late[-1].states)}"
    others = [message for message in sent if not wanted.fits(message)]
    if not others:
        return ""
    nearest = max(others, key=wanted.likeness)
    return f"nearest: {nearest}\n  but {' and '.join(wanted.misses(nearest))}"


def nearest_callback(kind: str | None, to: str | None, told: Sequence[Told]) -> str:
    """Return which callback would have been it, had the application answered with 2xx; else which differs."""
    refused = [one for one in told if kind in (None, one.kind) and to in (None, one.to) and one.state != "acknowledged"]
    if refused:
        return f"nearest: {refused[-1]}"
    other = [one for one in told if (kind in (None, one.kind)) != (to in (None, one.to))]
    return f"nearest: {other[-1]}" if other else ""


def story(
    *,
    base_url: str,
    sent: Sequence[Sent],
    received: Sequence[dict[str, Any]],
    told: Sequence[Told],
    refused: Mapping[int, int],
    faults: Sequence[dict[str, Any]],
    time: str,
    offset: float,
) -> str:
    """Return everything that happened, each sort of thing below its own heading."""
    lines = _listed(
        "the application sent", [f"{clock(m.time)} {m}" for m in sent], f"nothing that was accepted at {base_url}"
    )
    if received:
        said = [f"{clock(m['time'])} {quoted(m['text'] or '')} to {m['to']} from {m['from']}" for m in received]
        lines += _listed("handsets sent", said, "")
    lines += _listed("the application was told", [str(one) for one in told], "nothing")
    if refused:
        why = [
            f"{_times(count)} with {status}: {WHY_REFUSED.get(status, 'see the body of the answer')}"
            for status, count in refused.items()
        ]
        lines += _listed("the API refused", why, "")
    if faults:
        lines += _listed("faults in force", [_fault(fault) for fault in faults], "")
    if offset:
        lines.append(f"the clock is {timedelta(seconds=offset)} ahead: {time}")
    return "\n".join(lines)


def _listed(heading: str, lines: Sequence[str], otherwise: str) -> list[str]:
    if not lines:
        return [f"{heading}: {otherwise}"]
    left_out = len(lines) - MOST_LINES
    more = [f"  … {left_out} before these"] if left_out > 0 else []
    return [f"{heading}:", *more, *(f"  {line}" for line in lines[-MOST_LINES:])]


def _fault(fault: dict[str, Any]) -> str:
    more = ", ".join(f"{name} {value}" for name, value in fault.items() if name not in ("id", "fault", "does", "hits"))
    return f"{fault['fault']}{f' ({more})' if more else ''}: {fault['does']}; so far {_times(fault['hits'])}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")
