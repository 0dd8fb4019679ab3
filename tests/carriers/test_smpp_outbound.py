"""A recipient becomes the segments that its carrier's profile asks for."""

import ast
import inspect
from typing import Any

import msgspec
import pytest

from carriers.collector import a_message
from carriers.smpp_pair import settings
from passband.carriers.smpp import ExtraTlv, SmppSettings, StatusOverride
from passband.carriers.smpp.numbers import Numbers, platform_number
from passband.carriers.smpp.outbound import Outbound, Sending
from passband.carriers.smpp.pacing import SUCCESSES, Pacing
from passband.domain.message import Recipient
from passband.domain.report import Deferred, Rejected
from passband.smpp.codec import decode
from passband.smpp.outcome import submit_verdict
from passband.smpp.pdu import HEADER, SubmitSm

NOW = 1_773_044_142.0
LONG = "Passband long message test. " * 8


def written(number: str = "+12025550187", *, message: Any = None, reference: int = 0x012A, **changes: Any) -> Any:
    """The submit_sm that are sent, or why none is."""
    profile = settings(2775, **changes)
    outbound = Outbound(profile, Numbers(profile), lambda: 0.5)
    made = msgspec.structs.replace(a_message(number, text=LONG), sender="+12025550143", **(message or {}))
    sending = outbound.prepare(Recipient(made, 0, "carrier", reference), NOW)
    if isinstance(sending, Rejected):
        return sending
    assert isinstance(sending, Sending)
    pdus = [decode(HEADER.pack(16 + len(body), 4, 0, 1) + body) for body in sending.bodies]
    assert all(isinstance(pdu, SubmitSm) for pdu in pdus)
    return pdus


@pytest.mark.parametrize(
    ("concat", "esm_class", "start", "tlvs", "segments"),
    [
        ("udh8", 0x40, "0500032A0202", {}, 2),
        ("udh16", 0x40, "060804012A0202", {}, 2),
        ("sar", 0, "", {0x020C: "012A", 0x020E: "02", 0x020F: "02"}, 2),
        ("payload", 0, "", {0x0424: LONG.encode().hex().upper()}, 1),
    ],
)
def test_long_texts_go_as_the_profile_says(
    concat: str, esm_class: int, start: str, tlvs: dict[int, str], segments: int
) -> None:
    *_, last = pdus = written(concat=concat)
    assert len(pdus) == segments
    assert last.esm_class == esm_class
    assert last.short_message[: len(start) // 2].hex().upper() == start
    assert {tag: octets.hex().upper() for tag, octets in last.tlvs.items()} == tlvs
    said = b"".join(pdu.short_message[len(start) // 2 :] for pdu in pdus) or last.tlvs[0x0424]
    assert said.decode() == LONG


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"service_type": "CMT"}, "service_type", ["CMT", "CMT"]),
        ({"esm_mode": 3}, "esm_class", [0x43, 0x43]),
        ({"registered_delivery": 0x11}, "registered_delivery", [0x11, 0x11]),
        ({"receipts": "last"}, "registered_delivery", [0, 1]),
        ({"receipts": "first"}, "registered_delivery", [1, 0]),
        ({"delivered_on": "submit"}, "registered_delivery", [0, 0]),
        ({"gsm_data_coding": 0xF1}, "data_coding", [0xF1, 0xF1]),
        ({"more_messages": True}, "tlvs", [{0x0426: b"\1"}, {0x0426: b"\0"}]),
        ({"send_validity": True}, "validity_period", ["", ""]),
        (
            {"extra_tlvs": (ExtraTlv(tag=0x1400, value="PE1"), ExtraTlv(tag=0x1401, kind="int2", value=7))},
            "tlvs",
            [{0x1400: b"PE1\0", 0x1401: b"\0\7"}] * 2,
        ),
    ],
)
def test_a_profile_decides_fields(changes: Any, field: str, expected: list[Any]) -> None:
    assert [getattr(pdu, field) for pdu in written(**changes)] == expected


def test_an_expiry_is_told_where_the_carrier_takes_it() -> None:
    pdus = written(message={"expires_at": NOW + 3600}, send_validity=True)
    assert {pdu.validity_period for pdu in pdus} == {"260309091542000+"}


@pytest.mark.parametrize(
    ("changes", "message", "code"),
    [
        ({"max_segments": 1}, {}, 4350),
        ({}, {"text": "a\x1b"}, 4301),
        ({"ucs2_allowed": False}, {"text": "☕"}, 4301),
        ({"concat": "payload"}, {"text": "☕" * 2048}, 4350),
    ],
)
def test_what_cannot_be_sent_is_refused(changes: Any, message: Any, code: int) -> None:
    assert written(message=message, **changes) == Rejected(code)


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "changes", "expected"),
    [
        ("+12025550143", {}, (1, 1, "12025550143")),
        ("+12025550143", {"plus_sign": True}, (1, 1, "+12025550143")),
        ("72345", {}, (3, 0, "72345")),
        ("72345", {"short_code": (6, 0)}, (6, 0, "72345")),
        ("Passband", {}, (5, 0, "Passband")),
        ("PassbandAlerts", {}, (5, 0, "PassbandAle")),
    ],
)
def test_a_sender_has_the_form_that_the_carrier_wants(number: str, changes: Any, expected: Any) -> None:
    assert Numbers(settings(1, **changes)).source(number) == expected


@pytest.mark.parametrize(
    ("number", "changes", "expected"),
    [
        ("+12025550143", {}, (1, 1, "12025550143")),
        ("+12025550143", {"plus_sign": True}, (1, 1, "+12025550143")),
        ("+12025550143", {"national": True}, (2, 1, "2025550143")),
        ("+447700900123", {"national": True}, (1, 1, "447700900123")),
        ("+12025550143", {"destination": (0, 1)}, (0, 1, "12025550143")),
        ("72345", {}, (3, 0, "72345")),
    ],
)
def test_a_recipient_has_the_form_that_the_carrier_wants(number: str, changes: Any, expected: Any) -> None:
    assert Numbers(settings(1, **changes)).destination(number) == expected


@pytest.mark.parametrize(
    ("ton", "address", "number"),
    [
        (1, "12025550143", "+12025550143"),
        (1, "+12025550143", "+12025550143"),
        (1, "0012025550143", "+12025550143"),
        (1, "1 202 555 0143", "+12025550143"),
        (0, "2025550143", "+12025550143"),
        (2, "2025550143", "+12025550143"),
        (2, "12025550143", "+12025550143"),
        (0, "12025550143", "+12025550143"),
        (0, "447700900123", "+447700900123"),
        (0, "+447700900123", "+447700900123"),
        (0, "00447700900123", "+447700900123"),
        (0, "72345", "72345"),
        (3, "72345", "72345"),
        (5, "Passband", "Passband"),
        (5, "123456", "123456"),
        (0, "Café", "Café"),
        (0, "", ""),
        (1, "", ""),
        (1, "+", "+"),
        (1, "0", "+0"),
    ],
)
def test_what_comes_in_is_written_as_the_platform_writes_it(ton: int, address: str, number: str) -> None:
    assert platform_number(ton, address) == number


# ── pace ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_throttling_pauses_doubles_and_is_forgiven_after_ten_successes() -> None:
    pacing = Pacing(100.0)
    now = 1000.0
    pauses = []
    for _ in range(8):
        pauses.append(pacing.throttle(now))
        assert pacing.throttle(now + 0.5) == pauses[-1]  # said of what was sent before
        assert pacing.allowance(now + 0.5) == 0
        now = pacing.paused_until
        assert pacing.allowance(now) >= 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pacing.rate == pytest.approx(100 / 64)
    for _ in range(SUCCESSES):
        assert pacing.throttled
        pacing.succeed()
    assert not pacing.throttled
    assert pacing.rate == 100.0


def test_without_a_rate_throttling_halves_the_window() -> None:
    pacing = Pacing(None)
    pacing.throttle(0.0)
    assert (pacing.window(10), pacing.rate) == (5, None)


def test_a_rate_is_neither_exceeded_nor_left_unused() -> None:
    pacing, now, sent = Pacing(50.0), 1000.0, 0
    while now < 1010.0:
        allowed = pacing.allowance(now)
        sent += allowed
        pacing.spend(allowed, now)
        now = max(now + 0.001, pacing.next_at())
    assert 500 <= sent <= 506


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"system_id": "x" * 16}, "system_id"),
        ({"password": "x" * 9}, "password"),
        ({"window": 0}, "window"),
        ({"rate": 0.0}, "rate"),
        ({"binds": 0}, "binds"),
        ({"max_segments": 256}, "max_segments"),
        ({"err_dialect": "martian"}, "err_dialect"),
        ({"receipt_pattern": "("}, "receipt_pattern"),
        ({"receipt_pattern": "(?P<id>x)"}, "receipt_pattern"),
        ({"service_type": "TOOLONG"}, "service_type"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(changes: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        settings(1, **changes)


def test_settings_do_not_show_the_password() -> None:
    assert "s3cret08" not in repr(settings(1))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"password.*window"):
        settings(1, password="x" * 9, window=0)


def test_a_long_password_is_allowed_where_the_profile_says_so() -> None:
    assert settings(1, password="x" * 40, long_password=True).password == "x" * 40


def test_hosts_are_read() -> None:
    assert settings(1, other_hosts=("b.example:2776", "[::1]:2777")).hosts == (
        ("127.0.0.1", 1),
        ("b.example", 2776),
        ("::1", 2777),
    )


def test_settings_are_read_from_a_table() -> None:
    table = {
        "name": "acme",
        "host": "smpp.acme.example",
        "system_id": "me",
        "international": [1, 1],
        "status_overrides": {"1025": {"action": "backoff", "code": 5600, "attempts": 4}},
        "extra_tlvs": [{"tag": 5120, "kind": "hex", "value": "0aff"}],
        "receipt_states": {"NOPE": {"outcome": "failed", "code": 4720}},
        "id_rule": "resp-hex",
    }
    read = msgspec.convert(table, SmppSettings, strict=False)
    assert read.overrides[1025].max_attempts == 4
    assert read.extra_tlvs[0].octets() == b"\x0a\xff"
    assert read.receipt_policy.states["NOPE"].code == 4720


@pytest.mark.parametrize(("kind", "value"), [("int1", 256), ("int2", -1), ("hex", "xy")])
def test_a_parameter_that_does_not_fit_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValueError):
        ExtraTlv(tag=0x1400, kind=kind, value=value)


def test_every_setting_is_explained() -> None:
    for struct in (SmppSettings, ExtraTlv, StatusOverride):
        (tree,) = ast.parse(inspect.getsource(struct)).body
        assert isinstance(tree, ast.ClassDef)
        explained = {
            statement.target.id
            for statement, text in zip(tree.body, tree.body[1:], strict=False)
            if isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(text, ast.Expr)
        }
        assert explained == set(struct.__struct_fields__)


@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_a_refusal_for_now_waits_longer_each_time(drawn: float, factor: float) -> None:
    outbound = Outbound(settings(2775), Numbers(settings(2775)), lambda: drawn)
    waits = []
    for attempts in range(7):
        recipient = Recipient(a_message("+12025550187"), 0, "carrier", attempts=attempts)
        sending = outbound.prepare(recipient, NOW)
        assert isinstance(sending, Sending)
        outcome = outbound.refused(sending, submit_verdict(0x64))
        assert isinstance(outcome, Deferred)
        waits.append(outcome.delay)
    assert waits == pytest.approx([factor * seconds for seconds in (5, 15, 45, 120, 300, 300, 300)])


def test_a_segment_that_is_sent_again_says_the_same() -> None:
    profile = settings(2775)
    outbound = Outbound(profile, Numbers(profile), lambda: 0.5)
    message = a_message("+12025550187", text=LONG)
    first, again = (
        outbound.prepare(Recipient(message, 0, "carrier", 0x2A, attempts=attempts), NOW) for attempts in (0, 2)
    )
    assert isinstance(first, Sending)
    assert isinstance(again, Sending)
    assert first.bodies == again.bodies


def test_an_expiry_is_kept_from_a_carrier_that_does_not_take_it() -> None:
    (pdu,) = written(message={"text": "hello", "expires_at": NOW + 3600})
    assert pdu.validity_period == ""
