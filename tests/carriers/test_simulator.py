import random
from typing import Any

import pytest

from carriers.collector import Collector, a_submission, an_mms, running, turns
from carriers.told import Told
from passband.carriers.simulator import Plan, SimulatorCarrier, plan_by_number
from passband.domain.error_codes import ERROR_CODES
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Inbound, Outcome, Rejected, Submission
from passband.testing import FakeClock

ORDINARY = "+14085550142"


def make(clock: FakeClock, **options: Any) -> SimulatorCarrier:
    return SimulatorCarrier("sim", clock, **{"random": random.Random(1), "delay": 0.5, **options})


def always(plan: Plan) -> dict[str, Any]:
    return {"plan": lambda recipient: plan}


def the_outcome(collector: Collector) -> Outcome:
    [(_, outcome)] = collector.outcomes
    return outcome


# ── what becomes of a number ─────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = {
    "a code that a carrier reports": ("+19195554720", Plan(4720)),
    "a code of the platform's own": ("+14085554470", Plan(4470)),
    "a receipt that never comes": ("+19195559902", Plan(receipts=0)),
    "an ambiguous code": ("+19195559999", Plan(9999)),
    "no such code": ("+19195550142", Plan()),
    "a code outside of the fictitious numbers": ("+19195544720", Plan()),
    "too short a number": ("+1919555472", Plan()),
    "another country": ("+44195554720", Plan()),
    "another country, as long": ("+49195554720", Plan()),
    "a short code": ("5554720", Plan()),
}


@pytest.mark.parametrize(("number", "plan"), NUMBERS.values(), ids=NUMBERS.keys())
def test_the_number_decides(number: str, plan: Plan) -> None:
    assert plan_by_number(a_submission(number).recipients[0]) == plan


def test_every_code_can_be_had() -> None:
    codes = {code: plan_by_number(a_submission(f"+1408555{code}").recipients[0]).code for code in ERROR_CODES}
    assert codes.pop(9902) == 0
    assert all(asked == got for asked, got in codes.items())


FATES = {
    # label: submission, MMS receipts, outcome, codes of the receipts
    "an SMS is delivered": (a_submission(), False, Accepted, [0]),
    "every segment is delivered": (a_submission(segments=3), False, Accepted, [0, 0, 0]),
    "an SMS fails": (a_submission("+19195554720"), False, Accepted, [4720]),
    "every segment fails": (a_submission("+19195554720", segments=2), False, Accepted, [4720, 4720]),
    "the receipt never comes": (a_submission("+19195559902"), False, Accepted, []),
    "an MMS is taken for good": (an_mms(ORDINARY), False, Accepted, []),
    "an MMS fails at once": (an_mms("+19195554720"), False, Rejected, []),
    "an MMS has no receipt to miss": (an_mms("+19195559902"), False, Accepted, []),
    "an MMS is delivered": (an_mms(ORDINARY), True, Accepted, [0]),
    "an MMS fails by its receipt": (an_mms("+19195554720"), True, Accepted, [4720]),
    "an MMS misses its receipt": (an_mms("+19195559902"), True, Accepted, []),
}


@pytest.mark.parametrize(("submission", "mms_receipts", "kind", "codes"), FATES.values(), ids=FATES.keys())
async def test_what_becomes_of_a_recipient(
    submission: Submission,
    mms_receipts: bool,
    kind: type[Outcome],
    codes: list[int],
    clock: FakeClock,
    collector: Collector,
) -> None:
    carrier = make(clock, receipts_for=lambda recipient: mms_receipts)
    async with running(carrier, collector):
        carrier.submit([submission])
        await collector.until(lambda: len(collector.outcomes) == 1)
        await turns()
        clock.advance(0.5)
        await turns()
    outcome = the_outcome(collector)
    assert type(outcome) is kind
    if isinstance(outcome, Accepted):
        awaited = mms_receipts or submission.recipients[0].message.kind is Kind.SMS
        assert outcome.receipt_window == (7200.0 if awaited else None)
    elif isinstance(outcome, Rejected):
        assert outcome.code == 4720
    assert [receipt.code for receipt in collector.receipts] == codes
    assert {receipt.number for receipt in collector.receipts} <= {submission.recipients[0].number}


async def test_without_receipts_a_failure_is_told_by_the_outcome(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, receipts=False)
    async with running(carrier, collector):
        carrier.submit([a_submission("+19195554720"), a_submission("+19195559902"), a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 3)
        clock.advance(10)
        await turns()
    failed, silent, delivered = (outcome for _, outcome in collector.outcomes)
    assert failed == Rejected(4720)
    assert isinstance(silent, Accepted)
    assert isinstance(delivered, Accepted)
    assert silent.receipt_window is None
    assert delivered.receipt_window is None
    assert not collector.receipts


async def test_recipients_of_one_group_end_differently(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock)
    async with running(carrier, collector):
        carrier.submit([an_mms(ORDINARY, "+19195554720", "+14085550177")])
        await collector.until(lambda: len(collector.outcomes) == 3)
    assert [type(outcome) for _, outcome in collector.outcomes] == [Accepted, Rejected, Accepted]


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_receipt_comes_after_the_delay_and_not_before(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, delay=5)
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 1)
        await turns()
        clock.advance(4.9)
        await turns()
        assert not collector.receipts
        clock.advance(0.2)
        await collector.until(lambda: len(collector.receipts) == 1)


async def test_a_moved_clock_brings_all_receipts_at_once(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, delay=3600)
    async with running(carrier, collector):
        for _ in range(3):
            carrier.submit([a_submission(), a_submission()])
            await turns()
            clock.advance(60)
        clock.advance(3600)
        await collector.until(lambda: len(collector.receipts) == 6)
        assert len(collector.reports) == 4


async def test_the_delay_counts_from_when_the_outcome_is_durable(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, delay=5)
    collector.open.clear()
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await collector.until(lambda: collector.hanging == 1)
        clock.advance(60)
        collector.open.set()
        await collector.until(lambda: len(collector.outcomes) == 1)
        await turns()
        assert not collector.receipts
        clock.advance(5)
        await collector.until(lambda: len(collector.receipts) == 1)


async def test_a_planned_receipt_comes_before_the_outcome(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, **always(Plan(4720, early=True)))
    async with running(carrier, collector):
        carrier.submit([a_submission(segments=2)])
        await collector.until(lambda: len(collector.outcomes) == 1)
    first, second = collector.reports
    assert [receipt.refs[0] for receipt in first.receipts] == collector.refs
    assert not first.outcomes
    assert not second.receipts


async def test_a_planned_receipt_comes_twice(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, **always(Plan(receipts=2)))
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await turns()
        clock.advance(1)
        await collector.until(lambda: len(collector.receipts) == 2)
    assert len({receipt.refs for receipt in collector.receipts}) == 1


async def test_a_planned_delay_goes_before_the_carriers_own(clock: FakeClock, collector: Collector) -> None:
    slow, quick = a_submission("+14085550111"), a_submission("+14085550122")
    plans = {"+14085550111": Plan(delay=30), "+14085550122": Plan()}
    carrier = make(clock, plan=lambda recipient: plans[recipient.number])
    async with running(carrier, collector):
        carrier.submit([slow, quick])
        await collector.until(lambda: len(collector.outcomes) == 2)
        await turns()
        clock.advance(1)
        await collector.until(lambda: len(collector.receipts) == 1)
        clock.advance(30)
        await collector.until(lambda: len(collector.receipts) == 2)
    assert [receipt.number for receipt in collector.receipts] == ["+14085550122", "+14085550111"]


async def test_a_receipt_that_the_store_could_not_keep_comes_again(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock)
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 1)
        await turns()
        collector.failures = 1
        clock.advance(0.5)
        await collector.until(lambda: collector.refused == 1)
        await turns()
        clock.advance(0.5)
        await collector.until(lambda: len(collector.receipts) == 1)
        clock.advance(60)
        await turns()
    assert len(collector.receipts) == 1


async def test_references_differ_from_those_of_an_earlier_run(clock: FakeClock, collector: Collector) -> None:
    for seed in (1, 2):
        carrier = make(clock, random=random.Random(seed))
        async with running(carrier, collector):
            carrier.submit([a_submission()])
            await collector.until(lambda seed=seed: len(collector.outcomes) == seed)  # type: ignore[misc]
    assert len(set(collector.refs)) == 2


# ── how fast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_limit_takes_what_its_rate_allows_and_wakes_who_waits(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, rate=2)
    async with running(carrier, collector):
        taken = 0
        for _ in range(4 * 10):
            if carrier.room(clock.now()):
                carrier.submit([a_submission()])
                taken += 1
                assert carrier.room(clock.now()) == 0
                woken = collector.woken
                await turns()
                assert collector.woken == woken
            clock.advance(0.25)
            await turns()
        assert taken == 20
        assert collector.woken >= taken


async def test_a_message_larger_than_the_room_is_paid_for_afterwards(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock, rate=2)
    async with running(carrier, collector):
        assert carrier.room(clock.now()) == 1
        carrier.submit([a_submission(segments=4)])
        await turns()
        clock.advance(1.9)
        await turns()
        assert carrier.room(clock.now()) == 0
        assert collector.woken == 0
        clock.advance(0.1)
        await collector.until(lambda: collector.woken == 1)
        assert carrier.room(clock.now()) == 1


async def test_a_fast_limit_wakes_for_a_part_of_its_burst_and_not_for_each_segment(
    clock: FakeClock, collector: Collector
) -> None:
    carrier = make(clock, rate=1000)
    async with running(carrier, collector):
        assert carrier.room(clock.now()) == 100
        carrier.submit([a_submission() for _ in range(100)])
        assert carrier.room(clock.now()) == 0
        for _ in range(49):
            clock.advance(0.001)
            await turns(5)
        assert collector.woken == 0
        clock.advance(0.002)
        await collector.until(lambda: collector.woken == 1)
        assert 50 <= carrier.room(clock.now()) <= 52


# ── handsets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_handsets_show_what_arrived_once_it_is_durable(clock: FakeClock, collector: Collector) -> None:
    shown: list[tuple[str, str]] = []

    def show(recipients: Any) -> None:
        shown.extend((recipient.number, recipient.message.text) for recipient in recipients)

    carrier = make(clock, on_delivered=show)
    collector.failures = 1
    async with running(carrier, collector):
        carrier.submit([a_submission(text="one"), a_submission("+19195554720", text="two")])
        carrier.submit([an_mms(ORDINARY, "+14085550177")])
        await collector.until(lambda: collector.refused == 1)
        assert not shown
        await turns()
        clock.advance(1)
        await collector.until(lambda: len(collector.outcomes) == 4)
        await turns()
    assert shown == [(ORDINARY, "one"), (ORDINARY, "hello"), ("+14085550177", "hello")]


@pytest.mark.parametrize("awaited", [True, False], ids=["with receipts", "without"])
async def test_what_is_slow_arrives_when_its_receipts_are_due(
    clock: FakeClock, collector: Collector, awaited: bool
) -> None:
    shown: list[str] = []
    carrier = make(
        clock,
        receipts=awaited,
        on_delivered=lambda recipients: shown.extend(recipient.number for recipient in recipients),
        **always(Plan(delay=60, slow=True)),
    )
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 1)
        clock.advance(59)
        await turns()
        assert shown == []
        clock.advance(1)
        await turns()
        assert shown == [ORDINARY]
        assert len(collector.receipts) == awaited


MESSAGE = Inbound(carrier="sim", sender=ORDINARY, to=("+19195550117",), text="On my way")


async def test_a_message_from_a_handset_is_durable_when_it_is_taken(clock: FakeClock, collector: Collector) -> None:
    carrier = make(clock)
    async with running(carrier, collector):
        await turns()
        await carrier.inbound(MESSAGE)
        assert collector.inbound == [MESSAGE]


async def test_a_message_from_a_handset_is_refused_when_it_cannot_be_kept(
    clock: FakeClock, collector: Collector
) -> None:
    carrier = make(clock)
    with pytest.raises(StoreUnavailable):
        await carrier.inbound(MESSAGE)
    collector.failures = 1
    async with running(carrier, collector):
        await turns()
        with pytest.raises(StoreUnavailable):
            await carrier.inbound(MESSAGE)
    with pytest.raises(StoreUnavailable):
        await carrier.inbound(MESSAGE)
    assert not collector.inbound


# ── with a store ─────────────────────────────────────────────────────────────────────────────────────────────────────

SINGLE, FAILING, GROUP, SILENT = "+14085550142", "+19195554720", "+14085550177", "+19195559902"
PLANS = {
    "as usual": Plan(),
    "receipts before the outcome": Plan(early=True),
    "receipts twice": Plan(receipts=2),
    "receipts twice and before the outcome": Plan(receipts=2, early=True),
    "receipts at once": Plan(delay=0),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
async def test_every_recipient_has_exactly_one_terminal_event(
    plan: Plan, clock: FakeClock, collector: Collector, told: Told
) -> None:
    def planned(recipient: Recipient) -> Plan:
        by_number = plan_by_number(recipient)
        receipts = by_number.receipts and plan.receipts
        return Plan(by_number.code, delay=plan.delay, receipts=receipts, early=plan.early)

    submissions = [
        a_submission(SINGLE, segments=3),
        a_submission(FAILING, segments=2),
        a_submission(SILENT),
        an_mms(GROUP, FAILING),
    ]
    await told.accept([recipient for submission in submissions for recipient in submission.recipients])
    carrier = make(clock, plan=planned, receipts_for=lambda recipient: recipient.number == GROUP)
    async with running(carrier, collector):
        carrier.submit(submissions)
        await collector.until(lambda: len(collector.outcomes) == 5)
        await turns()
        clock.advance(1)
        await turns()
    for report in collector.reports:
        await told.record(report)
    once = {
        ("message-delivered", SINGLE, 0): 1,
        ("message-failed", FAILING, 4720): 2,  # the SMS, and its part of the group
        ("message-delivered", GROUP, 0): 1,
    }
    assert told.events == once
    clock.advance(7300)
    while await told.store.expire(clock.now()):
        pass
    assert told.events == once | {("message-failed", SILENT, 9902): 1}
