"""Callbacks that reach an endpoint's desk at a bad moment: it began to fail, or the leases were doubtful."""

from collections.abc import Sequence

from flow.conftest import MakeWorld
from flow.world import World
from passband.domain.event import Callback
from passband.testing import answered


async def test_an_endpoint_that_begins_to_fail_during_a_commit_gets_everything_when_it_recovers(
    world: World,
) -> None:
    world.poster.answer = lambda request: None
    for _ in range(3):
        await world.send(to=("+1408555014",))  # an impossible number: its event is there at once
    ask = world.notify.room_for_callbacks

    def fail_after_asking(callbacks: Sequence[Callback]) -> Sequence[bool]:
        verdicts = ask(callbacks)
        for done in world.poster.hanging:
            done(answered(503))
        world.poster.hanging.clear()
        return verdicts

    world.notify.room_for_callbacks = fail_after_asking  # type: ignore[method-assign]
    await world.send(to=("+1408555014",))
    world.notify.room_for_callbacks = ask  # type: ignore[method-assign]
    world.poster.answer = lambda request: answered(200)
    for _ in range(60):
        await world.advance(1)
    assert await world.store.oldest_callback() is None


async def test_what_waits_goes_out_once_the_leases_are_certain_again(make_world: MakeWorld) -> None:
    world = await make_world(concurrency=1)
    certain = True
    world.notify._holds_leases = lambda: certain
    world.poster.answer = lambda request: None
    await world.send(to=("+1408555014",))
    await world.send(to=("+1408555014",))  # waits behind the first
    certain = False
    world.poster.hanging.pop()(answered(200))
    certain = True
    world.poster.answer = lambda request: answered(200)
    await world.advance(2)
    assert len(world.poster.requests) == 2
    assert await world.store.oldest_callback() is None
