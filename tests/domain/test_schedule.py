"""The schedule of callbacks: the published waits, a fifth up or down, never past 24 hours."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from passband.domain.schedule import CALLBACK_WINDOW, JITTER, WAITS, next_try

MINUTE = 60.0


def tries(jitter: float, took: float = 0.0) -> list[float]:
    """Return when a callback that always fails is tried, each attempt taking so long."""
    times, now, attempts = [0.0], took, 1
    while (due_at := next_try(attempts, now, CALLBACK_WINDOW, jitter)) is not None:
        times.append(due_at)
        now, attempts = due_at + took, attempts + 1
    return times


def test_the_waits_are_the_published_ones() -> None:
    times = tries(jitter=0.5)
    waits = [round(later - earlier, 6) for earlier, later in pairwise(times)]
    assert waits[:6] == [5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE]
    assert set(waits[6:-1]) == {30 * MINUTE}
    assert len(times) == 54


def test_the_last_try_is_at_the_end_of_24_hours_and_none_is_later() -> None:
    for jitter in (0.0, 0.25, 0.5, 0.75, 1.0):
        times = tries(jitter, took=10.0)
        assert times[-1] == CALLBACK_WINDOW == 24 * 60 * MINUTE
        assert max(times) == times[-1]


def test_there_is_no_try_once_the_window_is_over() -> None:
    assert next_try(1, 100.0, 100.0, 0.5) is None
    assert next_try(1, 100.1, 100.0, 0.5) is None
    assert next_try(1, 99.9, 100.0, 0.5) == 100.0


@given(attempts=st.integers(1, 1000), jitter=st.floats(0, 1), now=st.floats(0, 2e9))
def test_a_wait_differs_by_at_most_a_fifth(attempts: int, jitter: float, now: float) -> None:
    wait = WAITS[min(attempts, len(WAITS)) - 1]
    due_at = next_try(attempts, now, now + CALLBACK_WINDOW, jitter)
    assert due_at is not None
    assert 0.8 * wait - 1e-3 <= due_at - now <= 1.2 * wait + 1e-3
    assert JITTER == 0.2


@given(attempts=st.integers(1, 10))
def test_a_schedule_may_be_given(attempts: int) -> None:
    assert next_try(attempts, 0.0, 100.0, 0.5, waits=(1, 2)) == (1 if attempts == 1 else 2)
