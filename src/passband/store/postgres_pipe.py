"""One transaction on its way to PostgreSQL: statements are sent, and waited for only where Python needs the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, AsyncCursor

from passband.store.postgres_arrays import Array, pack, placeholders, types_of
from passband.store.queries import load
from passband.store.rows import CALLBACK, RECIPIENT, Row

HISTORY = (
    "account", "id", "n", "direction", "source", "destination", "status", "kind", "segment_count", "code",
    "received_at", "carrier", "length", "attachments", "recipients",
)  # fmt: skip
BORN_RECIPIENT = types_of((*RECIPIENT, "node", "high"), numbered_kind=True)
BORN_CALLBACK = types_of((*CALLBACK, "node"))
PAST = types_of(HISTORY, numbered_kind=True)
RECIPIENT_KEY = types_of(("account", "id", "n"))
CALLBACK_KEY = types_of(("account", "id", "n", "slot"))

Q = load(
    "postgres.sql",
    {
        "recipient": RECIPIENT,
        "callback": CALLBACK,
        "history": HISTORY,
        "no_more": [f"NULL::{cls.__name__}" for cls in types_of(RECIPIENT, numbered_kind=True)[3:]],
        "born_recipient_arrays": placeholders(BORN_RECIPIENT),
        "born_callback_arrays": placeholders(BORN_CALLBACK),
        "history_arrays": placeholders(PAST),
    },
)

UNEXPECTED = "PB001"  # the SQLSTATE of passband_expect


def _expected(statement: str) -> str:
    """Return a statement that ends the transaction if it does not change as many rows as its last parameter says."""
    last = max(map(int, re.findall(r"\$(\d+)", statement)))
    return f"WITH changed AS ({statement}) SELECT passband_expect(count(*) = ${last + 1}::int) FROM changed"  # noqa: S608


EXPECT = {name: _expected(Q[name]) for name in ("announce", "hand_over", "settle_leased")}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a transaction is run: ``careful`` waits for what each statement found; ``alone`` while nobody hands over."""

    careful: bool = False
    alone: bool = False


class Again(Exception):
    """The transaction must be run again in another manner."""

    def __init__(self, manner: Manner) -> None:
        super().__init__(manner)
        self.manner = manner


class Pipe:
    """A transaction of one node. Nothing is sent before it must be, so a transaction without answers is one message."""

    def __init__(self, connection: AsyncConnection[Any], node: int, manner: Manner) -> None:
        self._connection = connection
        self.node = node
        self.manner = manner
        self._alone = manner.alone

    async def be_alone(self) -> bool:
        """Keep others from handing over until the commit; return whether they were kept from it all along.

        Raises Again if others are at it: nobody may wait for them while holding rows that they may want.
        """
        if self._alone:
            return True
        ((alone,),) = await self.fetch("try_early_lock")
        if not alone:
            raise Again(Manner(self.manner.careful, alone=True))
        self._alone = True
        return False

    async def send(self, name: str, *parameters: object) -> AsyncCursor[Any]:
        """Add a statement; its cursor has the rows once they are asked for."""
        return await self.send_text(Q[name], *parameters)

    async def send_text(self, statement: str, *parameters: object) -> AsyncCursor[Any]:
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(statement, parameters or None, prepare=True)
        return cursor

    async def fetch(self, name: str, *parameters: object) -> list[Row]:
        """Send a statement, and everything before it, and wait for its rows."""
        return await (await self.send(name, *parameters)).fetchall()

    async def changed(self, name: str, rows: Sequence[Row], types: Sequence[type[Array]]) -> set[Row] | None:
        """Run a statement on rows that this node holds; return the keys of those that it changed.

        A hopeful transaction does not wait: None, it changes all of them or ends.
        """
        parameters = (*pack(types, rows), self.node)
        if self.manner.careful:
            return set(await self.fetch(name, *parameters))
        await self.send_text(EXPECT[name], *parameters, len(rows))
        return None
