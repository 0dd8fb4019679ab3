"""Whatever the octets, reading gives PDUs and the two errors, and nothing else; what is written reads back the same."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passband.smpp import codec, receipt, udh
from passband.smpp.codec import Decoder, RecoverablePduError, StreamLost, decode
from passband.smpp.outcome import receipt_verdict, submit_verdict
from passband.smpp.pdu import (
    COMMANDS,
    HEADER,
    RESPONSE,
    DataSm,
    DeliverSm,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    UnwritablePdu,
    layout_of,
)
from passband.smpp.template import SubmitTemplate
from passband.smpp.text import decode as decode_text

DATA = Path(__file__).parent / "data"
VECTORS = json.loads((DATA / "vectors.json").read_text())
GOLDEN = [bytes.fromhex(row["hex"]) for row in VECTORS["pdus"] + VECTORS["malformed"]]
FOUND_BY_FUZZING = (DATA / "fuzzed.txt").read_text().split()

strings = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=70)
tlvs = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4)
KINDS = {"string": strings, "octet": st.integers(0, 255), "counted": st.binary(max_size=254), "tlvs": tlvs}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command = draw(st.sampled_from(list(COMMANDS.values())))
    values: dict[str, Any] = {name: draw(KINDS[kind]) for name, kind in layout_of(command)}
    return command(sequence_number=draw(st.integers(0, 0xFFFFFFFF)), **values)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A golden PDU with octets changed, taken out or put in, its length mended or not."""
    octets = bytearray(draw(st.sampled_from(GOLDEN)))
    for _ in range(draw(st.integers(1, 6))):
        position = draw(st.integers(0, len(octets)))
        how = draw(st.sampled_from(("change", "take", "put")))
        if how == "put" or position == len(octets):
            octets[position:position] = draw(st.binary(min_size=1, max_size=5))
        elif how == "take":
            del octets[position : position + draw(st.integers(1, 8))]
        else:
            octets[position] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        octets[0:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)


def use(item: Pdu | RecoverablePduError | StreamLost) -> None:
    """Everything that the path of a message does with what it reads."""
    str(item)
    if isinstance(item, RecoverablePduError | StreamLost):
        answer = item.answer()
        assert answer is None or decode(answer.encode()) == answer
        return
    if isinstance(item, DeliverSm | DataSm):
        found = receipt.read(item)
        if found is not None:
            receipt_verdict(found)
    if isinstance(item, DeliverSm | DataSm | SubmitSm):
        header, octets = udh.split(item)
        udh.concatenation(item, header)
        for charset in ("gsm7", "latin1", "ascii"):
            decode_text(octets, item.data_coding, charset)
    if isinstance(item, SubmitSmResp):
        submit_verdict(item.command_status, item.tlvs)


@given(st.binary(max_size=300) | damaged() | st.lists(damaged()).map(b"".join))
def test_no_octets_make_reading_fail_otherwise(octets: bytes) -> None:
    for item in Decoder().feed(octets):
        use(item)
    try:
        use(decode(octets))
    except (RecoverablePduError, StreamLost) as error:
        use(error)


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(COMMANDS)), st.binary(max_size=120))
def test_no_body_makes_reading_fail_otherwise(status: int, command_id: int, body: bytes) -> None:
    octets = HEADER.pack(16 + len(body), command_id, status, 1) + body
    (item,) = Decoder().feed(octets)
    use(item)
    if command_id & RESPONSE:
        assert isinstance(item, Pdu), "a response is never refused"


@pytest.mark.parametrize("octets", FOUND_BY_FUZZING)
def test_what_fuzzing_found_is_read(octets: str) -> None:
    # data/fuzzed.txt: of 780,000 mutations of the golden PDUs, one for each outcome, and the two that failed once (a
    # last string of exactly 256 octets without its NUL).
    for item in Decoder().feed(bytes.fromhex(octets)):
        use(item)
        if isinstance(item, Pdu):
            assert decode(item.encode()) == item


@given(pdus())
def test_a_pdu_reads_back_as_it_was_written(pdu: Pdu) -> None:
    assert decode(pdu.encode()) == pdu
    assert Decoder().feed(pdu.encode()) == [pdu]


@given(st.lists(pdus(), min_size=1, max_size=4), st.lists(st.integers(0, 2000)))
def test_cuts_do_not_matter(items: list[Pdu], cuts: list[int]) -> None:
    stream = b"".join(pdu.encode() for pdu in items)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    decoder = Decoder()
    found = [item for start, end in pairwise(ends) for item in decoder.feed(stream[start:end])]
    assert found == items
    assert not decoder.partial


@given(damaged())
def test_the_short_way_through_a_pdu_reads_what_the_layout_says(octets: bytes) -> None:
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    for command in (SubmitSm, DeliverSm, COMMANDS[0x80000004], COMMANDS[0x80000005]):
        results = []
        for read in (codec._READERS[command.command_id], codec._reader(command)):
            try:
                results.append(repr(read(octets, 16, len(octets), 0, 1)))
            except RecoverablePduError as error:
                results.append(str(error))
        if len(octets) >= 16:
            assert results[0] == results[1]


@given(strings, strings, st.binary(max_size=254), tlvs, st.sampled_from(["", "260314015926000+"]), st.integers(0, 255))
def test_a_template_writes_what_the_pdu_writes(
    source: str, target: str, text: bytes, extra: dict[int, bytes], validity: str, octet: int
) -> None:
    fixed = {0x1400: b"\0x"}
    model = SubmitSm(service_type="CMT", protocol_id=3, sm_default_msg_id=1, tlvs=fixed)
    extra.pop(0x1400, None)
    template = SubmitTemplate(model)
    for _ in range(2):
        body = template.body(
            (5, 0, source),
            (1, 1, target),
            text,
            data_coding=octet,
            esm_class=0x40,
            registered_delivery=octet,
            validity_period=validity,
            tlvs=extra,
        )
        assert body == (
            SubmitSm(
                service_type="CMT",
                source_addr_ton=5,
                source_addr=source,
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=target,
                esm_class=0x40,
                protocol_id=3,
                validity_period=validity,
                registered_delivery=octet,
                data_coding=octet,
                sm_default_msg_id=1,
                short_message=text,
                tlvs=fixed | extra,
            ).body()
        )


UNWRITABLE = {
    "NUL in a string": SubmitSm(source_addr="a\0b"),
    "not Latin-1": SubmitSm(source_addr="Ω"),
    "an octet of 256": SubmitSm(data_coding=256),
    "255 octets of text": SubmitSm(short_message=b"x" * 255),
    "a tag of 17 bits": SubmitSm(tlvs={0x10000: b""}),
    "a sequence number of 33 bits": SubmitSm(sequence_number=2**32),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_does_not_fit_its_field_is_not_written(name: str) -> None:
    with pytest.raises(UnwritablePdu):
        UNWRITABLE[name].encode()


@pytest.mark.parametrize(
    ("source", "target", "text", "data_coding"),
    [
        ((1, 1, "1\0"), (1, 1, "2"), b"", 0),
        ((1, 1, "1"), (1, 1, "2\0"), b"", 0),
        ((1, 1, "1"), (1, 1, "Ω"), b"", 0),
        ((256, 1, "1"), (1, 1, "2"), b"", 0),
        ((1, 1, "1"), (1, 1, "2"), b"x" * 255, 0),
        ((1, 1, "1"), (1, 1, "2"), b"x" * 256, 0),
        ((1, 1, "1"), (1, 1, "2"), b"", 256),
    ],
)
def test_a_template_does_not_write_it_either(
    source: tuple[int, int, str], target: tuple[int, int, str], text: bytes, data_coding: int
) -> None:
    with pytest.raises(UnwritablePdu):
        SubmitTemplate(SubmitSm()).body(source, target, text, data_coding=data_coding)


def test_a_template_forgets_senders_before_they_fill_the_memory() -> None:
    template = SubmitTemplate(SubmitSm())
    for number in range(10_000):
        template.body((1, 1, str(number)), (1, 1, "12025550143"), b"")
    assert len(template._heads) <= 4096


def test_a_pdu_may_be_as_long_as_the_maximum_and_no_longer() -> None:
    longest = SubmitSm(tlvs={0x0424: bytes(65535)}).encode()
    assert isinstance(decode(longest), SubmitSm)
    (lost,) = Decoder(max_pdu=len(longest) - 1).feed(longest)
    assert isinstance(lost, StreamLost)


def test_a_string_of_257_octets_is_too_long_for_a_request_and_no_matter_in_a_response() -> None:
    with pytest.raises(RecoverablePduError) as caught:
        decode(SubmitSm(source_addr="1" * 257).encode())
    assert caught.value.command_status == codec.RINVMSGLEN
    assert decode(SubmitSm(source_addr="1" * 256).encode()) == SubmitSm(source_addr="1" * 256)
    assert decode(SubmitSmResp(message_id="1" * 257).encode()) == SubmitSmResp(message_id="")


def test_parameters_behind_an_error_are_read_only_if_a_nul_stands_before_them() -> None:
    text = {0x001D: b"why"}
    assert decode(SubmitSmResp(1, 8, "", text).encode()) == SubmitSmResp(1, 8, "", text)
    assert decode(SubmitSmResp(1, 8, "7", text).encode()) == SubmitSmResp(1, 8, "7")


def test_a_long_run_of_random_octets_is_survived() -> None:
    source = random.Random(34)
    for _ in range(2000):
        for item in Decoder().feed(source.randbytes(source.randrange(200))):
            use(item)
