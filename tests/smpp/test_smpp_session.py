"""A client and a server in one process, time handed in: no socket, no clock."""

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import pytest

from passband.smpp.codec import Decoder
from passband.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from passband.smpp.session import Session, SessionMisuse
from passband.smpp.session_events import (
    Answered,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    Event,
    Noted,
    PeerUnbinds,
    Received,
    Suspected,
    Unacknowledged,
)
from passband.smpp.session_states import Role, State

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())
MALFORMED = {row["id"]: bytes.fromhex(row["hex"]) for row in VECTORS["malformed"]}


class Pair:
    """Two ends and what each was told."""

    def __init__(self, *, window: int = 10) -> None:
        self.client = Session(Role.CLIENT, 0.0, window=window)
        self.server = Session(Role.SERVER, 0.0, window=window)

    def to_server(self, now: float = 0.0) -> list[Event]:
        return self.server.receive_data(self.client.data_to_send(), now)

    def to_client(self, now: float = 0.0) -> list[Event]:
        return self.client.receive_data(self.server.data_to_send(), now)

    def bind(self, pdu: Any = None) -> "Pair":
        request = pdu or BindTransceiver(system_id="passband", password="s3cret08")
        self.client.bind(request, 0.0)
        (asked,) = self.to_server()
        assert isinstance(asked, BindRequested)
        assert asked.pdu.system_id == "passband"
        self.server.accept_bind(asked.pdu, "SMSC01", 0.0)
        (bound,) = self.to_client()
        assert isinstance(bound, Bound)
        return self


def sent(session: Session) -> list[Any]:
    return Decoder().feed(session.data_to_send())


def receive(session: Session, *pdus: Pdu, now: float = 0.0) -> list[Event]:
    return session.receive_data(b"".join(pdu.encode() for pdu in pdus), now)


def closed_of(events: list[Event]) -> Closed:
    assert isinstance(events[-1], Closed)
    return events[-1]


@pytest.mark.parametrize(
    ("bind", "state", "client_may", "server_may"),
    [
        (BindTransceiver, State.BOUND_TRX, True, True),
        (BindTransmitter, State.BOUND_TX, True, False),
        (BindReceiver, State.BOUND_RX, False, True),
    ],
)
def test_a_bind_leads_to_its_state(bind: Any, state: State, client_may: bool, server_may: bool) -> None:
    pair = Pair().bind(bind(system_id="passband"))
    assert (pair.client.state, pair.server.state) == (state, state)
    assert (pair.client.room > 0, pair.server.room > 0) == (client_may, server_may)


def test_a_refused_bind_closes_with_its_status() -> None:
    pair = Pair()
    pair.client.bind(BindTransceiver(), 0.0)
    (asked,) = pair.to_server()
    assert isinstance(asked, BindRequested)
    assert pair.server.refuse_bind(asked.pdu, 0x0E, 0.0) == []
    assert pair.to_client() == [Closed(CloseReason.BIND_REFUSED, (), 0x0E)]
    assert pair.client.next_timer() is None


def test_a_bind_may_be_answered_by_a_generic_nack() -> None:
    client = Session(Role.CLIENT, 0.0)
    client.bind(BindTransceiver(), 0.0)
    assert receive(client, GenericNack(0, 3)) == [Closed(CloseReason.BIND_REFUSED, (), 3)]


def test_a_bind_without_an_answer_ends_after_30_seconds() -> None:
    client = Session(Role.CLIENT, 0.0)
    client.bind(BindTransceiver(), 5.0)
    assert client.next_timer() == 35.0
    assert client.handle_timer(34.9) == []
    assert client.handle_timer(35.0) == [Closed(CloseReason.BIND_TIMEOUT)]


def test_responses_come_in_any_order() -> None:
    pair = Pair().bind()
    sequences = [pair.client.submit(SubmitSm(destination_addr=str(n)), 1.0) for n in range(3)]
    requests = [event.pdu for event in pair.to_server() if isinstance(event, Received)]
    for request in reversed(requests):
        pair.server.respond(SubmitSmResp(request.sequence_number, 0, f"id{request.sequence_number}"))
    answers = [event for event in pair.to_client(3.0) if isinstance(event, Answered)]
    assert [answer.sequence_number for answer in answers] == sequences[::-1]
    assert {answer.waited for answer in answers} == {2.0}
    assert pair.client.pending == 0


def test_the_window_bounds_what_is_unanswered() -> None:
    pair = Pair(window=2).bind()
    first = pair.client.submit(SubmitSm(), 0.0)
    pair.client.submit(SubmitSm(), 0.0)
    assert pair.client.room == 0
    with pytest.raises(SessionMisuse):
        pair.client.submit(SubmitSm(), 0.0)
    receive(pair.client, SubmitSmResp(first, 0x58))
    assert pair.client.room == 1


def test_nothing_is_submitted_before_the_bind() -> None:
    with pytest.raises(SessionMisuse):
        Session(Role.CLIENT, 0.0).submit(SubmitSm(), 0.0)


def test_a_sequence_number_wraps_and_skips_what_is_pending() -> None:
    pair = Pair().bind()
    pair.client._sequence = 0x7FFFFFFF
    assert pair.client.submit(SubmitSm(), 0.0) == 1
    pair.client._sequence = 0x7FFFFFFF
    assert pair.client.submit(SubmitSm(), 0.0) == 2


def test_a_deliver_sm_is_answered_only_by_its_owner() -> None:
    pair = Pair().bind()
    sequence = pair.server.request(DeliverSm(short_message=b"Hi"), 0.0)
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    assert pair.client.data_to_send() == b""
    pair.client.respond_deliver(event.pdu.sequence_number)
    (answer,) = pair.to_server()
    assert isinstance(answer, Answered)
    assert answer.pdu == DeliverSmResp(sequence, 0, "")


def test_a_data_sm_is_answered_by_its_own_response() -> None:
    pair = Pair().bind()
    pair.server.request(DataSm(esm_class=4), 0.0)
    (event,) = pair.to_client()
    assert isinstance(event, Received)
    pair.client.respond(DataSmResp(event.pdu.sequence_number))
    assert isinstance(pair.to_server()[0], Answered)


def test_an_early_deliver_sm_is_held_until_the_session_is_bound() -> None:
    client = Session(Role.CLIENT, 0.0)
    client.bind(BindTransceiver(), 0.0)
    early = DeliverSm(77, short_message=b"Hi")
    assert receive(client, early) == []
    response = BindTransceiverResp(1, 0, "SMSC01")
    assert receive(client, response) == [Bound(response), Received(early)]


def test_of_early_requests_a_hundred_are_held_and_the_rest_put_off() -> None:
    client = Session(Role.CLIENT, 0.0)
    client.bind(BindTransceiver(), 0.0)
    client.data_to_send()
    (noted,) = receive(client, *(DeliverSm(number) for number in range(1, 102)))
    assert isinstance(noted, Noted)
    (put_off,) = sent(client)
    assert (put_off.name, put_off.sequence_number, put_off.command_status) == ("deliver_sm_resp", 101, 0x64)


@pytest.mark.parametrize("role", list(Role))
def test_an_enquiry_is_answered_in_every_state(role: Role) -> None:
    pair = Pair()
    one = pair.client if role is Role.CLIENT else pair.server
    receive(one, EnquireLink(5))
    assert [pdu.name for pdu in sent(one)] == ["enquire_link_resp"]


def test_each_end_enquires_after_silence_and_hears_the_other() -> None:
    pair = Pair().bind()
    for asking, to_other, back in (
        (pair.client, pair.to_server, pair.to_client),
        (pair.server, pair.to_client, pair.to_server),
    ):
        due = asking.next_timer()
        assert due is not None
        assert asking.handle_timer(due) == []
        assert asking.next_timer() == due + 10.0
        assert to_other(due + 1) == []
        assert back(due + 2) == []
        assert asking.next_timer() == due + 32.0


def test_two_missed_enquiries_end_the_session_without_unbind() -> None:
    pair = Pair().bind()
    pair.client.submit(SubmitSm(), 25.0)
    pair.client.data_to_send()
    assert pair.client.handle_timer(30.0) == []
    assert pair.client.handle_timer(40.0) == []
    assert [pdu.name for pdu in sent(pair.client)] == ["enquire_link", "enquire_link"]
    assert pair.client.handle_timer(50.0) == [Closed(CloseReason.NO_ANSWER, (2,))]
    assert pair.client.data_to_send() == b""


def test_misses_count_only_in_a_row() -> None:
    pair = Pair().bind()
    for now in (30.0, 80.0):
        assert pair.client.handle_timer(now) == []
        assert pair.client.handle_timer(now + 10.0) == [], "the first miss since something was heard"
        assert receive(pair.client, EnquireLinkResp(9), now=now + 15.0) == []
    assert pair.client.bound


def test_any_octet_is_life() -> None:
    pair = Pair().bind()
    pair.client.handle_timer(30.0)
    pair.client.handle_timer(40.0)
    receive(pair.client, DeliverSm(1), now=45.0)
    assert pair.client.handle_timer(50.0) == []
    assert pair.client.next_timer() == 75.0


def unanswered_for_a_minute() -> Session:
    """A submit_sm at 0 without an answer, on a session that has heard other things."""
    client = Pair().bind().client
    assert client.submit(SubmitSm(), 0.0) == 2
    receive(client, EnquireLink(1), now=55.0)
    client.data_to_send()
    assert client.next_timer() == 60.0
    assert client.handle_timer(60.0) == [Suspected((2,))]
    assert [pdu.name for pdu in sent(client)] == ["enquire_link"]
    assert client.room == 0
    return client


def test_an_unanswered_request_alone_is_given_up_if_the_peer_lives() -> None:
    client = unanswered_for_a_minute()
    assert receive(client, EnquireLink(2), now=65.0) == [Unacknowledged((2,))]
    assert client.room == 10


def test_a_session_that_stays_silent_after_an_unanswered_request_is_dropped() -> None:
    client = unanswered_for_a_minute()
    assert client.next_timer() == 70.0
    assert client.handle_timer(70.0) == [Closed(CloseReason.NO_ANSWER, (2,))]


def test_one_overdue_request_after_another_is_one_question() -> None:
    client = Pair().bind().client
    client.submit(SubmitSm(), 0.0)
    client.submit(SubmitSm(), 1.0)
    receive(client, EnquireLink(1), now=55.0)
    client.data_to_send()
    assert client.handle_timer(60.0) == [Suspected((2,))]
    assert client.handle_timer(61.0) == []
    assert [pdu.name for pdu in sent(client)] == ["enquire_link"]
    assert receive(client, EnquireLink(2), now=62.0) == [Unacknowledged((2, 3))]


def test_an_answer_while_the_peer_is_asked_is_an_answer() -> None:
    client = unanswered_for_a_minute()
    assert receive(client, SubmitSmResp(2, 0, "7"), now=61.0) == [Answered(2, SubmitSmResp(2, 0, "7"), 61.0)]
    assert client.room == 10


def test_a_late_answer_is_told_from_one_to_nothing_for_ten_minutes() -> None:
    client = unanswered_for_a_minute()
    receive(client, EnquireLink(2), now=65.0)
    (answered,) = receive(client, SubmitSmResp(2, 0, "7"), now=600.0)
    assert isinstance(answered, Answered)
    assert answered.late
    client = unanswered_for_a_minute()
    receive(client, EnquireLink(2), now=65.0)
    receive(client, EnquireLink(3), now=660.0)
    client.handle_timer(665.0)
    assert isinstance(receive(client, SubmitSmResp(2, 0, "7"), now=666.0)[0], Noted)


def test_a_pdu_must_complete_within_ten_seconds() -> None:
    client = Pair().bind().client
    octets = DeliverSm(1, short_message=b"Hi").encode()
    client.receive_data(octets[:5], 1.0)
    client.receive_data(octets[5:20], 9.0)
    assert client.next_timer() == 11.0
    assert client.handle_timer(11.0) == [Closed(CloseReason.STALLED)]


def test_a_pdu_that_completes_in_time_stops_its_timer() -> None:
    client = Pair().bind().client
    octets = DeliverSm(1, short_message=b"Hi").encode()
    client.receive_data(octets[:5], 1.0)
    client.receive_data(octets[5:] + octets[:3], 9.0)
    assert client.next_timer() == 19.0
    client.receive_data(octets[3:], 10.0)
    assert client.next_timer() == 40.0


@pytest.mark.parametrize("role", list(Role))
def test_either_end_may_unbind(role: Role) -> None:
    pair = Pair().bind()
    one, other = (pair.client, pair.server) if role is Role.CLIENT else (pair.server, pair.client)
    assert one.unbind(1.0) == []
    assert other.receive_data(one.data_to_send(), 1.0) == [PeerUnbinds()]
    assert one.receive_data(other.data_to_send(), 1.0) == [Closed(CloseReason.UNBOUND)]
    assert other.next_timer() == 1.0
    assert other.handle_timer(1.0) == [Closed(CloseReason.PEER_UNBOUND)]


def test_an_unbind_without_an_answer_ends_after_5_seconds() -> None:
    client = Pair().bind().client
    sequence = client.submit(SubmitSm(), 0.0)
    client.unbind(1.0)
    assert client.next_timer() == 6.0
    assert client.handle_timer(6.0) == [Closed(CloseReason.UNBIND_TIMEOUT, (sequence,))]


def test_a_deliver_sm_is_still_taken_while_we_unbind() -> None:
    client = Pair().bind().client
    client.unbind(1.0)
    client.data_to_send()
    assert receive(client, DeliverSm(9)) == [Received(DeliverSm(9))]
    client.respond_deliver(9)
    assert [pdu.name for pdu in sent(client)] == ["deliver_sm_resp"]


def test_answers_under_way_are_awaited_when_the_peer_unbinds() -> None:
    client = Pair().bind().client
    sequence = client.submit(SubmitSm(), 0.0)
    client.data_to_send()
    assert receive(client, Unbind(9), now=1.0) == [PeerUnbinds()]
    assert sent(client) == [UnbindResp(9)]
    assert client.room == 0
    assert client.next_timer() == 3.0
    assert isinstance(receive(client, SubmitSmResp(sequence, 0, "7"), now=2.0)[0], Answered)
    assert client.handle_timer(2.0) == [Closed(CloseReason.PEER_UNBOUND)]


def test_our_own_answers_are_awaited_when_the_peer_unbinds() -> None:
    client = Pair().bind().client
    receive(client, DeliverSm(8), Unbind(9), now=1.0)
    assert client.handle_timer(1.5) == []
    client.respond_deliver(8)
    assert client.handle_timer(1.5) == [Closed(CloseReason.PEER_UNBOUND)]


def test_an_unbind_in_answer_to_an_unbind_ends_the_session() -> None:
    client = Pair().bind().client
    client.unbind(1.0)
    assert receive(client, Unbind(9)) == [Closed(CloseReason.PEER_UNBOUND)]


def test_an_unbound_session_simply_ends() -> None:
    assert Session(Role.CLIENT, 0.0).unbind(0.0) == [Closed(CloseReason.UNBOUND)]


# generic_nack, refusals, faults


def test_a_generic_nack_of_a_request_is_its_answer() -> None:
    client = Pair().bind().client
    sequence = client.submit(SubmitSm(), 0.0)
    assert receive(client, GenericNack(sequence, 3)) == [Answered(sequence, GenericNack(sequence, 3), 0.0)]


def test_three_unmatched_generic_nacks_within_a_minute_end_the_session() -> None:
    client = Pair().bind().client
    for now in (0.0, 61.0, 90.0):
        assert isinstance(receive(client, GenericNack(0, 2), now=now)[0], Noted)
    assert closed_of(receive(client, GenericNack(999, 2), now=120.0)).reason is CloseReason.NACKED


def test_a_peer_that_nacks_every_enquiry_is_alive() -> None:
    client = Pair().bind().client
    client.data_to_send()
    now = 0.0
    for _ in range(5):
        now += 20.0
        client._enquire(now)
        (enquiry,) = sent(client)
        receive(client, GenericNack(enquiry.sequence_number, 3), now=now)
    assert client.bound


def test_an_unknown_request_is_nacked_and_an_unknown_response_noted() -> None:
    client = Pair().bind().client
    assert isinstance(client.receive_data(MALFORMED["mal_unknown_command"], 0.0)[0], Noted)
    assert sent(client) == [GenericNack(77, 3)]
    for octets in (MALFORMED["mal_unexpected_resp"], bytes.fromhex("0000001080000102000000000000004D")):
        assert isinstance(client.receive_data(octets, 0.0)[0], Noted)
    assert client.data_to_send() == b""


def test_an_unreadable_deliver_sm_is_answered_and_the_session_goes_on() -> None:
    client = Pair().bind().client
    assert isinstance(client.receive_data(MALFORMED["mal_sm_length_overrun"], 0.0)[0], Noted)
    assert sent(client) == [DeliverSmResp(0x191, 1)]
    assert client.bound


@pytest.mark.parametrize("name", ["mal_sm_length_overrun", "mal_unknown_command", "mal_command_length_huge"])
def test_an_unreadable_pdu_is_forgotten_with_its_events(name: str) -> None:
    # A traceback kept in an event led back to the event, and a peer could fill the memory with bad PDUs.
    gc.collect()
    gc.disable()
    try:
        events = Pair().bind().client.receive_data(MALFORMED[name], 0.0)
        noted = events[0]
        assert isinstance(noted, Noted)
        error = weakref.ref(noted.about)
        assert error() is not None
        del events, noted
        assert error() is None, "without the help of the garbage collector"
    finally:
        gc.enable()


def test_a_lost_stream_is_nacked_and_closed() -> None:
    client = Pair().bind().client
    sequence = client.submit(SubmitSm(), 0.0)
    client.data_to_send()
    events = client.receive_data(MALFORMED["mal_command_length_huge"], 0.0)
    assert closed_of(events) == Closed(CloseReason.STREAM_LOST, (sequence,))
    assert sent(client) == [GenericNack(0, 2)]


@pytest.mark.parametrize(
    ("bind", "request_pdu", "name", "status"),
    [
        (BindReceiver, SubmitSm(9), "submit_sm_resp", 0x04),
        (BindTransceiver, BindTransceiver(9), "bind_transceiver_resp", 0x05),
        (BindTransceiver, DeliverSm(9), "generic_nack", 0x03),
    ],
)
def test_a_server_refuses_what_a_bind_does_not_allow(bind: Any, request_pdu: Pdu, name: str, status: int) -> None:
    server = Pair().bind(bind(system_id="passband")).server
    receive(server, request_pdu)
    (answer,) = sent(server)
    assert (answer.name, answer.sequence_number, answer.command_status) == (name, 9, status)


def test_a_server_refuses_a_submit_before_the_bind() -> None:
    server = Session(Role.SERVER, 0.0)
    receive(server, SubmitSm(9))
    assert [(pdu.name, pdu.command_status) for pdu in sent(server)] == [("submit_sm_resp", 0x04)]


def test_what_a_client_sends_behind_its_bind_is_answered_after_it() -> None:
    server = Session(Role.SERVER, 0.0)
    (asked,) = receive(server, BindTransceiver(1, system_id="passband"), SubmitSm(2), EnquireLink(3))
    assert isinstance(asked, BindRequested)
    assert receive(server, SubmitSm(4)) == []
    assert sent(server) == []
    assert server.accept_bind(asked.pdu, "SMSC01", 0.0) == [Received(SubmitSm(2)), Received(SubmitSm(4))]
    assert [(type(pdu), pdu.sequence_number) for pdu in sent(server)] == [
        (BindTransceiverResp, 1),
        (EnquireLinkResp, 3),
    ]
    assert receive(server, SubmitSm(5)) == [Received(SubmitSm(5))]


def test_what_a_client_sends_behind_a_refused_bind_is_refused_after_it() -> None:
    server = Session(Role.SERVER, 0.0)
    (first,) = receive(server, BindTransceiver(1), SubmitSm(2), BindTransceiver(3), SubmitSm(4), Unbind(5))
    assert isinstance(first, BindRequested)
    _, second = server.refuse_bind(first.pdu, 0x0E, 0.0)
    assert isinstance(second, BindRequested)
    assert [(pdu.sequence_number, pdu.command_status) for pdu in sent(server)] == [(1, 0x0E), (2, 0x04)]
    server.accept_bind(second.pdu, "SMSC01", 0.0)
    assert [pdu.sequence_number for pdu in sent(server)] == [3, 5]


def test_an_alert_changes_nothing_and_is_not_answered() -> None:
    client = Pair().bind().client
    assert isinstance(receive(client, AlertNotification(5))[0], Noted)
    assert client.data_to_send() == b""


def test_a_lost_connection_tells_what_was_unanswered_once() -> None:
    client = Pair().bind().client
    sequence = client.submit(SubmitSm(), 0.0)
    assert client.connection_lost() == [Closed(CloseReason.CONNECTION_LOST, (sequence,))]
    assert client.connection_lost() == []
    assert client.receive_data(EnquireLink(1).encode(), 0.0) == []
    client.data_to_send()
    client.respond_deliver(1)
    client.respond(DataSmResp(1))
    assert client.data_to_send() == b""


def test_a_session_binds_once_and_only_servers_accept() -> None:
    pair = Pair().bind()
    with pytest.raises(SessionMisuse):
        pair.client.bind(BindTransceiver(), 0.0)
    with pytest.raises(SessionMisuse):
        pair.server.accept_bind(BindTransceiver(), "", 0.0)
