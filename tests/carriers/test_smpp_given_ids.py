"""The carrier's identifiers are kept exactly as it gave them, beside the keys by which receipts find them."""

from random import Random
from typing import Any

import pytest

from carriers.collector import a_submission
from carriers.smpp_pair import settings
from passband.carriers.smpp.numbers import Numbers
from passband.carriers.smpp.outbound import Outbound, Sending
from passband.smpp.message_id import IdRule

LONG = "Your table is ready. " * 20

Ids = tuple[str | None, ...]
ANSWERS: dict[str, tuple[dict[str, Any], Ids, Ids, Ids]] = {
    # the carrier's settings, its answers in the order of the segments, the names and what is kept beside the keys
    "the key itself": ({}, ("1A2B",), ("1A2B",), ()),
    "zeros": ({}, ("001A2B",), ("001A2B",), ("001A2B",)),
    "small letters": ({}, ("1a2b",), ("1a2b",), ("1a2b",)),
    "no digits": ({}, ("m-01 x",), ("m-01 x",), ("m-01 x",)),
    "compared exactly": ({"id_rule": IdRule.EXACT}, ("001a2b",), ("001a2b",), ()),
    "several keys": ({}, ("A1", "A2", "A3"), ("A1", "A2", "A3"), ()),
    "one of several": ({}, ("A1", "a2", "A3"), ("A1", "a2", "A3"), (None, "a2", None)),
    "one without": ({}, ("A1", "", "A3"), ("A1", "A3"), (None, "", None)),
    "the last has the receipt": ({"receipts": "last"}, ("a1", "a2", "0a3"), ("0a3",), ("0a3",)),
    "the first has it": ({"receipts": "first"}, ("A1", "a2", "a3"), ("A1",), (None,)),
}


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize("case", ANSWERS)
def test_what_the_carrier_answers_is_kept_as_it_is(case: str, backwards: bool) -> None:
    changes, ids, names, given = ANSWERS[case]
    profile = settings(1, **changes)
    outbound = Outbound(profile, Numbers(profile), Random(1).random)
    text = LONG if len(ids) == 3 else "hello"
    sending = outbound.prepare(a_submission(text=text, segments=len(ids)).recipients[0], 0.0)
    assert isinstance(sending, Sending)
    *others, last = sorted(enumerate(ids), reverse=backwards)
    assert [outbound.taken(sending, index, id_) for index, id_ in others] == [None] * len(others)
    accepted = outbound.taken(sending, *last)
    assert accepted is not None
    assert (accepted.names, accepted.given) == (names, given)
