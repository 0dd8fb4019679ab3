"""Pace: in any window, at most the rate times its length and one burst."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passband.domain.pace import reserve

waits = st.floats(0, 30)
EPSILON = 1e-6


def run(asks: list[tuple[float, int]], rate: float, burst: float, start: float = 0.0) -> list[tuple[float, int]]:
    """Ask one after the other, waiting that long between; return when each may go, and its segments."""
    used_at, now, gone = 0.0, start, []
    for wait, segments in asks:
        now += wait
        used_at, at = reserve(used_at, now, segments, rate, burst)
        gone.append((at, segments))
    return gone


@settings(max_examples=300)
@given(
    asks=st.lists(st.tuples(waits, st.integers(1, 10)), min_size=1, max_size=40),
    rate=st.floats(0.1, 100),
    burst=st.integers(10, 50),
)
def test_no_window_lets_more_through_than_its_rate_and_one_burst(
    asks: list[tuple[float, int]], rate: float, burst: int
) -> None:
    gone = run(asks, rate, burst)
    for first in range(len(gone)):
        total = 0
        for at, segments in gone[first:]:
            total += segments
            assert total <= rate * (at - gone[first][0]) + burst + EPSILON


@settings(max_examples=300)
@given(
    asks=st.lists(st.tuples(waits, st.integers(1, 60)), min_size=1, max_size=40),
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 20),
)
def test_a_message_larger_than_the_burst_goes_after_a_rest_and_is_paid_for(
    asks: list[tuple[float, int]], rate: float, burst: int
) -> None:
    """The bound is then that of the largest message instead of the burst."""
    gone = run(asks, rate, burst)
    bound = max(burst, *(segments for _, segments in gone))
    for first in range(len(gone)):
        total = 0
        for at, segments in gone[first:]:
            total += segments
            assert total <= rate * (at - gone[first][0]) + bound + EPSILON


@settings(max_examples=200)
@given(asks=st.lists(st.tuples(waits, st.integers(1, 10)), max_size=40), rate=st.floats(0.1, 100))
@example(asks=[(0.0, 10), (0.0, 1)], rate=0.1)
def test_what_is_let_through_keeps_its_order_and_never_goes_before_it_asks(
    asks: list[tuple[float, int]], rate: float
) -> None:
    now = 0.0
    gone = run(asks, rate, 10)
    assert all(earlier <= later + EPSILON for (earlier, _), (later, _) in pairwise(gone))
    for (wait, _), (at, _) in zip(asks, gone, strict=True):
        now += wait
        assert at >= now


@given(rate=st.floats(0.1, 100), segments=st.integers(1, 5), burst=st.integers(5, 20))
def test_one_that_always_has_something_gets_its_whole_rate(rate: float, segments: int, burst: int) -> None:
    used_at, now, sent = 0.0, 0.0, 0
    for _ in range(200):
        used_at, at = reserve(used_at, now, segments, rate, burst)
        now, sent = at, sent + segments
    assert sent >= rate * now + burst - segments - EPSILON


def test_a_limit_never_used_lets_a_burst_through_at_once() -> None:
    assert run([(0, 1)] * 4, rate=1, burst=3, start=1e9) == [(1e9, 1), (1e9, 1), (1e9, 1), (1e9 + 1, 1)]


def test_resting_longer_saves_up_no_more_than_a_burst() -> None:
    gone = run([(0, 3), (1e6, 3), (0, 3)], rate=1, burst=3)
    assert [at for at, _ in gone] == pytest.approx([0, 1e6, 1e6 + 3])


def test_an_exact_second_at_one_segment_a_second() -> None:
    assert [at for at, _ in run([(0, 1)] * 5, rate=1, burst=1)] == [0, 1, 2, 3, 4]
