"""Receipt texts, message ids, headers and times: the golden rows of each."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passband.smpp import message_id, receipt, times, tlv, udh
from passband.smpp.codec import decode
from passband.smpp.message_id import IdRule, Reading
from passband.smpp.outcome import receipt_verdict
from passband.smpp.pdu import DeliverSm
from passband.smpp.receipt import Receipt, ReceiptText

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())
FIELDS = ("id", "sub", "dlvrd", "submit_date", "done_date", "stat", "err", "text")


def rows(name: str) -> list[Any]:
    found = VECTORS[name]["rows"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("row", rows("receipt_texts"), ids=lambda row: str(row["id"]))
@pytest.mark.parametrize("parse", [receipt.parse, receipt.parse_tolerantly])
def test_a_receipt_text_is_read(row: dict[str, Any], parse: Any) -> None:
    expected = dict(row["parsed"])
    outcome = expected.pop("outcome")
    found = parse(row["raw"])
    assert {field: getattr(found, field) for field in FIELDS} == {field: expected.get(field) for field in FIELDS}
    if outcome is None:
        assert found == ReceiptText()
    else:
        assert receipt_verdict(Receipt((), "", found.stat, found.err)).outcome == outcome


PIECES = (
    "id:7",
    "ID: 7a-Z",
    "sub:001",
    "dlvrd:1",
    "submit date:2603140159",
    "done date:",
    "done_date:26",
    "SENT",
    "err:",
)
LATER_PIECES = (
    "stat:DELIVRD",
    "err:000",
    "err:",
    "err:",
    "text:",
    "Text: a stat:X ",
    "text:x\0",
    "status :failed",
    "id:-sub:1",
)


@given(
    st.lists(st.sampled_from(PIECES + LATER_PIECES) | st.text(max_size=5)),
    st.sampled_from([" ", "", "  ", "\n"]),
)
def test_the_short_way_reads_what_the_tolerant_way_reads(parts: list[str], separator: str) -> None:
    text = separator.join(parts)
    assert receipt.parse(text) == receipt.parse_tolerantly(text)


USUAL = "id:{} sub:{} dlvrd:{} submit date:{} done date:{} stat:{} err:{}{}"


@given(
    st.from_regex(r"\A[0-9A-Za-z:_ -]{1,6}\Z"),
    st.from_regex(r"\A[0-9٣]{1,3}\Z"),
    st.from_regex(r"\A[A-Za-z ]{1,8}\Z"),
    st.from_regex(r"\A[0-9A-Za-z:]{0,4}\Z"),
    st.sampled_from(["", " text:", " Text:", " TEXT:", "text:"]),
    st.text(max_size=8),
)
@example("id", "1", "text", "1", " text:", "\x85 id:4\0")
def test_the_usual_form_is_read_alike_both_ways(
    identity: str, number: str, stat: str, err: str, label: str, text: str
) -> None:
    raw = USUAL.format(identity, number, number, number, number, stat, err, label + text if label else "")
    assert receipt.parse(raw) == receipt.parse_tolerantly(raw)
    octets = raw.encode("latin-1", "replace")
    found = receipt.read(DeliverSm(esm_class=4, short_message=octets))
    fields = receipt.parse_tolerantly(receipt.decode(octets))
    assert found == Receipt((fields.id,) if fields.id else (), "", fields.stat, fields.err)


def test_a_carriers_own_pattern_reads_a_text_without_labels() -> None:
    raw = next(row["raw"] for row in rows("receipt_texts") if row["id"] == "csv-vendor")
    pattern = re.compile(r"(?P<stat>\d\d),\d+,\d+,,\d+,\d+,(?P<id>.+)")
    pdu = DeliverSm(esm_class=0x04, source_addr="447700900456", short_message=raw.encode())
    assert receipt.read(pdu, pattern) == Receipt(("q7w8e9r0-ref",), "447700900456", "00")
    assert receipt.read(pdu) == Receipt((), "447700900456")


def test_a_receipt_may_repeat_the_header_of_its_segment() -> None:
    said = b"\x05\x00\x03\x01\x02\x41" + "id:7 stat:DELIVRD".encode("utf-16-be")
    assert receipt.read(DeliverSm(esm_class=0x44, short_message=said)) == Receipt(("7",), "", "DELIVRD")


@pytest.mark.parametrize(
    ("esm_class", "tlvs", "text", "is_receipt"),
    [
        (0x24, {}, b"", True),
        (0x08, {}, b"id:7 stat:DELIVRD", True),
        (0x10, {}, b"yes, I have it", False),
        (0x18, {}, b"id:7 stat:DELIVRD", False),
        (0x00, {tlv.RECEIPTED_MESSAGE_ID: b"7"}, b"stat:DELIVRD", True),
        (0x00, {tlv.RECEIPTED_MESSAGE_ID: b"7"}, b"hello", False),
        (0x00, {}, b"id:7 SENT", False),
        (0x00, {}, b"my id:7 stat:DELIVRD", False),
        (0x40, {}, b"\x05\x00\x03\x01\x02\x01id:7 stat:DELIVRD", True),
    ],
)
def test_a_receipt_is_told_from_a_message(
    esm_class: int, tlvs: dict[int, bytes], text: bytes, is_receipt: bool
) -> None:
    assert (receipt.read(DeliverSm(esm_class=esm_class, short_message=text, tlvs=tlvs)) is not None) is is_receipt


def test_a_receipt_prints_without_the_text_of_the_message() -> None:
    assert "secret" not in repr(receipt.parse("id:7 stat:DELIVRD err:0 text:secret"))


# Message ids


def find(stored: list[str], receipt_id: str, rule: IdRule = IdRule.AUTO) -> str | None:
    """As a store does it: by key, the likeliest first, the newest of those that have it."""
    index = {message_id.stored_key(one, rule): one for one in stored}
    return next((index[key] for key in message_id.keys(receipt_id, rule) if key in index), None)


RULES = {
    Reading.AS_GIVEN: "canon",
    Reading.FROM_DECIMAL: "receipt-decimal-stored-hex",
    Reading.FROM_HEXADECIMAL: "receipt-hex-stored-decimal",
}


@pytest.mark.parametrize("row", rows("message_id_matching"), ids=lambda row: str(row["receipt_id"]))
def test_a_receipt_id_finds_its_segment(row: dict[str, Any]) -> None:
    receipt_id, found = row["receipt_id"], find(row["stored"], row["receipt_id"])
    assert found == row["matched"]
    if found is not None:
        refs = message_id.keys(receipt_id)
        reading = message_id.reading_of(refs, refs.index(message_id.stored_key(found)))
        assert reading is not None
        assert ("exact" if found == receipt_id else RULES[reading]) == row["rule"]


@pytest.mark.parametrize(
    ("rule", "stored", "receipt_id", "found"),
    [
        (IdRule.EXACT, "1A", "1a", False),
        (IdRule.EXACT, "1A", "1A", True),
        (IdRule.RESPONSE_HEXADECIMAL, "1A", "26", True),
        (IdRule.RESPONSE_HEXADECIMAL, "26", "1A", False),
        (IdRule.RESPONSE_DECIMAL, "26", "1A", True),
        (IdRule.RESPONSE_DECIMAL, "1A", "26", False),
    ],
)
def test_a_profile_may_forbid_ways_to_match(rule: IdRule, stored: str, receipt_id: str, found: bool) -> None:
    assert (find([stored], receipt_id, rule) is not None) is found


def test_the_likeliest_key_comes_first() -> None:
    assert message_id.keys("0439041101") == ("439041101", "1A2B3C4D", "18136436993")


@given(st.text(max_size=70))
def test_any_id_finds_itself(identity: str) -> None:
    assert find([identity], identity) == identity


# User data headers


@pytest.mark.parametrize("row", VECTORS["udh"], ids=lambda row: str(row["udh"]))
def test_a_header_is_walked(row: dict[str, Any]) -> None:
    expected = row["parsed"]
    header = udh.read(bytes.fromhex(row["udh"]) + (b"text" if expected["valid"] else b""))
    if not expected["valid"]:
        assert header is None
        return
    assert header is not None
    assert header.octets == expected["udh_octets"]
    assert header.elements == tuple((int(ie["iei"], 16), bytes.fromhex(ie["data"])) for ie in expected["ies"])
    concat = expected["concat"]
    place = header.concatenation
    if concat is None:
        assert place is None
        return
    assert place is not None
    wanted = concat.get("ignored", concat)
    assert tuple(place) == (wanted["ref"], str(wanted["ref_bits"]), wanted["total"], wanted["seq"])
    assert place.valid is ("ignored" not in concat)
    pdu = DeliverSm(esm_class=0x40, short_message=bytes.fromhex(row["udh"]))
    assert (udh.concatenation(pdu, header) is None) is ("ignored" in concat or wanted["total"] == 1)


def test_a_header_is_built_as_it_is_read() -> None:
    assert udh.build(0x2A, 2, 1).hex() == "0500032a0201"
    assert udh.build(0x012A, 3, 2, "16").hex() == "060804012a0302"
    with pytest.raises(ValueError):
        udh.build(256, 2, 1)


def test_a_header_wins_over_sar_parameters() -> None:
    sar = {tlv.SAR_MSG_REF_NUM: b"\0\1", tlv.SAR_TOTAL_SEGMENTS: b"\3", tlv.SAR_SEGMENT_SEQNUM: b"\2"}
    pdu = DeliverSm(esm_class=0x40, short_message=udh.build(9, 2, 1) + b"x", tlvs=sar)
    assert udh.concatenation(pdu, udh.split(pdu)[0]) == (9, "8", 2, 1)


# Times


MOMENT = datetime(2026, 3, 14, 1, 59, 26, tzinfo=UTC)
TIMES = {
    "": None,
    "260314015926000+": MOMENT,
    "260313205926020-": MOMENT,
    "260314072926522+": MOMENT + timedelta(milliseconds=500),
    "000000010000000R": timedelta(hours=1),
    "000001000000000R": timedelta(days=1),
    "000000001530000R": timedelta(minutes=15, seconds=30),
}


def test_there_is_a_value_for_every_golden_time() -> None:
    assert set(TIMES) == {row["text"] for row in VECTORS["times"]}


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_read(text: str) -> None:
    assert times.read(text) == TIMES[text]


@pytest.mark.parametrize(
    "text", ["x", "260314015926000", "261314015926000+", "260314015926049+", "26031401592600٣+", "260230000000000+"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(times.UnreadableTime):
        times.read(text)


def test_times_are_written_as_they_are_read() -> None:
    assert times.absolute(MOMENT.timestamp()) == "260314015926000+"
    assert times.absolute(MOMENT.timestamp() + 0.5) == "260314015926500+"
    assert times.relative(3600) == "000000010000000R"
    assert times.relative(86400 + 930) == "000001001530000R"


def test_a_validity_is_never_nearer_than_a_minute() -> None:
    now = MOMENT.timestamp()
    assert times.validity(now + 30, now) == times.absolute(now + 60)
    assert times.validity(now + 90, now) == times.absolute(now + 90)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("2603140159", datetime(2026, 3, 14, 1, 59, tzinfo=UTC)),
        ("260314015926", MOMENT),
        ("202603140159", datetime(2026, 3, 14, 1, 59, tzinfo=UTC)),
        ("20260314015926", MOMENT),
        ("201012101112", datetime(2020, 10, 12, 10, 11, 12, tzinfo=UTC)),
        ("9999999999", None),
        ("26031401", None),
        ("٢٦٠٣١٤٠١٥٩", None),
    ],
)
def test_a_receipts_date_is_the_nearer_reading(digits: str, expected: datetime | None) -> None:
    assert times.receipt_date(digits, MOMENT.timestamp()) == expected


def test_a_network_error_may_be_three_ascii_digits() -> None:
    assert tlv.network_error({tlv.NETWORK_ERROR_CODE: b"034"}) == (None, 34)
    assert tlv.network_error({tlv.NETWORK_ERROR_CODE: b"03x"}) is None
    assert tlv.network_error({tlv.NETWORK_ERROR_CODE: b"\x03\x00\x01"}) == (tlv.GSM, 1)
    assert tlv.network_error({tlv.NETWORK_ERROR_CODE: b"\x03\x00"}) is None
    assert tlv.network_error({}) is None


def test_a_receipt_id_in_a_tlv_comes_before_the_one_in_the_text() -> None:
    row = next(row for row in VECTORS["pdus"] if row["id"] == "receipt_text_and_tlvs")
    pdu = decode(bytes.fromhex(row["hex"]))
    assert isinstance(pdu, DeliverSm)
    found = receipt.read(pdu)
    assert found is not None
    assert found.ids == ("1A2B3C4D", "0439041101")
