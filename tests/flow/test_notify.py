"""Callbacks: until 2xx or 24 hours, and what a bad endpoint costs the others."""

import base64
from collections.abc import Awaitable, Callable

import pytest

from flow.world import APPLICATION, RECIPIENT, World, an_account
from passband.domain.account import BasicCredentials
from passband.domain.report import Inbound, Report
from passband.fetch import ErrorKind, Request, Response
from passband.testing import answered

MakeWorld = Callable[..., Awaitable[World]]


async def receive_some(world: World, count: int, text: str = "hi") -> None:
    inbound = [Inbound("scripted", RECIPIENT, ("+19195550117",), f"{text} {n}") for n in range(count)]
    await world.report(Report(inbound=inbound))


async def test_an_inbound_message_is_told_with_its_text_and_then_gone(world: World) -> None:
    await receive_some(world, 1, "On my way")
    await world.settle()
    (event,) = world.events
    assert event["type"] == "message-received"
    assert event["message"]["text"] == "On my way 0"
    assert world.poster.requests[0].url == "http://app.example/in"
    assert await world.store.oldest_callback() is None


@pytest.mark.parametrize(
    "answer",
    [
        answered(199), answered(300), answered(301), answered(404), answered(500), answered(503),
        Response(0, ErrorKind.TIMEOUT, 10.0), Response(0, ErrorKind.CONNECT, 0.0), Response(0, ErrorKind.TLS, 0.1),
    ],
    ids=lambda r: str(r.status or r.error),
)  # fmt: skip
async def test_only_2xx_is_success(world: World, answer: Response) -> None:
    world.poster.answer = lambda request: answer
    await receive_some(world, 1)
    await world.settle()
    assert len(world.poster.requests) == 1
    assert await world.store.oldest_callback() is not None
    world.poster.answer = lambda request: answered(204)
    await world.advance(5)
    assert len(world.poster.requests) == 2
    assert await world.store.oldest_callback() is None
    assert world.poster.requests[0].body == world.poster.requests[1].body


async def test_a_callback_that_alone_fails_follows_the_schedule_for_24_hours(world: World) -> None:
    """The endpoint answers others, so it is not failing: only this callback is tried again, as published."""
    world.poster.answer = lambda request: answered(500 if b"poison" in request.body else 200)
    await receive_some(world, 1, "poison")
    await world.settle()
    start = world.clock.now()
    tried = [0.0]
    while world.clock.now() - start < 25 * 3600:
        await receive_some(world, 1)
        before = len(world.poster.requests)
        await world.advance(5)
        if any(b"poison" in r.body for r in world.poster.requests[before:]):
            tried.append(world.clock.now() - start)
            if len(tried) == 8:
                break
    assert tried == [0, 5, 20, 80, 380, 1280, 3080, 4880]
    await world.advance(24 * 3600 - (world.clock.now() - start))
    await world.expire.step(world.clock.now())
    await world.settle()
    assert await world.store.oldest_callback() is None


async def test_a_failing_endpoint_is_probed_and_gets_everything_at_once_when_it_recovers(
    world: World,
) -> None:
    world.poster.answer = lambda request: answered(503)
    await receive_some(world, 50)
    await world.settle()
    first = len(world.poster.requests)
    assert first <= 2 * world.concurrency
    probes = []
    for _ in range(600):
        before = len(world.poster.requests)
        await world.advance(1)
        probes.append(len(world.poster.requests) - before)
    assert max(probes) == 1
    assert sum(probes) < 40
    world.poster.answer = lambda request: answered(200)
    waited = 0
    while len(world.poster.requests) == first + sum(probes):
        await world.advance(1)
        waited += 1
    assert waited < 60
    assert await world.store.oldest_callback() is None
    texts = {e["message"]["text"] for e in world.events[first + sum(probes) :]}
    assert len(texts) == 50


async def test_a_hanging_endpoint_takes_no_more_than_its_concurrency_and_slows_no_other(make_world: MakeWorld) -> None:
    world = await make_world()
    world.poster.answer = lambda request: None if request.url.endswith("/in") else answered(200)
    await receive_some(world, 50)
    await world.settle()
    assert len(world.poster.hanging) == world.concurrency
    await world.send(to=("+1408555014",))
    await world.settle()
    assert world.events[-1]["type"] == "message-failed"


async def test_credentials_are_sent_when_challenged(make_world: MakeWorld) -> None:
    credentials = BasicCredentials("desk", "pw-in")
    world = await make_world(an_account(application={"inbound_credentials": credentials}))
    expected = "Authorization: Basic " + base64.b64encode(b"desk:pw-in").decode()

    def answer(request: Request) -> Response:
        return answered(200) if expected in request.headers else answered(401, challenge=True)

    world.poster.answer = answer
    await receive_some(world, 1)
    await world.settle()
    assert [expected in r.headers for r in world.poster.requests] == [False, True]
    assert await world.store.oldest_callback() is None


async def test_credentials_are_sent_unasked_where_the_application_says_so(make_world: MakeWorld) -> None:
    credentials = BasicCredentials("desk", "pw-in")
    world = await make_world(an_account(application={"inbound_credentials": credentials, "preemptive_auth": True}))
    await receive_some(world, 1)
    await world.settle()
    assert len(world.poster.requests) == 1
    assert any(h.startswith("Authorization: Basic ") for h in world.poster.requests[0].headers)


@pytest.mark.parametrize(("challenge", "credentials"), [(False, True), (True, False)])
async def test_a_401_without_challenge_or_without_credentials_is_a_failure(
    make_world: MakeWorld, challenge: bool, credentials: bool
) -> None:
    given = BasicCredentials("desk", "pw-in") if credentials else None
    world = await make_world(an_account(application={"inbound_credentials": given}))
    world.poster.answer = lambda request: answered(401, challenge=challenge)
    await receive_some(world, 1)
    await world.settle()
    assert len(world.poster.requests) == 1
    assert await world.store.oldest_callback() is not None


async def test_the_memory_of_a_backlog_is_bounded_and_all_of_it_arrives(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.flow.notify.MOST_OF_ENDPOINT", 10)
    monkeypatch.setattr("passband.flow.notify.REFILL", 8)
    world = await make_world()
    world.poster.answer = lambda request: None
    await receive_some(world, 100)
    await world.settle()
    assert world.notify.held <= 20
    world.poster.answer = lambda request: answered(200)
    for done in world.poster.hanging:
        done(answered(200))
    await world.settle()
    await world.advance(1)
    assert {e["message"]["text"] for e in world.events} == {f"hi {n}" for n in range(100)}
    assert await world.store.oldest_callback() is None


async def test_an_application_that_is_gone_drops_its_callbacks(world: World) -> None:
    world.poster.answer = lambda request: answered(500)
    await receive_some(world, 1)
    await world.settle()
    from passband.domain.account import Account, Directory

    world.rules.directory = Directory([Account("5500123")])
    await world.advance(6)
    assert await world.store.oldest_callback() is not None  # another node may have it: its file may be newer
    for _ in range(11):
        await world.advance(60)
    assert len(world.poster.requests) == 1
    assert await world.store.oldest_callback() is None
    assert APPLICATION not in world.rules.directory.accounts["5500123"].applications
