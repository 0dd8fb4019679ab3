"""What dispatch and the store count on, whichever carrier it is."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest

from carriers.collector import Collector, a_submission, an_mms, running, turns
from passband.carriers import Carrier, onnet, simulator
from passband.carriers.onnet import OnNetCarrier
from passband.carriers.simulator import SimulatorCarrier
from passband.carriers.steps import RETRY_SECONDS
from passband.domain.message import Kind
from passband.domain.report import Accepted
from passband.testing import FakeClock

MakeCarrier = Callable[[FakeClock], Carrier]

CARRIERS: dict[str, MakeCarrier] = {
    "simulator": lambda clock: SimulatorCarrier("sim", clock, random=random.Random(1), delay=0.1),
    "simulator-with-mms-receipts": lambda clock: SimulatorCarrier(
        "sim", clock, random=random.Random(1), delay=0.1, receipts_for=lambda recipient: True
    ),
    "simulator-without-receipts": lambda clock: SimulatorCarrier(
        "sim", clock, random=random.Random(1), delay=0.1, receipts=False
    ),
    "on-net": lambda clock: OnNetCarrier(clock=clock),
}


@pytest.fixture(params=CARRIERS.values(), ids=list(CARRIERS))
def carrier(request: pytest.FixtureRequest, clock: FakeClock) -> Carrier:
    made: Carrier = request.param(clock)
    return made


def test_it_takes_every_kind_of_message(carrier: Carrier) -> None:
    assert carrier.kinds == frozenset(Kind)


async def test_every_recipient_gets_exactly_one_outcome(
    carrier: Carrier, collector: Collector, clock: FakeClock
) -> None:
    submissions = [a_submission(), a_submission(segments=3), an_mms("+14085550142")]
    submissions.append(an_mms("+14085550142", "+14085550177", "+14085550178"))
    async with running(carrier, collector):
        carrier.submit(submissions)
        await collector.until(lambda: len(collector.outcomes) == 6)
        clock.advance(10)
        await turns()
    assert collector.recipients() == [recipient for s in submissions for recipient in s.recipients]


async def test_every_segment_and_every_mms_recipient_has_a_reference_of_its_own(
    carrier: Carrier, collector: Collector
) -> None:
    async with running(carrier, collector):
        carrier.submit([a_submission(), a_submission(segments=3), an_mms("+14085550142", "+14085550177")])
        await collector.until(lambda: len(collector.outcomes) == 4)
    assert [len(o.refs) for _, o in collector.outcomes if isinstance(o, Accepted)] == [1, 3, 1, 1]
    assert len(set(collector.refs)) == 6


async def test_every_receipt_names_a_segment_that_was_accepted_earlier(
    carrier: Carrier, collector: Collector, clock: FakeClock
) -> None:
    async with running(carrier, collector):
        carrier.submit([a_submission(segments=2), an_mms("+14085550142", "+14085550177")])
        await collector.until(lambda: len(collector.outcomes) == 3)
        assert not collector.receipts
        clock.advance(10)
        await turns()
    awaited = [o for _, o in collector.outcomes if isinstance(o, Accepted) and o.receipt_window is not None]
    assert Counter(r.refs[0] for r in collector.receipts) == Counter(ref for o in awaited for ref in o.refs)
    assert {receipt.carrier for receipt in collector.receipts} <= {carrier.name}


async def test_what_is_submitted_together_is_reported_together(carrier: Carrier, collector: Collector) -> None:
    async with running(carrier, collector):
        carrier.submit([a_submission() for _ in range(100)])
        carrier.submit([a_submission() for _ in range(100)])
        await collector.until(lambda: len(collector.outcomes) == 200)
        assert len(collector.reports) == 1


async def test_one_report_is_not_so_large_that_it_holds_up_the_others(carrier: Carrier, collector: Collector) -> None:
    async with running(carrier, collector):
        carrier.submit([a_submission() for _ in range(1200)])
        await collector.until(lambda: len(collector.outcomes) == 1200)
    assert max(len(report.outcomes) for report in collector.reports) <= 500


async def test_nothing_is_lost_or_repeated_when_the_store_is_out_of_order(
    carrier: Carrier, collector: Collector, clock: FakeClock
) -> None:
    collector.failures = 2
    early, late = a_submission(), a_submission()
    async with running(carrier, collector):
        carrier.submit([early])
        await collector.until(lambda: collector.refused == 1)
        carrier.submit([late])  # does not hurry the next try
        await turns()
        assert collector.refused == 1
        clock.advance(RETRY_SECONDS)
        await collector.until(lambda: collector.refused == 2)
        await turns()
        clock.advance(RETRY_SECONDS)
        await collector.until(lambda: len(collector.outcomes) == 2)
        await turns()
    assert collector.recipients() == [*early.recipients, *late.recipients]


async def test_it_has_no_room_when_it_is_full_and_wakes_who_waits_for_room(
    carrier: Carrier, collector: Collector, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "MOST_HELD", 5)
    monkeypatch.setattr(onnet, "MOST_HELD", 5)
    async with running(carrier, collector):
        assert carrier.room(clock.now()) == 5
        carrier.submit([a_submission(segments=3)])
        assert carrier.room(clock.now()) == 2
        carrier.submit([a_submission(segments=3)])
        assert carrier.room(clock.now()) == 0
        assert collector.woken == 0
        await collector.until(lambda: len(collector.outcomes) == 2)
        await turns()
        clock.advance(1)
        await collector.until(lambda: collector.woken == 1)
        assert carrier.room(clock.now()) == 5


async def test_stopping_reports_everything_that_it_was_handed(carrier: Carrier, collector: Collector) -> None:
    async with running(carrier, collector):
        await turns()
        carrier.submit([a_submission() for _ in range(1200)])
    assert len(collector.outcomes) == 1200
    awaited = [o for _, o in collector.outcomes if isinstance(o, Accepted) and o.receipt_window is not None]
    assert len(collector.receipts) == len(awaited)


async def test_stopping_does_not_break_off_a_report_that_is_under_way(carrier: Carrier, collector: Collector) -> None:
    collector.open.clear()
    async with running(carrier, collector) as task:
        carrier.submit([a_submission()])
        await collector.until(lambda: collector.hanging == 1)
        task.cancel()
        await turns()
        assert not task.done()
        collector.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(collector.outcomes) == 1


async def test_stopping_does_not_wait_for_a_store_that_is_out_of_order(carrier: Carrier, collector: Collector) -> None:
    collector.failures = 1_000_000
    async with running(carrier, collector):
        carrier.submit([a_submission()])
        await collector.until(lambda: collector.refused == 1)
    assert not collector.outcomes


async def test_an_error_that_nobody_expects_ends_it(carrier: Carrier, collector: Collector) -> None:
    async def broken(report: object) -> None:
        raise LookupError

    carrier.submit([a_submission()])
    with pytest.raises(LookupError):
        await carrier.run(broken, collector.wake)
