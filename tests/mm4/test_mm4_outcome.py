"""Every row of the outcome tables against a copy of the specification's."""

import json
from pathlib import Path
from typing import Any

import pytest

from passband.domain.error_codes import name_of
from passband.mm4.outcome import (
    NO_CONNECTION,
    Outcome,
    RetryClass,
    Stage,
    Verdict,
    of_mm_status,
    of_request_status,
    of_smtp_reply,
)

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "outcomes.json").read_text(encoding="utf-8"))


def expected(row: dict[str, Any]) -> Verdict:
    return Verdict(
        Outcome(row["outcome"]), RetryClass(row["retry"]), row["code"], row.get("max_attempts"), row.get("alarm", False)
    )


def rows(source: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row["key"]) for row in ROWS if row["source"] == source])


@rows("mm4.request_status_code")
def test_a_request_status(row: dict[str, Any]) -> None:
    for status in (row["key"].replace("*", "of-a-later-release"), row["key"].upper()):
        assert of_request_status(status) == expected(row)


@rows("mm4.mm_status_code")
def test_an_mm_status(row: dict[str, Any]) -> None:
    status, _, extension = row["key"].partition("+")
    assert of_mm_status(status, extension or None) == expected(row)
    assert of_mm_status(status.upper(), extension.lower()) == expected(row)


@rows("smtp.reply")
def test_an_smtp_reply(row: dict[str, Any]) -> None:
    key, _, where = row["key"].partition("@")
    if key == "connect":
        assert expected(row) == NO_CONNECTION
        return
    replies = {"4yz": [454, 400, 499], "5yz": [555, 599, 505], "500-504": range(500, 505)}.get(key) or [int(key)]
    stages = [Stage(where)] if where else [Stage.MAIL, Stage.RCPT, Stage.DATA]
    for reply in replies:
        for stage in stages:
            assert of_smtp_reply(reply, stage) == expected(row), (reply, stage)


@pytest.mark.parametrize(
    ("reply", "stage", "enhanced", "code"),
    [
        pytest.param(554, Stage.DATA, "5.7.1", 4770, id="a policy refusal is a spam filter's"),
        pytest.param(554, Stage.DATA, "5.6.0", 4750, id="another refusal is not"),
        pytest.param(554, Stage.CONNECT, "5.7.1", 5501, id="our address is not on their list"),
        pytest.param(550, Stage.DATA, "", 5650, id="550 after DATA is about neither address"),
        pytest.param(553, Stage.DATA, "", 5650, id="553 after DATA is about neither address"),
        pytest.param(354, Stage.RCPT, "", 5501, id="out of step"),
        pytest.param(0, Stage.DATA, "", 5501, id="no reply at all"),
    ],
)
def test_a_reply_that_depends_on_more(reply: int, stage: Stage, enhanced: str, code: int) -> None:
    assert of_smtp_reply(reply, stage, enhanced).code == code


@pytest.mark.parametrize(
    ("status", "extension", "code"),
    [
        ("Unrecognized", None, 4712),
        ("Rejected", "Rejection-Of-A-Later-Release", 4750),
        ("Expired", "Rejection-By-MMS-Recipient", 4794),
        ("", None, 9999),
    ],
)
def test_a_status_in_another_spelling_or_with_an_unknown_extension(
    status: str, extension: str | None, code: int
) -> None:
    assert of_mm_status(status, extension).code == code


def test_an_answer_without_status_is_an_unknown_one() -> None:
    assert of_request_status("").code == 9999


def test_every_code_is_a_public_one() -> None:
    for row in ROWS:
        if row["code"] is not None:
            assert name_of(row["code"]) == row["code_name"]
