import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from listen.callbacks import ID, OURS, THEIRS, an_event, basic, post
from passband.domain.event import EventKind
from passband.domain.message import Kind
from passband.listen import ListenOptions, serve


@dataclass
class Listening:
    port: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Listening]:
    listening = Listening()
    ready = asyncio.Event()

    def is_ready(port: int) -> None:
        listening.port = port
        ready.set()

    task = asyncio.create_task(
        serve(ListenOptions(**{"port": 0, "colour": False, **options}), listening.lines.append, is_ready)
    )
    await asyncio.wait([task, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield listening
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


PICTURE = "https://messaging.example.net/api/v2/users/5500123/media/menu.png"
SHOWN = {
    # label: body, line
    "received": (
        an_event(EventKind.RECEIVED),
        f"08:15:44.102 message-received  {ID} to {OURS} from {THEIRS}  “On my way”",
    ),
    "received with media": (
        an_event(EventKind.RECEIVED, kind=Kind.MMS, media=(PICTURE,), text="Look"),
        f"08:15:44.102 message-received  {ID} to {OURS} from {THEIRS}  “Look”  {PICTURE}",
    ),
    "delivered": (an_event(), f"08:15:44.102 message-delivered {ID} to {THEIRS} from {OURS}"),
    "failed, with a tag": (
        an_event(EventKind.FAILED, code=4720, tag="booking 4711"),
        f"08:15:44.102 message-failed    {ID} to {THEIRS} from {OURS}"
        "  4720 invalid-destination-address  tag booking 4711",
    ),
    "two lines of text": (
        an_event(EventKind.RECEIVED, text="one\ntwo"),
        f"08:15:44.102 message-received  {ID} to {OURS} from {THEIRS}  “one\\ntwo”",
    ),
    "text that would clear the screen": (
        an_event(EventKind.RECEIVED, text="\x1b[2J\x9b2J\u202eevil"),
        f"08:15:44.102 message-received  {ID} to {OURS} from {THEIRS}  “\\u001b[2J\\u009b2J\\u202eevil”",
    ),
    "text that looks like markup": (
        an_event(EventKind.RECEIVED, text="[red]no[/red] 👩‍🚀"),
        f"08:15:44.102 message-received  {ID} to {OURS} from {THEIRS}  “[red]no[/red] 👩‍🚀”",
    ),
}


@pytest.mark.parametrize(("body", "line"), SHOWN.values(), ids=SHOWN.keys())
async def test_an_event_is_one_line(body: bytes, line: str) -> None:
    async with listening() as here:
        assert (await post(here.url + "/callbacks", body)).status == 200
    assert here.lines == [line]


async def test_colours_are_ours_alone() -> None:
    async with listening(colour=True) as here:
        await post(here.url, an_event(EventKind.RECEIVED, text="\x1b[2J " + "long " * 100))
    [line] = here.lines
    assert "\x1b[1;36mmessage-received" in line
    assert "\x1b[2J" not in line
    assert "\n" not in line


async def test_json_is_printed_as_it_came_one_event_a_line() -> None:
    message = b'{"id": "1", "from": "2", "to": [], "new": "\xc2\x9b"}'
    body = b'[\n  {"time": "t", "type": "x", "to": "+1", "message": %b}\n]' % message
    async with listening(json=True) as here:
        await post(here.url, body)
        await post(here.url, b"[]")
    assert here.lines[0] == (
        '{"time":"t","type":"x","to":"+1","message":{"id":"1","from":"2","to":[],"new":"\\u009b"}}'
    )
    assert json.loads(here.lines[0]) == json.loads(body)[0]
    assert json.loads(here.lines[1]).keys() == {"malformed"}


FAILING = {
    # label: options, statuses of three answers
    "never": ({}, [200, 200, 200]),
    "always": ({"fail": 503}, [503, 503, 503]),
    "the first two": ({"fail_first": 2}, [503, 503, 200]),
    "the first one, in another way": ({"fail": 410, "fail_first": 1}, [410, 200, 200]),
}


@pytest.mark.parametrize(("options", "statuses"), FAILING.values(), ids=FAILING.keys())
async def test_it_fails_as_asked_and_says_so(options: dict[str, Any], statuses: list[int]) -> None:
    async with listening(**options) as here:
        assert [(await post(here.url, an_event())).status for _ in statuses] == statuses
    assert [line.partition("  answered ")[2] for line in here.lines] == [str(s) if s != 200 else "" for s in statuses]


async def test_a_malformed_body_is_shown_as_such() -> None:
    async with listening() as here:
        assert (await post(here.url + "/in%1b", b'{"no": "\x1barray"}')).status == 400
    [line] = here.lines
    assert line.startswith("POST /in\\u001b  not a JSON array of events: ")
    assert line.endswith('{"no": "\\u001barray"}  answered 400')


async def test_a_challenge_is_shown() -> None:
    async with listening(auth="app:se:cret") as here:
        await post(here.url, an_event())
        await post(here.url, an_event(), basic("app", "guess"))
        assert (await post(here.url, an_event(), basic("app", "se:cret"))).status == 200
    assert [line.partition("  ")[2] for line in here.lines[:2]] == [
        "without credentials, challenged  answered 401",
        "wrong credentials  answered 401",
    ]
    assert "message-delivered" in here.lines[2]


async def test_an_address_that_cannot_be_had_is_an_error() -> None:
    async with listening() as here:
        with pytest.raises(OSError):
            await serve(ListenOptions(port=here.port), print, print)


WRONG = {"a status that HTTP does not know": {"fail": 600}, "credentials without a colon": {"auth": "app"}}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ListenOptions(**options)
