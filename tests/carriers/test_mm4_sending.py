"""MMS on their way to a peer: what it gets, and what its replies mean at every stage of the conversation."""

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from carriers.collector import a_message, an_mms, turns
from carriers.mm4_peer import (
    DOMAIN,
    DROP,
    FRIEND,
    PEER_DOMAIN,
    PHONE,
    SYSTEM,
    a_peer,
    linked,
)
from passband.carriers.mm4.profile import DeliveredOn
from passband.carriers.mm4.receiver import Receiver
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Attachment, Deciding, Deferred, Outcome, Rejected, Submission
from passband.mm4.address import EnvelopeForm
from passband.testing import FakeClock
from ports import free_port


@pytest.fixture(autouse=True)
def nothing_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The carrier listens, but starts no process to serve who connects: it would only have to start and to end."""

    async def serve(self: Receiver, listening: socket.socket) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Receiver, "_serve", serve)


PNG = bytes(range(256)) * 40


def with_files(*to: str, octets: bytes = PNG, content_type: str = "image/png") -> Submission:
    submission = an_mms(*(to or (PHONE,)))
    return Submission(submission.recipients, (Attachment("menu.png", content_type, octets),))


async def outcomes(peer_port: int, submission: Submission, clock: FakeClock, **changes: Any) -> list[Outcome]:
    async with linked(peer_port, clock, **changes) as link:
        link.carrier.submit([submission])
        await link.collector.until(lambda: len(link.collector.outcomes) == len(submission.recipients))
        assert link.collector.recipients() == list(submission.recipients)
        return [outcome for _, outcome in link.collector.outcomes]


async def test_the_peer_gets_the_message_with_its_text_and_files(clock: FakeClock) -> None:
    submission = with_files()
    async with a_peer() as peer:
        [outcome] = await outcomes(peer.port, submission, clock)
    message = submission.recipients[0].message
    [received] = peer.received
    assert received.sender == f"+19195550117/TYPE=PLMN@{DOMAIN}"
    assert received.recipients == (f"{PHONE}/TYPE=PLMN@{PEER_DOMAIN}",)
    request = received.request
    assert request.text == "hello"
    assert [(part.name, part.content_type, part.octets) for part in request.media] == [("menu.png", "image/png", PNG)]
    assert str(request.message_id) == f"{message.id}@{DOMAIN}"
    assert request.date == int(message.created_at)
    assert (request.ack_request, request.delivery_report, request.res_to) == (True, True, SYSTEM)
    assert [address.value for address in request.to] == [PHONE]
    assert request.transaction_id is not None
    assert len(request.transaction_id.raw) <= 40
    assert f"SIZE={len(received.octets)}" in peer.commands[1]
    refs = (request.transaction_id.folded, f"{message.id}@{DOMAIN}")
    assert outcome == Accepted(refs, 7200.0, Deciding.FIRST, unanswered=5630)


MODES: dict[str, tuple[dict[str, Any], tuple[float | None, int]]] = {
    "the peer's MMSC has it": ({}, (7200.0, 5630)),
    "its SMTP server has it": ({"mms_delivered_on": DeliveredOn.SMTP}, (None, 0)),
    "the handset has it": ({"mms_delivered_on": DeliveredOn.REPORT}, (7200.0, 5630)),
    "the account wants receipts": ({"mms_delivered_on": DeliveredOn.SMTP, "receipts": True}, (7200.0, 5630)),
    "no response is asked for": ({"mms_delivered_on": DeliveredOn.REPORT, "ack_request": False}, (7200.0, 0)),
}


@pytest.mark.parametrize(("changes", "expected"), MODES.values(), ids=MODES.keys())
async def test_a_message_is_delivered_when(changes: Any, expected: tuple[float | None, int], clock: FakeClock) -> None:
    async with a_peer() as peer:
        [outcome] = await outcomes(peer.port, an_mms(PHONE), clock, **changes)
    assert isinstance(outcome, Accepted)
    assert (outcome.receipt_window, outcome.unanswered) == expected


async def test_a_group_is_one_request_that_shows_everybody_who_can_have_it(clock: FakeClock) -> None:
    message = a_message(PHONE, "+1408555", FRIEND, "+19195550117", kind=Kind.MMS)
    submission = Submission((Recipient(message, 0, "mmsc"), Recipient(message, 2, "mmsc")))
    async with a_peer() as peer:
        assert len(await outcomes(peer.port, submission, clock)) == 2
    [received] = peer.received
    assert received.recipients == tuple(f"{number}/TYPE=PLMN@{PEER_DOMAIN}" for number in (PHONE, FRIEND))
    assert [address.value for address in received.request.to] == [PHONE, FRIEND]


async def test_a_peer_may_want_plain_envelopes(clock: FakeClock) -> None:
    async with a_peer() as peer:
        await outcomes(peer.port, an_mms(PHONE), clock, envelope=EnvelopeForm.DIGITS)
    assert peer.received[0].recipients == (f"14085550142@{PEER_DOMAIN}",)


REFUSALS: dict[str, tuple[str, str, Outcome]] = {
    "450 to MAIL": ("MAIL", "450 busy", Deferred(4701, 5.0)),
    "550 to MAIL": ("MAIL", "550 no such sender", Rejected(4740)),
    "552 to MAIL": ("MAIL", "552 too large", Rejected(4711)),
    "530 to MAIL": ("MAIL", "530 log in first", Deferred(5501, 5.0)),
    "no reply to MAIL": ("MAIL", DROP, Deferred(5501, 5.0)),
    "450 to RCPT": ("RCPT", "450 busy", Deferred(4701, 5.0)),
    "452 to the first RCPT": ("RCPT", "452 full", Deferred(5600, 5.0)),
    "550 to RCPT": ("RCPT", "550 5.1.1 unknown", Rejected(4720)),
    "551 to RCPT": ("RCPT", "551 elsewhere", Rejected(4730)),
    "no reply to RCPT": ("RCPT", DROP, Deferred(5501, 5.0)),
    "451 to DATA": ("DATA", "451 later", Deferred(5620, 5.0)),
    "554 to DATA": ("DATA", "554 no", Rejected(4750)),
    "no reply to DATA": ("DATA", DROP, Deferred(5501, 5.0)),
    "421 to the dot": (".", "421 closing", Deferred(5600, 5.0)),
    "451 to the dot": (".", "451 later", Deferred(5620, 5.0)),
    "552 to the dot": (".", "552 too large", Rejected(4711)),
    "554 to the dot": (".", "554 no", Rejected(4750)),
    "554 5.7.1 to the dot": (".", "554 5.7.1 spam", Rejected(4770)),
    "599 to the dot": (".", "599 no", Rejected(5650)),
    "no reply to the dot": (".", DROP, Deferred(5501, 5.0)),
    "421 for a greeting": ("220", "421 busy", Deferred(5600, 5.0)),
    "554 for a greeting": ("220", "554 not from there", Deferred(5501, 300.0)),
    "no greeting": ("220", DROP, Deferred(5501, 5.0)),
    "nonsense for a greeting": ("220", "hello", Deferred(5501, 5.0)),
}


@pytest.mark.parametrize(("verb", "reply", "expected"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_peer_that_says(verb: str, reply: str, expected: Outcome, clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.script[verb].append(reply)
        [outcome] = await outcomes(peer.port, an_mms(PHONE), clock)
    if isinstance(outcome, Deferred):
        assert isinstance(expected, Deferred)
        assert (outcome.code, round(outcome.delay, 3), outcome.max_attempts) == (expected.code, expected.delay, 0)
    else:
        assert outcome == expected


async def test_nobody_listens(clock: FakeClock) -> None:
    async with linked(free_port(), clock) as link:
        link.carrier.submit([an_mms(PHONE)])
        await link.collector.until(lambda: bool(link.collector.outcomes))
        assert link.collector.outcomes[0][1] == Deferred(5501, 5.0)
        assert link.carrier.room(clock.now()) == 0
        assert link.carrier.room(clock.now() + 5.0) > 0


async def test_the_waits_grow_while_the_peer_cannot_be_reached(clock: FakeClock) -> None:
    waits = []
    async with linked(free_port(), clock) as link:
        for n in range(7):
            link.carrier.submit([an_mms(PHONE)])
            await link.collector.until(lambda n=n: len(link.collector.outcomes) == n + 1)  # type: ignore[misc]
            [*_, (_, outcome)] = link.collector.outcomes
            assert isinstance(outcome, Deferred)
            waits.append(round(outcome.delay))
            clock.advance(outcome.delay)
    assert waits == [5, 15, 45, 120, 300, 300, 300]


async def test_the_waits_grow_while_a_message_is_refused_for_now(clock: FakeClock) -> None:
    submission, waits = an_mms(PHONE), []
    async with a_peer() as peer, linked(peer.port, clock) as link:
        peer.script["MAIL"] += ["451 later"] * 6
        for n in range(6):
            link.carrier.submit([submission])
            await link.collector.until(lambda n=n: len(link.collector.outcomes) == n + 1)  # type: ignore[misc]
            [*_, (_, outcome)] = link.collector.outcomes
            assert isinstance(outcome, Deferred)
            waits.append(outcome.delay)
    assert waits == [5, 15, 45, 120, 300, 300]
    assert peer.connections == 1


async def test_what_may_have_arrived_is_sent_again_under_the_same_identifiers(clock: FakeClock) -> None:
    submission = with_files()
    async with a_peer() as peer, linked(peer.port, clock) as link:
        peer.script["."].append(DROP)
        for n in range(2):
            link.carrier.submit([submission])
            await link.collector.until(lambda n=n: len(link.collector.outcomes) == n + 1)  # type: ignore[misc]
    first, second = peer.received
    assert first == second


async def test_another_attempt_after_a_response_has_another_transaction_and_the_same_message(clock: FakeClock) -> None:
    submission = an_mms(PHONE)
    again = Submission(tuple(msgspec.structs.replace(r, attempts=1) for r in submission.recipients))
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.carrier.submit([submission, again])
        await link.collector.until(lambda: len(link.collector.outcomes) == 2)
    first, second = (received.request for received in peer.received)
    assert first.transaction_id != second.transaction_id
    assert first.message_id == second.message_id


async def test_some_recipients_of_a_group_are_refused_and_the_others_get_it(clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.script["RCPT"] += ["250 Ok", "550 unknown", "450 busy"]
        first, second, third = await outcomes(peer.port, an_mms(PHONE, FRIEND, "+14085550178"), clock)
    assert isinstance(first, Accepted)
    assert (second, third) == (Rejected(4720), Deferred(4701, 5.0))
    assert len(peer.received[0].recipients) == 1
    # All are shown: another peer's handsets see the same list, and who is refused for now comes later.
    assert [address.value for address in peer.received[0].request.to] == [PHONE, FRIEND, "+14085550178"]


async def test_recipients_beyond_what_a_peer_takes_at_once_go_in_another_transaction_at_once(clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.script["RCPT"] += ["250 Ok", "452 too many recipients"]
        first, second, third = await outcomes(peer.port, an_mms(PHONE, FRIEND, "+14085550178"), clock)
    assert isinstance(first, Accepted)
    assert second == third == Deferred(5600, 0.0)
    assert [command for command in peer.commands if command.startswith("RCPT")][2:] == []


LIMITS: dict[str, tuple[Submission, dict[str, Any], int]] = {
    "a mail over the profile's size": (with_files(octets=bytes(800_000)), {}, 4411),
    "a type that the peer does not take": (with_files(), {"content_types": frozenset({"image/jpeg"})}, 4412),
}


@pytest.mark.parametrize(("submission", "changes", "code"), LIMITS.values(), ids=LIMITS.keys())
async def test_not_even_tried(submission: Submission, changes: Any, code: int, clock: FakeClock) -> None:
    async with a_peer() as peer:
        assert await outcomes(peer.port, submission, clock, **changes) == [Rejected(code)]
    assert not peer.commands


async def test_a_mail_over_the_size_that_the_peer_announces_is_not_sent(clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.script["EHLO"].append("250-mmsc.carrier.example\r\n250 SIZE 5000")
        assert await outcomes(peer.port, with_files(), clock) == [Rejected(4711)]
    assert [command.partition(" ")[0] for command in peer.commands][:2] == ["EHLO", "QUIT"]


async def test_a_peer_that_knows_no_ehlo_is_greeted_with_helo(clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.script["EHLO"].append("502 what?")
        [outcome] = await outcomes(peer.port, an_mms(PHONE), clock)
    assert isinstance(outcome, Accepted)
    assert peer.commands[1].startswith("HELO")
    assert "SIZE=" not in peer.commands[2]


async def test_one_connection_takes_many_messages(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.carrier.submit([an_mms(PHONE) for _ in range(10)])
        await link.collector.until(lambda: len(link.collector.outcomes) == 10)
        assert peer.connections == 1
    assert peer.commands[-1] == "QUIT"


async def test_a_connection_that_the_peer_has_closed_meanwhile_is_opened_again(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.carrier.submit([an_mms(PHONE)])
        await link.collector.until(lambda: len(link.collector.outcomes) == 1)
        peer.script["MAIL"].append("421 idle too long")
        link.carrier.submit([an_mms(PHONE)])
        await link.collector.until(lambda: len(link.collector.outcomes) == 2)
    assert all(isinstance(outcome, Accepted) for _, outcome in link.collector.outcomes)
    assert peer.connections == 2


async def test_no_more_connections_than_agreed(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock, connections=2) as link:
        peer.hold.clear()
        link.carrier.submit([an_mms(PHONE) for _ in range(6)])
        await peer.until(2)
        assert (peer.open, link.carrier.room(clock.now())) == (2, 26)
        peer.hold.set()
        await link.collector.until(lambda: len(link.collector.outcomes) == 6)
    assert peer.connections == 2


async def test_a_rate_spreads_messages(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock, rate=0.5) as link:
        link.carrier.submit([an_mms(PHONE) for _ in range(3)])
        await peer.until(1)
        await turns()
        assert len(peer.received) == 1
        for count in (2, 3):
            for _ in range(3):
                clock.advance(1)
                await turns()
            await peer.until(count)


async def test_outcomes_that_the_store_cannot_keep_are_reported_again(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.collector.failures = 2
        link.carrier.submit([an_mms(PHONE)])
        for count in (1, 2):
            await link.collector.until(lambda count=count: link.collector.refused == count)  # type: ignore[misc]
            await turns()
            clock.advance(1)
        await link.collector.until(lambda: len(link.collector.outcomes) == 1)
    assert len(peer.received) == 1


async def test_a_message_under_way_comes_to_its_end_when_the_carrier_stops(clock: FakeClock) -> None:
    async with a_peer() as peer:
        peer.hold.clear()
        async with linked(peer.port, clock) as link:
            link.carrier.submit([an_mms(PHONE), an_mms(FRIEND)])
            await peer.until(1)
            asyncio.get_running_loop().call_later(0.05, peer.hold.set)
        assert len(link.collector.outcomes) == len(peer.received) == 1
