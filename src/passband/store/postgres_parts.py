"""Parts of longer inbound messages: put together once, whichever nodes they come to.

All parts of the messages concerned are read under a lock, what becomes of them is decided in memory, and the rows that
differ from what was read are written.
"""

import zlib
from collections.abc import Sequence

from passband.domain.report import Inbound, Part
from passband.domain.rules import Rules
from passband.store.lifetimes import JOINED_PART_SECONDS
from passband.store.postgres_arrays import Bytea, Float8, Int, Octets, Smallint, Text, pack
from passband.store.postgres_pipe import Pipe
from passband.store.rows import Row

BUCKETS = 128  # locks that all messages share: a lock for each would overflow the server's table of them

Key = tuple[str, str]
Timed = tuple[Inbound, float]

PART_KEY = (Text, Bytea, Smallint)
PART = (*PART_KEY, Smallint, Octets, Octets, Smallint, Smallint, Text, Text, Float8)

# Of a row: carrier, key, sequence, total, digest, octets (None once joined), data_coding, ports, sender, number, until.
DIGEST, OCTETS, DUE_AT = 4, 5, 10


class Parts:
    """The parts of one transaction; messages that are complete are added to ``joined``."""

    def __init__(self, pipe: Pipe, rules: Rules, joined: list[Timed]) -> None:
        self._pipe = pipe
        self._rules = rules
        self._joined = joined

    async def add(self, parts: Sequence[tuple[Part, float]]) -> None:
        """Keep parts, and join the messages that they complete."""
        messages = await self._read([(part.carrier, part.key) for part, _ in parts])
        for part, now in parts:
            key = (part.carrier, part.key)
            rows = messages[key]
            known = rows.get(part.sequence)
            if known is not None:
                if known[DIGEST] == part.digest:
                    continue
                # Another message with the same reference: the old one is not going to become complete any more.
                self._join(rows, now)
                rows.clear()
            rows[part.sequence] = (
                *key, part.sequence, part.total, part.digest, part.octets, part.data_coding, int(part.has_ports),
                part.sender, part.to, now + part.timeout,
            )  # fmt: skip
            if sum(row[OCTETS] is not None for row in rows.values()) == part.total:
                self._join(rows, now)
        await self._write(messages)

    async def give_up(self, keys: Sequence[Key], now: float) -> int:
        """Join messages as they are, if no part of them has come meanwhile; return how many."""
        if not keys:
            return 0
        messages = await self._read(keys)
        due = [rows for rows in messages.values() if _is_due(rows, now)]
        for rows in due:
            self._join(rows, now)
        await self._write(messages)
        return len(due)

    async def _read(self, keys: Sequence[Key]) -> dict[Key, dict[int, Row]]:
        messages: dict[Key, dict[int, Row]] = {key: {} for key in keys}
        buckets = {zlib.crc32("\n".join(key).encode()) % BUCKETS for key in messages}
        await self._pipe.send("part_locks", Int(sorted(buckets)))
        for carrier, key, sequence, total, digest, octets, *rest in await self._pipe.fetch(
            "parts", *pack((Text, Bytea), list(messages))
        ):
            octets = None if octets is None else bytes.fromhex(octets)
            messages[carrier, key][sequence] = (carrier, key, sequence, total, bytes.fromhex(digest), octets, *rest)
        self._stored = {row[:3]: row for rows in messages.values() for row in rows.values()}
        return messages

    def _join(self, rows: dict[int, Row], now: float) -> None:
        waiting = [row for _, row in sorted(rows.items()) if row[OCTETS] is not None]
        if waiting:
            parts = [
                Part(carrier, key, sequence, total, octets, data_coding, sender, number, ports == 1)
                for carrier, key, sequence, total, _, octets, data_coding, ports, sender, number, _ in waiting
            ]
            self._joined.append((self._rules.join(parts), now))
            for row in waiting:  # text and numbers go; the digests stay for a while, to know repeats
                rows[row[2]] = (*row[:OCTETS], None, *row[6:8], "", "", now + JOINED_PART_SECONDS)

    async def _write(self, messages: dict[Key, dict[int, Row]]) -> None:
        final = {row[:3]: row for rows in messages.values() for row in rows.values()}
        gone = [key for key, row in self._stored.items() if final.get(key) != row]
        new = [row for key, row in final.items() if self._stored.get(key) != row]
        if gone:
            await self._pipe.send("delete_parts", *pack(PART_KEY, gone))
        if new:
            await self._pipe.send("insert_parts", *pack(PART, new))


def _is_due(rows: dict[int, Row], now: float) -> bool:
    waiting = [row[DUE_AT] for row in rows.values() if row[OCTETS] is not None]
    return bool(waiting) and max(waiting) <= now
