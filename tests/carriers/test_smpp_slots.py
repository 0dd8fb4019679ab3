"""Two nodes on one carrier: its binds are shared, whoever comes, goes or falls silent. Real store, real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from carriers.smpp_node import SENDER, SmppNode, running_node
from carriers.smpp_pair import FastClock, running_smsc
from passband.smsc import Smsc

pytestmark = pytest.mark.slow


class Cluster:
    """Nodes on one store and one SMSC, and the most binds that the SMSC ever had at the same time."""

    def __init__(self, smsc: Smsc, port: int, path: Path) -> None:
        self.smsc = smsc
        self.port = port
        self.path = path
        self.clock = FastClock()
        self.most = 0

    def node(self, **changes: Any) -> Any:
        return running_node(self.path, self.port, self.clock, shared=True, **changes)

    @property
    def bound(self) -> int:
        return sum(peer.session.bound for peer in self.smsc.peers)

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self.most = max(self.most, self.bound)
                await asyncio.sleep(0.001)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_smsc() as (smsc, port):
        yield Cluster(smsc, port, tmp_path / "passband.db")


def links(node: SmppNode) -> int:
    return sum(link.bound_at is not None for link in node.carrier.links())


async def test_binds_are_spread_evenly_and_never_exceeded_as_nodes_come_and_go(cluster: Cluster) -> None:
    async with cluster.node(binds=4) as first:
        await cluster.until(lambda: links(first) == 4)
        async with cluster.node(binds=4) as second:
            await cluster.until(lambda: (links(first), links(second)) == (2, 2))
            async with cluster.node(binds=4) as third:
                await cluster.until(lambda: sorted(map(links, (first, second, third))) == [1, 1, 2])
        await cluster.until(lambda: links(first) == 4)
        assert cluster.most <= 4
        assert first.carrier.links()[-1].place == 3


async def test_a_pair_of_binds_moves_as_one(cluster: Cluster) -> None:
    async with cluster.node(binds=2, bind_type="transmitter+receiver") as first:
        await cluster.until(lambda: links(first) == 4)
        async with cluster.node(binds=2, bind_type="transmitter+receiver") as second:
            await cluster.until(lambda: (links(first), links(second)) == (2, 2))
            assert [link.bind for link in second.carrier.links()] == ["bind_transmitter", "bind_receiver"]
        assert cluster.most <= 4


async def test_a_silent_nodes_links_are_taken_over_and_it_leaves_its_own_when_it_wakes(cluster: Cluster) -> None:
    async with cluster.node(binds=2) as first, cluster.node(binds=2) as second:
        await cluster.until(lambda: (links(first), links(second)) == (1, 1))
        first.fall_silent()
        await cluster.until(lambda: links(second) == 2, 20)
        assert links(first) == 0  # it could no longer know whose they are
        first.speak_again()
        await cluster.until(lambda: (links(first), links(second)) == (1, 1), 20)
        assert cluster.most <= 2


async def test_what_a_node_without_a_link_accepts_is_sent_by_one_that_has_it(cluster: Cluster) -> None:
    async with cluster.node(binds=1) as first:
        await cluster.until(lambda: links(first) == 1)
        async with cluster.node(binds=1) as second:
            messages = await second.send(50)
            await cluster.until(lambda: len(first.callbacks) + len(second.callbacks) == 50)
            assert len(cluster.smsc.ledger) == len(messages)
            assert links(second) == 0


async def test_what_waits_in_memory_goes_to_another_node_when_the_link_does(cluster: Cluster) -> None:
    async with cluster.node(binds=1, window=1) as first, cluster.node(binds=1, window=1) as second:
        await cluster.until(lambda: links(first) == 1)
        cluster.smsc.options.response_delay = 0.02
        await first.send(40)
        await cluster.until(lambda: len(cluster.smsc.ledger) >= 5)
        first.fall_silent()
        await cluster.until(lambda: links(second) == 1, 20)
        cluster.smsc.options.response_delay = 0.0
        await cluster.until(lambda: len(first.callbacks) + len(second.callbacks) >= 40)
        first.speak_again()
        events = {id_: told for node in (first, second) for id_, told in node.events().items()}
        assert {tuple(told) for told in events.values()} == {(("message-delivered", 0),)}
        assert len(cluster.smsc.ledger) <= 41  # what was under way when its node fell silent may come twice


async def test_receipts_may_arrive_at_another_node_than_the_one_that_submitted(cluster: Cluster) -> None:
    cluster.smsc.options.receipt_delay = 0.8
    async with cluster.node(binds=1) as first:
        await cluster.until(lambda: links(first) == 1)
        await first.send(5)
        await cluster.until(lambda: len(cluster.smsc.ledger) == 5)
        async with cluster.node(binds=1) as second:
            first.fall_silent()
            await cluster.until(lambda: links(second) == 1, 20)
            await cluster.until(lambda: len(second.callbacks) == 5)
            cluster.smsc.inbound("+14085550142", SENDER, "thanks")
            await cluster.until(lambda: len(second.callbacks) == 6)
            assert not first.callbacks, "all of it came in at the second"
