"""The next version is brought in node by node, each a process of its own, under load: nobody who sends notices."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from system import later
from system.cluster import Cluster, Nodes, cluster_in, nodes_on, short_folder
from system.conftest import MakePlay
from system.installation import Installation
from system.play import Play
from system.waiting import until

LATER = (later.__file__,)
BEATS_SECONDS = 15.0  # a heartbeat finds that no older node lives; there are several tries


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with short_folder() as folder, cluster_in(folder, alone=True) as cluster:
        yield cluster


def changed(nodes: Nodes) -> list[str]:
    """Return what the nodes say that they changed of the schema, each as often as it is said."""
    return re.findall(r'"change": "(\w+_rename)", "event": "the schema was changed"', nodes.log)


Stop = Callable[[Installation], Awaitable[None]]


async def in_order(node: Installation) -> None:
    assert await node.terminate() == 0


async def at_once(node: Installation) -> None:
    node.kill()


async def some_more(play: Play, count: int = 40) -> None:
    before = len(play.ledger.promised)
    await until(lambda: len(play.ledger.promised) >= before + count, 30, lambda: play.ledger.summary)


async def replace_all(play: Play, nodes: Nodes, rate: int, stop: Stop) -> None:
    """Bring the next version in, under load."""
    async with play.application.posting(nodes, rate=rate):
        await some_more(play)
        older = list(nodes.alive)
        await nodes.start(program=LATER)
        assert changed(nodes) == [later.PRE]
        await some_more(play)
        nodes.alive = [node for node in nodes.alive if node not in older]
        await asyncio.gather(nodes.start(2, program=LATER), *(stop(node) for node in older))
        await until(lambda: later.POST in changed(nodes), BEATS_SECONDS)
        await some_more(play)


@pytest.mark.slow
async def test_nodes_are_replaced_by_those_of_the_next_version_and_nothing_is_lost_nor_repeated(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path
) -> None:
    play = make_play(plain=True)
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
        await replace_all(play, nodes, 200, in_order)
        assert await play.judge(nodes, ()) == []
        assert changed(nodes) == [later.PRE, later.POST]
    assert play.ledger.refused == {}
    assert play.ledger.repeated == 0


@pytest.mark.soak
@pytest.mark.parametrize("stop", [in_order, at_once], ids=lambda stop: stop.__name__)
@pytest.mark.parametrize("turn", range(4))
async def test_nodes_are_replaced_under_full_load(
    make_play: MakePlay, cluster: Cluster, tmp_path: Path, turn: int, stop: Stop
) -> None:
    """Also where the older ones die; then what they held goes on at the new ones."""
    play = make_play(offset=turn)
    async with play.application.listening(), nodes_on(cluster, tmp_path, play.application.port) as nodes:
        began_at = time.monotonic()
        await replace_all(play, nodes, 1000, stop)
        if stop is at_once:
            play.ledger.disturb(began_at, time.monotonic())
        assert await play.judge(nodes, (), ("orphans",)) == []
        assert changed(nodes) == [later.PRE, later.POST]
