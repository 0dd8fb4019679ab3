"""Inbound messages without an identifier in a PostgreSQL database: which of them may come again, and which do."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncCursor

from passband.domain.report import Doubt, Inbound
from passband.store.lifetimes import REPEAT_SECONDS
from passband.store.postgres_arrays import Bytea, Float8, Text, pack
from passband.store.postgres_pipe import Pipe
from passband.store.rows import DOUBT, TOLD, Row

INBOUND_REF = (Text, Bytea, Float8)


async def put(pipe: Pipe, doubts: Sequence[tuple[Doubt, float]]) -> None:
    """Send what the carriers may not know that we have."""
    if doubts:
        await _put(pipe, {(doubt.carrier, DOUBT + doubt.digest): now for doubt, now in doubts})


async def take(pipe: Pipe, inbound: Sequence[tuple[Inbound, float]]) -> AsyncCursor[Any] | None:
    """Send what messages without an identifier would be repeats of; the cursor has the names of those that are."""
    named = [(m.carrier, m.digest, now) for m, now in inbound if m.digest]
    if not named:
        return None
    since = {(carrier, DOUBT + digest): now - REPEAT_SECONDS for carrier, digest, now in named}
    doubted = await pipe.send("take_doubts", *pack(INBOUND_REF, _rows(since)))
    await _put(pipe, {(carrier, f"{TOLD}{digest}@{pipe.node}"): now for carrier, digest, now in named})
    return doubted


async def _put(pipe: Pipe, moments: dict[tuple[str, str], float]) -> None:
    await pipe.send("put_inbound_refs", *pack(INBOUND_REF, _rows(moments)))


def _rows(moments: dict[tuple[str, str], float]) -> list[Row]:
    return [(*key, at) for key, at in sorted(moments.items())]
