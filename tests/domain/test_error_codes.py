"""The public delivery error codes against the published table."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from passband.domain.error_codes import ERROR_CODES, UnknownErrorCode, name_of

PUBLISHED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "error-codes.json").read_text("utf-8"))[
    "codes"
]
EMITTED = [row for row in PUBLISHED if row["status"] == "current" and row["name"]]
WITHHELD = [row for row in PUBLISHED if row not in EMITTED]


@pytest.mark.parametrize("row", EMITTED, ids=lambda row: str(row["code"]))
def test_a_current_code_is_as_published(row: dict[str, Any]) -> None:
    assert asdict(ERROR_CODES[row["code"]]) | {"status": "current"} == row
    assert name_of(row["code"]) == row["name"]


@pytest.mark.parametrize("row", WITHHELD, ids=lambda row: str(row["code"]))
def test_a_removed_or_undocumented_code_is_never_emitted(row: dict[str, Any]) -> None:
    assert row["code"] not in ERROR_CODES
    with pytest.raises(UnknownErrorCode, match=str(row["code"])):
        name_of(row["code"])


def test_no_code_is_emitted_that_was_not_published() -> None:
    assert sorted(ERROR_CODES) == sorted(row["code"] for row in EMITTED)


CATEGORY_BY_DIGITS = {
    "41": "client-bandwidth",
    "43": "client-bandwidth",
    "44": "client-bandwidth",
    "40": "client-bandwidth",
    "47": "client-carrier",
    "51": "service-bandwidth",
    "52": "service-bandwidth",
    "55": "service-bandwidth",
    "59": "service-bandwidth",
    "56": "service-carrier",
    "99": "ambiguous",
}


def test_the_first_two_digits_tell_the_category() -> None:
    for code, entry in ERROR_CODES.items():
        assert entry.category == CATEGORY_BY_DIGITS[str(code)[:2]], code


def test_oddities_of_published_names_are_kept() -> None:
    assert name_of(5201) == "temporary-rout-error-retries-exceeded"
    assert name_of(4740) == "invalid-source-address-address"
    assert name_of(5500) == name_of(5501) == "message-send-failed"
