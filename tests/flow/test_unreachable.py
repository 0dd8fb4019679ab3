"""What dispatch does with what waits while its carrier cannot be reached, or has no room."""

from collections.abc import Awaitable, Callable

from flow.world import RECIPIENT, World, an_account
from passband.domain.account import Number

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
