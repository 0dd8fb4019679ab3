"""What each operation does to a SQLite database, inside a transaction that is already open.

The rules (``domain/rules.py``) decide what follows from what; here it becomes rows. Everything runs on the event loop,
2 to 3 µs a row; the commit is the caller's.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from passband.domain.errors import QueueFull
from passband.domain.event import Callback
from passband.domain.message import Kind, Recipient
from passband.domain.pace import reserve
from passband.domain.report import PAIR, Answer, Deciding, Inbound, Outcome, Part, Receipt
from passband.domain.rules import Handed, Requeued, Rules
from passband.domain.status import Cause, State
from passband.store import Births, lifetimes
from passband.store import operations as op
from passband.store import sqlite_unclear as unclear
from passband.store.commit import Operation
from passband.store.matches import Matches
from passband.store.rows import (
    DOUBT,
    TOLD,
    Row,
    callback_key,
    callback_of,
    callback_row,
    early_key,
    history_row,
    mark_of,
    outcome_of,
    outcome_text,
    recipient_key,
    recipient_of,
    recipient_row,
)
from passband.store.sqlite_nodes import NodeSteps, Q


class Steps:
    """The operations of one node on one connection."""

    def __init__(self, connection: apsw.Connection, rules: Rules, births: Births, history_days: int) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._executemany = connection.executemany
        self._changes = connection.changes
        self._rules = rules
        self._births = births
        self._history_days = history_days
        self._nodes = NodeSteps(connection)
        self.node = 0
        self._born: list[Recipient] = []
        self._told: list[Callback] = []
        self.matches = Matches(rules.matched)  # of the last batch
        self._steps: dict[type[Operation[Any]], Callable[[Any], Any]] = {
            op.Accept: self._accept,
            op.Record: self._record,
            op.Attempts: self._attempts,
            op.Announce: self._announce,
            op.Fail: self._fail,
            op.Reserve: self._reserve,
            op.Expire: self._expire,
            **self._nodes.steps,
        }

    def become(self, node: int) -> None:
        """Do everything from now on as the node of this number."""
        self.node = self._nodes.node = node

    def run(self, operations: Sequence[Operation[Any]]) -> tuple[list[Recipient], list[Callback]]:
        """Run the operations in order; return what was born leased to this node."""
        self._born, self._told = [], []
        self.matches = Matches(self._rules.matched)
        self._nodes.look()
        for operation in operations:
            try:
                operation.result = self._steps[type(operation)](operation)
            except QueueFull as error:
                operation.error = error
        return self._insert_recipients(self._born), self._insert_callbacks(self._told)

    def _fetch(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    # ── births ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _insert_recipients(self, recipients: list[Recipient]) -> list[Recipient]:
        if not recipients:
            return recipients
        room = self._births.room_for_recipients(recipients) if self._nodes.lives else [False] * len(recipients)
        node = self.node
        self._executemany(
            Q["insert_recipient"],
            [(*recipient_row(r), node if mine else 0, r.high) for r, mine in zip(recipients, room, strict=True)],
        )
        return [r for r, mine in zip(recipients, room, strict=True) if mine]

    def _insert_callbacks(self, told: list[Callback]) -> list[Callback]:
        callbacks = [c for c in told if c.application]
        if self._history_days and len(callbacks) < len(told):
            self._executemany(Q["insert_history"], [history_row(c, True) for c in told if not c.application])
        if not callbacks:
            return callbacks
        room = self._births.room_for_callbacks(callbacks) if self._nodes.lives else [False] * len(callbacks)
        node = self.node
        self._executemany(
            Q["insert_callback"],
            [(*callback_row(c), node if mine else 0) for c, mine in zip(callbacks, room, strict=True)],
        )
        return [c for c, mine in zip(callbacks, room, strict=True) if mine]

    # ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self, o: op.Accept) -> None:
        for place, charge in enumerate(o.charges):
            kind = 0 if charge.kind is Kind.SMS else 1
            fits = charge.segments <= charge.capacity
            if fits:
                self._execute(Q["charge_queue"], (charge.account, kind, charge.segments, charge.capacity))
                fits = self._changes() == 1
            if not fits:
                for earlier in o.charges[:place]:
                    self._discharge(earlier.account, earlier.kind, earlier.segments)
                raise QueueFull(charge.kind.value, charge.rate, charge.capacity)
        self._born += o.recipients
        self._told += o.callbacks

    def _discharge(self, account: str, kind: Kind, segments: int) -> None:
        self._execute(Q["discharge_queue"], (segments, account, 0 if kind is Kind.SMS else 1))

    def _announce(self, o: op.Announce) -> None:
        for recipient in o.recipients:
            self._execute(Q["announce"], (*recipient_key(recipient), self.node))
            if self._changes():
                self._told += self._rules.tell(recipient, State.QUEUED, Cause.LEFT_QUEUE, o.now)

    def _record(self, o: op.Record) -> None:
        report = o.report
        if report.outcomes:
            self._outcomes(report.outcomes, o.now)
        if report.receipts:
            self._receipts(report.receipts, o.now)
        if report.unclear:
            for message in unclear.note(self._connection, report.unclear):
                self._inbound(message, o.now)
        for answer in report.answers:
            self._answer(answer, o.now)
        for doubt in report.doubts:
            self._execute(Q["put_inbound_ref"], (doubt.carrier, DOUBT + doubt.digest, o.now))
        for inbound in report.inbound:
            self._inbound(inbound, o.now)
        for part in report.parts:
            self._part(part, o.now)

    def _outcomes(self, outcomes: Sequence[tuple[Recipient, Outcome]], now: float) -> None:
        node = self.node
        handed: list[Row] = []  # the common case: one statement for all of them
        early = bool(self._fetch(Q["any_orphan"]))
        for recipient, outcome in outcomes:
            change = self._rules.on_outcome(recipient, outcome, now)
            if isinstance(change, Handed):
                refs, given = change.refs, change.given
                single = len(refs) == 1
                ref, given_ref = (refs[0], given[0] if given else None) if single else (None, None)
                row = (ref, given_ref, change.deadline_at, *recipient_key(recipient), node)
                if single and not (early or change.callbacks or recipient.charge or change.unanswered):
                    handed.append(row)
                else:
                    self._hand_over(recipient, change, row, now)
            elif isinstance(change, Requeued):
                again = change.recipient
                self._execute(Q["requeue"], (again.due_at, again.attempts, again.code, *recipient_key(recipient), node))
            else:
                self._settle_leased(recipient, change.callbacks)
        if handed:
            self._executemany(Q["hand_over"], handed)

    def _hand_over(self, recipient: Recipient, change: Handed, row: Row, now: float) -> None:
        if change.unanswered:
            self._execute(Q["hand_over_unanswered"], (-change.unanswered, *row[2:]))
        else:
            self._execute(Q["hand_over"], row)
        if not self._changes():
            return
        if recipient.charge:
            self._discharge(recipient.message.account, recipient.message.kind, recipient.charge)
        key = recipient_key(recipient)
        if len(change.refs) > 1 or change.unanswered:
            self._executemany(
                Q["insert_segment"],
                [
                    (*key, segment, recipient.carrier, ref, change.deciding, given)
                    for segment, (ref, given) in enumerate(change.named)
                ],
            )
        self._told += change.callbacks
        for ref in change.refs:
            name = (recipient.carrier, ref, mark_of(recipient.number))
            since = recipient.message.created_at if ref.startswith(PAIR) else 0.0
            for receipt, code in self._fetch(Q["orphans_by_ref"], (*name, since)):
                self._execute(Q["delete_orphan"], (receipt,))
                self._receipt(Receipt(recipient.carrier, (ref,), recipient.number, code), now)
            for numbers, outcome in self._fetch(Q["early_answers_by_ref"], (recipient.carrier, ref)):
                if not numbers or mark_of(recipient.number) in numbers.split(","):
                    self._answer(Answer(recipient.carrier, ref, outcome_of(outcome), (recipient.number,)), now)

    def _settle_leased(self, recipient: Recipient, callbacks: Sequence[Callback]) -> None:
        self._execute(Q["settle_leased"], (*recipient_key(recipient), self.node))
        if self._changes():
            self._told += callbacks
            if recipient.charge:
                self._discharge(recipient.message.account, recipient.message.kind, recipient.charge)

    def _fail(self, o: op.Fail) -> None:
        for recipient, code in o.recipients:
            self._settle_leased(
                recipient, self._rules.tell(recipient, State.QUEUED, Cause.REFUSED_BY_RULE, o.now, code)
            )

    # ── answers, receipts and inbound messages ────────────────────────────────────────────────────────────────────────

    def _answer(self, answer: Answer, now: float) -> None:
        rows = self._fetch(Q["handed_by_answer"], (answer.carrier, answer.ref))
        if not rows:
            marks = ",".join(map(mark_of, answer.numbers))
            row = (answer.carrier, answer.ref, marks, outcome_text(answer.outcome), now)
            self._execute(Q["insert_early_answer"], row)
        for recipient in map(recipient_of, rows):
            # Only what is unanswered: a repeat must not undo what the first one has done.
            if recipient.code >= 0 or (answer.numbers and recipient.number not in answer.numbers):
                continue
            key = recipient_key(recipient)
            change = self._rules.on_answer(recipient, answer.outcome, now)
            if isinstance(change, Handed):
                self._execute(Q["hand_over_answered"], (change.deadline_at, *key))
                place = self._fetch(Q["next_segment"], key)[0][0]
                self._executemany(
                    Q["insert_segment"],
                    [
                        (*key, segment, answer.carrier, ref, change.deciding, given)
                        for segment, (ref, given) in enumerate(change.named, place)
                    ],
                )
                continue
            self._execute(Q["delete_segments"], key)
            if isinstance(change, Requeued):
                again = change.recipient
                self._execute(Q["requeue_handed"], (again.due_at, again.attempts, again.code, *key))
            else:
                self._execute(Q["settle_handed"], key).fetchall()
                self._told += change.callbacks

    def _receipts(self, receipts: Sequence[Receipt], now: float) -> None:
        """Take receipts: by their first references, the common case, in two statements; the others one by one."""
        firsts: dict[Row, list[Receipt]] = {}
        unsure = []
        for receipt in receipts:
            if receipt.pair:
                unsure.append(receipt)
                continue
            firsts.setdefault((receipt.carrier, receipt.refs[0], receipt.number), []).append(receipt)
        settled = []
        for row in self._executemany(Q["handed_by_ref"], firsts).fetchall():
            recipient = recipient_of(row[1:])
            settled.append(recipient_key(recipient))
            receipt = firsts[recipient.carrier, row[0], recipient.number].pop(0)
            self._told += self._rules.on_receipt(recipient, receipt.code, now)
        self._executemany(Q["delete_handed"], settled)
        self.matches.first(receipts[0].carrier, len(settled))  # all of a report are one carrier's
        for left in (*firsts.values(), unsure):
            for receipt in left:
                place = self._receipt(receipt, now)
                if place:
                    self.matches.later(receipt, place)
                elif place == 0:
                    self.matches.first(receipt.carrier, 1)

    def _receipt(self, receipt: Receipt, now: float) -> int | None:
        """Take one receipt; return the place of the reference that matched, None if it was none of them."""
        for place, ref in enumerate(receipt.refs):
            rows = self._fetch(Q["handed_by_ref"], (receipt.carrier, ref, receipt.number))
            if rows:
                recipient = recipient_of(rows[0][1:])
                self._execute(Q["delete_handed"], recipient_key(recipient))
                self._told += self._rules.on_receipt(recipient, receipt.code, now)
                return place
        for place, ref in enumerate(receipt.refs):
            rows = self._fetch(Q["segment_by_ref"], (receipt.carrier, ref, receipt.number))
            if rows:
                self._segment(rows[0], receipt.code, now)
                return place
        refs = receipt.refs
        if receipt.pair:
            name = (receipt.carrier, receipt.pair, receipt.number)
            known = len({*self._fetch(Q["handed_by_pair"], name), *self._fetch(Q["segments_by_pair"], name)})
            if known == 1:
                self._receipt(Receipt(receipt.carrier, (receipt.pair,), receipt.number, receipt.code), now)
                return None
            if not known:
                refs = (*refs, receipt.pair)
        if receipt.otherwise is not None:
            self._inbound(receipt.otherwise, now)
            return None
        mark = mark_of(receipt.number)
        key = early_key(receipt, self.node)
        for ref in refs:
            self._execute(Q["insert_orphan"], (key, receipt.carrier, ref, mark, receipt.code, now))
        return None

    def _segment(self, segment: Row, code: int, now: float) -> None:
        """One segment's receipt: the first failure decides, or the last delivery (Semantics, section 3)."""
        key, deciding = segment[:3], segment[4]
        self._execute(Q["delete_segment"], segment[:4])
        if not code and deciding != Deciding.FIRST and self._fetch(Q["open_segments"], key)[0][0]:
            if deciding == Deciding.SOME:
                self._execute(Q["mark_segments"], key)
            return
        self._execute(Q["delete_segments"], key)
        for row in self._fetch(Q["settle_handed"], key):
            self._told += self._rules.on_receipt(recipient_of(row), code, now)

    def _inbound(self, inbound: Inbound, now: float) -> None:
        if inbound.digest:
            self._execute(Q["take_doubt"], (inbound.carrier, DOUBT + inbound.digest, now - lifetimes.REPEAT_SECONDS))
            repeated = self._changes()
            self._execute(Q["put_inbound_ref"], (inbound.carrier, f"{TOLD}{inbound.digest}@{self.node}", now))
            if repeated:
                return
        if inbound.ref is not None:
            self._execute(Q["insert_inbound_ref"], (inbound.carrier, inbound.ref, now))
            if not self._changes():
                return
        self._told += self._rules.on_inbound(inbound, now)

    def _part(self, part: Part, now: float) -> None:
        key = (part.carrier, part.key)
        known = self._fetch(Q["part_digest"], (*key, part.sequence))
        if known:
            if known[0][0] == part.digest:
                return
            # Another message with the same reference: the old one is not going to become complete any more.
            self._join(key, now)
            self._execute(Q["delete_parts"], key)
        self._execute(
            Q["insert_part"],
            (*key, part.sequence, part.total, part.digest, part.octets, part.data_coding, part.has_ports, part.sender,
             part.to, now + part.timeout),
        )  # fmt: skip
        if self._fetch(Q["count_parts"], key)[0][0] == part.total:
            self._join(key, now)

    def _join(self, key: tuple[str, str], now: float) -> None:
        rows = self._fetch(Q["parts_to_join"], key)
        if rows:
            parts = [Part(*row) for row in rows]
            self._inbound(self._rules.join(parts), now)
            self._execute(Q["parts_joined"], (now + lifetimes.JOINED_PART_SECONDS, *key))

    # ── callbacks ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _attempts(self, o: op.Attempts) -> None:
        node = self.node
        over = [r for r in o.results if r.due_at is None]
        self._executemany(Q["delete_callback"], [(*callback_key(r.callback), node) for r in over])
        if len(over) < len(o.results):
            self._executemany(
                Q["retry_callback"],
                [
                    (r.due_at, r.callback.attempts + 1, r.tried_at, *callback_key(r.callback), node)
                    for r in o.results
                    if r.due_at is not None
                ],
            )
        if self._history_days and over:
            self._executemany(
                Q["insert_history"],
                [history_row(r.callback, r.acknowledged) for r in over if r.callback.kind.final],
            )

    # ── limits ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reserve(self, o: op.Reserve) -> list[float]:
        starts = []
        for pace in o.paces:
            rows = self._fetch(Q["get_pace"], (pace.account, pace.key))
            used_at, start = reserve(rows[0][0] if rows else 0.0, o.now, pace.segments, pace.rate, pace.burst)
            self._execute(Q["put_pace"], (pace.account, pace.key, used_at))
            starts.append(start)
        return starts

    # ── what is over ───────────────────────────────────────────────────────────────────────────────────────────────

    def _expire(self, o: op.Expire) -> int:
        now = o.now
        count = 0
        for row in self._fetch(Q["expire_callbacks"], (now, lifetimes.EXPIRE_ROWS)):
            count += 1
            callback = callback_of(row)
            if self._history_days and callback.kind.final:
                self._execute(Q["insert_history"], history_row(callback, False))
        count += self._expire_recipients(o)
        for carrier in self._rules.joins:
            for (key,) in self._fetch(Q["due_parts"], (now, carrier, lifetimes.EXPIRE_ROWS)):
                count += 1
                self._join((carrier, key), now)
        self._execute(Q["forget_parts"], (now,))
        o.unmatched = Counter(
            carrier for carrier, _ in set(self._fetch(Q["expire_orphans"], (now - lifetimes.ORPHAN_SECONDS,)))
        )
        for statement, age in (
            ("expire_early_answers", lifetimes.ORPHAN_SECONDS),
            ("expire_inbound_refs", lifetimes.INBOUND_REF_SECONDS),
            ("expire_told", lifetimes.DOUBT_SECONDS),
            ("expire_doubts", lifetimes.REPEAT_SECONDS),
            ("expire_history", self._history_days * 86400.0),
        ):
            self._execute(Q[statement], (now - age,))
        return count

    def _expire_recipients(self, o: op.Expire) -> int:
        now = o.now
        count = 0
        for key in o.receipts:
            for row in self._fetch(Q["expire_receipt"], (*key, now)):
                count += 1
                enough = self._fetch(Q["marked_segments"], key)
                self._execute(Q["delete_segments"], key)
                recipient = recipient_of(row)
                if enough:
                    self._told += self._rules.on_receipt(recipient, 0, now)
                else:
                    self._told += self._rules.on_receipt_window_over(recipient, now)
        for key in o.retries:
            for row in self._fetch(Q["expire_retry"], key):
                count += 1
                recipient = recipient_of(row)
                code = recipient.code or lifetimes.NO_CARRIER
                self._told += self._rules.tell(recipient, State.QUEUED, Cause.RETRIES_OVER, now, code)
                if recipient.charge:
                    self._discharge(recipient.message.account, recipient.message.kind, recipient.charge)
        return count
