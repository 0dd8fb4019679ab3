import asyncio
from itertools import repeat

import pytest

from listen.callbacks import ID, OURS, THEIRS, an_event, basic, post
from passband.domain.account import BasicCredentials
from passband.domain.event import EventKind
from passband.listen import Catcher, MalformedCallback, read_events


async def test_it_keeps_what_it_is_told() -> None:
    async with Catcher() as catcher:
        answer = await post(catcher.url + "/status", an_event(EventKind.FAILED, code=4720, tag="booking 4711"))
        [event] = await catcher.wait_for(1)
    assert answer.status == 200
    assert (event.type, event.to, event.error_code) == ("message-failed", THEIRS, 4720)
    assert event.description == "invalid-destination-address"
    assert (event.message.id, event.message.sender, event.message.tag) == (ID, OURS, "booking 4711")
    [request] = catcher.requests
    assert (request.path, request.headers["content-type"]) == ("/status", "application/json")


async def test_it_waits_for_a_count_or_for_an_event_that_is_wanted() -> None:
    async with Catcher() as catcher:
        both = asyncio.create_task(catcher.wait_for(2))
        failed = asyncio.create_task(catcher.wait_for(lambda event: event.type == "message-failed"))
        await post(catcher.url, an_event())
        assert not both.done()
        assert not failed.done()
        await post(catcher.url, an_event(EventKind.FAILED, code=4720))
        assert len(await both) == len(await failed) == 2


async def test_it_does_not_wait_for_ever() -> None:
    async with Catcher() as catcher:
        with pytest.raises(TimeoutError):
            await catcher.wait_for(1, seconds=0.01)


async def test_it_answers_as_scripted_and_then_with_200() -> None:
    async with Catcher([503, 302, 204]) as catcher:
        answers = [(await post(catcher.url, an_event())).status for _ in range(4)]
        assert answers == [503, 302, 204, 200]
        assert len(catcher.events) == 2
        catcher.answer_with(repeat(500))
        assert (await post(catcher.url, an_event())).status == 500
        assert [request.status for request in catcher.requests] == [503, 302, 204, 200, 500]


async def test_it_challenges_before_it_asks_for_credentials() -> None:
    async with Catcher([503], credentials=BasicCredentials("app", "se:cret")) as catcher:
        without = await post(catcher.url, an_event())
        wrong = await post(catcher.url, an_event(), basic("app", "guess"))
        assert without.status == wrong.status == 401
        assert without.headers["www-authenticate"].startswith("Basic realm=")
        first = await post(catcher.url, an_event(), basic("app", "se:cret"))
        second = await post(catcher.url, an_event(), basic("app", "se:cret"))
        assert (first.status, second.status) == (503, 200)  # the challenge used up no scripted answer
        assert len(catcher.events) == 1


async def test_a_hanging_answer_ends_with_the_catcher() -> None:
    async with Catcher(delay=3600) as catcher:
        posting = asyncio.create_task(post(catcher.url, an_event()))
        await catcher.wait_for(1)
    with pytest.raises(OSError):
        await posting


MALFORMED = {
    "no JSON": b"{",
    "an object": b'{"type": "message-delivered"}',
    "nothing": b"",
    "no event": b"[]",
    "an event without message": b'[{"time": "2026-03-09T08:15:44.871Z", "type": "message-delivered", "to": "+1"}]',
    "not UTF-8": b'["\xff"]',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedCallback):
        read_events(body)
    async with Catcher() as catcher:
        answer = await post(catcher.url, body)
        assert answer.status == 400
        assert "not a JSON array of events" in answer.body
        assert not catcher.events
        assert catcher.requests[0].body == body


async def test_only_posts_are_callbacks() -> None:
    async with Catcher() as catcher:
        answer = await post(catcher.url, b"", method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
