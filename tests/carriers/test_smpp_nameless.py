"""Segments whose answers name no id: by what else a receipt may find them."""

import pytest

from carriers.collector import SENDER, a_submission
from carriers.smpp_pair import settings
from passband.carriers.smpp.numbers import Numbers, pair_ref, reference_ref
from passband.carriers.smpp.outbound import Outbound, Sending
from passband.domain.report import Deciding
from passband.smpp import tlv
from passband.smpp.codec import decode
from passband.smpp.pdu import HEADER, SubmitSm

FAR = "+14085550142"


def prepared(*, referring: bool) -> tuple[Outbound, Sending, int]:
    """Return a sending and the number of ours that its segment carries; -1: none."""
    profile = settings(1, user_message_reference=referring)
    outbound = Outbound(profile, Numbers(profile), lambda: 0.5)
    sending = outbound.prepare(a_submission(FAR).recipients[0], 0.0)
    assert isinstance(sending, Sending)
    (body,) = sending.bodies
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
    assert outbound.gives_ids is False


@pytest.mark.parametrize(("message_id", "first"), [(None, ()), ("1A2B", ("1A2B",))])
def test_a_carrier_that_repeats_our_number_finds_it_by_that_too(message_id: str | None, first: tuple[str, ...]) -> None:
    outbound, sending, reference = prepared(referring=True)
    accepted = outbound.taken(sending, 0, message_id)
    assert accepted is not None
    assert accepted.refs == (*first, reference_ref(SENDER, FAR, reference))
    assert accepted.deciding is (Deciding.FIRST if first else Deciding.EVERY)
