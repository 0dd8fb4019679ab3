"""Every golden PDU: the octets give the value, the value gives the octets. Every malformed one does what it must."""

import json
from pathlib import Path
from typing import Any

import pytest

from passband.smpp import receipt, tlv, udh
from passband.smpp.codec import Decoder, RecoverablePduError, StreamLost, decode
from passband.smpp.error_mapping import Outcome
from passband.smpp.outcome import receipt_verdict
from passband.smpp.pdu import COMMANDS, DataSm, DeliverSm, Pdu, SubmitSm, SubmitSmResp
from passband.smpp.text import decode as decode_text

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())
PDUS = {row["id"]: row for row in VECTORS["pdus"]}
MALFORMED = {row["id"]: row for row in VECTORS["malformed"]}


def read(name: str) -> Pdu:
    row = PDUS.get(name) or MALFORMED[name]
    return decode(bytes.fromhex(row["hex"]))


def expected_fields(decoded: dict[str, Any]) -> dict[str, Any]:
    fields = dict(decoded.get("fields", {}))
    fields.pop("sm_length", None)
    if "short_message_hex" in fields:
        fields["short_message"] = bytes.fromhex(fields.pop("short_message_hex"))
    return fields


@pytest.mark.parametrize("name", PDUS)
def test_a_golden_pdu_decodes_to_its_values(name: str) -> None:
    decoded = PDUS[name]["decoded"]
    pdu = read(name)
    assert (pdu.name, pdu.command_id) == (decoded["command"], int(decoded["command_id"], 16))
    assert pdu.command_status == int(decoded["command_status"], 16)
    assert pdu.sequence_number == decoded["sequence_number"]
    for field, value in expected_fields(decoded).items():
        assert getattr(pdu, field) == value, field
    tlvs = getattr(pdu, "tlvs", {})
    assert list(tlvs) == [int(row["tag"], 16) for row in decoded.get("tlvs", [])]
    for row in decoded.get("tlvs", []):
        tag = int(row["tag"], 16)
        assert tlvs[tag] == bytes.fromhex(row["hex"])
        assert tlv.name_of(tag) in (row["name"], f"0x{tag:04X}")
        if isinstance(row.get("value"), int):
            assert tlv.integer(tlvs, tag) == row["value"]
        elif "value" in row:
            assert tlv.string(tlvs, tag) == row["value"]


@pytest.mark.parametrize("name", PDUS)
def test_a_golden_pdu_encodes_to_its_octets(name: str) -> None:
    assert read(name).encode().hex().upper() == PDUS[name]["hex"]


@pytest.mark.parametrize("name", PDUS)
def test_a_golden_pdu_prints_on_one_line_without_text_and_password(name: str) -> None:
    pdu = read(name)
    assert "\n" not in str(pdu)
    assert repr(pdu) == str(pdu)
    assert str(pdu).startswith(f"{pdu.name} #{pdu.sequence_number}")
    assert "s3cret08" not in str(pdu)
    if isinstance(pdu, SubmitSm | DeliverSm | DataSm) and pdu.content():
        assert pdu.content()[:10].decode("latin-1") not in str(pdu)


def test_the_whole_stream_of_golden_pdus_decodes_in_one_piece() -> None:
    stream = b"".join(bytes.fromhex(row["hex"]) for row in PDUS.values())
    decoder = Decoder()
    assert [item.encode() for item in decoder.feed(stream) if isinstance(item, Pdu)] == [
        bytes.fromhex(row["hex"]) for row in PDUS.values()
    ]
    assert not decoder.partial


def test_a_stream_cut_at_any_octet_gives_the_same_pdus() -> None:
    stream = b"".join(bytes.fromhex(row["hex"]) for row in PDUS.values())
    whole = Decoder().feed(stream)
    for cut in range(len(stream)):
        decoder = Decoder()
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == whole


def test_a_stream_that_comes_octet_by_octet_gives_the_same_pdus() -> None:
    stream = b"".join(bytes.fromhex(row["hex"]) for row in PDUS.values())
    decoder = Decoder()
    assert [item for octet in stream for item in decoder.feed(bytes((octet,)))] == Decoder().feed(stream)


def test_no_golden_pdu_has_a_command_that_is_not_understood() -> None:
    assert {int(row["decoded"]["command_id"], 16) for row in PDUS.values()} <= set(COMMANDS)


# Malformed PDUs


@pytest.mark.parametrize("name", ["mal_trailing_nul", "mal_truncated_tlv"])
def test_what_is_broken_behind_the_text_is_dropped_alone(name: str) -> None:
    pdu = read(name)
    assert isinstance(pdu, DeliverSm)
    assert (pdu.short_message, dict(pdu.tlvs)) == (b"Hi", {})


def test_of_two_parameters_with_one_tag_the_first_counts() -> None:
    octets = DeliverSm(1, tlvs={tlv.RECEIPTED_MESSAGE_ID: b"first\0"}).encode() + tlv.write(
        {tlv.RECEIPTED_MESSAGE_ID: b"second\0"}
    )
    pdu = decode(len(octets).to_bytes(4, "big") + octets[4:])
    assert isinstance(pdu, DeliverSm)
    assert tlv.string(pdu.tlvs, tlv.RECEIPTED_MESSAGE_ID) == "first"


def test_an_integer_tlv_without_octets_is_ignored() -> None:
    pdu = read("mal_zero_len_int_tlv")
    assert isinstance(pdu, DeliverSm)
    assert tlv.integer(pdu.tlvs, tlv.MESSAGE_STATE) is None


def test_a_message_id_may_miss_its_terminator() -> None:
    pdu = read("mal_resp_id_no_nul")
    assert isinstance(pdu, SubmitSmResp)
    assert pdu.message_id == "1A2B3C4D"


def test_an_acceptance_may_have_no_message_id() -> None:
    pdu = read("mal_resp_empty_body_ok")
    assert isinstance(pdu, SubmitSmResp)
    assert (pdu.command_status, pdu.message_id) == (0, None)


def test_a_malformed_header_makes_everything_text() -> None:
    pdu = read("mal_udhl_too_long")
    assert isinstance(pdu, DeliverSm)
    header, octets = udh.split(pdu)
    assert (header, octets) == (None, pdu.short_message)
    assert udh.concatenation(pdu, header) is None


def test_a_text_longer_than_its_pdu_is_refused_and_the_stream_goes_on() -> None:
    decoder = Decoder()
    first, second = decoder.feed(
        bytes.fromhex(MALFORMED["mal_sm_length_overrun"]["hex"]) + bytes.fromhex(PDUS["enquire_link"]["hex"])
    )
    assert isinstance(first, RecoverablePduError)
    answer = first.answer()
    assert answer is not None
    assert (answer.name, answer.command_status, answer.sequence_number) == ("deliver_sm_resp", 1, 0x191)
    assert second == read("enquire_link")


@pytest.mark.parametrize("name", ["mal_command_length_12", "mal_command_length_huge"])
def test_an_impossible_command_length_loses_the_stream(name: str) -> None:
    decoder = Decoder()
    octets = bytes.fromhex(MALFORMED[name]["hex"])
    (lost,) = decoder.feed(octets + bytes.fromhex(PDUS["enquire_link"]["hex"]))
    assert isinstance(lost, StreamLost)
    assert lost.answer().encode() == bytes.fromhex(PDUS["generic_nack_seq0"]["hex"])
    assert decoder.feed(bytes.fromhex(PDUS["enquire_link"]["hex"])) == []
    with pytest.raises(StreamLost):
        decode(octets)


def test_an_impossible_command_length_is_seen_in_four_octets() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x00\x00\x00") == []
    (lost,) = decoder.feed(b"\x0f")
    assert isinstance(lost, StreamLost)


def test_an_unknown_request_is_nacked_and_an_unknown_response_is_not() -> None:
    with pytest.raises(RecoverablePduError) as caught:
        read("mal_unknown_command")
    answer = caught.value.answer()
    assert answer is not None
    assert (answer.name, answer.command_status, answer.sequence_number) == ("generic_nack", 3, 77)
    with pytest.raises(RecoverablePduError) as caught:
        decode(bytes.fromhex("0000001080000102000000000000004D"))
    assert caught.value.answer() is None


def test_an_unexpected_response_reads_like_any_other() -> None:
    assert read("mal_unexpected_resp").sequence_number == 999999


# What the golden messages mean


RECEIPTS = [row["id"] for row in VECTORS["pdus"] if "receipt" in row.get("expect", {})]


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_golden_receipt_says_what_it_should(name: str) -> None:
    expected = PDUS[name]["expect"]["receipt"]
    pdu = read(name)
    assert isinstance(pdu, DeliverSm | DataSm)
    found = receipt.read(pdu)
    assert found is not None
    assert found.certain
    assert found.ids[0] == expected.get("id")
    assert found.stat == expected.get("stat")
    for field in ("err", "message_state"):
        if field in expected:
            assert getattr(found, field) == expected[field]
    if "network_error" in expected:
        assert found.network_error == (expected["network_error"]["type"], expected["network_error"]["code"])
    verdict = receipt_verdict(found)
    assert verdict.outcome == expected["outcome"]
    if verdict.outcome is Outcome.FAILED:
        assert verdict.code == expected["code"]


def test_a_receipt_by_its_text_alone_is_uncertain() -> None:
    pdu = read("receipt_esm0_text")
    assert isinstance(pdu, DeliverSm)
    found = receipt.read(pdu)
    assert found is not None
    assert (found.ids, found.source, found.certain) == (("79",), pdu.source_addr, False)


@pytest.mark.parametrize("name", [name for name in PDUS if name.startswith("deliver_sm_mo")])
def test_an_ordinary_message_is_no_receipt(name: str) -> None:
    pdu = read(name)
    assert isinstance(pdu, DeliverSm)
    assert receipt.read(pdu) is None


def test_segments_are_joined_as_octets_before_they_are_read() -> None:
    parts = {}
    for name in ("deliver_sm_mo_concat_part2_first", "deliver_sm_mo_concat_part1"):
        pdu = read(name)
        assert isinstance(pdu, DeliverSm)
        header, octets = udh.split(pdu)
        place = udh.concatenation(pdu, header)
        assert place is not None
        parts[place.sequence] = octets
    text = decode_text(parts[1] + parts[2], 0x08)
    assert text == PDUS["deliver_sm_mo_concat_part1"]["expect"]["reassembled_text"]


def test_a_place_in_a_message_is_found_behind_other_elements_and_in_sar_parameters() -> None:
    ports, sar = read("deliver_sm_mo_concat_ports_udh"), read("deliver_sm_mo_sar")
    assert isinstance(ports, DeliverSm)
    assert isinstance(sar, DeliverSm)
    header, octets = udh.split(ports)
    assert header is not None
    assert header.has_ports
    assert octets == b"first part "
    assert udh.concatenation(ports, header) == (0x7F, "8", 2, 1)
    assert udh.concatenation(sar, None) == (254, "sar", 2, 1)
