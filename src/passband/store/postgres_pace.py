"""Pace on PostgreSQL: rights to send, which nodes take from the same rows."""

from collections.abc import Awaitable, Callable, Sequence

from passband.domain.pace import reserve
from passband.store import operations as op
from passband.store.postgres_arrays import Float8, Text, pack
from passband.store.postgres_pipe import Pipe

PACE = (Text, Text, Float8)


async def hold_paces(pipe: Pipe, asked: Sequence[op.Reserve]) -> Callable[[], Awaitable[None]] | None:
    """Send what locks the paces asked for; return what reserves them, None if there are none."""
    keys = sorted({(pace.account, pace.key) for o in asked for pace in o.paces})
    if not keys:
        return None
    cursor = await pipe.send("hold_paces", *pack(PACE[:2], keys))

    async def finish() -> None:
        """Reserve in the order of the operations."""
        used = {(account, key): used_at for account, key, used_at in await cursor.fetchall()}
        for o in asked:
            o.result = []
            for pace in o.paces:
                key = pace.account, pace.key
                used[key], start = reserve(used[key], o.now, pace.segments, pace.rate, pace.burst)
                o.result.append(start)
        await pipe.send("put_paces", *pack(PACE, [(*key, used[key]) for key in keys]))

    return finish
