"""The database fails under two nodes and their load: what was answered with 202 is kept, and all goes on by itself.

The long forms are for ``make soak``: PASSBAND_SOAK_FAILOVERS primaries are lost one after the other, by default 20.
"""

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from system.cluster import TERMINATE, Cluster, Nodes, Server, cluster_in, nodes_on, short_folder
from system.conftest import MakePlay
from system.installation import AUTHORIZATION, SIMULATOR, Installation
from system.play import Play
from system.waiting import until

FAILOVERS = int(os.environ.get("PASSBAND_SOAK_FAILOVERS", "20"))
BATCH = 5  # of them between two judgements

RESUME_SECONDS = 10.0  # after the promotion
LOST: tuple[Callable[[Server], None], ...] = (Server.kill, Server.quit, Server.suspend)
UNATTENDED = (0, 0, 0, 4, 11)  # seconds until somebody promotes the standby; nodes lose touch after eight
BEAT_SECONDS = 2.0  # a node finds out so much later that it does not know what it holds
# What one failover may repeat: callbacks under way from two nodes, and as many answered in a commit that failed.
MOST_REPEATED = 2 * 2 * 64

# Receipts of what was handed over twice match nothing; they are kept for ten minutes.
STAY = ("orphans",)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with short_folder() as folder, cluster_in(folder) as cluster:
        yield cluster


async def accepted(play: Play, member: Installation) -> float:
    """Return when this node has accepted a message again."""
    async with aiohttp.ClientSession(headers=AUTHORIZATION) as session:
        while True:
            post = play.application.messages.draw()
            await play.application.post(session, member, post)
            if any(promised is post for promised in play.ledger.promised.values()):
                return time.monotonic()
            await asyncio.sleep(0.02)


async def fail_over(play: Play, nodes: Nodes, lose: Callable[[Server], None], after: float = 0.0) -> float:
    """Lose the primary and promote the standby, ``after`` as many seconds.

    Return how many seconds after the promotion every node accepted again.
    """
    began_at = time.monotonic()
    await asyncio.to_thread(lose, nodes.cluster.primary)
    await asyncio.sleep(after)
    await asyncio.to_thread(nodes.cluster.promote)
    promoted_at = time.monotonic()
    resumed_at = max(await asyncio.gather(*(accepted(play, member) for member in nodes.alive)))
    play.ledger.disturb(began_at, resumed_at + BEAT_SECONDS)
    return resumed_at - promoted_at


def a_play(make_play: MakePlay, number: int = 0, **options: bool) -> Play:
    play = make_play(folder=f"play{number}", offset=number, **options)
    play.ledger.unsure = True
    return play


@pytest.mark.slow
async def test_a_lost_primary_costs_nothing_that_was_promised(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    play = a_play(make_play, plain=True)
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
        async with play.application.posting(nodes, rate=200):
            await until(lambda: len(play.ledger.promised) >= 80, 90)
            seconds = await fail_over(play, nodes, Server.kill)
            before = len(play.ledger.promised)
            await until(lambda: len(play.ledger.promised) >= before + 40, 90)
        assert await play.judge(nodes, (), STAY) == []
    assert seconds < RESUME_SECONDS
    assert play.ledger.repeated <= MOST_REPEATED


@pytest.mark.slow
async def test_nodes_leave_a_primary_that_stands_still_and_never_return_to_it(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    """It comes back by itself, first as it was, then started again, without a standby that its commits wait for."""
    play, old = a_play(make_play, plain=True), cluster.primary

    async def goes_on() -> float:
        return max(await asyncio.gather(*(accepted(play, member) for member in nodes.alive)))

    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
        async with play.application.posting(nodes, rate=200):
            await until(lambda: len(play.ledger.promised) >= 80, 90)
            seconds = await fail_over(play, nodes, Server.suspend)
            began_at = time.monotonic()
            old.resume()
            await nodes.start()
            await goes_on()
            old.kill()
            await asyncio.to_thread(old.start, synchronous_standby_names="")
            [(started_at,)] = old.execute("SELECT clock_timestamp()")
            await asyncio.to_thread(cluster.terminate)
            await goes_on()
            await asyncio.to_thread(cluster.primary.kill)
            before = len(play.ledger.refused)
            await until(lambda: len(play.ledger.refused) >= before + 40, 90)
            await asyncio.to_thread(cluster.primary.start)
            play.ledger.disturb(began_at, await goes_on() + BEAT_SECONDS)
        assert await play.judge(nodes, (), STAY) == []
        assert old.execute(f"SELECT count(*) FROM nodes WHERE beat_at > '{started_at}'") == [(0,)]
    assert seconds < RESUME_SECONDS


@pytest.mark.soak
async def test_primaries_are_lost_again_and_again(make_play: MakePlay, cluster: Cluster, tmp_path: Path) -> None:
    waits: list[float] = []
    promised = repeated = 0
    for first in range(0, FAILOVERS, BATCH):
        play = a_play(make_play, first)
        folder = tmp_path / f"from-{first}"
        async with play.application.listening(), nodes_on(cluster, folder, play.application.port) as nodes:
            async with play.application.posting(nodes):
                for _ in range(min(BATCH, FAILOVERS - first)):
                    await asyncio.sleep(play.random.uniform(0.2, 2))
                    lose, after = play.random.choice(LOST), play.random.choice(UNATTENDED)
                    waits.append(await fail_over(play, nodes, lose, after))
                    print(
                        f"failover {len(waits)}: {lose.__name__}, {after} s, accepts {waits[-1]:.2f} s later",
                        flush=True,
                    )
                    await asyncio.sleep(play.random.uniform(0, 1))
                    await asyncio.to_thread(cluster.rejoin)
                    await asyncio.sleep(play.random.uniform(0, 3))
            assert await play.judge(nodes, (), STAY) == []
        assert play.ledger.repeated <= BATCH * MOST_REPEATED
        promised, repeated = promised + len(play.ledger.promised), repeated + play.ledger.repeated
    print(
        f"{len(waits)} failovers: {promised} messages promised, {repeated} events repeated; accepting resumed after "
        f"{statistics.median(waits):.2f} s (median), {max(waits):.2f} s (longest)"
    )
    assert max(waits) < RESUME_SECONDS


@pytest.mark.soak
async def test_a_node_that_reaches_nothing_but_the_old_primary_does_not_start(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    """It cannot know that there is a newer one; but what it writes there waits for a standby that has gone."""
    play, old = a_play(make_play, plain=True), cluster.primary
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port, count=1) as nodes:
        await fail_over(play, nodes, Server.kill)
        await asyncio.to_thread(old.start)
        with pytest.raises(AssertionError, match="ended by itself"):
            await nodes.start(store=old.url)
        assert await nodes.start()


@pytest.mark.soak
async def test_a_primary_that_stalls_for_some_seconds_costs_no_connection(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    """Nobody was promoted: so what waits for it waits on, is answered, and nothing is sent or told twice."""
    play = make_play(plain=True)
    patient = SIMULATOR.replace("receipt_window = 4", "receipt_window = 60")  # longer than the stall
    assert patient != SIMULATOR
    async with (
        play.application.listening(),
        nodes_on(cluster, tmp_path, play.application.port, carrier=patient) as nodes,
    ):
        async with play.application.posting(nodes, rate=200):
            await until(lambda: len(play.ledger.promised) >= 80, 90)
            cluster.primary.suspend()
            await asyncio.sleep(6)
            cluster.primary.resume()
            before = len(play.ledger.promised)
            await until(lambda: len(play.ledger.promised) >= before + 80, 90)
        assert await play.judge(nodes, ()) == []
        assert "connected to the database again" not in nodes.log
    assert play.ledger.refused == {}
    assert play.ledger.repeated == 0


# ── other faults, with the database where it is ──────────────────────────────────────────────────────────────────────


async def its_connections_are_cut(play: Play, cluster: Cluster) -> None:
    for _ in range(10):
        assert await asyncio.to_thread(cluster.terminate) >= 2
        await asyncio.sleep(play.random.uniform(0.1, 1))


async def it_has_too_many_connections(play: Play, cluster: Cluster) -> None:
    def fill() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            others.append(psycopg.connect(cluster.primary.url, autocommit=True))
            return True
        return False

    others: list[psycopg.Connection] = []
    try:
        await asyncio.to_thread(fill)
        give_up = time.monotonic() + 3
        while time.monotonic() < give_up:
            while await asyncio.to_thread(fill):
                pass
            await asyncio.to_thread(others[0].execute, TERMINATE)
    finally:
        for other in others:
            other.close()


async def a_table_is_locked(play: Play, cluster: Cluster) -> None:
    with psycopg.connect(cluster.primary.url) as other:
        await asyncio.to_thread(other.execute, "LOCK TABLE recipients IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(12)  # a node waits ten seconds for a lock


async def its_commits_are_cancelled_while_they_wait_for_the_standby(play: Play, cluster: Cluster) -> None:
    """The server tells them as made; then the standby, which has not got them, becomes the primary."""
    waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    await asyncio.to_thread(cluster.standby.suspend)
    cancelled, give_up = 0, time.monotonic() + 4
    while time.monotonic() < give_up:
        cancelled += len(await asyncio.to_thread(cluster.primary.execute, waiting))
        await asyncio.sleep(0.05)
    assert cancelled > 2
    await asyncio.to_thread(cluster.primary.kill)
    await asyncio.to_thread(cluster.standby.resume)
    await asyncio.to_thread(cluster.promote)


async def its_standby_stands_still(play: Play, cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.standby.suspend)
    await asyncio.sleep(15)  # a commit is given up after twelve
    await asyncio.to_thread(cluster.standby.resume)


async def it_stands_still_and_the_standby_is_promoted(play: Play, cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.primary.suspend)
    await asyncio.sleep(1)
    await asyncio.to_thread(cluster.promote)


Fault = Callable[[Play, Cluster], Awaitable[None]]
FAULTS: dict[Fault, float] = {  # and within how many seconds after each the nodes must accept again
    its_connections_are_cut: 3,
    it_has_too_many_connections: 5,
    a_table_is_locked: 5,
    its_commits_are_cancelled_while_they_wait_for_the_standby: RESUME_SECONDS,
    its_standby_stands_still: 5,
    it_stands_still_and_the_standby_is_promoted: RESUME_SECONDS,
}


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_when_the_database_has_a_fault_nothing_is_promised_that_it_does_not_keep(
    fault: Fault, make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    play = a_play(make_play)
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
        async with play.application.posting(nodes):
            await asyncio.sleep(1)
            began_at = time.monotonic()
            await fault(play, cluster)
            over_at = time.monotonic()
            resumed_at = max(await asyncio.gather(*(accepted(play, member) for member in nodes.alive)))
            play.ledger.disturb(began_at, resumed_at + BEAT_SECONDS)
            await asyncio.sleep(BEAT_SECONDS)
        print(f"{fault.__name__}: accepts {resumed_at - over_at:.2f} s later", flush=True)
        assert await play.judge(nodes, (), STAY) == []
    assert play.ledger.refused
    assert set(play.ledger.refused.values()) <= {500, 503}
    assert resumed_at - over_at < FAULTS[fault]


# ── the disk of its tables is full ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with short_folder() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "passband-test", str(folder)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a file system")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.mark.soak
async def test_a_full_disk_of_the_database_refuses_new_messages_and_loses_none(
    make_play: MakePlay, small_disk: Path, tmp_path: Path
) -> None:
    play = a_play(make_play)
    play.application.answer = 503  # so that what is stored stays
    with short_folder() as folder, cluster_in(folder, alone=True, disk=small_disk) as cluster:
        async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
            async with play.application.posting(nodes, rate=1000):
                await asyncio.sleep(1)
                began_at = time.monotonic()
                await asyncio.to_thread(fill, small_disk / "ballast")
                await until(lambda: len(play.ledger.refused) > 50, 60, lambda: play.ledger.summary)
            assert set(play.ledger.refused.values()) <= {500, 503}
            before = len(play.ledger.promised)
            (small_disk / "ballast").unlink()
            play.application.answer = 200
            async with play.application.posting(nodes):
                await until(lambda: len(play.ledger.promised) > before + 50, 20, lambda: play.ledger.summary)
            play.ledger.disturb(began_at, time.monotonic())
            assert await play.judge(nodes, (), STAY) == []
