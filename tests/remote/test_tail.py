"""What ``passband tail`` makes of the stream: each thing that happened is told, once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from passband.remote.tail import Line, Teller, Wanted, shown

OURS, THEIRS = "+19195550117", "+14085550142"
ID = "1773044142317kq4zt7m2xw6yb3hd"
STEPS = [("08:15:42.107", "queued"), ("08:15:42.110", "sending"), ("08:15:42.113", "handed")]


def a_message(*steps: tuple[str, str], **fields: Any) -> dict[str, Any]:
    history = [{"time": f"2026-03-09T{at}Z", "state": state, "detail": ""} for at, state in steps]
    return {
        "key": f"5500123/{ID}/0", "id": ID, "n": 0, "account": "5500123", "application": "a", "direction": "out",
        "from": OURS, "to": THEIRS, "tag": None, "text": "hello", "errorCode": None, "description": None,
        "history": history, **fields,
    }  # fmt: skip


def an_attempt(at: str, status: int | None = 503, error: str | None = None) -> dict[str, Any]:
    return {"time": f"2026-03-09T{at}Z", "status": status, "error": error, "milliseconds": 2.4}


def a_callback(*attempts: dict[str, Any], state: str = "pending") -> dict[str, Any]:
    return {
        "key": f"5500123/{ID}/0/2", "id": ID, "n": 0, "type": "message-delivered", "to": THEIRS, "errorCode": None,
        "account": "5500123", "application": "a", "direction": "out", "time": "2026-03-09T08:15:42.200Z",
        "expires": "2026-03-10T08:15:42.200Z", "due": "2026-03-09T08:16:00.000Z" if state == "pending" else None,
        "state": state, "url": "http://127.0.0.1:9/", "attemptCount": len(attempts),
        "last": attempts[-1] if attempts else None,
    }  # fmt: skip


def a_teller(whole: Sequence[Mapping[str, Any]] = ()) -> Teller:
    return Teller(lambda key: whole)


def told(lines: Sequence[Line]) -> list[str]:
    return [line.type for line in lines]


def test_every_state_is_a_line_and_is_told_once() -> None:
    teller = a_teller()
    assert told(teller.lines("message", a_message(*STEPS[:2]))) == ["queued", "sending"]
    assert told(teller.lines("message", a_message(*STEPS))) == ["handed"]
    assert teller.lines("message", a_message(*STEPS)) == []


def test_what_was_known_before_is_passed_over() -> None:
    teller = a_teller()
    teller.pass_over("message", a_message(*STEPS[:2]))
    teller.pass_over("callback", a_callback(an_attempt("08:15:43.000"), an_attempt("08:15:44.000")))
    assert told(teller.lines("message", a_message(*STEPS))) == ["handed"]
    later = a_callback(an_attempt("08:15:43.000"), an_attempt("08:15:44.000"), an_attempt("08:15:45.000", 200))
    assert [line.status for line in teller.lines("callback", later)] == [200]


def test_attempts_that_came_together_are_asked_for() -> None:
    attempts = [an_attempt("08:15:43.000"), an_attempt("08:15:44.000"), an_attempt("08:15:45.000", 200)]
    teller = a_teller(attempts)
    assert [line.status for line in teller.lines("callback", a_callback(attempts[0]))] == [503]
    lines = teller.lines("callback", a_callback(*attempts, state="acknowledged"))
    assert [(line.status, line.state) for line in lines] == [(503, "pending"), (200, "acknowledged")]
    assert teller.lines("callback", a_callback(*attempts, state="acknowledged")) == []


def test_attempts_of_a_node_that_took_the_place_of_another_are_told() -> None:
    """The new one counts from one again."""
    teller = a_teller()
    teller.pass_over("callback", a_callback(*[an_attempt(f"08:15:4{second}.000") for second in range(5)]))
    lines = teller.lines("callback", a_callback(an_attempt("08:17:00.000", 200), state="acknowledged"))
    assert [line.status for line in lines] == [200]


def test_the_last_attempt_is_told_where_the_others_are_forgotten() -> None:
    teller = a_teller(())
    many = [an_attempt(f"08:15:4{second}.000") for second in range(5)]
    assert [line.time for line in teller.lines("callback", a_callback(*many))] == ["2026-03-09T08:15:44.000Z"]


def test_a_callback_that_expires_is_told_once() -> None:
    teller = a_teller()
    teller.lines("callback", a_callback(an_attempt("08:15:43.000")))
    expired = a_callback(an_attempt("08:15:43.000"), state="expired")
    (line,) = teller.lines("callback", expired)
    assert (line.state, line.time, line.status) == ("expired", expired["expires"], None)
    assert teller.lines("callback", expired) == []


def test_a_callback_expires_after_its_last_attempt() -> None:
    """Which may have been under way when the 24 hours were over."""
    late = {**an_attempt("08:15:43.000"), "time": "2026-03-10T08:15:42.900Z"}
    attempt, over = a_teller().lines("callback", a_callback(late, state="expired"))
    assert (attempt.state, over.state) == ("pending", "expired")
    assert over.time >= attempt.time


SHOWN = {
    # label: topic, view, the last line
    "queued": (
        "message",
        a_message(STEPS[0], tag="booking 4711"),
        f"08:15:42.107 queued            {ID} to {THEIRS} from {OURS}  “hello”  tag booking 4711",
    ),
    "handed": ("message", a_message(*STEPS), f"08:15:42.113 handed            {ID} to {THEIRS} from {OURS}"),
    "failed": (
        "message",
        a_message(("08:15:43.000", "failed"), errorCode=4720, description="invalid-destination-address"),
        f"08:15:43.000 failed            {ID} to {THEIRS} from {OURS}  4720  invalid-destination-address",
    ),
    "text that would clear the screen": (
        "message",
        a_message(STEPS[0], text="\x1b[2Jevil\n", tag="\x9b2J"),
        f"08:15:42.107 queued            {ID} to {THEIRS} from {OURS}  “\\u001b[2Jevil\\n”  tag \\u009b2J",
    ),
    "acknowledged": (
        "callback",
        a_callback(an_attempt("08:15:43.000", 200), state="acknowledged"),
        f"08:15:43.000 message-delivered {ID} to {THEIRS}  answered 200 after 2.4 ms",
    ),
    "refused": (
        "callback",
        a_callback(an_attempt("08:15:43.000", 503)),
        f"08:15:43.000 message-delivered {ID} to {THEIRS}  answered 503 after 2.4 ms, again at 08:16:00.000",
    ),
    "no connection": (
        "callback",
        a_callback(an_attempt("08:15:43.000", None, "connect")),
        f"08:15:43.000 message-delivered {ID} to {THEIRS}  no connection after 2.4 ms, again at 08:16:00.000",
    ),
    "expired": (
        "callback",
        a_callback(state="expired"),
        f"08:15:42.200 message-delivered {ID} to {THEIRS}  expired untold",
    ),
    "the clock": (
        "clock",
        {"time": "2026-03-10T08:15:43.000Z", "offset": 86400.0},
        "08:15:43.000 clock               moved by 86400 s in all",
    ),
}


@pytest.mark.parametrize(("topic", "view", "line"), SHOWN.values(), ids=SHOWN.keys())
def test_a_line_tells_it_all(topic: str, view: dict[str, Any], line: str) -> None:
    assert shown(a_teller().lines(topic, view)[-1], colour=False) == line


def test_colours_are_ours_alone() -> None:
    (line,) = a_teller().lines("message", a_message(STEPS[0], text="\x1b[2J"))
    coloured = shown(line, colour=True)
    assert "\x1b[34mqueued" in coloured
    assert "\x1b[2J" not in coloured


def test_every_line_has_the_same_keys_for_programs() -> None:
    teller = a_teller()
    lines = [
        *teller.lines("message", a_message(STEPS[0])),
        *teller.lines("callback", a_callback(an_attempt("08:15:43.000"))),
        *teller.lines("clock", {"time": "2026-03-10T08:15:43.000Z", "offset": 1.0}),
    ]
    keys = {tuple(json.loads(msgspec.json.encode(line))) for line in lines}
    assert keys == {(
        "time", "type", "id", "n", "account", "application", "direction", "from", "to", "errorCode", "detail", "text",
        "tag", "status", "error", "milliseconds", "state", "due", "url",
    )}  # fmt: skip


WANTED = {
    "everything": (Wanted(), True),
    "a part of either number": (Wanted(numbers=("5550117",)), True),
    "another number": (Wanted(numbers=("5550118",)), False),
    "one of several numbers": (Wanted(numbers=("5550118", "5550142")), True),
    "a part of the identifier": (Wanted(ids=(ID[:13],)), True),
    "another identifier": (Wanted(ids=("1773044142318",)), False),
    "one of several types": (Wanted(types=("failed", "queued")), True),
    "another type": (Wanted(types=("failed",)), False),
    "a number, but another type": (Wanted(numbers=(OURS,), types=("failed",)), False),
}


@pytest.mark.parametrize(("wanted", "takes"), WANTED.values(), ids=WANTED.keys())
def test_lines_are_chosen(wanted: Wanted, takes: bool) -> None:
    (line,) = a_teller().lines("message", a_message(STEPS[0]))
    assert wanted.takes(line) is takes
