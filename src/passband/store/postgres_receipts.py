"""Receipts: which recipients they decide, all of a batch in one statement; and those that came before their outcome.

Two transactions must not miss each other: one that hands over looks for receipts that came early, and one whose receipt
matches nothing keeps it as early. The first takes an advisory lock together with others like it, the second takes it
alone and then looks once more, with a snapshot of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from psycopg import AsyncCursor

from passband.domain.event import Callback
from passband.domain.message import Recipient
from passband.domain.report import PAIR, Deciding, Inbound, Receipt, Report
from passband.domain.rules import Rules
from passband.store.matches import Matches
from passband.store.postgres_arrays import Bytea, Float8, Int, Text, pack
from passband.store.postgres_pipe import RECIPIENT_KEY, Pipe
from passband.store.postgres_unclear import note
from passband.store.rows import Row, early_key, mark_of, recipient_of

Timed = tuple[Receipt, float]  # and when it came
Name = tuple[str, str, str]  # carrier, reference, number
Wanted = tuple[int, str, str, str]  # the receipt's place, and one of its names
Asked = tuple[AsyncCursor[Any], list[Wanted]]

WANTED = (Int, Text, Bytea, Text)
ORPHAN = (Bytea, Text, Bytea, Text, Int, Float8)
NAME = (Text, Bytea, Text)


class Receipts:
    """The receipts of one transaction; what they decide is added to ``told``.

    ``matches`` has them all as matched by their first references; those that were not are taken off.
    """

    def __init__(self, pipe: Pipe, rules: Rules, told: list[Callback], matches: Matches) -> None:
        self._pipe = pipe
        self._rules = rules
        self._told = told
        self._matches = matches
        self.decided: set[Row] = set()  # keys of recipients of several segments that have come to their end

    async def start(
        self, early: Sequence[Timed], reports: Sequence[tuple[Report, float]]
    ) -> Callable[[], Awaitable[list[tuple[Inbound, float]]]] | None:
        """Send what finds the recipients of what came early and is reported now; None if nothing is.

        Return what does the rest, and returns the messages that some are instead.
        """
        receipts = list(early)
        unclear = []
        for report, now in reports:
            if report.receipts:  # all of a report are one carrier's; those that prove otherwise are taken off again
                self._matches.first(report.receipts[0].carrier, len(report.receipts))
                receipts += [(receipt, now) for receipt in report.receipts]
            if report.unclear:
                unclear += [(receipt, now) for receipt in report.unclear]
        if not receipts and not unclear:
            return None
        noted = await note(self._pipe, unclear) if unclear else None
        first, later = _apart(receipts)
        asked = await self._send(first)

        async def finish() -> list[tuple[Inbound, float]]:
            unmatched = await self._decide(first, asked) + await self._match(later)
            for receipt, _ in unmatched:
                self._matches.first(receipt.carrier, -1)
            unmatched = await self._match_pairs(unmatched)
            early = [r for r in unmatched if r[0].otherwise is None]
            if early and not await self._pipe.be_alone():
                early = await self._match_pairs(await self._match(early))
            if early:
                await self._keep(early)
            messages = [(r.otherwise, now) for r, now in unmatched if r.otherwise is not None]
            return messages + await noted() if noted is not None else messages

        return finish

    async def early(self, handed: Sequence[tuple[Recipient, str]], now: float) -> list[Timed]:
        """Take the receipts that came before these recipients were handed over, each under its reference.

        The oldest counts for each; what names two numbers only must not be older than the message. A hopeful
        transaction takes none: it ends if there are any.
        """
        if not self._pipe.manner.careful:
            names = dict.fromkeys((recipient.carrier, ref) for recipient, ref in handed)
            await self._pipe.send("none_early", *pack(NAME[:2], list(names)))
            return []
        marked = [(recipient.carrier, ref, mark_of(recipient.number)) for recipient, ref in handed]
        found: dict[Row, list[Row]] = {}
        for receipt, *name, code, at in await self._pipe.fetch(
            "early_receipts", *pack(NAME, list(dict.fromkeys(marked)))
        ):
            found.setdefault(tuple(name), []).append((receipt, code, at))
        taken: dict[str, Timed] = {}
        for (recipient, ref), wanted in zip(handed, marked, strict=True):
            since = recipient.message.created_at if ref.startswith(PAIR) else 0.0
            for key, code, at in found.get(wanted, ()):
                if key not in taken and at >= since:
                    taken[key] = Receipt(recipient.carrier, (ref,), recipient.number, code), now
                    break
        if taken:
            await self._pipe.send("delete_orphans", Bytea(list(taken)))
        return list(taken.values())

    async def _send(self, receipts: Sequence[Timed]) -> Asked:
        wanted = [
            (place, receipt.carrier, ref, receipt.number)
            for place, (receipt, _) in enumerate(receipts)
            for ref in receipt.refs
        ]
        return await self._pipe.send("match_receipts", *pack(WANTED, wanted)), wanted

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

    async def _match_pairs(self, receipts: Sequence[Timed]) -> list[Timed]:
        """Let the pair of each count if exactly one recipient is known by it; return those that match nothing.

        Where several are known by it, it means none of them, and none that is handed over later.
        """
        unmatched: list[Timed] = []
        for receipt, now in receipts:
            known = 0
            if receipt.pair:
                name = (receipt.carrier, receipt.pair.encode(), receipt.number)
                known = (await self._pipe.fetch("known_by_pair", *name))[0][0]
            if known > 1:
                unmatched.append((msgspec.structs.replace(receipt, pair=""), now))
            elif not known or await self._match(
                [(Receipt(receipt.carrier, (receipt.pair,), receipt.number, receipt.code), now)]
            ):
                unmatched.append((receipt, now))
        return unmatched

    async def _decide(self, receipts: Sequence[Timed], asked: Asked) -> list[Timed]:
        """Settle what the rows found say; return the receipts that match nothing.

        Of a longer message the first failed segment decides, or the last delivered one (Semantics, section 3), or where
        the carrier is told to, the first of all.
        """
        cursor, wanted = asked
        matched: set[int] = set()
        parts: dict[Row, list[tuple[int, int]]] = {}  # by recipient: the receipts of its segments, and which decide
        decided: list[Row] = []
        for found, deciding, awaited, *columns in await cursor.fetchall():
            row = tuple(columns)
            if found is None:
                segments = parts[row[:3]]
                # The first failure, or the first of all where that decides; or the last of those that were awaited.
                bad = [p for p, _ in segments if receipts[p][0].code]
                last = [p for p, d in segments if d == Deciding.FIRST or awaited <= 0]
                if bad or last:
                    self._settle(row, receipts[(bad or last)[0]])
                    decided.append(row[:3])
                continue
            place, _, ref, _ = wanted[found - 1]
            matched.add(place)
            receipt = receipts[place][0]
            if ref != receipt.refs[0]:
                self._matches.first(receipt.carrier, -1)
                self._matches.later(receipt, receipt.refs.index(ref))
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
        rows = [
            (key, r.carrier, ref, mark_of(r.number), r.code, now)
            for r, now, key in [(r, now, early_key(r, self._pipe.node)) for r, now in receipts]
            for ref in (*r.refs, *((r.pair,) if r.pair else ()))
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
