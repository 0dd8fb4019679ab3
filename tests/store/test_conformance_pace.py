"""Pace: a limit is one for all nodes."""

import random

import pytest

from passband.store import Pace
from store.nodes import NOW, OURS, OURS_TOO, Node


def pace(
    segments: float = 1, rate: float = 5.0, burst: float = 5.0, key: str = "sms", account: str = "5500123"
) -> Pace:
    return Pace(account, key, segments, rate, burst)


def after(starts: list[float]) -> list[float]:
    """Seconds from NOW; instants are known to a microsecond."""
    return [round(at - NOW, 5) for at in starts]


async def test_a_burst_goes_at_once_and_then_the_rate_counts(node: Node, other: Node) -> None:
    starts = []
    for n in range(10):
        starts += await (node, other)[n % 2].store.reserve([pace()], NOW)
    assert after(starts) == [0, 0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1.0]


async def test_several_limits_are_asked_at_once(node: Node) -> None:
    fast, slow = pace(key="sms", rate=10, burst=1), pace(key="sms:+19195550117", rate=1, burst=1)
    assert await node.store.reserve([fast, slow], NOW) == [NOW, NOW]
    starts = await node.store.reserve([fast, slow, fast], NOW)
    assert after(starts) == [0.1, 1.0, 0.2]


async def test_limits_of_accounts_and_keys_are_apart(node: Node) -> None:
    await node.store.reserve([pace(5)], NOW)
    assert await node.store.reserve([pace(5, key="mms"), pace(5, account="5500999")], NOW) == [NOW, NOW]
    assert after(await node.store.reserve([pace(5)], NOW)) == [1]


async def test_a_rested_limit_lets_a_burst_through_again(node: Node) -> None:
    await node.store.reserve([pace(10)], NOW)
    assert after(await node.store.reserve([pace(5)], NOW + 2)) == [2]
    assert after(await node.store.reserve([pace(1)], NOW + 2)) == [2.2]


async def test_two_nodes_that_ask_all_the_time_get_the_rate_within_5_percent_over_10_seconds(
    node: Node, other: Node
) -> None:
    rate, burst, draw = 10.0, 5.0, random.Random(7)
    sent: list[tuple[float, float]] = []
    free_at = {node: NOW, other: NOW}
    while (now := min(free_at.values())) < NOW + 12:
        asks = min(free_at, key=lambda n: free_at[n])
        segments = float(draw.randint(1, 3))
        (at,) = await asks.store.reserve([pace(segments, rate, burst)], now)
        sent.append((at, segments))
        free_at[asks] = at + draw.random() * 0.001
    within = sum(segments for at, segments in sent if NOW + 1 <= at < NOW + 11)
    assert within == pytest.approx(rate * 10, rel=0.05)
    assert sum(segments for at, segments in sent if at < NOW + 10) <= rate * 10 + burst + 3


async def test_an_accounts_and_a_numbers_limit_hold_together_whichever_node_asks(node: Node, other: Node) -> None:
    """Two numbers of an account, each faster than the half of it, sent from by both nodes at once."""
    account = pace(rate=30, burst=30)
    numbers = {OURS: pace(rate=20, burst=20, key=f"sms:{OURS}"), OURS_TOO: pace(rate=12, burst=12, key="sms:too")}
    sent: dict[str, list[float]] = {number: [] for number in numbers}
    free_at = {(n, number): NOW for n in (node, other) for number in numbers}
    while (now := min(free_at.values())) < NOW + 12:
        asks, number = min(free_at, key=lambda place: free_at[place])
        free_at[asks, number] = at = max(await asks.store.reserve([account, numbers[number]], now))
        sent[number].append(at)
    counts = {number: len([at for at in times if NOW + 1 <= at < NOW + 11]) for number, times in sent.items()}
    assert sum(counts.values()) == pytest.approx(30 * 10, rel=0.05)
    assert counts[OURS_TOO] <= 12 * 10 * 1.05
    assert counts[OURS] <= 20 * 10 * 1.05
