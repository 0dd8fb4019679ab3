"""Several nodes on one PostgreSQL, each a process of its own: killed, stopped for a while, and sharing a rate."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from system.application import HANDSETS
from system.cluster import Cluster, cluster_in, nodes_on, short_folder
from system.conftest import MakePlay
from system.installation import APPLICATION, PASSWORD, SIMULATOR, USER, Installation, Platform, authorization
from system.ledger import DELIVERED
from system.waiting import until

# What a node may have handed over without having recorded it: what its carrier had in its window, a commit's worth.
MOST_SUBMITTED_AGAIN = 2 * 64
TAKEN_OVER_SECONDS = 15.0
STAY = ("orphans",)  # receipts of what was handed over twice; they are kept for ten minutes

RATE = 100
LIMITED, OTHER_NUMBER = "5500124", "+19195550121"
LIMITED_ACCOUNT = f"""
[[accounts]]
id = "{LIMITED}"
rate = {RATE}
users = [{{ name = "{USER}-2", password = "{PASSWORD}" }}]
[[accounts.applications]]
id = "{APPLICATION[:-1]}2"
callback_url = "http://127.0.0.1:{{endpoint}}/"
[[accounts.numbers]]
number = "{OTHER_NUMBER}"
application = "{APPLICATION[:-1]}2"
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with short_folder() as folder, cluster_in(folder, alone=True) as cluster:
        yield cluster


def held(cluster: Cluster, number: int) -> int:
    """Return how many rows are leased to a node."""
    ((rows,),) = cluster.primary.execute(f"""
        SELECT (SELECT count(*) FROM recipients WHERE node = {number} AND state = 0)
             + (SELECT count(*) FROM callbacks WHERE node = {number})""")
    return int(rows)


def number_of(cluster: Cluster, member: Installation) -> int:
    """Return the number that a node has in the store."""
    ((number,),) = cluster.primary.execute(f"SELECT node FROM nodes WHERE pid = {member.process.pid} AND NOT given_up")
    return int(number)


async def taken_over(cluster: Cluster, number: int) -> float:
    """Return how many seconds it took until nothing was leased to a node any more."""
    began_at = time.monotonic()
    while await asyncio.to_thread(held, cluster, number):
        assert time.monotonic() - began_at < 2 * TAKEN_OVER_SECONDS
        await asyncio.sleep(0.05)
    return time.monotonic() - began_at


async def submitted(platform: Platform) -> int:
    """Return how many messages have been handed to the carrier."""
    return int((await platform.metrics())['passband_submits_total{carrier="simulator"}'])


@pytest.mark.slow
async def test_what_a_killed_node_held_goes_on_at_the_other(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    """Requests go to both in turn; inbound messages, receipts and callbacks come and go wherever they do."""
    play = make_play(plain=True)
    soon = SIMULATOR.replace("delay = 0.1", "delay = 0")  # so that the killed node takes few receipts with it
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port, carrier=soon) as nodes:
        async with play.application.posting(nodes, rate=200):
            await until(lambda: len(play.ledger.promised) >= 80, 90)
            began_at, killed = time.monotonic(), nodes.alive.pop()
            number = number_of(cluster, killed)
            killed.kill()
            assert await taken_over(cluster, number) < TAKEN_OVER_SECONDS
            play.ledger.disturb(began_at, time.monotonic())
        assert await play.judge(nodes, (), STAY) == []


@pytest.mark.soak
@pytest.mark.parametrize("stop", range(3))
async def test_a_node_that_stood_still_loses_its_leases_and_does_no_harm(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path, stop: int
) -> None:
    play = make_play(offset=stop, plain=True)
    slow = SIMULATOR + "rate = 60\n"  # so that rows wait at both nodes
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port, carrier=slow) as nodes:
        async with play.application.posting(nodes, rate=250):
            await asyncio.sleep(3)
            began_at, stopped = time.monotonic(), nodes.alive.pop()
            number = number_of(cluster, stopped)
            stopped.nodes[0].suspend()
            leased = held(cluster, number)
            seconds = await taken_over(cluster, number)
            stopped.nodes[0].resume()
            await asyncio.sleep(3)
            nodes.alive.append(stopped)
            play.ledger.disturb(began_at, time.monotonic())
            assert number_of(cluster, stopped) != number
            await asyncio.sleep(1)
        assert await play.judge(nodes, (), STAY) == []
        again = await submitted(nodes) - len({one.key.id for one in play.ledger.told if one.key.type == DELIVERED})
    print(f"{leased} rows taken over after {seconds:.1f} s, {again} messages submitted again", flush=True)
    assert leased
    assert seconds < TAKEN_OVER_SECONDS
    assert again <= MOST_SUBMITTED_AGAIN
    assert play.ledger.repeated <= MOST_SUBMITTED_AGAIN


@pytest.mark.soak
async def test_an_accounts_rate_holds_over_both_nodes(make_play: MakePlay, cluster: Cluster, tmp_path: Path) -> None:
    play = make_play(plain=True)
    endpoint = play.application
    async with endpoint.listening():
        limited = LIMITED_ACCOUNT.replace("{endpoint}", str(endpoint.port))
        async with nodes_on(cluster, tmp_path, endpoint.port, more=limited) as nodes:
            async with aiohttp.ClientSession(headers=authorization(f"{USER}-2")) as session:

                async def post(number: int) -> None:
                    body = {
                        "applicationId": f"{APPLICATION[:-1]}2", "from": OTHER_NUMBER, "text": f"{number}",
                        "to": [f"{HANDSETS}{number:05d}"],
                    }  # fmt: skip
                    async with session.post(f"{nodes.api}/users/{LIMITED}/messages", json=body) as answer:
                        assert answer.status == 202

                for first in range(0, 1500, 50):
                    await asyncio.gather(*(post(number) for number in range(first, first + 50)))
            await asyncio.sleep(14)
            shares = [
                (await member.metrics())['passband_submits_total{carrier="simulator"}'] for member in nodes.members
            ]
    first_at = {one.key: one.came_at for one in reversed(play.ledger.told) if one.key.type == DELIVERED}
    began_at = min(first_at.values()) + 2
    a_second = Counter(int(at - began_at) for at in first_at.values() if at >= began_at)
    rate = sum(a_second[second] for second in range(10)) / 10
    print(f"{rate:g} segments a second of {RATE}, by the second {[a_second[s] for s in range(10)]}; by node {shares}")
    assert abs(rate / RATE - 1) < 0.05
    assert min(shares) > 0.2 * sum(shares)
