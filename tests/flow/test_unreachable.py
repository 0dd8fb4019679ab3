"""What dispatch does with what waits while its carrier cannot be reached, or has no room."""

from collections.abc import Awaitable, Callable

import pytest

from flow.world import RECIPIENT, World, an_account
from passband.domain.account import Directory, Number
from passband.store import Line
from passband.testing import accepted, answered

MakeWorld = Callable[..., Awaitable[World]]


def unreachable(world: World, name: str = "scripted") -> set[str]:
    """Let the dispatch ask a set which carriers it cannot reach."""
    lost = {name}
    world.dispatch._is_reachable = lambda carrier: carrier not in lost
    return lost


async def test_what_is_accepted_for_a_carrier_without_a_link_is_left_to_other_nodes(world: World) -> None:
    lost = unreachable(world)
    await world.settle()
    for _ in range(3):
        await world.send()
    await world.settle()
    assert (world.dispatch.held, world.carrier.submitted) == (0, [])
    assert [line.carrier for line in await world.store.lines(world.clock.now())] == ["scripted"]
    lost.clear()
    await world.settle()  # at once, without waiting for the next look at the store
    assert len(world.carrier.submitted) == 3


async def test_what_is_held_when_the_link_goes_is_given_back(world: World) -> None:
    world.carrier.window = 1
    for _ in range(3):
        await world.send()
    await world.settle()
    assert world.dispatch.held == 2
    lost = unreachable(world)
    await world.settle()
    assert world.dispatch.held == 0
    world.carrier.window = 10
    lost.clear()
    await world.settle()
    assert len(world.carrier.submitted) == 3


async def test_what_no_carrier_is_reached_for_fails_when_the_retry_window_is_over(world: World) -> None:
    unreachable(world)
    await world.settle()
    await world.send()
    await world.advance(4 * 3600 - 1)
    await world.expire.step(world.clock.now())
    assert world.events == []
    await world.advance(2)
    await world.expire.step(world.clock.now())
    await world.settle()
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 5501)]


async def test_what_waits_in_memory_for_room_fails_when_the_retry_window_is_over(world: World) -> None:
    world.carrier.window = 0
    await world.send()
    await world.advance(4 * 3600 - 1)
    assert (world.events, world.dispatch.held) == ([], 1)
    await world.send("later")
    await world.advance(2)
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 5501)]
    world.carrier.window = 10
    await world.settle()
    assert world.carrier.texts == ["later"]


async def test_a_paced_line_that_was_emptied_goes_on(make_world: MakeWorld) -> None:
    account = an_account(rate=1.0)
    world = await make_world(account)
    assert isinstance(account.numbers["72345"], Number)
    for _ in range(5):
        await world.send()
    await world.settle()
    lost = unreachable(world)
    await world.advance(1)
    await world.advance(1)
    assert world.dispatch.held == 0
    lost.clear()
    for _ in range(8):
        await world.advance(1)
    assert len(world.carrier.submitted) == 5


# ── what other nodes leave ───────────────────────────────────────────────────────────────────────────────────────────


def left_by_others(world: World) -> None:
    """Let everything be born free and unspoken of, as where another node accepts it that has no link."""
    world.room_for_recipients = lambda recipients: [False] * len(recipients)  # type: ignore[method-assign]


async def pauses(world: World, count: int) -> list[float]:
    """Return how long the dispatch rests, so many times in a row."""
    found = []
    for _ in range(count):
        now = world.clock.now()
        next_at = await world.dispatch.step(now)
        found.append(round(next_at - now, 3))
        world.clock.advance(max(0.0, next_at - world.clock.now()))
    return found


async def test_while_other_nodes_leave_messages_to_this_one_it_asks_for_more_soon(world: World) -> None:
    left_by_others(world)
    await world.settle()
    assert await pauses(world, 2) == [1, 1]
    for _ in range(3):
        await world.send()
        assert await pauses(world, 7) == [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1]
    assert len(world.carrier.submitted) == 3
    for _ in range(5):
        await world.send()
        assert await pauses(world, 1) == [0.05]
    await world.settle()
    assert len(world.carrier.submitted) == 8


async def test_what_waits_for_room_or_for_a_link_is_not_asked_for_more_often(world: World) -> None:
    left_by_others(world)
    world.carrier.window, world.dispatch._most_held = 0, 1
    await world.send()
    await pauses(world, 7)
    await world.send()
    assert (await pauses(world, 3), world.dispatch.held) == ([1, 1, 1], 1)
    world.dispatch._most_held = 10
    unreachable(world)
    assert (await pauses(world, 3), world.dispatch.held) == ([1, 1, 1], 0)


async def test_a_backlog_is_read_as_there_is_room_and_not_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.flow.dispatch.REFILL", 1)
    left_by_others(world)
    await pauses(world, 1)
    for _ in range(12):
        await world.send()
    assert await pauses(world, 4) == [0.05, 0.1, 0.2, 0.4]
    assert 0 < len(world.carrier.submitted) < 12


async def test_a_store_that_answers_slowly_is_not_asked_all_the_time(world: World) -> None:
    """Beside a reader that keeps the database from cleaning up, what is dead is walked through at every scan."""
    left_by_others(world)
    lines = world.store.lines

    async def slowly(now: float) -> list[Line]:
        world.clock.advance(0.03)
        return await lines(now)

    world.store.lines = slowly  # type: ignore[method-assign]
    await world.send()
    assert await pauses(world, 3) == [0.3, 0.6, 1]


# ── what only the other nodes' files have, while nodes are restarted one by one ──────────────────────────────────────


async def test_what_waits_for_a_carrier_that_is_not_in_this_nodes_file_fails_after_ten_minutes(world: World) -> None:
    """Not at once: a node that was restarted before this one may have the carrier."""
    left_by_others(world)
    await world.send()
    del world.dispatch._waiting["scripted"]
    for _ in range(18):
        await world.advance(30)
        assert world.events == []
        assert [line.carrier for line in await world.store.lines(world.clock.now())] == ["scripted"]
    for _ in range(3):
        await world.advance(30)
    assert [world.told(e) for e in world.events] == [("message-failed", RECIPIENT, 5111)]


async def test_what_other_nodes_take_in_time_does_not_count_against_what_comes_later(world: World) -> None:
    left_by_others(world)
    waiting = world.dispatch._waiting.pop("scripted")
    await world.send()
    await world.advance(1)
    world.dispatch._waiting["scripted"] = waiting  # as if another node took it
    await world.advance(1)
    assert len(world.carrier.submitted) == 1
    del world.dispatch._waiting["scripted"]
    await world.advance(3600)
    await world.send()
    await world.advance(1)
    assert world.events == []
    assert [line.carrier for line in await world.store.lines(world.clock.now())] == ["scripted"]


async def test_a_receipt_that_comes_to_a_node_without_the_account_is_told_by_one_that_has_it(world: World) -> None:
    await world.send()
    await world.settle()
    known, world.rules.directory = world.rules.directory, Directory([])
    await world.report(world.carrier.take(lambda r: accepted(r, None)))
    await world.advance(60)
    assert world.poster.requests == []
    world.rules.directory = known
    await world.advance(60)
    assert [world.told(e) for e in world.events] == [("message-delivered", RECIPIENT, 0)]


async def test_an_event_waits_while_its_application_is_not_in_this_nodes_file(world: World) -> None:
    world.poster.answer = lambda request: answered(503)
    await world.send()
    await world.settle()
    await world.report(world.carrier.take(lambda r: accepted(r, None)))
    await world.settle()
    known, world.rules.directory = world.rules.directory, Directory([])
    for _ in range(5):
        await world.advance(60)
    assert len(world.poster.requests) == 1
    world.rules.directory = known
    world.poster.answer = lambda request: answered(200)
    await world.advance(60)
    assert [world.told(e) for e in world.events[1:]] == [("message-delivered", RECIPIENT, 0)]
    assert await world.store.oldest_callback() is None
