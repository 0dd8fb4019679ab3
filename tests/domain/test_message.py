"""Messages: their identifiers, and that nothing of their content shows where they are printed."""

import random
import re
import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from passband.domain.message import Direction, IdSource, Kind, Message, Priority, Recipient

NOW = 1_773_044_142.317


def a_source(seed: int = 1) -> IdSource:
    return IdSource(random.Random(seed).getrandbits)


def a_message(to: tuple[str, ...] = ("+14085550142",), priority: Priority | None = None) -> Message:
    return Message(
        "5500123", "1773044142317kq4zt7m2xw6yb3hd", Direction.OUT, Kind.SMS, "app", NOW, "+19195550117", to,
        "Your table is ready", 19, (), "booking 4711", priority, None, 1,
    )  # fmt: skip


def test_an_identifier_is_its_time_and_sixteen_random_characters() -> None:
    id_, created_at = a_source().next(NOW)
    assert re.fullmatch(r"1773044142317[a-z2-7]{16}", id_)
    assert len(id_) == 29
    assert created_at == NOW


def test_every_character_of_the_alphabet_occurs_and_no_other() -> None:
    source = a_source()
    seen = set("".join(source.next(NOW + n / 1000)[0][13:] for n in range(2000)))
    assert seen == set(string.ascii_lowercase + "234567")


def test_the_creation_time_has_whole_milliseconds() -> None:
    _, created_at = a_source().next(1_773_044_142.3179)
    assert created_at == 1_773_044_142.317


def test_100_000_identifiers_of_one_second_differ_and_sort_as_given_out() -> None:
    source = a_source()
    ids = [source.next(NOW + n / 100_000)[0] for n in range(100_000)]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == ids


def test_100_000_identifiers_of_one_millisecond_differ_and_sort_as_given_out() -> None:
    """The worst that the random bits can do: the highest start and the largest steps."""
    source = IdSource(lambda bits: (1 << bits) - 1)
    ids = [source.next(NOW)[0] for n in range(100_000)]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == ids
    assert {len(id_) for id_ in ids} == {29}


@given(st.lists(st.floats(-5, 5), max_size=50))
def test_identifiers_sort_although_the_clock_goes_back(steps: list[float]) -> None:
    source, now = a_source(), NOW
    given_out = []
    for step in steps:
        now += step
        given_out.append(source.next(now))
    assert all(earlier < later for (earlier, _), (later, _) in pairwise(given_out))
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(given_out))
    assert all(int(id_[:13]) / 1000 == created_at for id_, created_at in given_out)


def test_two_nodes_give_out_different_identifiers() -> None:
    first, second = a_source(1), a_source(2)
    ids = {source.next(NOW)[0] for source in (first, second) for _ in range(10_000)}
    assert len(ids) == 20_000


def test_a_message_prints_without_its_text_tag_and_recipients() -> None:
    text = f"{a_message()} {Recipient(a_message(), 0, 'carrier')}"
    assert not re.search("table|booking|4085550142", text)
    assert "1773044142317kq4zt7m2xw6yb3hd" in text


def test_a_recipient_knows_its_number_and_whether_it_goes_first() -> None:
    message = a_message(("+14085550142", "+14085550143"))
    assert [Recipient(message, n, "carrier").number for n in (0, 1)] == ["+14085550142", "+14085550143"]
    highs = [Recipient(a_message(priority=priority), 0, "").high for priority in (None, *Priority)]
    assert highs == [False, False, True]
