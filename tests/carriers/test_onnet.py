"""From one of our numbers to another; the events of a group are counted on a real store."""

from collections.abc import Sequence

import pytest

from carriers.collector import SENDER, Collector, a_message, a_submission, an_mms, running
from carriers.told import A, B, Told
from passband.carriers.onnet import OnNetCarrier
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Inbound, Submission
from passband.domain.routing import ON_NET

FOREIGN = "+14085550142"
IMPOSSIBLE = "+1408555"


async def test_the_outcome_and_the_inbound_message_are_one_report(collector: Collector) -> None:
    carrier = OnNetCarrier()
    submission = a_submission(A, text="where are you?", segments=2)
    async with running(carrier, collector):
        carrier.submit([submission])
        await collector.until(lambda: bool(collector.reports))
    [report] = collector.reports
    message = submission.recipients[0].message
    [(recipient, outcome)] = report.outcomes
    assert recipient is submission.recipients[0]
    assert isinstance(outcome, Accepted)
    assert outcome.receipt_window is None
    assert report.inbound == [
        Inbound(
            carrier=ON_NET,
            sender=SENDER,
            to=(A,),
            text="where are you?",
            kind=Kind.SMS,
            segment_count=2,
            ref=message.id,
        )
    ]


async def test_a_group_is_one_inbound_message_with_its_media(collector: Collector) -> None:
    carrier = OnNetCarrier()
    async with running(carrier, collector):
        carrier.submit([an_mms(A, B)])
        await collector.until(lambda: bool(collector.reports))
    [inbound] = collector.inbound
    assert inbound.to == (A, B)
    assert inbound.kind is Kind.MMS
    assert inbound.media == ("https://cdn.example.org/menu.png",)
    assert len(collector.outcomes) == 2


SHOWN = {
    "all of them": ((A, B), (A, B)),
    "foreign numbers too": ((A, FOREIGN), (A, FOREIGN)),
    "not the sender, who failed with 4401": ((SENDER, A), (A,)),
    "not an impossible number, which failed with 4303": ((A, IMPOSSIBLE, B), (A, B)),
}


@pytest.mark.parametrize(("to", "shown"), SHOWN.values(), ids=SHOWN.keys())
async def test_the_receivers_of_a_group_see_who_can_have_it(
    to: Sequence[str], shown: Sequence[str], collector: Collector
) -> None:
    carrier = OnNetCarrier()
    message = a_message(*to, kind=Kind.MMS)
    ours = tuple(Recipient(message, n, ON_NET) for n, number in enumerate(to) if number in (A, B))
    async with running(carrier, collector):
        carrier.submit([Submission(ours)])
        await collector.until(lambda: bool(collector.reports))
    assert collector.inbound[0].to == shown


# ── with a store ─────────────────────────────────────────────────────────────────────────────────────────────────────

GROUPS = {
    "in one submission": ((A, B), [(0, 1)]),
    "in two submissions": ((A, B), [(0,), (1,)]),
    "with the sender among them": ((SENDER, A, B), [(1, 2)]),
    "with somebody outside": ((FOREIGN, A, B), [(1,), (2,)]),
}


@pytest.mark.parametrize(("to", "parts"), GROUPS.values(), ids=GROUPS.keys())
async def test_each_of_our_numbers_in_a_group_gets_exactly_one_event(
    to: Sequence[str], parts: list[tuple[int, ...]], told: Told, collector: Collector
) -> None:
    message = a_message(*to, kind=Kind.MMS)
    recipients = [Recipient(message, n, ON_NET) for part in parts for n in part]
    await told.accept(recipients)
    carrier = OnNetCarrier()
    async with running(carrier, collector):
        for count, part in enumerate(parts, start=1):
            carrier.submit([Submission(tuple(Recipient(message, n, ON_NET) for n in part))])
            await collector.until(lambda count=count: len(collector.reports) == count)  # type: ignore[misc]
    for report in collector.reports:
        await told.record(report)
    assert told.events == {
        ("message-received", A, 0): 1,
        ("message-received", B, 0): 1,
        ("message-delivered", A, 0): 1,
        ("message-delivered", B, 0): 1,
    }
