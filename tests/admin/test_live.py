"""The live stream: no gaps, no memory without end, and no work while nobody watches."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from admin.running import Running
from passband.admin.live import KEPT, LINGER_SECONDS, Live


async def next_event(stream: AsyncGenerator[bytes, None]) -> str:
    async with asyncio.timeout(30):
        return (await anext(stream)).decode()


def ids(lines: str) -> list[str]:
    return [line[4:] for line in lines.splitlines() if line.startswith("id: ")]


async def test_who_comes_back_gets_exactly_what_it_missed() -> None:
    live = Live("epoch")
    first = live.stream(None)
    assert await next_event(first) == ": watching\n\n"
    live.publish("message", {"n": 1})
    (last,) = ids(await next_event(first))
    await first.aclose()
    for n in range(2, 5):
        live.publish("message", {"n": n})
    again = live.stream(last)
    assert await next_event(again) == ": watching\n\n"
    missed = await next_event(again)
    assert [json.loads(line[6:])["n"] for line in missed.splitlines() if line.startswith("data")] == [2, 3, 4]
    await again.aclose()
    live.close()


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("epoch-2", id="too long ago"),
        pytest.param("other-3000", id="before a restart"),
        pytest.param("epoch-999999", id="from the future"),
        pytest.param("nonsense", id="nonsense"),
    ],
)
async def test_who_cannot_be_told_everything_is_told_to_begin_anew(cursor: str) -> None:
    live = Live("epoch")
    live.touch()
    for n in range(KEPT + 100):
        live.publish("message", n)
    stream = live.stream(cursor)
    assert await next_event(stream) == f"id: {live.cursor}\nevent: reset\ndata: {{}}\n\n"
    await stream.aclose()
    live.close()


async def test_a_slow_reader_is_told_to_begin_anew_rather_than_held_in_memory() -> None:
    live = Live("epoch")
    stream = live.stream(None)
    await next_event(stream)
    for n in range(KEPT + 1):
        live.publish("message", n)
    assert "event: reset" in await next_event(stream)
    live.publish("message", "next")
    assert '"next"' in await next_event(stream)
    await stream.aclose()
    live.close()


async def test_only_the_topics_asked_for_are_told() -> None:
    live = Live("epoch")
    stream = live.stream(None, ("message",))
    await next_event(stream)
    live.publish("rates", 1)
    live.publish("message", 2)
    assert "rates" not in await next_event(stream)
    await stream.aclose()
    live.close()


async def test_while_nobody_watches_nothing_is_kept_and_what_happened_is_a_gap() -> None:
    seen: list[bool] = []
    live = Live("epoch", seen.append)
    live.publish("message", 1)
    live.touch()
    cursor = live.cursor
    live._forget()
    live.publish("message", 2)
    assert seen == [True, False]
    stream = live.stream(cursor)
    assert "event: reset" in await next_event(stream)
    await stream.aclose()
    live.close()
    assert LINGER_SECONDS >= 30


async def test_the_stream_over_http_resumes_by_its_last_event_id(dev: Running) -> None:
    async with dev.session.get(f"{dev.base}/admin/live?topics=message,bubble") as response:
        assert response.content_type == "text/event-stream"
        await response.content.readline()
        await dev.followed(await dev.send("first"))
        last = await read_until(response.content, "event: bubble")
    await dev.followed(await dev.send("second"))
    headers = {"Last-Event-ID": last["id"]}
    async with dev.session.get(f"{dev.base}/admin/live?topics=bubble", headers=headers) as response:
        assert (await read_until(response.content, "event: bubble"))["data"]["text"] == "second"


async def read_until(content: Any, wanted: str) -> dict[str, Any]:
    """Return the first event that holds a line."""
    async with asyncio.timeout(30):
        lines: list[str] = []
        while True:
            line = (await content.readline()).decode().rstrip("\n")
            if line:
                lines.append(line)
                continue
            if wanted in lines:
                fields = dict(one.split(": ", 1) for one in lines if not one.startswith(":"))
                return {**fields, "data": json.loads(fields["data"])}
            lines = []


async def test_a_node_that_stops_does_not_wait_for_those_who_watch(dev: Running) -> None:
    async with dev.session.get(f"{dev.base}/admin/live") as response:
        await response.content.readline()
        dev.node.panel.close()
        async with asyncio.timeout(15):
            await response.content.read()  # with what was told just before, if anything
        assert response.content.at_eof()


async def test_whoever_breaks_off_again_and_again_is_told_everything_once_and_in_order() -> None:
    live = Live("epoch")
    random = Random(4711)
    told: list[int] = []
    published = 0
    live.touch()
    last = live.cursor
    for _ in range(200):
        for _ in range(random.randrange(30)):
            live.publish("message", published)
            published += 1
        stream = live.stream(last)
        assert await next_event(stream) == ": watching\n\n"
        while len(told) < published and random.random() < 0.9:
            lines = await next_event(stream)
            told += [int(line[6:]) for line in lines.splitlines() if line.startswith("data")]
            last = ids(lines)[-1]
        await stream.aclose()
    stream = live.stream(last)
    await next_event(stream)
    while len(told) < published:
        told += [int(line[6:]) for line in (await next_event(stream)).splitlines() if line.startswith("data")]
    assert told == list(range(published))
    await stream.aclose()
    live.close()


@pytest.mark.parametrize("edition", ["developers", "production"])
async def test_while_nobody_watches_messages_cost_the_stream_nothing(
    tmp_path: Path, edition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[object] = []
    async with Running.started(tmp_path, edition=edition) as running:
        monkeypatch.setattr("passband.admin.live._encode", encoded.append)
        node, live = running.node, running.node.panel.live
        before = live.cursor
        await running.send()
        await running.receive()
        async with asyncio.timeout(30):
            while sum(count for key, count in node.counts.items() if key[0] == "attempts") < 2:
                await asyncio.sleep(0.005)
        node.panel.rates.sample()
        node.panel.journal._tell()
        assert encoded == []
        assert (live.watched, live.cursor, list(live._ring), live._linger) == (False, before, [], None)
