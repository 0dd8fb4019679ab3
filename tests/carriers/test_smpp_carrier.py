"""The SMPP carrier against the simulated SMSC, over TCP."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import structlog
import trustme

from carriers.collector import SENDER, Collector, a_submission, running, turns
from carriers.smpp_pair import pair, running_smsc, settings
from passband.carriers.smpp import SmppCarrier, carrier, check, reports
from passband.carriers.smpp.reports import BATCH
from passband.clock import SystemClock
from passband.domain.report import Accepted, Deciding, Deferred, Rejected, Submission
from passband.domain.segments import segment
from passband.smpp import text, tlv, udh
from passband.smpp.pdu import SubmitSmResp
from passband.smsc import server
from passband.smsc.deliveries import inbound_bodies
from passband.testing import FakeClock

LONG = "Your table is ready. " * 20


# ── the way out ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", ["Hello @ 5€ [ok] _$", "Ваш стол готов ☕", ""])
async def test_a_text_arrives_as_it_was_and_its_receipt_comes_back(said: str, collector: Collector) -> None:
    async with pair(collector) as both:
        await both.bound()
        both.carrier.submit([a_submission(text=said)])
        await collector.until(lambda: len(collector.receipts) == 1)
        (taken,) = both.smsc.ledger
    (accepted,) = [outcome for _, outcome in collector.outcomes]
    assert isinstance(accepted, Accepted)
    assert collector.receipts[0].refs[0] == accepted.refs[0]
    assert (collector.receipts[0].number, collector.receipts[0].code) == ("+14085550142", 0)
    assert (taken.source, taken.destination) == (SENDER[1:], "14085550142")
    assert text.decode(taken.content, 8 if "☕" in said else 0) == said


@pytest.mark.parametrize(
    ("receipts", "deciding", "refs"),
    [("all", Deciding.SOME, 3), ("one", Deciding.FIRST, 3), ("last", Deciding.EVERY, 1), ("first", Deciding.EVERY, 1)],
)
async def test_every_segment_has_a_reference_and_the_profile_says_which_receipts_count(
    receipts: str, deciding: Deciding, refs: int, collector: Collector
) -> None:
    async with pair(collector, receipts=receipts) as both:
        await both.bound()
        both.carrier.submit([a_submission(text=LONG, segments=3)])
        await collector.until(lambda: len(collector.receipts) == refs and len(collector.outcomes) == 1)
        headers = [udh.read(taken.content) for taken in both.smsc.ledger]
        ids = [taken.message_id for taken in both.smsc.ledger]
    assert [header.concatenation for header in headers if header] == [(0, "8", 3, place) for place in (1, 2, 3)]
    (accepted,) = [outcome for _, outcome in collector.outcomes]
    assert isinstance(accepted, Accepted)
    assert accepted.deciding == deciding
    expected = {"all": ids, "one": ids, "last": ids[-1:], "first": ids[:1]}[receipts]
    assert list(accepted.refs) == expected
    assert {receipt.refs[0] for receipt in collector.receipts} == set(expected)


async def test_nothing_awaits_receipts_where_the_carrier_sends_none(collector: Collector) -> None:
    async with pair(collector, delivered_on="submit") as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 1)
        assert both.smsc.counters["receipts"] == 0
    (accepted,) = [outcome for _, outcome in collector.outcomes]
    assert isinstance(accepted, Accepted)
    assert accepted.receipt_window is None


@pytest.mark.parametrize("ids", ["hex", "hex-decimal", "decimal-hex", "padded", "uuid"])
async def test_a_receipt_finds_its_segment_however_ids_are_written(ids: str, collector: Collector) -> None:
    async with pair(collector, smsc={"id_format": ids}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.receipts) == 1 and len(collector.outcomes) == 1)
    assert collector.refs[0] in collector.receipts[0].refs


async def test_a_failing_number_fails_by_its_receipt(collector: Collector) -> None:
    async with pair(collector) as both:
        await both.bound()
        both.carrier.submit([a_submission("+19195554720"), a_submission("+19195559902")])
        await collector.until(lambda: len(collector.receipts) == 1 and len(collector.outcomes) == 2)
    assert [(receipt.number, receipt.code) for receipt in collector.receipts] == [("+19195554720", 4720)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0B, Rejected(4720)),
        (0x01, Rejected(4751)),
        (0x08, Deferred(5620, 5.0, 3)),
        (0x45, Deferred(5610, 5.0, 2)),
        (0x04, Deferred(5501, 1.0, 3)),
        (0x0E, Deferred(5501, 1.0, 3)),
        (0x410, Rejected(9999)),
    ],
    ids=["0x0B", "0x01", "0x08", "0x45", "0x04", "0x0E", "0x410"],
)
async def test_a_status_decides(status: int, expected: Any, collector: Collector) -> None:
    async with pair(collector, smsc={"errors": {status: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission(text=LONG, segments=3)])
        await collector.until(lambda: len(collector.outcomes) == 1)
        await turns()
    outcome: Any
    (outcome,) = [outcome for _, outcome in collector.outcomes]
    assert type(outcome) is type(expected)
    assert outcome.code == expected.code
    if isinstance(expected, Deferred):
        assert outcome.delay == pytest.approx(expected.delay, rel=0.2)
        assert outcome.max_attempts == expected.max_attempts


@pytest.mark.parametrize(("status", "alarms"), [(0x45, [20]), (0x02, [1, 20])], ids=["usual", "alarming at once"])
async def test_twenty_equal_refusals_in_a_row_are_an_alarm(
    status: int, alarms: list[int], collector: Collector
) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector, smsc={"errors": {status: 1.0}}) as both:
            await both.bound()
            both.carrier.submit([a_submission() for _ in range(25)])
            await collector.until(lambda: len(collector.outcomes) == 25)
    assert [line["in_a_row"] for line in lines if line["log_level"] == "error"] == alarms


async def test_what_the_carrier_says_about_a_refusal_is_logged(collector: Collector) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector, smsc={"drop_responses": 1.0}) as both:
            await both.bound()
            (peer,) = both.smsc.peers
            both.carrier.submit([a_submission()])
            await both.until_smsc("submits", 1)
            said = SubmitSmResp(2, 0x45, "", {tlv.ADDITIONAL_STATUS_INFO_TEXT: b"no credit\0"})
            peer.session.respond(said)
            peer.flush()
            await collector.until(lambda: len(collector.outcomes) == 1)
    assert [line["reason"] for line in lines if "reason" in line and "status" in line] == ["no credit"]


async def test_a_carrier_that_lost_our_bind_is_bound_again(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"errors": {0x04: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 1)
        await both.until_clock(lambda: both.smsc.counters["binds"] == 2)
    assert both.smsc.counters["binds"] == 2


async def test_what_cannot_be_encoded_or_is_too_long_is_refused_before_anything_is_sent(collector: Collector) -> None:
    async with pair(collector, max_segments=2) as both:
        await both.bound()
        both.carrier.submit([a_submission(text="a\x1bb"), a_submission(text=LONG, segments=3)])
        await collector.until(lambda: len(collector.outcomes) == 2)
        assert both.smsc.counters["submits"] == 0
    assert [outcome for _, outcome in collector.outcomes] == [Rejected(4301), Rejected(4350)]


async def test_segments_are_counted_as_the_platform_counts_them(collector: Collector) -> None:
    async with pair(collector) as both:
        await both.bound()
        said = "€" * 160
        both.carrier.submit([a_submission(text=said)])
        await collector.until(lambda: len(collector.outcomes) == 1)
        assert len(both.smsc.ledger) == len(segment(said).parts)


# ── how fast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_window_is_never_exceeded(collector: Collector) -> None:
    async with pair(collector, window=4, smsc={"response_delay": 0.05}) as both:
        await both.bound()
        assert both.carrier.room(both.clock.now()) == 8  # as much again waits its turn
        both.carrier.submit([a_submission() for _ in range(8)])
        assert both.carrier.room(both.clock.now()) == 0
        await both.until_smsc("submits", 4)
        assert both.smsc.counters["submits"] == 4
        assert both.carrier.links()[0].pending == 4
        await collector.until(lambda: len(collector.outcomes) == 8)


async def test_the_rate_is_kept_and_whoever_waits_is_woken(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, rate=2.0) as both:
        await both.bound()
        taken = 0
        for _ in range(40):
            room = both.carrier.room(clock.now())
            if room:
                both.carrier.submit([a_submission()])
                taken += 1
            clock.advance(0.25)
            await turns(5)
        assert taken == 20
        await both.until_smsc("submits", 20)
        assert collector.woken >= 19


async def test_segments_are_paced_not_messages(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, rate=1.0) as both:
        await both.bound()
        both.carrier.submit([a_submission(text=LONG, segments=3)])
        await both.until_smsc("submits", 1)
        assert both.carrier.room(clock.now()) == 0
        clock.advance(1.0)
        await both.until_smsc("submits", 2)
        clock.advance(1.0)
        await collector.until(lambda: len(collector.outcomes) == 1)


async def test_throttling_stops_everything_and_uses_up_no_attempt(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"errors": {0x58: 1.0}}) as both:
        await both.bound()
        submissions = [a_submission() for _ in range(3)]
        both.carrier.submit(submissions)
        await both.until_smsc("refused_58", 3)
        await turns()
        assert both.carrier.room(clock.now()) == 0
        assert both.carrier.throttled_until == clock.now() + 1.0  # one pause for all three
        clock.advance(1.0)
        await both.until_smsc("refused_58", 4)
        await turns()
        assert both.carrier.throttled_until == clock.now() + 2.0
        both.smsc.options.errors = {}
        await both.until_clock(lambda: len(collector.outcomes) == 3)
    assert all(isinstance(outcome, Accepted) for _, outcome in collector.outcomes)
    assert collector.recipients()[0] == submissions[0].recipients[0]


async def test_after_a_pause_the_segment_that_was_refused_goes_first(collector: Collector, clock: FakeClock) -> None:
    numbers = ["+14085550142", "+14085550143", "+14085550144"]
    async with pair(collector, clock=clock, window=2, smsc={"errors": {0x58: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission(number) for number in numbers])
        await both.until_clock(lambda: both.carrier.throttled_count == 2, 0.0)
        both.smsc.options.errors = {}
        await both.until_clock(lambda: len(collector.outcomes) == 3, 0.5)
        assert ["+" + taken.destination for taken in both.smsc.ledger] == numbers


async def test_a_long_pause_gives_back_what_waits(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"errors": {0x14: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await both.until_clock(lambda: len(collector.outcomes) == 1)
    assert collector.outcomes[0][1] == Deferred(5600, 0.0, 0)


# ── lost answers ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_segment_whose_answer_is_lost_is_submitted_once_more_and_then_fails(
    collector: Collector, clock: FakeClock
) -> None:
    async with pair(collector, clock=clock, smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await both.until_clock(lambda: len(collector.outcomes) == 1)
        assert [taken.content for taken in both.smsc.ledger] == [b"hello"] * 2
        assert both.smsc.counters["binds"] == 1  # it lives: it answers enquire_link
    assert collector.outcomes[0][1] == Rejected(5630)


async def test_a_lost_answer_may_fail_at_once(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, on_unacked="fail", smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await both.until_clock(lambda: len(collector.outcomes) == 1)
        assert len(both.smsc.ledger) == 1
    assert collector.outcomes[0][1] == Rejected(5630)


async def test_a_late_answer_still_counts(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"response_delay": 0.1, "receipts": False}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await both.until_smsc("submits", 1)
        clock.advance(61)
        await both.until_smsc("submits", 2)
        await collector.until(lambda: len(collector.outcomes) == 1)
        await asyncio.sleep(0.2)
        assert collector.refs == [both.smsc.ledger[0].message_id]
    assert len(collector.outcomes) == 1


async def test_a_late_refusal_does_not_fail_what_was_sent_once_more(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        (peer,) = both.smsc.peers
        both.carrier.submit([a_submission()])
        await both.until_smsc("submits", 1)
        clock.advance(61)
        await both.until_smsc("submits", 2)
        # The bind was 1, and between both submits it was asked twice whether it lives.
        for answer in (SubmitSmResp(2, 0x0B), SubmitSmResp(5, 0, "AB")):
            peer.session.respond(answer)
            peer.flush()
        await collector.until(lambda: len(collector.outcomes) == 1)
    assert collector.refs == ["AB"]


# ── the way in ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_acknowledged_before_it_is_durable_and_nothing_else_waits_for_it(collector: Collector) -> None:
    async with pair(collector, smsc={"receipts": False}) as both:
        await both.bound()
        collector.open.clear()
        both.smsc.inbound("+14085550142", SENDER, "On my way")
        await collector.until(lambda: collector.hanging == 1)
        both.carrier.submit([a_submission()])
        async with asyncio.timeout(30):
            while not both.carrier.links()[0].answered:
                await asyncio.sleep(0.001)
        assert both.smsc.counters["acknowledged"] == 0
        collector.open.set()
        await both.until_smsc("acknowledged", 1)
    (message,) = collector.inbound
    assert (message.sender, message.to, message.text) == ("+14085550142", (SENDER,), "On my way")


async def test_who_sends_more_than_is_held_is_told_to_send_it_again(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_ARRIVALS", 2)
    monkeypatch.setattr(server, "AGAIN_SECONDS", 0.01)
    async with pair(collector) as both:
        await both.bound()
        collector.open.clear()
        for n in range(8):
            both.smsc.inbound("+14085550142", SENDER, f"message {n}")
        try:
            await both.until_smsc("delivery_refused_64", 1)
        finally:
            collector.open.set()
        await both.until_smsc("acknowledged", 8)
    assert {message.text for message in collector.inbound} == {f"message {n}" for n in range(8)}


async def test_what_the_store_cannot_keep_is_sent_again(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "AGAIN_SECONDS", 0.01)
    async with pair(collector) as both:
        await both.bound()
        collector.failures = 1
        both.smsc.inbound("+14085550142", SENDER, "On my way")
        await both.until_smsc("delivery_refused_64", 1)
        await both.until_smsc("acknowledged", 1)
    assert [message.text for message in collector.inbound] == ["On my way"]


@pytest.mark.slow
async def test_nothing_more_is_sent_while_too_many_outcomes_are_not_kept(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "MOST_UNREPORTED", 3)
    async with pair(collector, smsc={"receipts": False}) as both:
        await both.bound()
        collector.failures = 1
        both.carrier.submit([a_submission() for _ in range(3)])
        await both.until_smsc("accepted", 3)
        async with asyncio.timeout(5):
            while both.carrier.room(both.clock.now()):
                await asyncio.sleep(0.001)
        await collector.until(lambda: len(collector.outcomes) == 3)
        assert both.carrier.room(both.clock.now())


async def test_outcomes_that_the_store_cannot_keep_are_reported_again(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"receipts": False}) as both:
        await both.bound()
        collector.failures = 2
        both.carrier.submit([a_submission()])
        await both.until_clock(lambda: len(collector.outcomes) == 1, 0.1)
    assert collector.refused == 2


@pytest.mark.parametrize(("again", "doubts"), [(False, 0), (True, 1)], ids=["two equal messages", "a repeat"])
async def test_a_repeat_is_told_from_an_equal_message_by_whether_the_answer_arrived(
    again: bool, doubts: int, collector: Collector, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "AGAIN_SECONDS", 0.01)
    async with pair(collector, clock=clock) as both:
        await both.bound()
        collector.open.clear()
        both.smsc.inbound("+14085550142", SENDER, "yes")
        await collector.until(lambda: collector.hanging == 1)
        if again:
            both.smsc.disconnect()
            await both.until_smsc("unanswered_deliveries", 1)
            await turns()
        collector.open.set()
        if again:
            await both.until_clock(lambda: both.smsc.counters["acknowledged"] == 1)
        else:
            await both.until_smsc("acknowledged", 1)
            both.smsc.inbound("+14085550142", SENDER, "yes")
            await both.until_smsc("acknowledged", 2)
        told = [doubt.digest for report in collector.reports for doubt in report.doubts]
        assert told == [message.digest for message in collector.inbound[:doubts]]
    # Both sessions have ended within a minute after their answers.
    assert {doubt.digest for report in collector.reports for doubt in report.doubts} == {collector.inbound[0].digest}


REPEATS: dict[str, tuple[dict[str, Any], bool, float, bool, int, int]] = {
    # settings, whether the link is cut, how long the store takes and whether it can, messages told, PDUs acknowledged
    "after a cut": ({}, True, 0.0, True, 1, 1),
    "after a cut, and nothing can be stored": ({}, True, 0.0, False, 1, 1),
    "after a cut, over another bind": ({"binds": 2}, True, 0.0, True, 1, 1),
    "after a cut, over another bind, and nothing can be stored": ({"binds": 2}, True, 0.0, False, 1, 1),
    "over the same bind, after the peer's own timer": ({}, False, 10.0, True, 1, 2),
    "an equal message": ({}, False, 1.0, True, 2, 2),
    "an equal message over another bind": ({"binds": 2}, False, 1.0, True, 2, 2),
}


@pytest.mark.parametrize("case", REPEATS)
async def test_a_repeat_of_a_message_that_is_being_stored_is_told_once(
    case: str, collector: Collector, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, cut, seconds, kept, told, acknowledged = REPEATS[case]
    monkeypatch.setattr(server, "AGAIN_SECONDS", 0.01)
    async with pair(collector, clock=clock, **changes) as both:
        await both.until_smsc("binds", both.carrier.binds)
        collector.open.clear()
        collector.failures = 0 if kept else 1
        (body,) = inbound_bodies("+14085550142", SENDER, "yes", 1)
        both.smsc.deliver("passband", [body])
        both.smsc.wake()
        await collector.until(lambda: collector.hanging == 1)
        if cut:
            # It is sent again as soon as a bind is left or is back, long before the first is stored.
            (first,) = [peer for peer in both.smsc.peers if peer.session.pending]
            first.abort()
            await both.until_smsc("unanswered_deliveries", 1)
        else:
            clock.advance(seconds)
            both.smsc.deliver("passband", [body])
            both.smsc.wake()
        await both.until_clock(lambda: sum(link.received for link in both.carrier.links()) == 2, 0.5)
        collector.open.set()
        await both.until_clock(lambda: both.smsc.counters["acknowledged"] == acknowledged, 0.1)
        assert [message.text for message in collector.inbound] == ["yes"] * told


async def test_a_long_inbound_message_comes_as_parts_that_join_to_it(collector: Collector) -> None:
    async with pair(collector) as both:
        await both.bound()
        said = "Спасибо, уже еду 🚕 " * 10
        count = both.smsc.inbound("+14085550142", SENDER, said)
        await both.until_smsc("acknowledged", count)
        parts = [part for report in collector.reports for part in report.parts]
        joined = both.carrier.join(sorted(parts, key=lambda part: part.sequence))
    assert len({part.key for part in parts}) == 1
    assert {part.total for part in parts} == {count}
    assert (joined.text, joined.segment_count, joined.sender) == (said, count, "+14085550142")


async def test_reports_are_batches_and_not_too_large(collector: Collector) -> None:
    async with pair(collector, window=2000) as both:
        await both.bound()
        both.carrier.submit([a_submission() for _ in range(1500)])
        await collector.until(lambda: len(collector.outcomes) == 1500 and len(collector.receipts) == 1500)
    sizes = [len(report.outcomes) + len(report.receipts) for report in collector.reports]
    assert max(sizes) <= BATCH
    assert len(sizes) < 300


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_transmitter_and_a_receiver_share_the_work(collector: Collector) -> None:
    async with pair(collector, bind_type="transmitter+receiver") as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.receipts) == 1 and len(collector.outcomes) == 1)
        assert [link.bind for link in both.carrier.links()] == ["bind_transmitter", "bind_receiver"]
    assert collector.refs[0] in collector.receipts[0].refs


async def test_several_binds_have_a_window_each(collector: Collector) -> None:
    async with pair(collector, binds=3, window=2, smsc={"response_delay": 0.05}) as both:
        await both.until_smsc("binds", 3)
        await collector.until(lambda: both.carrier.room(both.clock.now()) == 12)
        both.carrier.submit([a_submission() for _ in range(12)])
        await both.until_smsc("submits", 6)
        assert [link.pending for link in both.carrier.links()] == [2, 2, 2]
        await collector.until(lambda: len(collector.outcomes) == 12)


async def test_binds_take_turns_where_one_alone_could_take_all(collector: Collector) -> None:
    async with pair(collector, binds=3) as both:
        await both.until_smsc("binds", 3)
        await collector.until(lambda: both.carrier.room(both.clock.now()) == 60)
        for count in range(1, 10):
            both.carrier.submit([a_submission()])
            await collector.until(lambda count=count: len(collector.outcomes) == count)  # type: ignore[misc]
        assert [link.submitted for link in both.carrier.links()] == [3, 3, 3]


async def test_it_comes_back_when_the_carrier_unbinds(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock) as both:
        await both.bound()
        both.smsc.unbind()
        await both.until_clock(lambda: both.smsc.counters["binds"] == 2)
        await both.bound()
        assert both.carrier.links()[0].last_error == "the peer unbound"


async def test_wrong_credentials_are_tried_slowly_and_for_ever(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, smsc={"password": "another"}) as both:
        await both.until_smsc("bind_refusals", 1)
        began = clock.now()
        await both.until_clock(lambda: clock.now() - began > 3600, 10.0)
        assert 6 <= both.smsc.counters["bind_refusals"] <= 12
        assert both.carrier.room(clock.now()) == 0
        assert both.carrier.links()[0].last_error == "the bind was refused: ESME_RINVPASWD"
        both.smsc.options.password = ""
        await both.until_clock(lambda: both.smsc.counters["binds"] == 1, 10.0)
        await both.bound()


async def test_the_next_host_is_tried_after_a_failure(collector: Collector, clock: FakeClock) -> None:
    async with (
        running_smsc() as (other, port),
        pair(collector, clock=clock, other_hosts=(f"127.0.0.1:{port}",)) as both,
    ):
        await both.bound()
        both.smsc.disconnect()
        await both.until_clock(lambda: other.counters["binds"] == 1)
        assert both.smsc.counters["binds"] == 1, "the first host was not asked again"


async def test_a_certificate_is_believed_only_if_its_authority_is_known(tmp_path: Path, collector: Collector) -> None:
    authority, certificate = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    known = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(known)
    async with pair(collector, tls=True, tls_ca_file=str(known), smsc={"tls_certificate": str(certificate)}) as both:
        await both.bound()
        both.carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.receipts) == 1)
        for changes, fault in (({}, "CERTIFICATE_VERIFY_FAILED"), ({"tls_server_name": "x.example"}, "mismatch")):
            ca = {"tls_ca_file": str(known)} if changes else {}
            stranger = SmppCarrier(settings(both.port, tls=True, **ca, **changes), SystemClock(), Random(1))
            (found,) = await stranger.check()
            assert fault in found


# ── stopping and checking ────────────────────────────────────────────────────────────────────────────────────────────


async def test_stopping_waits_for_answers_gives_back_the_rest_and_unbinds(collector: Collector) -> None:
    async with pair(collector, window=2, smsc={"response_delay": 0.05}) as both:
        await both.bound()
        both.carrier.submit([a_submission() for _ in range(4)])
        await both.until_smsc("submits", 2)
    outcomes = [outcome for _, outcome in collector.outcomes]
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 2
    assert outcomes.count(Deferred(5501, 0.0, 0)) == 2
    assert both.smsc.counters["submits"] == 2


@pytest.mark.parametrize(
    ("on_unacked", "code", "outcome"),
    [("resubmit", 0, Deferred(5630, 0.0, 2)), ("resubmit", 5630, Rejected(5630)), ("fail", 0, Rejected(5630))],
    ids=["goes back, to be submitted once more", "is lost for the second time", "fails, as configured"],
)
async def test_stopping_does_not_wait_for_ever_and_what_is_unanswered_counts_as_lost(
    on_unacked: str, code: int, outcome: Any, collector: Collector
) -> None:
    times: dict[str, Any] = {"drain_timeout": 0.05, "unbind_timeout": 0.0}
    async with pair(collector, on_unacked=on_unacked, **times, smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        submission = a_submission()
        both.carrier.submit([Submission((msgspec.structs.replace(submission.recipients[0], code=code),))])
        await both.until_smsc("submits", 1)
    assert [outcome for _, outcome in collector.outcomes] == [outcome]


async def test_stopping_in_a_pause_gives_back_at_once_what_waits_for_its_end(
    collector: Collector, clock: FakeClock
) -> None:
    began = asyncio.get_running_loop().time()
    async with pair(collector, clock=clock, window=1, smsc={"errors": {0x58: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission(), a_submission()])
        await both.until_clock(lambda: both.carrier.throttled_count == 1, 0.0)
    assert [outcome for _, outcome in collector.outcomes] == [Deferred(5600, 0.0, 0)] * 2
    assert both.smsc.counters["submits"] == 1
    assert asyncio.get_running_loop().time() - began < 5.0, "answers are waited for 8 seconds"


async def test_that_an_answer_was_lost_is_remembered_by_what_goes_back_unsent(collector: Collector) -> None:
    async with pair(collector, window=1, smsc={"response_delay": 0.05}) as both:
        await both.bound()
        lost_before = msgspec.structs.replace(a_submission().recipients[0], code=5630)
        both.carrier.submit([a_submission(), Submission((lost_before,))])
        await both.until_smsc("submits", 1)
    assert dict(collector.outcomes)[lost_before] == Deferred(5630, 0.0)


async def test_without_a_link_what_was_taken_goes_back_after_a_while(collector: Collector, clock: FakeClock) -> None:
    async with pair(collector, clock=clock, window=1, smsc={"drop_responses": 1.0}) as both:
        await both.bound()
        both.carrier.submit([a_submission(), a_submission()])
        await both.until_smsc("submits", 1)
        both.smsc.options.refuse_bind = 0x0D
        both.smsc.disconnect()
        await both.until_clock(lambda: len(collector.outcomes) == 2)
    # The first may have been taken: that counts as an attempt, of which there is one more.
    assert [outcome for _, outcome in collector.outcomes] == [Deferred(5630, 0.0, 2), Deferred(5501, 0.0, 0)]


@pytest.mark.parametrize(
    ("options", "changes", "fault"),
    [
        ({}, {}, None),
        ({}, {"bind_type": "transmitter+receiver"}, None),
        ({"password": "another"}, {}, "ESME_RINVPASWD (0x0E)"),
        ({"system_id": "another"}, {}, "ESME_RINVSYSID (0x0F)"),
        ({"close_after_bind": True}, {}, None),
        ({}, {"tls": True, "bind_timeout": 0.1, "connect_timeout": 0.1, "unbind_timeout": 0.1}, ""),
    ],
    ids=["well", "two binds", "password", "system_id", "closes", "no tls there"],
)
async def test_check_tells_what_is_wrong(options: Any, changes: Any, fault: str | None) -> None:
    async with running_smsc(**options) as (_, port):
        carrier = SmppCarrier(settings(port, **changes), SystemClock(), Random(1))
        faults = await carrier.check()
    assert [str(fault) in found for found in faults] == ([] if fault is None else [True])


async def test_check_asks_all_hosts_at_once_and_waits_for_silent_ones_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHECK_SECONDS", 1.0)
    async with running_smsc(hang=True) as (_, silent), running_smsc() as (_, port):
        others = (f"127.0.0.1:{silent}", f"127.0.0.1:{port}", f"localhost:{silent}")
        began = time.monotonic()
        faults = await SmppCarrier(settings(silent, other_hosts=others), SystemClock(), Random(1)).check()
        assert time.monotonic() - began < 1.9
    assert [fault.split(": ", 1)[1] for fault in faults] == ["bind_transceiver: no answer within 1 seconds"] * 3


async def test_check_tells_that_nobody_listens() -> None:
    async with running_smsc() as (_, port):
        pass
    (fault,) = await SmppCarrier(settings(port), SystemClock(), Random(1)).check()
    assert fault.startswith(f"127.0.0.1:{port}: bind_transceiver: ")


async def test_at_debug_every_pdu_is_one_line_without_text_or_password(collector: Collector, clock: FakeClock) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector, clock=clock, concat="payload") as both:
            await both.bound()
            both.carrier.submit([a_submission(text="hush"), a_submission(text="hush " * 40)])
            both.smsc.inbound("+14085550142", SENDER, "hush, too")
            await collector.until(lambda: len(collector.outcomes) == 2 and len(collector.receipts) == 2)
            await both.until_smsc("acknowledged", 3)
            await both.until_clock(lambda: any("enquire_link_resp" in str(line) for line in lines), 10.0)
    told = Counter((line["event"], line["pdu"].split()[0]) for line in lines if line["log_level"] == "debug")
    assert told == {
        ("sent", "bind_transceiver"): 1,
        ("received", "bind_transceiver_resp"): 1,
        ("sent", "submit_sm"): 2,
        ("received", "submit_sm_resp"): 2,
        ("received", "deliver_sm"): 3,
        ("sent", "deliver_sm_resp"): 3,
        ("sent", "enquire_link"): 1,
        ("received", "enquire_link_resp"): 1,
        ("sent", "unbind"): 1,
        ("received", "unbind_resp"): 1,
    }
    assert all("\n" not in str(line) for line in lines)
    assert not any(word in str(line) for line in lines for word in ("hush", "s3cret08"))
    assert {(line["carrier"], line["bind"]) for line in lines if line["log_level"] == "debug"} == {
        ("carrier", "bind_transceiver")
    }


async def test_an_error_that_nobody_expects_ends_it(collector: Collector) -> None:
    async with running_smsc() as (smsc, port):
        carrier = SmppCarrier(settings(port), SystemClock(), Random(1))

        async def broken(report: object) -> None:
            raise LookupError

        task = asyncio.create_task(carrier.run(broken, collector.wake))
        await collector.until(lambda: carrier.room(0.0) > 0)
        smsc.inbound("+14085550142", SENDER, "hello")
        with pytest.raises(LookupError):
            await task


async def test_it_counts_for_operators_and_may_run_again(collector: Collector) -> None:
    async with running_smsc() as (_, port):
        carrier = SmppCarrier(settings(port), SystemClock(), Random(1))
        for turn in (1, 2):
            async with running(carrier, collector):
                await collector.until(lambda: carrier.room(0.0) > 0)
                (link,) = carrier.links()
                assert (link.state, link.pending, link.window, link.last_error is None) == (
                    "BOUND_TRX",
                    0,
                    10,
                    turn == 1,
                )
                carrier.submit([a_submission()])
                await collector.until(lambda turn=turn: len(collector.receipts) == turn)  # type: ignore[misc]
            (link,) = carrier.links()
            assert [link.submitted, link.answered, link.received, link.connections] == [turn] * 4
            assert link.state == "CLOSED"
