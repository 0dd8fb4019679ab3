"""The process that fills a store before it is measured: ``python -m passband.bench.backlog``.

It reads one JSON object from standard input (a Backlog) and returns when that much waits in the store, free for any
node to take. It goes through the store's own protocol, so every engine can be filled alike.
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence

import msgspec
import uvloop

from passband.bench.plan import Backlog
from passband.domain.account import Directory
from passband.domain.event import Callback, EventKind
from passband.domain.message import Direction, IdSource, Kind, Message, Recipient
from passband.domain.rules import Rules
from passband.domain.schedule import CALLBACK_WINDOW
from passband.store.open import open_store

BATCH = 500  # rows in one call; several calls share a commit
CALLS = 8


class NoRoom:
    """Births of a node that holds nothing: every row is born free."""

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return [False] * len(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return [False] * len(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        """Nothing is born to this node."""

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Nothing is born to this node."""


class Filling:
    """Makes the rows of a backlog, as old as it says, the oldest first."""

    def __init__(self, backlog: Backlog, now: float) -> None:
        self._backlog = backlog
        self._now = now
        self._ids = IdSource(random.Random(1).getrandbits)  # noqa: S311 - identifiers of a benchmark
        self.made = 0

    def _message(self) -> Message:
        backlog, n = self._backlog, self.made
        self.made += 1
        id_, created_at = self._ids.next(self._now - backlog.oldest_seconds * (1 - n / backlog.count))
        text = f"Your table for {n % 7 + 1} is ready, see you soon at the desk"
        return Message(
            account=backlog.account,
            id=id_,
            direction=Direction.OUT,
            kind=Kind.SMS,
            application=backlog.application,
            created_at=created_at,
            sender=backlog.sender,
            to=(f"+1408555{1000 + n % 1000:04d}",),
            text=text if backlog.carrier else "",
            length=len(text),
            media=(),
            tag=f"booking {n}",
            priority=None,
            expires_at=None,
            segment_count=1,
        )

    def recipients(self, count: int) -> list[Recipient]:
        messages = [self._message() for _ in range(count)]
        return [Recipient(message, 0, self._backlog.carrier, due_at=message.created_at) for message in messages]

    def callbacks(self, count: int) -> list[Callback]:
        """Return so many more events that wait for their endpoint, due since they happened."""
        return [
            Callback(
                message=message,
                n=0,
                kind=EventKind.DELIVERED,
                application=message.application,
                number=message.to[0],
                at=message.created_at,
                expires_at=message.created_at + CALLBACK_WINDOW,
                due_at=message.created_at,
            )
            for message in (self._message() for _ in range(count))
        ]


async def fill(backlog: Backlog) -> None:
    """Put the backlog into its store; it is durable on return. Raises StoreUnavailable."""
    now = time.time()
    store = open_store(backlog.store, Rules(Directory()), NoRoom(), history_days=0)
    await store.open(now)
    filling = Filling(backlog, now)
    while filling.made < backlog.count:
        calls = []
        for _ in range(CALLS):
            count = min(BATCH, backlog.count - filling.made)
            recipients = filling.recipients(count) if backlog.carrier else []
            callbacks = [] if backlog.carrier else filling.callbacks(count)
            calls.append(store.accept(recipients, callbacks, ()))
        await asyncio.gather(*calls)
    await store.close()


def main() -> None:
    uvloop.run(fill(msgspec.json.decode(sys.stdin.buffer.read(), type=Backlog)))


if __name__ == "__main__":
    main()
