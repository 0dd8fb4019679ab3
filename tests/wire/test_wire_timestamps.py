"""Instants as the API writes and reads them (HTTP API, section 1.3)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passband.wire import parse_timestamp, timestamp

READ = [
    ("1970-01-01T00:00:00Z", 0.0),
    ("2026-03-09T08:15:42.317Z", 1773044142.317),
    ("2026-03-09t08:15:42.317z", 1773044142.317),
    ("2026-03-09T09:15:42+01:00", 1773044142.0),
    ("2026-03-09T04:45:42-03:30", 1773044142.0),
    ("2016-12-31T23:59:60Z", 1483228800.0),
    ("2026-03-09T08:15:42.3170000000000000000000001Z", 1773044142.317),
]
UNREADABLE = [
    "",
    "2026-03-09",
    "2026-03-09T08:15:42",
    "2026-03-09 08:15:42Z",
    "2026-03-09T24:00:00Z",
    "2026-03-09T08:60:00Z",
    "2026-03-09T08:15:61Z",
    "2026-02-29T08:15:42Z",
    "0000-01-01T00:00:00Z",
    "2026-03-09T08:15:42+24:00",
    "2026-03-09T08:15:42+01",
    "2026-03-09T08:15:42.Z",
    "2026-03-09T08:15:42Z\n",
    "２０26-03-09T08:15:42Z",
]


@pytest.mark.parametrize(("text", "at"), READ)
def test_a_date_time_with_zone_is_read(text: str, at: float) -> None:
    assert parse_timestamp(text) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize("text", UNREADABLE)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_timestamp(text)


@given(st.integers(0, 4_102_444_800_000))
def test_a_whole_millisecond_is_written_exactly_and_read_back(milliseconds: int) -> None:
    text = timestamp(milliseconds / 1000)
    expected = datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert text == f"{expected}.{milliseconds % 1000:03}Z"
    assert parse_timestamp(text) == pytest.approx(milliseconds / 1000, abs=1e-6)
