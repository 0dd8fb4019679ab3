"""Statuses and receipts → verdicts, against every row of the mapping."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from passband.domain.error_codes import ERROR_CODES
from passband.smpp import error_mapping as tables
from passband.smpp import tlv
from passband.smpp.err_dialects import ERR_DIALECTS
from passband.smpp.error_mapping import Outcome, Retry, Verdict
from passband.smpp.outcome import (
    DEFAULT_POLICY,
    ReceiptPolicy,
    bind_verdict,
    bind_wait,
    receipt_verdict,
    submit_verdict,
)
from passband.smpp.receipt import Receipt

ROWS = json.loads((Path(__file__).parent / "data" / "error_mapping.json").read_text())


def found(row: dict[str, Any]) -> Verdict:
    source, key = row["source"].removeprefix("smpp."), row["key"]
    if source == "command_status":
        special = {"*": 0xABCD, "0x00000400-0x000004FF": 0x433}
        return bind_verdict(special[key] if key in special else int(key, 16))
    if source == "receipt_stat":
        return receipt_verdict(Receipt((), "", stat="WHATEVER" if key == "*" else key))
    if source == "message_state":
        return receipt_verdict(Receipt((), "", message_state=int(key)))
    if source == "delivery_failure_reason":
        return submit_verdict(0xFE, {tlv.DELIVERY_FAILURE_REASON: bytes((int(key),))})
    if source == "network_error_code.gsm":
        error = tlv.NetworkError(tlv.GSM, int(key))
        return receipt_verdict(Receipt((), "", stat="UNDELIV", network_error=error))
    dialect = source.removeprefix("receipt_err.")
    if dialect == "platform4":
        return receipt_verdict(Receipt((), "", stat="UNDELIV", err="1234"), ReceiptPolicy(dialect=dialect))
    return receipt_verdict(Receipt((), "", stat="UNDELIV", err=key.zfill(3)), ReceiptPolicy(dialect=dialect))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['source']}-{row['key']}")
def test_every_row_of_the_mapping_is_kept(row: dict[str, Any]) -> None:
    verdict = found(row)
    assert (verdict.outcome, verdict.retry, verdict.code) == (row["outcome"], row["retry"], row["code"])
    assert (verdict.max_attempts, verdict.alarm) == (row.get("max_attempts"), row.get("alarm", False))


def test_the_tables_hold_no_row_more_than_the_mapping() -> None:
    held: list[Mapping[Any, Verdict]] = [
        tables.COMMAND_STATUSES,
        tables.RECEIPT_STATES,
        tables.MESSAGE_STATES,
        tables.GSM_ERRORS,
    ]
    held += [tables.DELIVERY_FAILURE_REASONS, *ERR_DIALECTS.values()]
    # Beside them: two command_status rows and one stat row for whatever is not listed, and the platform's own codes.
    assert sum(map(len, held)) + 4 == len(ROWS)


def test_every_code_may_be_emitted() -> None:
    assert {row["code"] for row in ROWS} - {None} <= set(ERROR_CODES)


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F, 0x04])
def test_a_disabled_account_is_seen_at_a_submit(status: int) -> None:
    assert submit_verdict(status).retry is Retry.RECONNECT


def test_a_bad_system_type_fails_a_submit_and_delays_a_bind() -> None:
    assert submit_verdict(0x53)[:3] == (Outcome.FAILED, Retry.NONE, 4700)
    assert bind_verdict(0x53).retry is Retry.BIND


def test_a_carriers_own_table_comes_first() -> None:
    own = Verdict(Outcome.FAILED, Retry.NONE, 4770, "spam")
    assert submit_verdict(0x401, overrides={0x401: own}) is own


@pytest.mark.parametrize(
    ("state", "stat", "outcome"),
    [
        (2, "UNDELIV", Outcome.DELIVERED),
        (5, "DELIVRD", Outcome.FAILED),
        (1, "DELIVRD", Outcome.DELIVERED),
        (2, "ENROUTE", Outcome.DELIVERED),
        (7, "REJECTD", Outcome.FAILED),
        (None, None, Outcome.PENDING),
        (77, None, Outcome.PENDING),
    ],
)
def test_the_parameter_wins_over_the_word_unless_only_the_word_is_final(
    state: int | None, stat: str | None, outcome: Outcome
) -> None:
    assert receipt_verdict(Receipt((), "", stat=stat, message_state=state)).outcome is outcome


@pytest.mark.parametrize("policy", [ReceiptPolicy(), ReceiptPolicy(unknown_final=True)])
@pytest.mark.parametrize("stat", ["DELIVRD", "UNDELIV", "ENROUTE", "UNKNOWN", "WHAT", None])
def test_an_intermediate_receipt_is_never_final_not_even_at_the_deadline(
    stat: str | None, policy: ReceiptPolicy
) -> None:
    verdict = receipt_verdict(Receipt((), "", stat=stat, intermediate=True), policy)
    assert verdict[:3] == (Outcome.PENDING, Retry.WAIT, None)


@pytest.mark.parametrize(
    ("state", "stat", "code"),
    [
        (None, "UNKNOWN", 9999),
        (None, "WHAT", 9999),
        (7, None, 9999),
        (77, None, 9999),
        (7, "ENROUTE", 9999),
        (1, "UNKNOWN", None),
        (None, "ENROUTE", None),
        (None, "ACCEPTD", None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("policy", [DEFAULT_POLICY, ReceiptPolicy()])
def test_what_is_unknown_has_a_code_for_the_deadline(
    state: int | None, stat: str | None, code: int | None, policy: ReceiptPolicy
) -> None:
    verdict = receipt_verdict(Receipt((), "", stat=stat, message_state=state), policy)
    assert (verdict.outcome, verdict.code) == (Outcome.PENDING, code)


@pytest.mark.parametrize(
    ("policy", "stat", "outcome", "code"),
    [
        (ReceiptPolicy(acceptd_final=True), "ACCEPTD", Outcome.DELIVERED, None),
        (ReceiptPolicy(acceptd_final=True), "ENROUTE", Outcome.PENDING, None),
        (ReceiptPolicy(unknown_final=True), "UNKNOWN", Outcome.FAILED, 9999),
        (ReceiptPolicy(unknown_final=True), "WHAT", Outcome.FAILED, 9999),
        (ReceiptPolicy(expired_code=4702), "EXPIRED", Outcome.FAILED, 4702),
        (ReceiptPolicy(states={"OK": tables.RECEIPT_STATES["DELIVRD"]}), "OK", Outcome.DELIVERED, None),
    ],
)
def test_a_profile_may_say_otherwise(policy: ReceiptPolicy, stat: str, outcome: Outcome, code: int | None) -> None:
    verdict = receipt_verdict(Receipt((), "", stat=stat), policy)
    assert (verdict.outcome, verdict.code) == (outcome, code)


@pytest.mark.parametrize(
    ("dialect", "err", "network", "code"),
    [
        (None, "1", None, 5650),
        (None, "1", 6, 4702),
        ("map_ext", "1", 6, 4720),
        ("map_ext", "000", 6, 4702),
        ("map_ext", "998", 6, 4702),
        ("map_ext", "E1F", None, 5650),
        ("map_ext", "9" * 5000, None, 5650),
        ("platform4", "4770", None, 4770),
        ("platform4", "0000", None, 5650),
    ],
)
def test_the_code_of_a_failure_is_refined(dialect: str | None, err: str, network: int | None, code: int) -> None:
    error = None if network is None else tlv.NetworkError(tlv.GSM, network)
    failed = Receipt((), "", stat="UNDELIV", err=err, network_error=error)
    assert receipt_verdict(failed, ReceiptPolicy(dialect=dialect)).code == code


def test_err_is_not_asked_of_a_delivery() -> None:
    assert receipt_verdict(Receipt((), "", stat="DELIVRD", err="1"), ReceiptPolicy(dialect="map_ext")).code is None


@pytest.mark.parametrize(
    ("status", "waits"),
    [(0x05, [30, 60, 60]), (0x0E, [30, 60, 120, 240, 480, 600, 600]), (0x08, [30, 30]), (0x58, [30, 30])],
)
def test_a_refused_bind_waits_longer_each_time(status: int, waits: list[float]) -> None:
    assert [bind_wait(status, refusals) for refusals in range(1, len(waits) + 1)] == waits
    assert bind_wait(status, 10_000) == waits[-1]
