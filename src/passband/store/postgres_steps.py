"""What each operation does to a PostgreSQL database, a whole batch of operations in one transaction.

The rules (``domain/rules.py``) decide what follows from what; here it becomes statements over arrays. They are sent
through a pipeline, COMMIT included, and only what Python must know before it goes on is waited for.

**Optimism.** That this node lives, still holds what it records outcomes of, and that no receipt came before them is
nearly always so. A hopeful transaction only has the database check it, which ends the transaction if not; then it is
run again with care, waiting for what each statement found. So a batch takes one round trip if it accepts, announces,
hands over, acknowledges, leases or releases, and two if there are receipts, inbound messages with identifiers, limits
or expiry among it.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from psycopg import AsyncCursor

from passband.domain.errors import QueueFull
from passband.domain.event import SLOTS, Callback
from passband.domain.message import Kind, Recipient
from passband.domain.report import Inbound
from passband.domain.rules import Change, Handed, Requeued, Rules, Settled
from passband.domain.status import Cause, State
from passband.store import Births, lifetimes
from passband.store import operations as op
from passband.store import postgres_doubts as doubts
from passband.store.commit import Operation
from passband.store.matches import Matches
from passband.store.postgres_answers import SEGMENT, Answers
from passband.store.postgres_arrays import Array, Bytea, Float8, Int, Smallint, Text, pack
from passband.store.postgres_limits import Limits, hold_paces
from passband.store.postgres_nodes import bury, hurry, lease_slots, provide, release_slots
from passband.store.postgres_parts import Parts
from passband.store.postgres_pipe import BORN_CALLBACK, BORN_RECIPIENT, CALLBACK_KEY, PAST, RECIPIENT_KEY, Pipe
from passband.store.postgres_receipts import Receipts, Timed
from passband.store.rows import (
    DOUBT,
    Row,
    callback_key,
    callback_of,
    callback_row,
    history_row,
    recipient_key,
    recipient_of,
    recipient_row,
)

HAND_OVER = (*RECIPIENT_KEY, Bytea, Bytea, Float8, Smallint, Int)
REQUEUE = (*RECIPIENT_KEY, Float8, Int, Int)
RETRY = (*CALLBACK_KEY, Float8, Int, Float8)
INBOUND_REF = (Text, Bytea, Float8)

Finish = Callable[[], Awaitable[None]]
Received = tuple[Inbound, float]  # and when


class Batch:
    """The operations of one transaction. What they find is entered into them by ``answer``, after the commit."""

    def __init__(self, pipe: Pipe, rules: Rules, births: Births, history_days: int) -> None:
        self._pipe = pipe
        self._send = pipe.send
        self._node = pipe.node
        self._rules = rules
        self._births = births
        self._history_days = history_days
        self._lives: bool | None = None
        self._born: list[Recipient] = []
        self._told: list[Callback] = []
        self._past: list[Row] = []
        self._limits = Limits(pipe, "queues")
        self._queues: dict[tuple[str, int], int] = {}  # those held: how many segments wait
        self._gone: list[Recipient] = []  # charged ones that left their queue
        self._doubted: AsyncCursor[Any] | None = None  # messages that come again because the first may be unanswered
        self._new_refs: AsyncCursor[Any] | None = None  # identifiers of inbound messages that were not known before
        self._inbound: list[Received] = []  # to be told, unless they are repeats
        self._late: list[Received] = []  # the same, found out only now
        self.matches = Matches(rules.matched)
        self._receipts = Receipts(pipe, rules, self._told, self.matches)
        self._answers_to = Answers(pipe, rules, self._told)
        self._parts = Parts(pipe, rules, self._late)
        self._early: list[Timed] = []
        self._answers: list[Finish] = []

    async def run(self, operations: Sequence[Operation[Any]]) -> tuple[list[Recipient], list[Callback]]:
        """Send everything but the commit; return what is born leased to this node."""
        self._of: dict[type[Any], list[Any]] = defaultdict(list)
        for operation in operations:
            self._of[type(operation)].append(operation)
        if self._pipe.manner.alone:
            await self._send("early_lock")
        # Everything that needs an answer is asked for first, so that all of it is waited for once.
        questions = [self._nodes, self._shared, self._hold_queues, self._hold_paces, self._outbound, self._reports]
        questions += [self._attempts, self._lease, self._release, self._hurry, self._expire]
        for finish in [await question() for question in questions]:
            if finish is not None:
                await finish()
        return await self._write()

    async def answer(self) -> None:
        """Tell the operations what their statements returned; nothing is waited for any more."""
        for answer in self._answers:
            await answer()

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _nodes(self) -> None:
        for register in self._of[op.Register]:
            cursor = await self._send("insert_node", register.host, register.pid, register.level)
            self._answer(register, cursor, lambda rows: int(rows[0][0]))
        for beat in self._of[op.Beat]:
            self._answer(beat, await self._send("beat", self._node), bool)
        for o in self._of[op.Bury]:
            await bury(self._pipe, o)
        for o in self._of[op.ReleaseSlots]:
            await release_slots(self._pipe, o)

    async def _shared(self) -> None:
        if asked := self._of[op.LeaseSlots]:
            await lease_slots(self._pipe, asked, lives=await self._check_life())
        for o in self._of[op.Provide]:
            o.result = await provide(self._pipe, o)

    def _answer(self, operation: Operation[Any], cursor: AsyncCursor[Any], of: Callable[[list[Any]], Any]) -> None:
        async def answer() -> None:
            operation.result = of(await cursor.fetchall())

        self._answers.append(answer)

    async def _check_life(self) -> bool:
        """A node that the others gave up while it was paused must take no leases: nobody would ever free them."""
        if self._lives is None:
            if self._pipe.manner.careful:
                self._lives = bool(await self._pipe.fetch("node_lives", self._node))
            else:
                await self._send("expect_node_lives", self._node)
                self._lives = True
        return self._lives

    # ── limits ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hold_queues(self) -> Finish | None:
        """Lock, in one order, all queues that the operations may change; accept what fits into them."""
        queues = {_queue(charge.account, charge.kind) for o in self._of[op.Accept] for charge in o.charges}
        leaving = [r for o in self._of[op.Record] for r, _ in o.report.outcomes]
        leaving += [r for o in self._of[op.Fail] for r, _ in o.recipients]
        queues.update(_queue(r.message.account, r.message.kind) for r in leaving if r.charge)
        if not queues:
            self._accept()
            return None
        await self._limits.ask(queues)

        async def finish() -> None:
            self._queues |= await self._limits.read()
            self._accept()

        return finish

    def _accept(self) -> None:
        queues = self._queues
        for o in self._of[op.Accept]:
            before = dict(queues) if o.charges else queues
            for charge in o.charges:
                queue = _queue(charge.account, charge.kind)
                queues[queue] += charge.segments
                if queues[queue] > charge.capacity:
                    o.error = QueueFull(charge.kind.value, charge.rate, charge.capacity)
            if o.error is None:
                self._born += o.recipients
                self._told += o.callbacks
            else:
                queues |= before

    async def _discharge(self) -> None:
        """Take from the held queues what has left them, and write them back."""
        queues = self._queues
        for recipient in self._gone:
            queue = _queue(recipient.message.account, recipient.message.kind)
            queues[queue] = max(0, queues[queue] - recipient.charge)
        await self._limits.write(queues)

    async def _hold_paces(self) -> Finish | None:
        return await hold_paces(self._pipe, self._of[op.Reserve])

    # ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _outbound(self) -> None:
        tell = self._rules.tell
        announced = {recipient_key(r): (r, o.now) for o in self._of[op.Announce] for r in o.recipients}
        if announced:
            keys = list(announced)
            for key in await self._changed("announce", keys, keys, RECIPIENT_KEY):
                recipient, now = announced[key]
                self._told += tell(recipient, State.QUEUED, Cause.LEFT_QUEUE, now)
        # The first word on a recipient counts: whatever it is, its lease ends with it.
        changes: dict[Row, tuple[Recipient, Change]] = {}
        for o in self._of[op.Record]:
            for recipient, outcome in o.report.outcomes:
                key = recipient_key(recipient)
                if key not in changes:
                    changes[key] = recipient, self._rules.on_outcome(recipient, outcome, o.now)
        for o in self._of[op.Fail]:
            for recipient, code in o.recipients:
                told = tell(recipient, State.QUEUED, Cause.REFUSED_BY_RULE, o.now, code)
                changes.setdefault(recipient_key(recipient), (recipient, Settled(told)))
        if changes:
            await self._requeue([change for _, change in changes.values() if isinstance(change, Requeued)])
            await self._settle({k: (r, c) for k, (r, c) in changes.items() if isinstance(c, Settled)})
            await self._hand_over({k: (r, c) for k, (r, c) in changes.items() if isinstance(c, Handed)})

    async def _changed(self, name: str, keys: list[Row], rows: list[Row], types: Sequence[type[Array]]) -> list[Row]:
        """Return the keys of the rows that a statement changes, those that this node holds, in their order."""
        changed = await self._pipe.changed(name, rows, types)
        return keys if changed is None else [key for key in keys if key in changed]

    async def _requeue(self, changes: list[Requeued]) -> None:
        again = [change.recipient for change in changes]
        if again:
            rows = [(*recipient_key(r), r.due_at, r.attempts, r.code) for r in again]
            await self._send("requeue", *pack(REQUEUE, rows), self._node)

    async def _settle(self, settled: dict[Row, tuple[Recipient, Settled]]) -> None:
        if settled:
            keys = list(settled)
            for key in await self._changed("settle_leased", keys, keys, RECIPIENT_KEY):
                recipient, change = settled[key]
                self._told += change.callbacks
                self._gone += (recipient,) if recipient.charge else ()

    async def _hand_over(self, handed: dict[Row, tuple[Recipient, Handed]]) -> None:
        if not handed:
            return
        rows = []
        for key, (_, change) in handed.items():
            if len(change.refs) == 1 and not change.unanswered:
                given = change.given[0] if change.given else None
                rows.append((*key, change.refs[0], given, change.deadline_at, 0, 0))
            else:
                rows.append((*key, None, None, change.deadline_at, len(change.refs), change.unanswered))
        if not self._pipe.manner.alone:
            await self._send("hand_over_lock")
        keys = await self._changed("hand_over", list(handed), rows, HAND_OVER)
        segments: list[Row] = []
        named = []
        for key in keys:
            recipient, change = handed[key]
            self._told += change.callbacks
            self._gone += (recipient,) if recipient.charge else ()
            named += [(recipient, ref) for ref in change.refs]
            if len(change.refs) > 1 or change.unanswered:
                for n, (ref, given) in enumerate(change.named):
                    segments.append((*key, n, recipient.carrier, ref, recipient.number, change.deciding, given))
        if segments:
            await self._send("insert_segments", *pack(SEGMENT, segments))
        if named:
            now = max(o.now for o in self._of[op.Record])
            self._early = await self._receipts.early(named, now)
            if self._pipe.manner.careful:
                await self._answers_to.early(named, now)

    # ── receipts, answers and inbound messages ─────────────────────────────────────────────────────────────────────

    async def _reports(self) -> Finish | None:
        reports = [(o.report, o.now) for o in self._of[op.Record]]
        answers = [(answer, now) for report, now in reports for answer in report.answers]
        parts = [(part, now) for report, now in reports for part in report.parts]
        decide = await self._receipts.start(self._early, reports)
        self._inbound = [(message, now) for report, now in reports for message in report.inbound]
        await doubts.put(self._pipe, [(doubt, now) for report, now in reports for doubt in report.doubts])
        self._new_refs = await self._enter(self._inbound)
        self._doubted = await doubts.take(self._pipe, self._inbound)

        async def finish() -> None:
            if decide is not None:
                self._late += await decide()
            for answer, now in answers:
                await self._answers_to.apply(answer, now)
            if parts:
                await self._parts.add(parts)

        return finish if decide is not None or answers or parts else None

    async def _enter(self, inbound: Sequence[Received]) -> AsyncCursor[Any] | None:
        """Send the carriers' identifiers of messages; the new ones are returned."""
        refs = {(m.carrier, m.ref): now for m, now in reversed(inbound) if m.ref is not None}
        rows = sorted((*ref, now) for ref, now in refs.items())
        return await self._send("insert_inbound_refs", *pack(INBOUND_REF, rows)) if rows else None

    async def _tell_inbound(self) -> None:
        """Tell the messages that have come in, unless they are repeats of others."""
        late = await self._enter(self._late), await doubts.take(self._pipe, self._late)
        for inbound, cursor, doubted in ((self._inbound, self._new_refs, self._doubted), (self._late, *late)):
            new = set(await cursor.fetchall()) if cursor is not None else set()
            again = set(await doubted.fetchall()) if doubted is not None else set()
            for message, now in inbound:
                key = (message.carrier, DOUBT + message.digest)
                if key in again:
                    again.discard(key)
                    continue
                if message.ref is None or (message.carrier, message.ref) in new:
                    new.discard((message.carrier, message.ref))
                    self._told += self._rules.on_inbound(message, now)

    # ── callbacks ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _attempts(self) -> None:
        results = [result for o in self._of[op.Attempts] for result in o.results]
        over = [r for r in results if r.due_at is None]
        if over:
            await self._send(
                "delete_callbacks", *pack(CALLBACK_KEY, [callback_key(r.callback) for r in over]), self._node
            )
        if len(over) < len(results):
            waiting = [
                (*callback_key(r.callback), r.due_at, r.callback.attempts + 1, r.tried_at)
                for r in results
                if r.due_at is not None
            ]
            await self._send("retry_callbacks", *pack(RETRY, waiting), self._node)
        if self._history_days:
            self._past += [history_row(r.callback, r.acknowledged) for r in over if r.callback.kind.final]

    # ── leases ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _lease(self) -> None:
        for o in self._of[op.LeaseRecipients]:
            o.result = []
            if await self._check_life():
                line = (o.line.carrier, o.line.account, int(o.line.high))
                cursor = await self._send("lease_recipients", self._node, *line, o.now, o.limit)
                self._answer(o, cursor, lambda rows: sorted(map(recipient_of, rows), key=recipient_key))
        for o in self._of[op.LeaseCallbacks]:
            o.result = []
            if await self._check_life():
                name, since = "lease_callbacks", o.now
                if o.untried_since is not None:
                    name, since = "lease_untried_callbacks", o.untried_since
                endpoint = (o.endpoint.account, o.endpoint.application.encode(), o.endpoint.direction.value)
                cursor = await self._send(name, self._node, *endpoint, since, o.limit)
                self._answer(o, cursor, lambda rows: sorted(map(callback_of, rows), key=_longest_due))

    async def _release(self) -> None:
        recipients = [recipient_key(r) for o in self._of[op.Release] for r in o.recipients]
        callbacks = [callback_key(c) for o in self._of[op.Release] for c in o.callbacks]
        if recipients:
            await self._send("release_recipients", *pack(RECIPIENT_KEY, recipients), self._node)
        if callbacks:
            await self._send("release_callbacks", *pack(CALLBACK_KEY, callbacks), self._node)

    async def _hurry(self) -> None:
        for o in self._of[op.Hurry]:
            self._answer(o, await hurry(self._pipe, o), len)

    # ── what is over ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _expire(self) -> Finish | None:
        asked = self._of[op.Expire]
        if not asked:
            return None
        now = max(o.now for o in asked)
        retries_over = f"{int((now - self._rules.retry_window) * 1000):013d}"
        callbacks = await self._send("expire_callbacks", now, lifetimes.EXPIRE_ROWS)
        handed = await self._send("expire_receipts", now, lifetimes.EXPIRE_ROWS)
        waiting = await self._send("expire_retries", retries_over, lifetimes.EXPIRE_ROWS)
        joins = list(self._rules.joins)
        due_parts = await self._send("due_parts", now, Text(joins), lifetimes.EXPIRE_ROWS) if joins else None
        await self._send("forget_parts", now)
        orphans = await self._send("expire_orphans", now - lifetimes.ORPHAN_SECONDS)
        await self._send("expire_early_answers", now - lifetimes.ORPHAN_SECONDS)
        await self._send("expire_inbound_refs", now - lifetimes.INBOUND_REF_SECONDS)
        await self._send("expire_told", now - lifetimes.DOUBT_SECONDS)
        await self._send("expire_doubts", now - lifetimes.REPEAT_SECONDS)
        await self._send("expire_history", now - self._history_days * 86400.0)

        async def finish() -> None:
            """Tell what follows from all that is over."""
            expired = [callback_of(row) for row in await callbacks.fetchall()]
            # A receipt in this very transaction counts: its recipient was still there when both were asked for.
            decided = self._receipts.decided
            over = [(enough, tuple(row)) for enough, *row in await handed.fetchall()]
            unreceipted = [(enough, recipient_of(row)) for enough, row in over if row[:3] not in decided]
            unsent = [recipient_of(row) for row in await waiting.fetchall()]
            if self._history_days:
                self._past += [history_row(c, False) for c in expired if c.kind.final]
            for enough, recipient in unreceipted:
                window_over = self._rules.on_receipt_window_over
                self._told += self._rules.on_receipt(recipient, 0, now) if enough else window_over(recipient, now)
            if unreceipted:
                await self._send("delete_segments", *pack(RECIPIENT_KEY, [recipient_key(r) for _, r in unreceipted]))
            for recipient in unsent:
                code = recipient.code or lifetimes.NO_CARRIER
                self._told += self._rules.tell(recipient, State.QUEUED, Cause.RETRIES_OVER, now, code)
            charged = [r for r in unsent if r.charge]
            queues = {_queue(r.message.account, r.message.kind) for r in charged}.difference(self._queues)
            if queues:
                await self._limits.ask(queues)
                self._queues |= await self._limits.read()
            self._gone += charged
            joined = await self._parts.give_up(await due_parts.fetchall(), now) if due_parts else 0
            asked[0].result = len(expired) + len(over) + len(unsent) + joined
            for o in asked[1:]:
                o.result = 0
            asked[0].unmatched = Counter(carrier for carrier, _ in set(await orphans.fetchall()))

        return finish

    # ── births ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> tuple[list[Recipient], list[Callback]]:
        """Send what follows from all that was found; return what is born leased to this node."""
        await self._tell_inbound()
        await self._discharge()
        recipients = self._born
        callbacks = [c for c in self._told if c.application]
        if self._history_days:
            self._past += [history_row(c, True) for c in self._told if not c.application]
        lives = bool(recipients or callbacks) and await self._check_life()
        mine: tuple[list[Recipient], list[Callback]] = [], []
        if recipients:
            room = self._births.room_for_recipients(recipients) if lives else [False] * len(recipients)
            leases = [self._node if here else 0 for here in room]
            born = [(*recipient_row(r), node, r.high) for r, node in zip(recipients, leases, strict=True)]
            await self._send("insert_recipients", *pack(BORN_RECIPIENT, born))
            mine[0].extend(r for r, node in zip(recipients, leases, strict=True) if node)
        if callbacks:
            room = self._births.room_for_callbacks(callbacks) if lives else [False] * len(callbacks)
            leases = [self._node if here else 0 for here in room]
            told = [(*callback_row(c), node) for c, node in zip(callbacks, leases, strict=True)]
            await self._send("insert_callbacks", *pack(BORN_CALLBACK, told))
            mine[1].extend(c for c, node in zip(callbacks, leases, strict=True) if node)
        if self._past:
            await self._send("insert_history", *pack(PAST, self._past))
        return mine


def _queue(account: str, kind: Kind) -> tuple[str, int]:
    return account, 0 if kind is Kind.SMS else 1


def _longest_due(callback: Callback) -> tuple[float, float, int]:
    return callback.due_at, callback.at, SLOTS[callback.kind]
