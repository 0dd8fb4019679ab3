"""A carrier's later answers to what it took (MM4). They are few: each is looked at by itself."""

from collections.abc import Sequence

from passband.domain.event import Callback
from passband.domain.message import Recipient
from passband.domain.report import Answer
from passband.domain.rules import Handed, Requeued, Rules
from passband.store.postgres_arrays import Bytea, Smallint, Text, pack
from passband.store.postgres_pipe import RECIPIENT_KEY, Pipe
from passband.store.rows import mark_of, outcome_of, outcome_text, recipient_key, recipient_of

SEGMENT = (*RECIPIENT_KEY, Smallint, Text, Bytea, Text, Smallint, Bytea)


class Answers:
    """The answers of one transaction; what they decide is added to ``told``."""

    def __init__(self, pipe: Pipe, rules: Rules, told: list[Callback]) -> None:
        self._pipe = pipe
        self._rules = rules
        self._told = told

    async def early(self, handed: Sequence[tuple[Recipient, str]], now: float) -> None:
        """Apply the answers that came before these recipients were handed over, each under its reference."""
        names = dict.fromkeys((recipient.carrier, ref) for recipient, ref in handed)
        rows = await self._pipe.fetch("early_answers", *pack((Text, Bytea), list(names)))
        for recipient, ref in handed:
            for carrier, known, numbers, outcome in rows:
                if (carrier, known) == (recipient.carrier, ref) and (
                    not numbers or mark_of(recipient.number) in numbers.split(",")
                ):
                    await self.apply(Answer(carrier, ref, outcome_of(outcome), (recipient.number,)), now)

    async def apply(self, answer: Answer, now: float) -> None:
        """Record an answer, or keep it if what it is about is not handed over yet."""
        name = (answer.carrier, answer.ref.encode())
        rows = await self._pipe.fetch("handed_by_answer", *name)
        if not rows and not await self._pipe.be_alone():
            rows = await self._pipe.fetch("handed_by_answer", *name)
        if not rows:
            text = outcome_text(answer.outcome)
            await self._pipe.send("insert_early_answer", *name, ",".join(map(mark_of, answer.numbers)), text, now)
        for place, *row in rows:
            recipient = recipient_of(tuple(row))
            # Only what is unanswered: a repeat must not undo what the first one has done.
            if recipient.code < 0 and (not answer.numbers or recipient.number in answer.numbers):
                await self._answered(recipient, answer, place, now)

    async def _answered(self, recipient: Recipient, answer: Answer, place: int, now: float) -> None:
        key = recipient_key(recipient)
        change = self._rules.on_answer(recipient, answer.outcome, now)
        if isinstance(change, Handed):
            await self._pipe.send("hand_over_answered", *key, change.deadline_at, len(change.refs))
            segments = [
                (*key, segment, answer.carrier, ref, recipient.number, change.deciding, given)
                for segment, (ref, given) in enumerate(change.named, place)
            ]
            if segments:
                await self._pipe.send("insert_segments", *pack(SEGMENT, segments))
            return
        await self._pipe.send("delete_segments", *pack(RECIPIENT_KEY, [key]))
        if isinstance(change, Requeued):
            again = change.recipient
            await self._pipe.send("requeue_handed", *key, again.due_at, again.attempts, again.code)
        else:
            await self._pipe.send("settle_handed", *pack(RECIPIENT_KEY, [key]))
            self._told += change.callbacks
