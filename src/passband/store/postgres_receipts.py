"""Receipts: which recipients they decide, all of a batch in one statement; and those that came before their outcome.

Two transactions must not miss each other: one that hands over looks for receipts that came early, and one whose receipt
matches nothing keeps it as early. The first takes an advisory lock together with others like it, the second takes it
alone and then looks once more, with a snapshot of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from psycopg import AsyncCursor

from passband.domain.event import Callback
from passband.domain.report import Deciding, Receipt
from passband.domain.rules import Rules
from passband.store.postgres_arrays import Bytea, Float8, Int, Text, pack
from passband.store.postgres_pipe import RECIPIENT_KEY, Pipe
from passband.store.rows import Row, mark_of, recipient_of

Timed = tuple[Receipt, float]  # and when it came
Name = tuple[str, str, str]  # carrier, reference, number

WANTED = (Int, Text, Bytea, Text)
ORPHAN = (Bytea, Text, Bytea, Text, Int, Float8)
NAME = (Text, Bytea, Text)


class Receipts:
    """The receipts of one transaction; what they decide is added to ``told``."""

    def __init__(self, pipe: Pipe, rules: Rules, told: list[Callback]) -> None:
        self._pipe = pipe
        self._rules = rules
        self._told = told
        self.decided: set[Row] = set()  # keys of recipients of several segments that have come to their end

    async def start(self, receipts: Sequence[Timed]) -> Callable[[], Awaitable[list[Timed]]]:
        """Send what finds their recipients; return what does the rest, and returns those that are messages instead."""
        first, later = _apart(receipts)
        cursor = await self._send(first)

        async def finish() -> list[Timed]:
            unmatched = await self._decide(first, cursor) + await self._match(later)
            unmatched = [r for r in unmatched if not (r[0].pair and await self._match_pair(*r))]
            early = [r for r in unmatched if r[0].otherwise is None]
            if early and not await self._pipe.be_alone():
                early = await self._match(early)
            if early:
                await self._keep(early)
            return [r for r in unmatched if r[0].otherwise is not None]

        return finish

    async def early(self, names: Sequence[Name], now: float) -> list[Timed]:
        """Take the receipts that came before these references, the oldest for each; a name may occur repeatedly.

        A hopeful transaction takes none: it ends if there are any.
        """
        if not self._pipe.manner.careful:
            await self._pipe.send("none_early", *pack(NAME[:2], list(dict.fromkeys(name[:2] for name in names))))
            return []
        marked = {name: (*name[:2], mark_of(name[2])) for name in names}
        found: dict[Row, list[Row]] = {}
        for receipt, carrier, ref, mark, code in await self._pipe.fetch(
            "early_receipts", *pack(NAME, list(marked.values()))
        ):
            found.setdefault((carrier, ref, mark), []).append((receipt, code))
        taken: dict[str, Timed] = {}
        for name in names:
            for key, code in found.get(marked[name], ()):
                if key not in taken:
                    carrier, ref, number = name
                    taken[key] = Receipt(carrier, (ref,), number, code), now
                    break
        if taken:
            await self._pipe.send("delete_orphans", Bytea(list(taken)))
        return list(taken.values())

    async def _send(self, receipts: Sequence[Timed]) -> AsyncCursor[Any]:
        wanted = [
            (place, receipt.carrier, ref, receipt.number)
            for place, (receipt, _) in enumerate(receipts)
            for ref in receipt.refs
        ]
        return await self._pipe.send("match_receipts", *pack(WANTED, wanted))

    async def _match(self, receipts: Sequence[Timed]) -> list[Timed]:
        """Match in rounds, because no two of a round may share a reference; return those that match nothing."""
        unmatched: list[Timed] = []
        nothing: set[Name] = set()  # references that have matched nothing need not be asked for again
        while receipts:
            unmatched += [r for r in receipts if nothing.issuperset(_names(r[0]))]
            first, receipts = _apart([r for r in receipts if not nothing.issuperset(_names(r[0]))])
            if first:
                over = await self._decide(first, await self._send(first))
                nothing.update(name for receipt, _ in over for name in _names(receipt))
                unmatched += over
        return unmatched

    async def _match_pair(self, receipt: Receipt, now: float) -> bool:
        """Let a receipt's pair count if exactly one recipient is known by it; tell whether it did."""
        name = (receipt.carrier, receipt.pair.encode(), receipt.number)
        if (await self._pipe.fetch("known_by_pair", *name))[0][0] != 1:
            return False
        return not await self._match([(Receipt(receipt.carrier, (receipt.pair,), receipt.number, receipt.code), now)])

    async def _decide(self, receipts: Sequence[Timed], cursor: AsyncCursor[Any]) -> list[Timed]:
        """Settle what the rows found say; return the receipts that match nothing.

        Of a longer message the first failed segment decides, or the last delivered one (Semantics, section 3), or where
        the carrier is told to, the first of all.
        """
        matched: set[int] = set()
        parts: dict[Row, list[tuple[int, int]]] = {}  # by recipient: the receipts of its segments, and which decide
        decided: list[Row] = []
        for place, deciding, awaited, *columns in await cursor.fetchall():
            row = tuple(columns)
            if place is None:
                segments = parts[row[:3]]
                # The first failure, or the first of all where that decides; or the last of those that were awaited.
                bad = [p for p, _ in segments if receipts[p][0].code]
                last = [p for p, d in segments if d == Deciding.FIRST or awaited <= 0]
                if bad or last:
                    self._settle(row, receipts[(bad or last)[0]])
                    decided.append(row[:3])
                continue
            matched.add(place)
            if deciding is None:
                self._settle(row, receipts[place])
            else:
                parts.setdefault(row[:3], []).append((place, deciding))
        if decided:
            self.decided.update(decided)
            keys = pack(RECIPIENT_KEY, decided)
            await self._pipe.send("settle_handed", *keys)
            await self._pipe.send("delete_segments", *keys)
        return [receipt for place, receipt in enumerate(receipts) if place not in matched]

    def _settle(self, row: Row, decisive: Timed) -> None:
        receipt, now = decisive
        self._told += self._rules.on_receipt(recipient_of(row), receipt.code, now)

    async def _keep(self, receipts: Sequence[Timed]) -> None:
        # The number is part of the key: a forged receipt must not take the place of the true one. It is kept as a mark
        # only, because repeats of a receipt end here, and nothing of a message that is over may be kept.
        marked = [(r, mark_of(r.number), now) for r, now in receipts]
        rows = [
            ("\n".join((r.carrier, mark, *r.refs)), r.carrier, ref, mark, r.code, now)
            for r, mark, now in marked
            for ref in r.refs
        ]
        await self._pipe.send("insert_orphans", *pack(ORPHAN, rows))


def _names(receipt: Receipt) -> list[Name]:
    return [(receipt.carrier, ref, receipt.number) for ref in receipt.refs]


def _apart(receipts: Sequence[Timed]) -> tuple[list[Timed], list[Timed]]:
    """Split receipts into those that share no reference with one before them, and the others."""
    seen: set[Name] = set()
    first: list[Timed] = []
    later: list[Timed] = []
    for entry in receipts:
        names = _names(entry[0])
        (first if seen.isdisjoint(names) else later).append(entry)
        seen.update(names)
    return first, later
