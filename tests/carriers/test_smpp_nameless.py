"""Segments whose answers name no id: by what else a receipt may find them."""

from pathlib import Path
from typing import Any

import pytest

from carriers.collector import SENDER, a_submission
from carriers.smpp_node import running_node
from carriers.smpp_pair import running_smsc, settings
from passband.carriers.smpp.numbers import Numbers, pair_ref, reference_ref
from passband.carriers.smpp.outbound import Outbound, Sending
from passband.clock import SystemClock
from passband.domain.report import Deciding
from passband.smpp import tlv
from passband.smpp.codec import decode
from passband.smpp.pdu import HEADER, SubmitSm

FAR = "+14085550142"


def prepared(*, referring: bool, text: str = "hello") -> tuple[Outbound, Sending, int]:
    """Return a sending and the number of ours that its first segment carries; -1: none."""
    profile = settings(1, user_message_reference=referring)
    outbound = Outbound(profile, Numbers(profile), lambda: 0.5)
    sending = outbound.prepare(a_submission(FAR, text=text).recipients[0], 0.0)
    assert isinstance(sending, Sending)
    body = sending.bodies[0]
    pdu = decode(HEADER.pack(16 + len(body), SubmitSm.command_id, 0, 1) + body)
    assert isinstance(pdu, SubmitSm)
    reference = tlv.integer(pdu.tlvs, tlv.USER_MESSAGE_REFERENCE)
    return outbound, sending, -1 if reference is None else reference


@pytest.mark.parametrize("message_id", [None, ""])
def test_without_an_id_a_segment_is_known_by_its_two_numbers(message_id: str | None) -> None:
    outbound, sending, reference = prepared(referring=False)
    accepted = outbound.taken(sending, 0, message_id)
    assert reference == -1
    assert accepted is not None
    assert accepted.refs == (pair_ref(SENDER, FAR),)
    assert accepted.names == ()
    assert outbound.gives_ids is False


@pytest.mark.parametrize(("message_id", "first"), [(None, ()), ("1A2B", ("1A2B",)), ("001a2b", ("1A2B",))])
def test_a_carrier_that_repeats_our_number_finds_it_by_that_too(message_id: str | None, first: tuple[str, ...]) -> None:
    outbound, sending, reference = prepared(referring=True)
    accepted = outbound.taken(sending, 0, message_id)
    assert accepted is not None
    assert accepted.refs == (*first, reference_ref(SENDER, FAR, reference), pair_ref(SENDER, FAR))
    assert accepted.deciding is Deciding.FIRST
    assert accepted.names == ((message_id,) if message_id else ())


@pytest.mark.parametrize("message_id", [None, "1A2B"])
def test_several_segments_are_known_by_our_numbers_where_those_are_repeated(message_id: str | None) -> None:
    outbound, sending, reference = prepared(referring=True, text="Your table is ready. " * 20)
    assert outbound.taken(sending, 1, message_id) is None
    assert outbound.taken(sending, 0, message_id) is None
    accepted = outbound.taken(sending, 2, message_id)
    assert accepted is not None
    assert accepted.refs[0] == reference_ref(SENDER, FAR, reference)
    assert len(set(accepted.refs)) == 3
    assert accepted.deciding is Deciding.SOME
    assert accepted.names == ((message_id,) * 3 if message_id else ())


CARRIERS: dict[str, tuple[str, dict[str, Any], int]] = {
    # the SMSC's ids, the carrier's settings, and how many messages to one number may be open at once
    "no id anywhere": ("none", {}, 1),
    "no id anywhere, and our number sent in vain": ("none", {"user_message_reference": True}, 1),
    "an id in receipts only": ("none-hex", {}, 1),
    "our number in receipts": ("none-reference", {"user_message_reference": True}, 9),
    "an id in answers, our number in receipts": ("hex-reference", {"user_message_reference": True}, 9),
    "an id in answers, nothing in receipts": ("hex-none", {"user_message_reference": True}, 1),
    "an id in both": ("hex-decimal", {"user_message_reference": True}, 9),
}


@pytest.mark.parametrize("early", [False, True], ids=["in order", "receipts first"])
@pytest.mark.parametrize("case", CARRIERS)
async def test_receipts_find_their_messages_by_whatever_they_name(case: str, early: bool, tmp_path: Path) -> None:
    ids, changes, at_once = CARRIERS[case]
    delays = {"response_delay": 0.02} if early else {"receipt_delay": 0.02}
    async with (
        running_smsc(id_format=ids, **delays) as (_, port),
        running_node(tmp_path / "passband.db", port, SystemClock(), **changes) as node,
    ):
        messages = []
        for number in ("+14085550142", "+14085550143", "+14085554720"):
            messages += await node.send(min(at_once, 3), number=number)
        await node.until_told(len(messages))
        failing = {message.id for message in messages if message.to[0].endswith("4720")}
        assert node.events() == {
            message.id: [("message-failed", 4720) if message.id in failing else ("message-delivered", 0)]
            for message in messages
        }
