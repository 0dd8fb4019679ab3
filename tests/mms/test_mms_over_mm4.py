"""MMS through a whole node and an MM4 peer: from request to callback, and from the peer's mail to callback."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bandwidth.models
import pytest

from carriers.mm4_peer import DOMAIN, PEER_DOMAIN, SYSTEM, Peer, a_peer, post
from mms.world import ACCOUNT, FRIEND, OURS, PHONE, PNG, PUBLIC, SECOND, File, World, world
from passband.carriers.mm4.carrier import Mm4Carrier
from passband.mm4.message import DeliveryReportRequest, ForwardRequest, ForwardResponse, ReadReplyReportResponse

pytestmark = pytest.mark.slow  # the MM4 server is a process, which has to start and to end

TYPED = f"/TYPE=PLMN@{DOMAIN}"


class Linked(World):
    """A world with an MM4 peer."""

    peer: Peer

    @property
    def port(self) -> int:
        carrier = self.node.carriers["mmsc"]
        assert isinstance(carrier, Mm4Carrier)
        return carrier.receiver.port

    async def picture(self, number: str) -> str:
        """Send a picture; return the message's id."""
        return await self.send(number, media=[await self.upload("menu.png")])

    async def tell(self, octets: bytes, *to: str) -> None:
        """Send a mail to the node as the peer does."""
        assert (await post(self.port, octets, *to)).startswith("250")

    async def answer(self, request: ForwardRequest, status: str = "Ok", more: str = "") -> None:
        await self.tell(a_response(request, status, more))

    async def requests(self, count: int) -> list[ForwardRequest]:
        """Return what the peer got, once there is so much of it."""
        await self.peer.until(count)
        assert len(self.peer.received) == count
        return [received.request for received in self.peer.received]

    async def let_pass(self, seconds: float) -> None:
        """Let time pass, and all that waits for it happen."""
        self.clock.advance(seconds)
        await self.node.expire.step(self.clock.now())


@asynccontextmanager
async def linked(folder: Path, peer: Peer, **changes: Any) -> AsyncIterator[Linked]:
    mm4 = {
        "name": "mmsc",
        "type": "mm4",
        "host": "127.0.0.1",
        "port": peer.port,
        "domain": DOMAIN,
        "peer_domain": PEER_DOMAIN,
        "listen": "127.0.0.1:0",
        "allow": ["127.0.0.0/8"],
        **changes,
    }
    carriers = [{"name": "simulator", "type": "simulator"}, mm4]
    routes = [{"carrier": "mmsc", "type": "mms"}, {"carrier": "simulator"}]
    async with world(folder, carriers=carriers, routes=routes) as here:
        here.__class__ = Linked
        assert isinstance(here, Linked)
        here.peer = peer
        yield here


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with a_peer() as peer:
        yield peer


@pytest.fixture
async def mms(tmp_path: Path, peer: Peer) -> AsyncIterator[Linked]:
    async with linked(tmp_path, peer) as here:
        yield here


def a_response(request: ForwardRequest, status: str = "Ok", more: str = "") -> bytes:
    return f"""\
Sender: system@{PEER_DOMAIN}
To: {SYSTEM}
X-Mms-3GPP-MMS-Version: 6.10.0
X-Mms-Message-Type: MM4_forward.RES
X-Mms-Transaction-ID: "{request.transaction_id}"
X-Mms-Message-ID: "c0ffee-1"
X-Mms-Request-Status-Code: {status}
{more}
""".replace("\n", "\r\n").encode()


def a_report(message_id: str, number: str, status: str = "Retrieved", more: str = "") -> bytes:
    return f"""\
From: {number}/TYPE=PLMN
To: {OURS}/TYPE=PLMN
Sender: system@{PEER_DOMAIN}
X-Mms-3GPP-MMS-Version: 6.10.0
X-Mms-Message-Type: MM4_delivery_report.REQ
X-Mms-Transaction-ID: dr-1
X-Mms-Message-ID: {message_id}
X-Mms-MM-Status-Code: {status}
{more}
""".replace("\n", "\r\n").encode()


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_mms_is_delivered_when_the_peers_mmsc_has_it(mms: Linked) -> None:
    url = await mms.upload("menu.png")
    id_ = await mms.send(PHONE, media=[url])
    [request] = await mms.requests(1)
    assert [(part.name, part.octets) for part in request.media] == [("menu.png", PNG)]
    assert request.text == "Look"
    assert not mms.application.events
    await mms.answer(request)
    event = await mms.fate(id_)
    assert (event["type"], event["description"]) == ("message-delivered", "Message delivered to carrier")
    assert mms.node.attachments.turns.held_octets == 0
    bandwidth.models.StatusCallback.from_dict(event)


async def test_a_response_may_arrive_before_our_commit(mms: Linked) -> None:
    mms.peer.hold.clear()
    id_ = await mms.send(PHONE, FRIEND)
    [request] = await mms.requests(1)
    await mms.answer(request)
    mms.peer.hold.set()
    events = await mms.application.told(2, id=id_)
    assert {event["type"] for event in events} == {"message-delivered"}


async def test_a_response_that_comes_twice_tells_once(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    [request] = await mms.requests(1)
    await mms.answer(request)
    await mms.fate(id_)
    await mms.answer(request, "Error-service-denied")
    await mms.tell(a_report(str(request.message_id), PHONE, "Expired"))
    other = await mms.picture(FRIEND)
    await mms.answer((await mms.requests(2))[1])
    await mms.fate(other)
    told = [(event["message"]["id"], event["type"]) for event in mms.application.events]
    assert told == [(id_, "message-delivered"), (other, "message-delivered")]


async def test_a_refusal_fails_it(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    [request] = await mms.requests(1)
    await mms.answer(request, "Error-content-not-accepted")
    event = await mms.fate(id_)
    assert event["errorCode"] == 4712


async def test_a_transient_error_sends_it_again_whole_and_fails_after_three(mms: Linked) -> None:
    mms.application.files["/files/a.png"] = File()
    id_ = await mms.send(PHONE, media=[f"{mms.application.base}/files/a.png"])
    for count in (1, 2, 3):
        requests = await mms.requests(count)
        assert not mms.application.events
        await mms.answer(requests[-1], "Error-transient-failure")
        await mms.let_pass(60)
    assert len({str(request.transaction_id) for request in requests}) == 3
    assert len({str(request.message_id) for request in requests}) == 1
    assert {request.text for request in requests} == {"Look"}
    assert {request.media[0].octets for request in requests} == {PNG}
    assert mms.application.asked == ["/files/a.png"]  # once: what may be sent again is kept
    assert (await mms.fate(id_))["errorCode"] == 5620


async def test_what_the_application_deletes_after_the_first_attempt_is_sent_all_the_same(mms: Linked) -> None:
    mms.peer.script["DATA"].append("451 later")
    id_ = await mms.send(PHONE, media=[await mms.upload("menu.png")])
    while "DATA" not in mms.peer.commands:
        await asyncio.sleep(0.01)
    await mms.node.media.delete(ACCOUNT, "menu.png")
    while not mms.peer.received:
        mms.clock.advance(1)
        await asyncio.sleep(0.01)
    [request] = await mms.requests(1)
    assert [part.octets for part in request.media] == [PNG]
    await mms.answer(request)
    assert (await mms.fate(id_))["type"] == "message-delivered"


async def test_a_transient_error_and_then_ok(mms: Linked) -> None:
    id_ = await mms.send(PHONE, FRIEND)
    [first] = await mms.requests(1)
    await mms.answer(first, "Error-network-problem", f"X-Mms-Request-Recipients: {FRIEND}/TYPE=PLMN")
    await mms.let_pass(60)
    _, second = await mms.requests(2)
    assert mms.peer.received[1].recipients == (f"{FRIEND}/TYPE=PLMN@{PEER_DOMAIN}",)
    await mms.answer(second)
    await mms.answer(first, "Ok", f"X-Mms-Request-Recipients: {PHONE}/TYPE=PLMN")
    events = await mms.application.told(2, id=id_)
    assert {(event["type"], event["to"]) for event in events} == {
        ("message-delivered", PHONE),
        ("message-delivered", FRIEND),
    }


async def test_a_peer_that_never_answers(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    await mms.requests(1)
    other = await mms.picture(FRIEND)
    await mms.answer((await mms.requests(2))[1])
    await mms.fate(other)
    await mms.let_pass(2 * 3600 + 60)
    assert (await mms.fate(id_))["errorCode"] == 5630


async def test_a_peer_that_takes_it_by_smtp_alone(tmp_path: Path, peer: Peer) -> None:
    async with linked(tmp_path, peer, mms_delivered_on="smtp") as mms:
        assert (await mms.fate(await mms.picture(PHONE)))["type"] == "message-delivered"


REPORTS: dict[str, tuple[str, str, str, int]] = {
    "our identifier": ("", "Retrieved", "", 0),
    "the peer's identifier": ('"C0FFEE-1"', "Retrieved", "", 0),
    "a refusal": ('"c0ffee-1"', "Rejected", "X-Mms-MM-Status-Extension: Rejection-By-MMS-Recipient", 4753),
}


@pytest.mark.parametrize(("name", "status", "more", "code"), REPORTS.values(), ids=REPORTS.keys())
async def test_a_handsets_report_decides_where_it_is_awaited(
    name: str, status: str, more: str, code: int, tmp_path: Path, peer: Peer
) -> None:
    async with linked(tmp_path, peer, mms_delivered_on="report") as mms:
        id_ = await mms.picture(PHONE)
        [request] = await mms.requests(1)
        await mms.answer(request)
        await mms.tell(a_report(name or str(request.message_id), PHONE, "Deferred"))
        assert not mms.application.events
        await mms.tell(a_report(name or str(request.message_id), PHONE, status, more))
        event = await mms.fate(id_)
        assert event.get("errorCode", 0) == code
        assert code or event["description"] == "ok"


async def test_a_report_that_never_comes(tmp_path: Path, peer: Peer) -> None:
    async with linked(tmp_path, peer, mms_delivered_on="report") as mms:
        id_ = await mms.picture(PHONE)
        [request] = await mms.requests(1)
        await mms.answer(request)
        await mms.let_pass(2 * 3600 + 60)
        assert (await mms.fate(id_))["errorCode"] == 9902


async def test_a_report_may_come_before_the_response(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    [request] = await mms.requests(1)
    await mms.tell(a_report(str(request.message_id), PHONE))
    event = await mms.fate(id_)
    await mms.answer(request)
    assert event["type"] == "message-delivered"
    assert await mms.fate(id_) == event


async def test_a_report_from_another_number_than_the_recipients_counts_for_nothing(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    [request] = await mms.requests(1)
    await mms.tell(a_report(str(request.message_id), FRIEND, "Rejected"))
    await mms.answer(request)
    assert (await mms.fate(id_))["type"] == "message-delivered"


async def test_a_response_after_a_restart_finds_its_message(tmp_path: Path, peer: Peer) -> None:
    async with linked(tmp_path, peer) as mms:
        id_ = await mms.picture(PHONE)
        [request] = await mms.requests(1)
        while mms.node.carriers["mmsc"].room(mms.clock.now()) < 32:
            await _a_moment()
    async with linked(tmp_path, peer) as mms:
        await mms.answer(request)
        assert (await mms.fate(id_))["type"] == "message-delivered"
        assert len(peer.received) == 1


async def test_a_node_whose_mm4_address_is_taken_stops_all_the_same(tmp_path: Path, peer: Peer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port={port}"):
            async with linked(tmp_path, peer, listen=f"127.0.0.1:{port}"):
                pass


async def test_a_group_with_an_impossible_number(mms: Linked) -> None:
    id_ = await mms.send(PHONE, "+1408555", FRIEND)
    [request] = await mms.requests(1)
    assert [address.value for address in request.to] == [PHONE, FRIEND]
    await mms.answer(request)
    events = await mms.application.told(3, id=id_)
    assert {event["to"]: event.get("errorCode") for event in events} == {PHONE: None, "+1408555": 4303, FRIEND: None}


async def test_a_peer_that_is_not_there_yet(tmp_path: Path, peer: Peer) -> None:
    peer.script["220"] += ["421 not yet", "421 not yet"]
    async with linked(tmp_path, peer) as mms:
        id_ = await mms.picture(PHONE)
        while not peer.received:
            mms.clock.advance(1)
            await _a_moment()
        await mms.answer((await mms.requests(1))[0])
        assert (await mms.fate(id_))["type"] == "message-delivered"


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

INBOUND = f"""\
From: {PHONE}/TYPE=PLMN
To: {OURS}/TYPE=PLMN, {SECOND}/TYPE=PLMN, {FRIEND}/TYPE=PLMN
X-Mms-3GPP-MMS-Version: 6.10.0
X-Mms-Message-Type: MM4_forward.REQ
X-Mms-Transaction-ID: 44
X-Mms-Message-ID: <44@{PEER_DOMAIN}>
X-Mms-Ack-Request: Yes
Sender: system@{PEER_DOMAIN}
MIME-Version: 1.0
Content-Type: multipart/related; boundary="=_b"

--=_b
Content-Type: application/smil; name=x.smil

<smil/>
--=_b
Content-Type: text/plain; charset=utf-8

caf\N{LATIN SMALL LETTER E WITH ACUTE}
--=_b
Content-Type: image/png; name="IMG_2041.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--=_b--
""".replace("\n", "\r\n").encode()


async def test_a_peers_message_is_told_with_files_that_its_receiver_can_open(mms: Linked) -> None:
    await mms.tell(INBOUND, OURS + TYPED)
    [event] = await mms.application.told(1, type="message-received")
    message = event["message"]
    base = f"{PUBLIC}/api/v2/users/{ACCOUNT}/media/{message['id']}"
    assert message["media"] == [f"{base}/0/0.smil", f"{base}/2/IMG_2041.png"]
    assert (message["text"], message["from"], message["to"]) == ("café", PHONE, [OURS, SECOND, FRIEND])
    assert await mms.get(message["media"][0]) == (200, "application/smil", b"<smil/>")
    assert await mms.get(message["media"][1]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    model = bandwidth.models.InboundCallback.from_json(json.dumps(event))
    assert model is not None
    assert [str(url) for url in model.message.media or []] == message["media"]


async def test_a_repeat_is_answered_again_and_told_once(mms: Linked) -> None:
    for _ in range(3):
        await mms.tell(INBOUND, OURS + TYPED, SECOND + TYPED)
    await mms.peer.until(3)
    assert all(isinstance(received.message, ForwardResponse) for received in mms.peer.received)
    events = await mms.application.told(2, type="message-received")
    assert {event["to"] for event in events} == {OURS, SECOND}
    assert len({event["message"]["id"] for event in events}) == 2
    assert len(await mms.node.media.list(ACCOUNT, "", 100, mms.clock.now())) == 2


async def test_one_request_for_each_recipient_tells_each_once(mms: Linked) -> None:
    for number in (OURS, SECOND):
        await mms.tell(INBOUND, number + TYPED)
    events = await mms.application.told(2, type="message-received")
    assert {event["to"] for event in events} == {OURS, SECOND}


async def _a_moment() -> None:
    """Let other tasks and sockets have their turn."""
    await asyncio.sleep(0.01)


# ── delivery reports of ours ─────────────────────────────────────────────────────────────────────────────────────────


async def reports(mms: Linked, count: int) -> list[DeliveryReportRequest]:
    """Return the reports that the peer got, once there are so many mails, other ones left out."""
    await mms.peer.until(count)
    messages = [received.message for received in mms.peer.received]
    return [message for message in messages if isinstance(message, DeliveryReportRequest)]


def a_report_answer(report: DeliveryReportRequest, status: str) -> bytes:
    return a_mail(
        f"""\
X-Mms-Message-Type: MM4_delivery_report.RES
X-Mms-Transaction-ID: "{report.transaction_id}"
X-Mms-Request-Status-Code: {status}
"""
    )


def a_mail(text: str) -> bytes:
    return f"Sender: system@{PEER_DOMAIN}\n{text}\n".replace("\n", "\r\n").encode()


def a_request(more: str, *numbers: str) -> bytes:
    return a_mail(
        f"""\
From: {PHONE}/TYPE=PLMN
To: {", ".join(f"{number}/TYPE=PLMN" for number in numbers)}
X-Mms-3GPP-MMS-Version: 5.3.0
X-Mms-Message-Type: MM4_forward.REQ
X-Mms-Transaction-ID: "44"
X-Mms-Message-ID: "44@{PEER_DOMAIN}"
Content-Type: text/plain
{more}

Look
"""
    )


async def test_a_peer_that_asks_is_told_once_the_application_has_its_message(mms: Linked) -> None:
    mms.application.status = 500
    await mms.tell(a_request("X-Mms-Delivery-Report: Yes", OURS, SECOND), OURS + TYPED, SECOND + TYPED)
    await mms.application.until(lambda: mms.application.refused >= 2)
    assert not mms.peer.received
    mms.application.status = 204
    while len(mms.application.events) < 2:
        mms.clock.advance(1)
        await asyncio.sleep(0.01)
    found = {report.recipient.value: report for report in await reports(mms, 2)}
    assert sorted(found) == [OURS, SECOND]
    for report in found.values():
        assert str(report.message_id) == f"44@{PEER_DOMAIN}"
        assert ([address.value for address in report.to], report.mm_status) == ([PHONE], "Retrieved")
        assert (report.version, report.res_to, report.forward_to_originator_ua) == ("5.3.0", SYSTEM, True)
    assert found[OURS].transaction_id != found[SECOND].transaction_id


async def test_a_report_that_the_peer_cannot_take_now_comes_again(mms: Linked) -> None:
    mms.peer.script["DATA"].append("451 later")
    await mms.tell(a_request("X-Mms-Originator-R/S-Delivery-Report: Yes", OURS), OURS + TYPED)
    await mms.application.told(1, type="message-received")
    while not mms.peer.received:
        mms.clock.advance(1)
        await asyncio.sleep(0.01)
    [first] = await reports(mms, 1)
    assert first.forward_to_originator_ua is False
    await mms.tell(a_report_answer(first, "Error-transient-failure"))
    while len(mms.peer.received) < 2:
        mms.clock.advance(1)
        await asyncio.sleep(0.01)
    _, second = await reports(mms, 2)
    assert (second.message_id, second.recipient) == (first.message_id, first.recipient)
    assert second.transaction_id != first.transaction_id
    await mms.tell(a_report_answer(second, "Ok"))
    await mms.tell(a_report_answer(second, "Error-transient-failure"))  # of a report that is answered: nothing
    other = await mms.picture(PHONE)
    await mms.answer((await all_requests(mms, 3))[0])
    await mms.fate(other)


async def all_requests(mms: Linked, count: int) -> list[ForwardRequest]:
    await mms.peer.until(count)
    assert len(mms.peer.received) == count
    messages = [received.message for received in mms.peer.received]
    return [message for message in messages if isinstance(message, ForwardRequest)]


NO_REPORTS: dict[str, tuple[str, bool]] = {
    "that does not ask": ("X-Mms-Delivery-Report: No", True),
    "that gets none": ("X-Mms-Delivery-Report: Yes", False),
}


@pytest.mark.parametrize(("header", "enabled"), NO_REPORTS.values(), ids=NO_REPORTS.keys())
async def test_a_peer_is_sent_no_report(header: str, enabled: bool, tmp_path: Path, peer: Peer) -> None:
    async with linked(tmp_path, peer, send_delivery_reports=enabled) as mms:
        await mms.tell(a_request(header, OURS), OURS + TYPED)
        await mms.application.told(1, type="message-received")
        await mms.picture(PHONE)
        assert len(await all_requests(mms, 1)) == 1


async def test_a_report_survives_the_node_that_took_the_message(tmp_path: Path, peer: Peer) -> None:
    async with linked(tmp_path, peer) as mms:
        mms.application.status = 500
        await mms.tell(a_request("X-Mms-Delivery-Report: Yes", OURS), OURS + TYPED)
        await mms.application.until(lambda: mms.application.refused >= 1)
    async with linked(tmp_path, peer) as mms:
        while not mms.application.events:
            mms.clock.advance(1)
            await asyncio.sleep(0.01)
        [report] = await reports(mms, 1)
        assert report.recipient.value == OURS


async def test_reading_a_message_is_acknowledged_and_told_to_nobody(mms: Linked) -> None:
    id_ = await mms.picture(PHONE)
    [request] = await mms.requests(1)
    await mms.answer(request)
    await mms.fate(id_)
    await mms.tell(
        a_mail(
            f"""\
From: {PHONE}/TYPE=PLMN
To: {OURS}/TYPE=PLMN
X-Mms-Message-Type: MM4_read_reply_report.REQ
X-Mms-Transaction-ID: rr-1
X-Mms-Message-ID: {request.message_id}
X-Mms-Ack-Request: Yes
X-Mms-Read-Status: Read
"""
        )
    )
    await mms.peer.until(2)
    answer = mms.peer.received[1].message
    assert isinstance(answer, ReadReplyReportResponse)
    assert (answer.status, str(answer.transaction_id)) == ("Ok", "rr-1")
    await mms.fate(id_)
