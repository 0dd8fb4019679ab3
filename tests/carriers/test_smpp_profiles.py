"""Every setting of an SMPP carrier, from the configuration file to what happens on the socket."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import trustme

from carriers.collector import SENDER, Collector, a_submission, running, turns
from carriers.smpp_pair import running_smsc
from carriers.smpp_profile import NECESSARY, Profiled, configured, profiled, written
from passband.carriers.smpp import SmppCarrier
from passband.clock import SystemClock
from passband.config import SmppSettings, load
from passband.domain.errors import ConfigurationError
from passband.domain.report import Accepted, Deciding, Deferred, Rejected, Submission
from passband.smpp import tlv
from passband.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DeliverSm,
    EnquireLink,
    GenericNack,
    SubmitSm,
    Unbind,
)
from passband.testing import FakeClock

FAR = "+14085550142"
LONG = "Your table is ready. " * 20
EXPIRES = 1_773_047_742.0  # an hour after what FakeClock tells

# ── what the bind says, and what segments look like ──────────────────────────────────────────────────────────────────

BINDS: dict[str, tuple[dict[str, Any], str, Any]] = {
    # setting: what is configured, the field of the bind, what it says
    "host": ({"host": "localhost"}, "system_id", "passband"),
    "port": ({}, "system_id", "passband"),
    "system_id": ({"system_id": "us"}, "system_id", "us"),
    "password": ({"password": "s3cret08"}, "password", "s3cret08"),
    "long_password": ({"password": "longer than eight", "long_password": True}, "password", "longer than eight"),
    "system_type": ({"system_type": "VMA"}, "system_type", "VMA"),
    "interface_version": ({"interface_version": 0x33}, "interface_version", 0x33),
    "address_range": ({"address_range": "^1919"}, "address_range", "^1919"),
}


@pytest.mark.parametrize("setting", BINDS)
async def test_a_bind_says(setting: str, tmp_path: Path, collector: Collector) -> None:
    changes, field, said = BINDS[setting]
    async with profiled(tmp_path, collector, **changes) as both:
        await both.bound()
        (bind,) = both.tap.of(BindTransceiver)
        assert getattr(bind, field) == said


SEGMENTS: dict[str, tuple[dict[str, Any], dict[str, Any], str, list[Any]]] = {
    # setting: what is configured, the message, the field of its segments, what they say
    "international": ({"international": [2, 8]}, {}, "source_addr_ton", [2]),
    "short_code": ({"short_code": [6, 0]}, {"sender": "72345"}, "source_addr_ton", [6]),
    "alphanumeric": ({"alphanumeric": [5, 1]}, {"sender": "Passband"}, "source_addr_npi", [1]),
    "destination": ({"destination": [0, 9]}, {}, "dest_addr_npi", [9]),
    "plus_sign": ({"plus_sign": True}, {}, "destination_addr", [FAR]),
    "national": ({"national": True}, {}, "destination_addr", [FAR[2:]]),
    "service_type": ({"service_type": "CMT"}, {}, "service_type", ["CMT"]),
    "store_and_forward": ({"store_and_forward": True}, {}, "esm_class", [3]),
    "registered_delivery": ({"registered_delivery": 0x11}, {}, "registered_delivery", [0x11]),
    "delivered_on": ({"delivered_on": "submit"}, {}, "registered_delivery", [0]),
    "default_charset": ({"default_charset": "latin1"}, {"text": "a@b"}, "short_message", [b"a@b"]),
    "gsm_data_coding": ({"gsm_data_coding": 0xF1}, {}, "data_coding", [0xF1]),
    "gsm_packed": ({"gsm_packed": True}, {"text": "hellohello"}, "short_message", [b"\xe82\x9b\xfdF\x97\xd9\xec7"]),
    "concat": ({"concat": "sar"}, {"text": LONG}, "esm_class", [0, 0, 0]),
    "receipts": ({"receipts": "first"}, {"text": LONG}, "registered_delivery", [1, 0, 0]),
    "more_messages": (
        {"more_messages": True},
        {"text": LONG},
        "tlvs",
        [{0x0426: b"\1"}, {0x0426: b"\1"}, {0x0426: b"\0"}],
    ),
    "send_validity": ({"send_validity": True}, {"expires_at": EXPIRES}, "validity_period", ["260309091542000+"]),
    "extra_tlvs": (
        {"extra_tlvs": [{"tag": 0x1400, "value": "PE1"}, {"tag": 0x1401, "kind": "int2", "value": "7"}]},
        {},
        "tlvs",
        [{0x1400: b"PE1\0", 0x1401: b"\0\7"}],
    ),
}


def submission(**message: Any) -> Submission:
    (recipient,) = a_submission(FAR).recipients
    changed = msgspec.structs.replace(recipient.message, **message)
    return Submission((msgspec.structs.replace(recipient, message=changed),))


@pytest.mark.parametrize("setting", SEGMENTS)
async def test_segments_say(setting: str, tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    changes, message, field, said = SEGMENTS[setting]
    async with profiled(tmp_path, collector, clock=clock, **changes) as both:
        await both.bound()
        both.carrier.submit([submission(**message)])
        await both.until_smsc("submits", len(said))
        assert [getattr(pdu, field) for pdu in both.tap.of(SubmitSm)] == said


OUTCOMES: dict[str, tuple[dict[str, Any], dict[str, Any], str, Any]] = {
    # setting: what is configured, the SMSC's options, the message's text, its outcome
    "ucs2_allowed": ({"ucs2_allowed": False}, {}, "☕", Rejected(4301)),
    "max_segments": ({"max_segments": 2}, {}, LONG, Rejected(4350)),
    "status_overrides": (
        {"status_overrides": [{"status": 0x401, "action": "fail", "code": 5610}]},
        {"errors": {0x401: 1.0}},
        "hello",
        Rejected(5610),
    ),
    "receipt_window": ({"receipt_window": 60}, {}, "hello", Accepted(("1D04B7F1",), 60.0)),
    "single_receipt": ({"single_receipt": False}, {}, LONG, Deciding.EVERY),
    "single_receipt, by default": ({}, {}, LONG, Deciding.SOME),
    "receipts, one": ({"receipts": "one"}, {}, LONG, Deciding.FIRST),
}


@pytest.mark.parametrize("setting", OUTCOMES)
async def test_a_message_comes_to(setting: str, tmp_path: Path, collector: Collector) -> None:
    changes, smsc, text, expected = OUTCOMES[setting]
    async with profiled(tmp_path, collector, smsc=smsc, **changes) as both:
        await both.bound()
        both.carrier.submit([submission(text=text)])
        await collector.until(lambda: len(collector.outcomes) == 1)
    ((_, outcome),) = collector.outcomes
    if isinstance(expected, Deciding):
        assert isinstance(outcome, Accepted)
        assert outcome.deciding is expected
    elif isinstance(expected, Accepted):
        assert isinstance(outcome, Accepted)
        assert outcome.receipt_window == expected.receipt_window
    else:
        assert outcome == expected


# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────

USUAL = "id:{} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:{} err:{} text:"
ARRIVALS: dict[str, tuple[dict[str, Any], str, Any]] = {
    # setting: what is configured, a receipt's text, its code, or its references
    "acceptd_final": ({"acceptd_final": True}, USUAL.format("1A2B", "ACCEPTD", "000"), 0),
    "unknown_final": ({"unknown_final": True}, USUAL.format("1A2B", "UNKNOWN", "000"), 9999),
    "expired_code": ({"expired_code": 4780}, USUAL.format("1A2B", "EXPIRED", "000"), 4780),
    "receipt_pattern": (
        {"receipt_pattern": r"(?P<id>\w+),(?P<stat>\w+),(?P<err>\w+)"},
        "1A2B,UNDELIV,000",
        5650,
    ),
    "receipt_states": (
        {"receipt_states": [{"word": "blocked", "outcome": "failed", "code": 4770}]},
        USUAL.format("1A2B", "BLOCKED", "000"),
        4770,
    ),
    "err_dialect": ({"err_dialect": "platform4"}, USUAL.format("1A2B", "UNDELIV", "4720"), 4720),
    "id_rule": ({"id_rule": "exact"}, USUAL.format("0001a2b", "DELIVRD", "000"), ("0001a2b",)),
    "id_rule, by default": ({}, USUAL.format("0001a2b", "DELIVRD", "000"), ("1A2B", "6699")),
}


def receipt(text: str) -> bytes:
    return DeliverSm(
        source_addr_ton=1,
        source_addr=FAR[1:],
        dest_addr_ton=1,
        destination_addr=SENDER[1:],
        esm_class=4,
        short_message=text.encode(),
    ).body()


@pytest.mark.parametrize("setting", ARRIVALS)
async def test_a_receipt_says(setting: str, tmp_path: Path, collector: Collector) -> None:
    changes, text, expected = ARRIVALS[setting]
    async with profiled(tmp_path, collector, **changes) as both:
        await both.bound()
        both.smsc.deliver("passband", [receipt(text)])
        both.smsc.wake()
        await both.until_smsc("acknowledged", 1)
    (told,) = collector.receipts
    assert (told.refs if isinstance(expected, tuple) else told.code) == expected


async def test_user_message_reference(tmp_path: Path, collector: Collector) -> None:
    ids = {"id_format": "none-reference"}
    async with profiled(tmp_path, collector, smsc=ids, user_message_reference=True) as both:
        await both.bound()
        both.carrier.submit([submission()])
        await collector.until(lambda: len(collector.receipts) == 1 and len(collector.outcomes) == 1)
        (pdu,) = both.tap.of(SubmitSm)
    assert len(pdu.tlvs[tlv.USER_MESSAGE_REFERENCE]) == 2
    assert collector.receipts[0].refs == (collector.refs[0],)


async def test_mo_concat_timeout(tmp_path: Path, collector: Collector) -> None:
    async with profiled(tmp_path, collector, mo_concat_timeout=90) as both:
        await both.bound()
        both.smsc.inbound(FAR, SENDER, LONG)
        await both.until_smsc("acknowledged", 3)
    assert {part.timeout for report in collector.reports for part in report.parts} == {90.0}


# ── links and times ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_binds_and_bind_type(tmp_path: Path, collector: Collector) -> None:
    async with profiled(tmp_path, collector, binds=2, bind_type="transmitter+receiver") as both:
        await both.until_smsc("binds", 4)
        assert [len(both.tap.of(kind)) for kind in (BindTransmitter, BindReceiver, BindTransceiver)] == [2, 2, 0]


async def test_window(tmp_path: Path, collector: Collector) -> None:
    async with profiled(tmp_path, collector, window=3, smsc={"response_delay": 0.02}) as both:
        await both.bound()
        both.carrier.submit([submission() for _ in range(6)])
        await both.until_smsc("submits", 3)
        assert len(both.tap.of(SubmitSm)) == 3
        await collector.until(lambda: len(collector.outcomes) == 6)


async def test_rate(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    async with profiled(tmp_path, collector, clock=clock, rate=2) as both:
        await both.bound()
        both.carrier.submit([submission() for _ in range(3)])
        for count in (1, 2, 3):
            await both.until_smsc("submits", count)
            await turns()
            assert len(both.tap.of(SubmitSm)) == count
            clock.advance(0.5)


@pytest.mark.parametrize(("value", "times"), [("resubmit", 2), ("fail", 1)])
async def test_on_unacked(value: str, times: int, tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    async with profiled(tmp_path, collector, clock=clock, on_unacked=value, smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        both.carrier.submit([submission(text=LONG)])
        await both.until_clock(lambda: len(collector.outcomes) == 1)
        # Sent again they have the same concatenation reference, so that a handset that got both shows one.
        assert sorted(Counter(pdu.short_message for pdu in both.tap.of(SubmitSm)).values()) == [times] * 3
    assert [outcome for _, outcome in collector.outcomes] == [Rejected(5630)]


async def test_other_hosts(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    async with running_smsc() as (other, port):
        others = [f"127.0.0.1:{port}"]
        async with profiled(tmp_path, collector, clock=clock, other_hosts=others) as both:
            await both.bound()
            both.smsc.disconnect()
            await both.until_clock(lambda: other.counters["binds"] == 1)
    assert other.counters["binds"] == 1, "and no more than one"


async def test_tls_tls_ca_file_and_tls_server_name(tmp_path: Path, collector: Collector) -> None:
    authority, certificate, known = trustme.CA(), tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("smpp.carrier.example").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(known)
    trusted = {"tls": True, "tls_ca_file": str(known), "tls_server_name": "smpp.carrier.example"}
    async with running_smsc(tls_certificate=str(certificate)) as (_, port):
        for left_out, fault in (
            ("", None),
            ("tls_ca_file", "CERTIFICATE_VERIFY_FAILED"),
            ("tls_server_name", "mismatch"),
            ("tls", "connection"),
        ):
            changes = {name: value for name, value in trusted.items() if left_out not in (name, "tls")}
            profile = configured(tmp_path, port=port, **changes).profile()
            faults = await SmppCarrier(profile, SystemClock(), Random(1)).check()
            assert [str(fault) in found for found in faults] == ([] if fault is None else [True]), (left_out, faults)


Deed = Callable[[Profiled], None]
ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], Deed | None, float, str]] = {
    # setting: what is configured, the SMSC's options, what happens once it is bound, after how long the link ends, how
    "bind_timeout": ({"bind_timeout": 7}, {"hang": True}, None, 7, "the bind was not answered, or never came"),
    "enquire_link_timeout": (
        {"enquire_link": 20, "enquire_link_timeout": 3},
        {},
        lambda both: setattr(both.smsc.options, "hang", True),
        26,
        "the peer is silent",
    ),
    "pdu_timeout": (
        {"pdu_timeout": 4},
        {},
        lambda both: both.tap.carrier_side[0].write(b"\0\0\0\x20\x80"),
        4,
        "a PDU did not complete",
    ),
}


@pytest.mark.parametrize("setting", ENDS)
async def test_a_link_ends_when_its_time_is_over(
    setting: str, tmp_path: Path, collector: Collector, clock: FakeClock
) -> None:
    changes, smsc, deed, seconds, reason = ENDS[setting]
    async with profiled(tmp_path, collector, clock=clock, smsc=smsc, unbind_timeout=0.1, **changes) as both:
        while not both.tap.pdus:
            await asyncio.sleep(0.001)
        if deed is not None:
            await both.bound()
            deed(both)
            await asyncio.sleep(0.01)
        began = clock.now()
        await both.until_clock(lambda: both.carrier.links()[0].last_error is not None, 0.5)
        assert both.carrier.links()[0].last_error == reason
        assert seconds <= clock.now() - began <= seconds + 1.5


async def test_enquire_link(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    async with profiled(tmp_path, collector, clock=clock, enquire_link=20) as both:
        await both.bound()
        clock.advance(19.5)
        await turns()
        assert both.tap.of(EnquireLink) == []
        await both.until_clock(lambda: len(both.tap.of(EnquireLink)) == 1, 0.25)


async def test_response_timeout(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    changes = {"response_timeout": 15, "enquire_link": 3600, "drain_timeout": 0.1}
    async with profiled(tmp_path, collector, clock=clock, smsc={"drop_responses": 1.0}, **changes) as both:
        await both.bound()
        both.carrier.submit([submission()])
        began = clock.now()
        await both.until_clock(lambda: len(both.tap.of(EnquireLink)) == 1, 0.5)
        assert 15 <= clock.now() - began <= 16.5


@pytest.mark.slow
async def test_reconnect_min(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    async with profiled(tmp_path, collector, clock=clock, reconnect_min=45) as both:
        await both.bound()
        began = clock.now()
        both.smsc.disconnect()
        await both.until_clock(lambda: both.tap.connections == 2, 0.5)
        assert 45 <= clock.now() - began <= 46.5


@pytest.mark.slow
async def test_connect_timeout_includes_tls(tmp_path: Path, collector: Collector) -> None:
    with suppress(ssl.SSLError):
        async with running_smsc(hang=True) as (_, port):
            profile = configured(tmp_path, port=port, tls=True, connect_timeout=0.1).profile()
            carrier = SmppCarrier(profile, SystemClock(), Random(1))
            async with running(carrier, collector), asyncio.timeout(30):
                while carrier.links()[0].last_error is None:
                    await asyncio.sleep(0.005)
            assert carrier.links()[0].last_error == "connect: no answer within 0.1 seconds"


@pytest.mark.slow
async def test_write_timeout(tmp_path: Path, collector: Collector, clock: FakeClock) -> None:
    """The peer binds us and then reads nothing any more."""

    writers = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readexactly(16)
        writer.write(bytes.fromhex("00000011800000090000000000000001") + b"\0")
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    changes = {"write_timeout": 12, "window": 10000, "concat": "payload", "enquire_link": 3600, "unbind_timeout": 0.1}
    profile = configured(tmp_path, port=port, **changes).profile()
    carrier = SmppCarrier(profile, clock, Random(1))
    async with running(carrier, collector):
        await collector.until(lambda: carrier.room(clock.now()) > 0)
        carrier.submit([submission(text="x" * 2000) for _ in range(5000)])
        began = clock.now()
        async with asyncio.timeout(30):
            while carrier.links()[0].last_error is None:
                clock.advance(0.5)
                await turns()
        assert 12 <= clock.now() - began <= 14
    for writer in writers:
        writer.close()
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "smsc", "hang", "outcome"),
    [
        ({"drain_timeout": 0.1}, {"drop_responses": 1.0}, False, Deferred),
        ({"unbind_timeout": 0.1}, {}, True, Accepted),
        ({"drain_timeout": 0.1}, {"drop_responses": 1.0}, True, Deferred),
    ],
    ids=["drain_timeout", "unbind_timeout", "drain_timeout, whatever unbind_timeout is"],
)
async def test_stopping_takes_no_longer_than(
    settings: dict[str, Any], smsc: dict[str, Any], hang: bool, outcome: type, tmp_path: Path, collector: Collector
) -> None:
    loop = asyncio.get_running_loop()
    async with profiled(tmp_path, collector, smsc=smsc, **settings) as both:
        await both.bound()
        both.carrier.submit([submission()])
        await both.until_smsc("submits", 1)
        if outcome is Accepted:
            await collector.until(lambda: len(collector.outcomes) == 1)
        both.smsc.options.hang = hang
        began = loop.time()
    assert loop.time() - began < 3.0, "both are 5 or 10 seconds by default"
    assert len(both.tap.of(Unbind)) == 1
    assert [type(given) for _, given in collector.outcomes] == [outcome]


async def test_max_pdu(tmp_path: Path, collector: Collector) -> None:
    async with profiled(tmp_path, collector, max_pdu=5000) as both:
        await both.bound()
        both.tap.carrier_side[0].write((5001).to_bytes(4, "big") + bytes(12))
        async with asyncio.timeout(30):
            while not both.tap.of(GenericNack):
                await asyncio.sleep(0.002)
            while both.carrier.links()[0].last_error is None:
                await asyncio.sleep(0.002)
    assert [(nack.command_status, nack.sequence_number) for nack in both.tap.of(GenericNack)] == [(2, 0)]


# ── all of them, and what is wrong ───────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_a_case() -> None:
    here = {name.partition(",")[0] for table in (BINDS, SEGMENTS, OUTCOMES, ARRIVALS, ENDS) for name in table}
    tests = " ".join(name for name in globals() if name.startswith("test_")) + " unbind_timeout, drain_timeout"
    missing = [
        name for name in SmppSettings.__struct_fields__ if name not in here and name not in (*NECESSARY, "enabled")
    ]
    assert [name for name in missing if name not in tests] == []


FAULTS: dict[str, tuple[Any, str]] = {
    # setting: a wrong value, and what is said of it
    "port": (0, "from 1 to 65,535"),
    "system_id": ("x" * 16, "up to 15"),
    "password": ("x" * 9, "long_password"),
    "system_type": ("x" * 13, "up to 12"),
    "address_range": ("x" * 41, "up to 40"),
    "interface_version": (256, "from 0 to 255"),
    "bind_type": ("both", "transceiver"),
    "binds": (0, "from 1 to 100"),
    "window": (0, "from 1 to"),
    "rate": (-1, "from 0"),
    "on_unacked": ("retry", "resubmit"),
    "enquire_link": (0, "seconds"),
    "reconnect_min": (-1, "seconds"),
    "other_hosts": (["nowhere"], "127.0.0.1:8080"),
    "short_code": ([1], "TON and NPI"),
    "service_type": ("TOOLONG", "up to 5"),
    "registered_delivery": (256, "from 0 to 255"),
    "receipts": ("some", "last"),
    "delivered_on": ("hope", "submit"),
    "expired_code": (1, "such as 4720"),
    "receipt_pattern": ("(?P<id>x)", "stat"),
    "receipt_states": ([{"word": "x", "outcome": "lost"}], "pending"),
    "err_dialect": ("martian", "platform4"),
    "status_overrides": ([{"status": 0x45, "action": "panic"}], "backoff"),
    "id_rule": ("guess", "resp-hex"),
    "default_charset": ("ebcdic", "latin1"),
    "gsm_data_coding": (256, "from 0 to 255"),
    "concat": ("glue", "udh8"),
    "max_segments": (256, "from 1 to 255"),
    "extra_tlvs": ([{"tag": 0x1400, "kind": "int1", "value": "256"}], "does not fit kind"),
    "max_pdu": (100, "4,096"),
    "mo_concat_timeout": (0, "seconds"),
    "tls": ("yes", "true or false"),
    "windows": (10, "window"),
}


@pytest.mark.parametrize("setting", FAULTS)
def test_what_is_wrong_is_told_with_its_name_and_the_way_out(setting: str, tmp_path: Path) -> None:
    value, way_out = FAULTS[setting]
    with pytest.raises(ConfigurationError) as raised:
        load(written(tmp_path, **{setting: value}), {})
    assert f"carriers[0].{setting}" in str(raised.value)
    assert way_out in str(raised.value)
