"""Ten complete mails and what they say: read and, where they are ours, written octet for octet."""

import json
from pathlib import Path
from typing import Any

import pytest

from passband.mm4.address import Address, Envelope, EnvelopeForm, envelope_address
from passband.mm4.identity import Identifier, mail_id, message_id, transaction_id
from passband.mm4.message import (
    DeliveryReportRequest,
    ForwardRequest,
    ForwardResponse,
    Message,
    ReadReplyReportRequest,
    Response,
    answer,
)
from passband.mm4.mime import Part
from passband.mm4.reading import parse
from passband.mm4.writing import render

SAMPLES: dict[str, dict[str, Any]] = {
    sample["id"]: sample
    for sample in json.loads((Path(__file__).parent / "data" / "samples.json").read_text(encoding="utf-8"))["messages"]
}
OURS = ["forward_req", "delivery_report_res", "read_reply_report_res", "forward_res_from_us"]
# A peer's, but with the same fields in the same order as ours would have.
LIKE_OURS = ["delivery_report_req", "read_reply_report_req"]
SYSTEM = "mms-system@mms.passband.example"


def raw(name: str) -> bytes:
    text: str = SAMPLES[name]["raw"]
    return text.encode("ascii")


def described(message: Message) -> dict[str, Any]:
    """The message as the samples describe it: keys of other types and of absent options left out."""
    result: dict[str, Any] = {
        "type": message.type.lower(),
        "version": message.version,
        "transaction_id": str(message.transaction_id),
        "message_id": None if message.message_id is None else str(message.message_id),
    }
    match message:
        case ForwardRequest():
            result |= {
                "from": message.sender.value,
                "to": [address.value for address in message.to],
                "ack_request": message.ack_request,
                "res_to": message.res_to,
                "expiry": message.expiry,
                "subject": message.subject,
                "text": message.text,
                "media": [
                    {
                        "content_type": p.content_type,
                        "name": p.name,
                        "octets": len(p.octets),
                        "hex": p.octets.hex().upper(),
                    }
                    for p in message.media
                ],
            }
            if message.cc:
                result["cc"] = [address.value for address in message.cc]
        case DeliveryReportRequest() | ReadReplyReportRequest():
            result |= {
                "from": message.recipient.value,
                "to": [address.value for address in message.to],
                "ack_request": message.ack_request,
                "res_to": message.res_to,
            }
            if isinstance(message, ReadReplyReportRequest):
                result["read_status"] = message.read_status
            else:
                result["mm_status"] = message.mm_status
                if message.mm_status_extension:
                    result["mm_status_extension"] = message.mm_status_extension
            if message.status_text:
                result["status_text"] = message.status_text
        case Response():
            result["status"] = message.status
            if message.status_text:
                result["status_text"] = message.status_text
    return result


def test_there_are_ten_samples() -> None:
    assert len(SAMPLES) == 10


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_described(name: str) -> None:
    assert described(parse(raw(name))) == SAMPLES[name]["parsed"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_the_same_with_bare_line_feeds(name: str) -> None:
    assert parse(raw(name).replace(b"\r\n", b"\n")) == parse(raw(name))


@pytest.mark.parametrize("name", OURS + LIKE_OURS)
def test_a_sample_read_and_written_is_the_same_mail(name: str) -> None:
    assert render(parse(raw(name)), boundary="=_pb_8f2c") == raw(name)


def test_our_request_is_written_from_values_alone() -> None:
    identifier = "01JPASS0000000000000000001"
    dot = bytes.fromhex(SAMPLES["forward_req"]["parsed"]["media"][0]["hex"])
    request = ForwardRequest(
        transaction_id=transaction_id(identifier, 1),
        message_id=message_id(identifier, "mms.passband.example"),
        mail_id=mail_id(identifier, 1, "mms.passband.example"),
        system=SYSTEM,
        date=1773453566.25,
        sender=Address.of_number("+12025550143"),
        to=(Address.of_number("+12025550187"),),
        subject="Hello",
        text="Look at this 😀 café",
        parts=(Part(0, "image/gif", "dot.gif", dot),),
        res_to=SYSTEM,
        expiry="Sun, 15 Mar 2026 01:59:26 +0000",
    )
    assert render(request, boundary="=_pb_8f2c") == raw("forward_req")


@pytest.mark.parametrize(
    ("request_name", "response_name", "mail", "at"),
    [
        ("delivery_report_req", "delivery_report_res", "<drres-1@mms.passband.example>", 1773453791),
        ("read_reply_report_req", "read_reply_report_res", "<rrres-1@mms.passband.example>", 1773454201),
        ("forward_req_inbound_group", "forward_res_from_us", "<fres-1@mms.passband.example>", 1773457202),
    ],
)
def test_our_answer_to_a_peers_request(request_name: str, response_name: str, mail: str, at: int) -> None:
    sender = envelope_address("+12025550187", "mmsc.carrier.example", EnvelopeForm.TYPED)
    request = parse(raw(request_name), Envelope(sender, ()))
    assert isinstance(request, ForwardRequest | DeliveryReportRequest | ReadReplyReportRequest)
    response = answer(request, "Ok", system=SYSTEM, mail_id=Identifier(mail), at=at)
    assert render(response) == raw(response_name)


def test_a_response_is_joined_to_its_request_although_the_peer_quoted_the_id() -> None:
    request, response = parse(raw("forward_req")), parse(raw("forward_res_ok"))
    assert isinstance(response, ForwardResponse)
    assert request.transaction_id is not None
    assert response.transaction_id is not None
    assert request.transaction_id.matches(response.transaction_id)
    assert request.transaction_id != response.transaction_id
