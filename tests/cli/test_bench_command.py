"""``passband bench``: it measures, and what it measured went well."""

import json

import pytest

from cli.processes import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("carrier", [[], ["--smpp"]], ids=["simulator", "smpp"])
def test_it_measures_all_parts_and_loses_and_repeats_nothing(carrier: list[str]) -> None:
    ended = run("bench", "--messages", "500", "--connections", "8", "--json", *carrier, seconds=120)
    assert ended.status == 0, ended.err
    parts = {part["part"]: part for part in json.loads(ended.out)}
    assert list(parts) == ["accept only", "the whole path", "1,000/s", "a backlog of callbacks"]
    for part in parts.values():
        assert (part["refused"], part["repeated"]) == (0, 0)
        assert part["accepted_per_second"] > 0
    assert parts["the whole path"]["whole_per_second"], "not every message was told of"
