"""Crashes under load: whatever is killed whenever, each promise is kept.

The long forms are for ``make soak``: PASSBAND_SOAK_ROUNDS kills each, by default 200, from PASSBAND_SOAK_SEED if it is
given.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest

from system.application import MARK
from system.conftest import MakePlay
from system.installation import Installation
from system.play import Play

ROUNDS = int(os.environ.get("PASSBAND_SOAK_ROUNDS", "200"))
BATCH = 25  # kills between two judgements

# What one crash may repeat: callbacks under way from each node, and as many answered in the commit that did not come.
MOST_REPEATED = 2 * 64

Crash = Callable[[Play, Installation], Awaitable[None]]


async def kill_everything(play: Play, installation: Installation) -> None:
    installation.kill()
    await asyncio.sleep(play.random.uniform(0, 0.1))
    await installation.start()


async def kill_a_worker(play: Play, installation: Installation) -> None:
    """One of them, if any is alive; it is started again by itself."""
    nodes = installation.nodes
    installation.kill_nodes(play.random.sample(nodes, k=min(1, len(nodes))))


async def kill_all_workers(play: Play, installation: Installation) -> None:
    installation.kill_nodes(installation.nodes)


async def crash(play: Play, installation: Installation, how: Crash) -> None:
    began_at = time.monotonic()
    await how(play, installation)
    play.ledger.disturb(began_at, time.monotonic())


async def crash_often(play: Play, installation: Installation, crashes: list[Crash]) -> None:
    for how in crashes:
        await asyncio.sleep(play.random.uniform(0.05, 1.5))
        await crash(play, installation, how)
        if how is not kill_everything and play.random.random() < 0.7:  # else the next comes while it is still starting
            await asyncio.sleep(1)
            await installation.ready()
    await installation.ready()


@pytest.mark.slow
async def test_kill_minus_nine_under_load_breaks_no_promise(make_play: MakePlay) -> None:
    play = make_play()
    async with play.running() as installation:
        async with play.application.posting(installation):
            await crash_often(play, installation, [kill_everything] * 6)
            await asyncio.sleep(0.5)
        assert await play.judge(installation) == []
    assert len(play.ledger.promised) > 300
    assert play.ledger.repeated <= 6 * MOST_REPEATED


@pytest.mark.slow
async def test_a_worker_that_dies_is_started_again_and_its_neighbour_takes_over(make_play: MakePlay) -> None:
    play = make_play()
    async with play.running(workers=2) as installation:
        async with play.application.posting(installation):
            await crash_often(play, installation, [kill_a_worker, kill_a_worker, kill_all_workers])
            await asyncio.sleep(0.5)
        assert await play.judge(installation, found_nowhere=()) == []
    assert len(play.ledger.promised) > 300


@pytest.mark.slow
async def test_workers_do_not_outlive_the_process_that_watches_over_them(make_play: MakePlay) -> None:
    play = make_play()
    async with play.running(workers=2) as installation:
        assert len(installation.nodes) == 2
        assert not await installation.outlived()


@pytest.mark.slow
async def test_sigterm_loses_nothing_and_repeats_nothing(make_play: MakePlay) -> None:
    play = make_play(crashes=False)
    async with play.running() as installation:
        async with play.application.posting(installation):
            for _ in range(3):
                await asyncio.sleep(play.random.uniform(0.2, 1.0))
                assert await installation.terminate() == 0
                await installation.start()
            await asyncio.sleep(0.5)
        assert await play.judge(installation, found_nowhere=()) == []
    assert len(play.ledger.promised) > 200


# ── the long forms ───────────────────────────────────────────────────────────────────────────────────────────────────


async def soak(make_play: MakePlay, crashes: dict[Crash, int], **options: int) -> None:
    for first in range(0, ROUNDS, BATCH):
        kills = min(BATCH, ROUNDS - first)
        play = make_play(folder=f"from-{first}", offset=first)
        async with play.running(**options) as installation:
            async with play.application.posting(installation):
                drawn = play.random.choices(list(crashes), list(crashes.values()), k=kills)
                await crash_often(play, installation, drawn)
            faults = await play.judge(installation)
        print(f"{first + kills} of {ROUNDS} kills", flush=True)
        assert faults == []
        assert play.ledger.repeated <= kills * MOST_REPEATED * options.get("workers", 1)


@pytest.mark.soak
async def test_one_node_is_killed_again_and_again(make_play: MakePlay) -> None:
    await soak(make_play, {kill_everything: 1})


@pytest.mark.soak
async def test_two_workers_are_killed_again_and_again(make_play: MakePlay) -> None:
    await soak(make_play, {kill_a_worker: 6, kill_all_workers: 2, kill_everything: 2}, workers=2)


@pytest.mark.soak
async def test_sigterm_again_and_again_repeats_nothing(make_play: MakePlay) -> None:
    for first in range(0, ROUNDS, BATCH):
        play = make_play(folder=f"from-{first}", offset=first, crashes=False)
        async with play.running() as installation:
            async with play.application.posting(installation):
                for _ in range(min(BATCH, ROUNDS - first)):
                    await asyncio.sleep(play.random.uniform(0.05, 1.0))
                    assert await installation.terminate() == 0
                    await installation.start()
            faults = await play.judge(installation)
        print(f"{first + BATCH} of {ROUNDS} stops", flush=True)
        assert faults == []


@pytest.mark.soak
@pytest.mark.parametrize("stop", range(3))
async def test_a_worker_that_stood_still_changes_nothing_any_more(make_play: MakePlay, stop: int) -> None:
    play = make_play(offset=stop)
    async with play.running(workers=2) as installation:
        async with play.application.posting(installation):
            await asyncio.sleep(1)
            node = play.random.choice(installation.nodes)
            began_at = time.monotonic()
            node.suspend()
            await asyncio.sleep(12.5)  # the others give it up after 10
            node.resume()
            play.ledger.disturb(began_at, time.monotonic())
            await asyncio.sleep(2)
        # Receipts of what was handed over twice match nothing; they are kept, with their numbers, for ten minutes.
        faults = await play.judge(installation, (MARK,), ("orphans",))
    assert faults == []
