"""What deliver_sm and data_sm say, as a carrier's reader understands them."""

from typing import Any

import pytest
import structlog

from carriers.collector import Collector, a_submission
from carriers.smpp_pair import pair, settings
from passband.carriers.smpp import ReceiptState
from passband.carriers.smpp.inbound import Reader
from passband.carriers.smpp.numbers import pair_ref, reference_ref
from passband.domain.report import Inbound, Part, Receipt, Unclear
from passband.smpp import tlv
from passband.smpp.codec import Decoder
from passband.smpp.message_id import IdRule
from passband.smpp.pdu import DataSm, DeliverSm, Pdu, ReceiptSm

FAR, OURS = "+14085550142", "+12025550143"
USUAL = "id:{id} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:{stat} err:{err} text:Hello"


def a_receipt(id_: str = "1A2B", stat: str = "DELIVRD", err: str = "000", **fields: Any) -> DeliverSm:
    return DeliverSm(
        **{
            "sequence_number": 7,
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": "14085550142",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": "12025550143",
            "esm_class": 4,
            "short_message": USUAL.format(id=id_, stat=stat, err=err).encode(),
            **fields,
        }
    )


def a_message(octets: bytes, **fields: Any) -> DeliverSm:
    return a_receipt(**{"esm_class": 0, "short_message": octets, **fields})


def read(pdu: Pdu, *, quickly: bool = True, ids_given: bool | None = True, **changes: Any) -> Any:
    """As it arrives: through the octets."""
    (found,) = Decoder(receipts=quickly).feed(pdu.encode())
    assert isinstance(found, (DeliverSm, DataSm, ReceiptSm))
    reader = Reader(settings(1, **changes), {FAR, OURS}.__contains__)
    reader.ids_given = ids_given
    return reader.read(found)


RECEIPTS: dict[str, tuple[Pdu, dict[str, Any], Any]] = {
    "delivered": (a_receipt(), {}, Receipt("carrier", ("1A2B", "6699"), FAR, 0)),
    "failed with the platform's code": (a_receipt(stat="UNDELIV", err="4720"), {}, 4720),
    "failed without a dialect": (a_receipt(stat="UNDELIV", err="4720"), {"err_dialect": None}, 5650),
    "expired": (a_receipt(stat="EXPIRED"), {"expired_code": 4780}, 4780),
    "accepted is not the last word": (a_receipt(stat="ACCEPTD"), {}, None),
    "accepted is the last word": (a_receipt(stat="ACCEPTD"), {"acceptd_final": True}, 0),
    "on its way": (a_receipt(stat="ENROUTE"), {}, None),
    "unknown": (a_receipt(stat="UNKNOWN"), {}, Unclear("carrier", ("1A2B", "6699"), FAR, 9999)),
    "an unknown word": (a_receipt(stat="WHATEVER"), {}, Unclear("carrier", ("1A2B", "6699"), FAR, 9999)),
    "unknown is the last word": (a_receipt(stat="UNKNOWN"), {"unknown_final": True}, 9999),
    "unknown is what it says on the way": (
        a_receipt(stat="UNKNOWN"),
        {"receipt_states": {"UNKNOWN": ReceiptState(outcome="pending")}},
        None,
    ),
    "unknown, without an id": (
        a_receipt(short_message=b"stat:UNKNOWN err:000"),
        {},
        Unclear("carrier", (), FAR, 9999, pair=pair_ref(OURS, FAR)),
    ),
    "an id and nothing else": (a_receipt(short_message=b"id:1A2B"), {}, None),
    "intermediate": (a_receipt(esm_class=0x20), {}, None),
    "intermediate, unknown": (a_receipt(esm_class=0x20, stat="UNKNOWN"), {}, None),
    "intermediate, unknown is the last word": (
        a_receipt(esm_class=0x20, stat="UNKNOWN"),
        {"unknown_final": True},
        None,
    ),
    "the id is exact": (a_receipt("001a2b"), {"id_rule": IdRule.EXACT}, Receipt("carrier", ("001a2b",), FAR, 0)),
    "the parameter's id comes first": (
        a_receipt("0000006699", tlvs={tlv.RECEIPTED_MESSAGE_ID: b"1A2B\0", tlv.MESSAGE_STATE: b"\2"}),
        {},
        Receipt("carrier", ("1A2B", "6699", "26265"), FAR, 0),
    ),
    "parameters only": (
        a_receipt(short_message=b"", tlvs={tlv.RECEIPTED_MESSAGE_ID: b"X-1\0", tlv.MESSAGE_STATE: b"\5"}),
        {},
        Receipt("carrier", ("X-1",), FAR, 5650),
    ),
    "in a data_sm": (
        DataSm(
            7,
            source_addr_ton=1,
            source_addr="14085550142",
            esm_class=4,
            tlvs={tlv.MESSAGE_PAYLOAD: USUAL.format(id="X-1", stat="DELIVRD", err="000").encode()},
        ),
        {},
        Receipt("carrier", ("X-1",), FAR, 0),
    ),
    "without an id": (
        a_receipt(short_message=b"stat:DELIVRD err:000"),
        {},
        Receipt("carrier", (), FAR, 0, pair=pair_ref(OURS, FAR)),
    ),
    "with our own number of the segment": (
        a_receipt(short_message=b"stat:DELIVRD err:000", tlvs={tlv.USER_MESSAGE_REFERENCE: b"\1\2"}),
        {"user_message_reference": True},
        Receipt("carrier", (reference_ref(OURS, FAR, 258),), FAR, 0),
    ),
    "with a number that we have not sent": (
        a_receipt(short_message=b"stat:DELIVRD err:000", tlvs={tlv.USER_MESSAGE_REFERENCE: b"\1\2"}),
        {},
        Receipt("carrier", (), FAR, 0, pair=pair_ref(OURS, FAR)),
    ),
    "unreadable": (a_receipt(short_message=b"\xff\xfe"), {}, None),
    "a form of its own": (
        a_receipt(short_message=b"ok;X-1;0"),
        {
            "receipt_pattern": "(?P<stat>[a-z]+);(?P<id>[^;]+);(?P<err>.*)",
            "receipt_states": {"OK": ReceiptState(outcome="delivered")},
        },
        Receipt("carrier", ("X-1",), FAR, 0),
    ),
}


@pytest.mark.parametrize("quickly", [False, True], ids=["in full", "quickly"])
@pytest.mark.parametrize(("pdu", "changes", "expected"), RECEIPTS.values(), ids=list(RECEIPTS))
def test_a_receipt_says(pdu: Pdu, changes: dict[str, Any], expected: Any, quickly: bool) -> None:
    found = read(pdu, quickly=quickly and "receipt_pattern" not in changes, **changes)
    if isinstance(expected, int):
        assert found.code == expected
    else:
        assert found == expected


@pytest.mark.parametrize("quickly", [False, True], ids=["in full", "quickly"])
@pytest.mark.parametrize("ids_given", [None, False], ids=["not known yet", "none"])
def test_where_answers_may_name_no_id_a_receipts_numbers_count_too(ids_given: bool | None, quickly: bool) -> None:
    found = read(a_receipt(), quickly=quickly, ids_given=ids_given)
    assert (found.refs, found.pair) == (("1A2B", "6699"), pair_ref(OURS, FAR))


@pytest.mark.parametrize(
    ("ton", "address", "to"),
    [
        (0, "12025550143", OURS),
        (3, "12025550143", OURS),
        (0, "2025550143", OURS),
        (0, "1202555014307", OURS),
        (1, "+12025550143", OURS),
        (0, "12025550199", "+12025550199"),
        (0, "72345", "72345"),
    ],
)
def test_a_number_that_begins_with_one_of_ours_is_ours(ton: int, address: str, to: str) -> None:
    found = read(a_message(b"hi", dest_addr_ton=ton, destination_addr=address))
    assert isinstance(found, Inbound)
    assert found.to == (to,)


def test_parameters_of_the_carriers_own_are_logged_in_hexadecimal() -> None:
    with structlog.testing.capture_logs() as lines:
        read(a_message(b"hi", tlvs={0x1403: b"310260\0", tlv.USER_MESSAGE_REFERENCE: b"\0\1"}))
    assert [line["tlvs"] for line in lines] == [{"0x1403": "33313032363000"}]


def test_a_text_that_only_looks_like_a_receipt_may_be_a_message() -> None:
    found = read(a_receipt(esm_class=0))
    assert isinstance(found, Receipt)
    assert found.otherwise is not None
    assert found.otherwise.text == USUAL.format(id="1A2B", stat="DELIVRD", err="000")


def test_unknown_in_a_text_that_only_looks_like_a_receipt_is_no_message() -> None:
    assert read(a_receipt(esm_class=0, stat="UNKNOWN")) == Unclear("carrier", ("1A2B", "6699"), FAR, 9999)


@pytest.mark.parametrize(
    ("pdu", "said"),
    [
        (a_message(b"STOP"), "STOP"),
        (a_message(b""), ""),
        (a_message("Привет ☕".encode("utf-16-be"), data_coding=8), "Привет ☕"),
        (a_message(b"caf\xe9", data_coding=3), "café"),
        (a_message("naïve".encode()), "naïve"),
        (a_message(b"", tlvs={tlv.MESSAGE_PAYLOAD: b"x" * 300}), "x" * 300),
        (a_message(bytes.fromhex("0500037F0101") + b"alone", esm_class=0x40), "alone"),
        (a_message(bytes.fromhex("060504158100") + b"\0port", esm_class=0x40), "port"),
        (a_message(b"\xff\xff bad header", esm_class=0x40), "ÿÿ bad header"),
    ],
)
def test_a_message_says(pdu: DeliverSm, said: str) -> None:
    found = read(pdu)
    assert isinstance(found, Inbound)
    assert (found.sender, found.to, found.text) == (FAR, ("+12025550143",), said)


def part(header: str, octets: bytes, coding: int = 0, **fields: Any) -> Part:
    found = read(a_message(bytes.fromhex(header) + octets, esm_class=0x40, data_coding=coding, **fields))
    assert isinstance(found, Part)
    return found


def test_parts_of_a_message_share_a_key_and_others_do_not() -> None:
    first, second = part("0500037F0201", b"a"), part("0B05041581000000037F0202", b"b")
    assert first.key == second.key
    others = [
        part("050003800201", b"a"),
        part("0500037F0301", b"a"),
        part("060804007F0201", b"a"),
        part("0500037F0201", b"a", source_addr="14085550143"),
        part("0500037F0201", b"a", destination_addr="12025550144"),
    ]
    assert len({part.key for part in (first, *others)}) == 6
    assert "4085550142" not in first.key


def test_octets_are_joined_before_they_are_read() -> None:
    reader = Reader(settings(1))
    octets = "☕🚕".encode("utf-16-be")
    parts = [part("050003010201", octets[:4], 8), part("050003010202", octets[4:], 8)]
    assert reader.join(parts).text == "☕🚕"
    parts = [part("050003010201", b"5\x1b"), part("050003010202", b"\x65")]
    assert reader.join(parts).text == "5€"


def test_parts_in_different_codings_are_read_each_by_itself() -> None:
    parts = [part("050003010201", b"tea "), part("050003010202", "☕".encode("utf-16-be"), 8)]
    joined = Reader(settings(1)).join(parts)
    assert (joined.text, joined.segment_count) == ("tea ☕", 2)


async def test_the_log_tells_every_pdu_without_texts_and_passwords(collector: Collector) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector) as both:
            await both.bound()
            both.carrier.submit([a_submission(text="the secret text")])
            await collector.until(lambda: len(collector.receipts) == 1)
    told = [line["pdu"] for line in lines if "pdu" in line]
    assert [pdu.split()[0] for pdu in told][:2] == ["bind_transceiver", "bind_transceiver_resp"]
    assert {"submit_sm", "submit_sm_resp", "deliver_sm", "deliver_sm_resp", "unbind"} <= {
        pdu.split()[0] for pdu in told
    }
    assert "secret" not in str(lines)
    assert "s3cret08" not in str(lines)


@pytest.mark.parametrize(
    ("esm_class", "said", "swallowed", "unreadable"),
    [
        (0, "id:5 stat:ENROUTE", True, 0),
        (0, "id: 5 is the stat: of Ohio", False, 0),
        (4, "on its way", True, 1),
        (4, "", True, 1),
    ],
    ids=["a known word", "a person's words", "no state", "nothing"],
)
def test_what_is_no_last_word_is_swallowed_only_if_it_is_a_receipt(
    esm_class: int, said: str, swallowed: bool, unreadable: int
) -> None:
    reader = Reader(settings(1), {FAR, OURS}.__contains__)
    found = reader.read(a_receipt(short_message=said.encode(), esm_class=esm_class))
    assert (found is None) == swallowed
    assert swallowed or (isinstance(found, Unclear) and found.otherwise is not None and found.otherwise.text == said)
    assert reader.unreadable_receipts == unreadable
