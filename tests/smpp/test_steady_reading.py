"""Which rule a receipt matched by, and when another one is worth a word."""

import pytest

from passband.smpp.message_id import Reading, SteadyReading, keys, reading_of

A, D, H = Reading.AS_GIVEN, Reading.FROM_DECIMAL, Reading.FROM_HEXADECIMAL


@pytest.mark.parametrize(
    ("receipt_id", "readings"),
    [
        ("0439041101", [A, D, H]),
        ("1a2b", [A, H]),
        ("18446744073709551615", [A, D]),  # too long to be read as hexadecimal
        ("7", [A]),
        ("X-1", [A]),
    ],
)
def test_each_key_of_a_receipt_tells_how_its_id_is_read(receipt_id: str, readings: list[Reading]) -> None:
    refs = keys(receipt_id)
    assert [reading_of(refs, place) for place in range(len(refs))] == readings


@pytest.mark.parametrize("other", ["#5f1d", "26265", "~pair"])
def test_what_does_not_come_of_the_first_id_is_no_reading_of_it(other: str) -> None:
    assert reading_of((*keys("1A2B"), other), 2) is None


Batch = dict[Reading, int]
CHANGES: dict[str, tuple[list[Batch], list[tuple[Reading, Reading]]]] = {
    "always the same": ([{A: 1000}, {A: 1}] * 3, []),
    "one before it is steady": ([{A: 19}, {D: 1}], []),
    "one after it is steady": ([{A: 20}, {D: 1}], [(A, D)]),
    "steady over several batches": ([{A: 1}] * 20 + [{D: 1}], [(A, D)]),
    "the row is broken": ([{A: 19}, {D: 1}, {A: 19}, {D: 1}], []),
    "a mixed batch is no row": ([{A: 500, D: 500}] * 3, []),
    "a mixed batch after it is steady": ([{A: 20}, {A: 500, D: 1}], [(A, D)]),
    "it changes for good": ([{A: 20}, {D: 1}, {D: 500}, {D: 500}], [(A, D)]),
    "it changes for good in the midst of a batch": ([{A: 20}, {A: 30, D: 30}, {D: 60}, {D: 60}], [(A, D)]),
    "and back": ([{D: 20}, {H: 30}, {D: 30}], [(D, H), (H, D)]),
    "a few now and then are told once": ([{A: 500}, {D: 1}] * 9, [(A, D)]),
    "mixed for ever is told once": ([{A: 500}, *[{A: 500, D: 500}] * 9], [(A, D)]),
    "a few, and for good much later": ([{A: 500}, {D: 1}, {A: 500}, {D: 19}, {D: 1}, {D: 500}], [(A, D), (A, D)]),
    "nothing that counts": ([{A: 20}, {}, {D: 1}], [(A, D)]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_told_once_and_only_of_what_was_steady(case: str) -> None:
    batches, told = CHANGES[case]
    steady = SteadyReading()
    assert [change for batch in batches if (change := steady.take(batch))] == told
