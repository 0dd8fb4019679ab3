"""Exactly one terminal event for each recipient, whatever happens in whatever order on two nodes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from passband.domain.event import Callback
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Deferred, Outcome, Receipt, Rejected, Report, Unclear
from passband.store import Attempted, Charge
from store.nodes import DAY, HOUR, NOW, OUT, THEIRS, Engine, Node, Stores, a_recipient

CAPACITY = 1_000_000.0
node_numbers = st.sampled_from([0, 1])
picks = st.integers(0, 1_000)


class AnyOrder(RuleBasedStateMachine):
    """Two nodes that are handed everything at any time, also what they hold no more."""

    def __init__(self, new_engine: Callable[[], Engine]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stores = Stores(new_engine())
        self.now = NOW
        self.recipients: list[Recipient] = []
        self.seen: list[Callback] = []  # every callback that any node ever held
        self.known: list[tuple[int, Recipient]] = []  # what a node was given, with its lease or not
        self.refs: list[tuple[str, ...]] = []

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @initialize(rooms=st.tuples(st.sampled_from([None, 0, 1]), st.sampled_from([None, 0, 1])))
    def start(self, rooms: tuple[int | None, int | None]) -> None:
        self.nodes = [self.run(self.stores.open(room=room)) for room in rooms]

    def collect(self) -> None:
        for number, node in enumerate(self.nodes):
            self.known += [(number, recipient) for recipient in node.births.recipients]
            self.seen += node.births.callbacks
            node.births.recipients.clear()
            node.births.callbacks.clear()

    def do(self, coroutine: Any) -> Any:
        result = self.run(coroutine)
        self.now += 0.001
        self.collect()
        return result

    @rule(number=node_numbers, segments=st.integers(1, 3), together=st.integers(1, 3))
    def accept(self, number: int, segments: int, together: int) -> None:
        recipients = [a_recipient(self.now, segment_count=segments, charge=segments) for _ in range(together)]
        self.recipients += recipients
        self.refs += [refs_of(recipient) for recipient in recipients]
        charges = [Charge("5500123", Kind.SMS, segments * together, CAPACITY, 1.0)]
        self.do(self.nodes[number].store.accept(recipients, (), charges))

    @precondition(lambda self: self.known)
    @rule(
        pick=picks,
        other=st.booleans(),
        outcome=st.sampled_from(
            [None, None, Accepted((), None), Deferred(5600, 0.0), Deferred(5600, 0.0, 2), Rejected(4720)]
        ),
    )
    def outcome(self, pick: int, other: bool, outcome: Outcome | None) -> None:
        """The outcome of something that this node knew once, or that only the other one knew."""
        number, recipient = self.known[-1 - pick % len(self.known)]
        outcome = outcome or Accepted(refs_of(recipient), 2 * HOUR)
        self.do(self.nodes[number ^ other].outcome(recipient, outcome, self.now))

    @precondition(lambda self: self.refs)
    @rule(
        number=node_numbers,
        pick=picks,
        segment=picks,
        code=st.sampled_from([0, 0, 4720]),
        both=st.booleans(),
        unclear=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def receipt(self, number: int, pick: int, segment: int, code: int, both: bool, unclear: int) -> None:
        """One receipt or two, before it one that decides nothing, or only that."""
        refs = self.refs[-1 - pick % len(self.refs)]
        named = ("carrier", (refs[segment % len(refs)],), THEIRS)
        report = Report(
            receipts=[Receipt(*named, code)] * (1 + both) * (unclear < 2),
            unclear=[Unclear(*named, 9999)] * (unclear > 0),
        )
        self.do(self.nodes[number].store.record(report, self.now))

    @precondition(lambda self: self.known)
    @rule(pick=picks, announce=st.booleans())
    def leave_the_queue(self, pick: int, announce: bool) -> None:
        number, recipient = self.known[-1 - pick % len(self.known)]
        store = self.nodes[number].store
        self.do(store.announce([recipient], self.now) if announce else store.fail([(recipient, 4360)], self.now))

    @rule(number=node_numbers, limit=st.integers(1, 4))
    def lease(self, number: int, limit: int) -> None:
        self.known += [(number, r) for r in self.do(self.nodes[number].lease(limit, self.now))]
        self.seen += self.do(self.nodes[number].callbacks(limit, self.now))

    @precondition(lambda self: self.seen)
    @rule(number=node_numbers, pick=picks, acknowledged=st.booleans())
    def attempt(self, number: int, pick: int, acknowledged: bool) -> None:
        callback = self.seen[-1 - pick % len(self.seen)]
        result = Attempted(callback, None if acknowledged else self.now, self.now, acknowledged)
        self.do(self.nodes[number].store.attempted([result]))

    @precondition(lambda self: self.known)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        number, recipient = self.known[-1 - pick % len(self.known)]
        self.do(self.nodes[number].store.release([recipient], self.seen[-3:]))

    @rule(number=node_numbers, passed=st.sampled_from([1.0, 30.0, 2.5 * HOUR]))
    def expire(self, number: int, passed: float) -> None:
        self.now = min(self.now + passed, NOW + 20 * HOUR)
        self.do(self.nodes[number].store.expire(self.now))

    @rule(number=node_numbers)
    def pause(self, number: int) -> None:
        """This node is silent, the other takes over."""
        self.now += 11
        self.do(self.nodes[number ^ 1].store.beat(self.now))

    @rule(number=node_numbers)
    def beat(self, number: int) -> None:
        self.do(self.nodes[number].store.beat(self.now))

    @rule(number=node_numbers)
    def restart(self, number: int) -> None:
        node = self.nodes[number]
        self.do(self.stores.close(node))
        self.nodes[number] = self.do(self.stores.open(room=node.births.room, now=self.now))

    def teardown(self) -> None:
        if hasattr(self, "nodes"):
            self.run(self.settle())
            self.judge()
        self.run(self.stores.close())
        self.runner.close()

    async def settle(self) -> None:
        """Let a new node take over everything, and time pass until every recipient must have ended."""
        last = await self.stores.open(now=self.now + 60)
        await last.store.beat(self.now + 60)
        while callbacks := await last.callbacks(now=self.now + 60):
            self.seen += callbacks
        while await last.store.expire(self.now + 5 * HOUR):
            pass
        self.nodes.append(last)
        self.collect()
        assert list(await last.store.depths()) == []
        await self.nothing_is_charged(last)
        await last.acknowledge(*last.births.callbacks)
        await last.store.expire(self.now + 2 * DAY)

    async def nothing_is_charged(self, node: Node) -> None:
        await node.store.accept((), (), [Charge("5500123", Kind.SMS, int(CAPACITY), CAPACITY, 1.0)])

    def judge(self) -> None:
        terminal = defaultdict(set)
        told_once = defaultdict(set)
        for c in self.seen:
            assert c.endpoint == OUT
            told_once[c.message.id, c.kind].add(c.at)
            if c.kind.terminal:
                terminal[c.message.id].add((c.kind, c.code, c.at))
        assert {id_: len(events) for id_, events in terminal.items()} == {r.message.id: 1 for r in self.recipients}
        assert {len(times) for times in told_once.values()} <= {1}


def refs_of(recipient: Recipient) -> tuple[str, ...]:
    return tuple(f"{recipient.message.id}-{n}" for n in range(recipient.message.segment_count))


@pytest.mark.slow
@pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.soak)])
def test_every_recipient_has_exactly_one_terminal_event(new_engine: Callable[[], Engine], examples: int) -> None:
    class OnThisEngine(AnyOrder):
        def __init__(self) -> None:
            super().__init__(new_engine)

    run_state_machine_as_test(
        OnThisEngine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
