"""Limits on PostgreSQL: what waits for each account, and what is used up of each rate, in rows that all nodes share.

Few rows, written by each commit that concerns a limited account. While somebody's transaction stays open, PostgreSQL
keeps every version of them, and whoever looks for such a row by its key alone meets all the old ones first: tens of
thousands after some minutes. So the key ends with a number that grows with each version, and the highest is looked for.
It is locked by reading it, and written once.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from psycopg import AsyncCursor

from passband.domain.pace import reserve
from passband.store import operations as op
from passband.store.postgres_arrays import Array, Bigint, Float8, Int, Smallint, Text, pack
from passband.store.postgres_pipe import Pipe

Key = tuple[str, Any]

# The types of the two columns of a key, and of the value.
TABLES: Mapping[str, tuple[type[Array], type[Array], type[Array]]] = {
    "queues": (Text, Smallint, Int),
    "paces": (Text, Text, Float8),
}


class Limits:
    """Rows of one of the tables, locked from when they are asked for until the transaction ends."""

    def __init__(self, pipe: Pipe, table: str) -> None:
        self._pipe = pipe
        self._table = table
        *self._key, self._value = TABLES[table]
        self._asked: list[Key] = []
        self._cursor: AsyncCursor[Any] | None = None
        self._stored: dict[Key, tuple[int, Any]] = {}

    async def ask(self, keys: Iterable[Key]) -> None:
        """Send what locks rows, always in one order: whoever else wants them waits."""
        self._asked = sorted(keys)
        self._cursor = await self._pipe.send(f"hold_{self._table}", *pack(self._key, self._asked))

    async def read(self) -> dict[Key, Any]:
        """Return the values that were asked for; 0 for what nobody has used before."""
        assert self._cursor is not None
        rows = await self._cursor.fetchall()
        if len(rows) < len(self._asked):
            keys = pack(self._key, self._asked)
            await self._pipe.send("first_lock")
            await self._pipe.send(f"insert_{self._table}", *keys)
            rows = await self._pipe.fetch(f"hold_{self._table}", *keys)
        self._stored |= {(first, second): (turn, value) for first, second, turn, value in rows}
        return {(first, second): value for first, second, _, value in rows}

    async def write(self, values: Mapping[Key, Any]) -> None:
        """Send those that are not as they were read."""
        rows = [
            (*key, turn, values[key]) for key, (turn, stored) in sorted(self._stored.items()) if values[key] != stored
        ]
        if rows:
            await self._pipe.send(f"put_{self._table}", *pack((*self._key, Bigint, self._value), rows))


async def hold_paces(pipe: Pipe, asked: Sequence[op.Reserve]) -> Callable[[], Awaitable[None]] | None:
    """Send what locks the paces asked for; return what reserves them, None if there are none."""
    keys = {(pace.account, pace.key) for o in asked for pace in o.paces}
    if not keys:
        return None
    limits = Limits(pipe, "paces")
    await limits.ask(keys)

    async def finish() -> None:
        """Reserve in the order of the operations."""
        used = await limits.read()
        for o in asked:
            o.result = []
            for pace in o.paces:
                key = pace.account, pace.key
                used[key], start = reserve(used[key], o.now, pace.segments, pace.rate, pace.burst)
                o.result.append(start)
        await limits.write(used)

    return finish
