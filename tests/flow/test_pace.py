"""Limits: how fast, how much may wait, and who is not slowed by whom."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from flow.world import PICTURE, SENDER, World, an_account
from passband.domain.account import Number
from passband.domain.errors import QueueFull
from passband.domain.message import Priority
from passband.testing import accepted

MakeWorld = Callable[..., Awaitable[World]]


async def sent_each_second(world: World, seconds: int) -> list[int]:
    counts = []
    for _ in range(seconds):
        before = sum(s.cost for s in world.carrier.submitted)
        for _ in range(10):
            await world.advance(0.1)
        counts.append(sum(s.cost for s in world.carrier.submitted) - before)
    return counts


async def test_an_account_sends_at_its_rate(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=5.0))
    for n in range(60):
        await world.send(str(n))
    await world.settle()
    counts = await sent_each_second(world, 10)
    assert 47 <= sum(counts) <= 53
    assert world.carrier.texts == [str(n) for n in range(len(world.carrier.texts))]


async def test_pace_counts_segments(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=3.0))
    for _ in range(10):
        await world.send("x" * 400)
    await world.settle()
    assert 27 <= sum(await sent_each_second(world, 10)) <= 33


async def test_sms_and_mms_are_counted_apart(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=1.0))
    for _ in range(5):
        await world.send("sms")
        await world.send("mms", media=(PICTURE,))
    await world.settle()
    await world.advance(0.5)
    assert sorted(world.carrier.texts) == ["mms", "sms"]


async def test_a_number_has_its_own_limit_and_does_not_hold_up_its_account(make_world: MakeWorld) -> None:
    account = an_account()
    slow = Number(SENDER, account.id, account.numbers[SENDER].application, rate=1.0)
    world = await make_world(msgspec.structs.replace(account, numbers={**account.numbers, SENDER: slow}))
    for n in range(5):
        await world.send(f"slow {n}")
    await world.send("free", sender="+19195550118")
    await world.settle()
    assert sorted(world.carrier.texts) == ["free", "slow 0"]
    await world.advance(1.01)
    assert world.carrier.texts[-1] == "slow 1"


async def test_high_overtakes_what_waits_for_pace(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=1.0))
    for n in range(5):
        await world.send(f"default {n}")
    await world.send("high", priority=Priority.HIGH)
    await world.settle()
    for _ in range(3):
        await world.advance(1.01)
    assert "high" in world.carrier.texts[:3]


async def test_a_full_queue_refuses_the_whole_request_and_makes_room_at_hand_over(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=1.0, queue_seconds=10))
    for _ in range(9):
        await world.send()
    with pytest.raises(QueueFull):
        await world.send("x" * 200)
    await world.send()
    with pytest.raises(QueueFull):
        await world.send()
    await world.settle()
    await world.report(world.carrier.take())
    await world.send()
    with pytest.raises(QueueFull):
        await world.send()
    await world.send(media=(PICTURE,))


async def test_the_queue_s_count_survives_whatever_ends_a_recipient(make_world: MakeWorld) -> None:
    world = await make_world(an_account(rate=1000.0, queue_seconds=0.01))
    for outcome in (None, 7200.0):
        for _ in range(10):
            await world.send()
        with pytest.raises(QueueFull):
            await world.send()
        await world.advance(1)
        await world.report(world.carrier.take(lambda r, w=outcome: accepted(r, w)))  # type: ignore[misc]
    await world.send(expires_at=world.clock.now() - 1)
    await world.advance(1)
    for _ in range(10):
        await world.send()


async def test_one_account_at_its_limit_does_not_slow_another(make_world: MakeWorld) -> None:
    slow = an_account(rate=1.0)
    world = await make_world(slow)
    fast = an_account(id="5500999", numbers={"+19195550999": Number("+19195550999", "5500999", None)})
    world.rules.directory = type(world.rules.directory)([slow, fast])
    for n in range(20):
        await world.send(f"slow {n}")
    world.account = fast
    for n in range(20):
        await world.send(f"fast {n}", sender="+19195550999")
    await world.settle()
    assert len([t for t in world.carrier.texts if t.startswith("fast")]) == 20


async def test_a_carrier_s_room_goes_round_between_accounts(make_world: MakeWorld) -> None:
    one = an_account()
    world = await make_world(one)
    two = an_account(id="5500999", numbers={"+19195550999": Number("+19195550999", "5500999", None)})
    world.rules.directory = type(world.rules.directory)([one, two])
    world.carrier.window = 0
    for n in range(200):
        await world.send(f"one {n}")
    world.account = two
    await world.send("two", sender="+19195550999")
    world.carrier.window = 50
    await world.settle()
    assert "two" in world.carrier.texts


async def test_memory_is_bounded_and_order_kept_when_the_backlog_is_in_the_store(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.flow.dispatch.MOST_OF_LINE", 10)
    monkeypatch.setattr("passband.flow.dispatch.REFILL", 7)
    world = await make_world()
    world.carrier.window = 0
    for n in range(100):
        await world.send(str(n))
    await world.settle()
    assert world.dispatch.held <= 20
    world.carrier.window = 5
    while world.carrier.open or len(world.carrier.submitted) < 100:
        await world.report(world.carrier.take())
        await world.advance(1)
    assert world.carrier.texts == [str(n) for n in range(100)]


async def test_another_node_takes_over_what_a_silent_one_held(make_world: MakeWorld) -> None:
    silent, other = await make_world(), await make_world()
    silent.carrier.window = 0
    await silent.send("left behind")
    await silent.settle()
    assert silent.dispatch.held == 1
    other.clock.advance(11)
    assert await other.store.beat(other.clock.now())
    await other.settle()
    assert other.carrier.texts == ["left behind"]
    assert not await silent.store.beat(other.clock.now())
    silent.dispatch.forget()
    silent.carrier.window = 10
    await silent.advance(11)
    assert silent.carrier.texts == []
    await other.report(other.carrier.take(lambda r: accepted(r, None)))
    await other.settle()
    assert [e["type"] for e in other.events] == ["message-delivered"]
