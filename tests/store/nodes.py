"""Nodes on one database, whatever its engine, and the values that the tests of the store give them."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import apsw

from passband.domain.account import Account, Application, Directory, Number
from passband.domain.event import Callback, Endpoint, EventKind
from passband.domain.message import Direction, IdSource, Kind, Message, Priority, Recipient
from passband.domain.report import Accepted, Outcome, Receipt, Report
from passband.domain.rules import Rules
from passband.store import Attempted, Births, Line, Store
from passband.store.schema import Migration
from passband.store.sqlite import SqliteStore

NOW = 1_773_044_142.0
HOUR = 3600.0
DAY = 24 * HOUR
OURS, OURS_TOO, THEIRS = "+19195550117", "+19195550118", "+14085550142"
ALL_OUTBOUND = frozenset({EventKind.SENDING, EventKind.SENT, EventKind.DELIVERED, EventKind.FAILED})
OUT = Endpoint("5500123", "app", Direction.OUT)
IN = Endpoint("5500123", "app", Direction.IN)


def an_account(account: str = "5500123", **application: Any) -> Account:
    """An account whose application wants every event, at both URLs."""
    fields: dict[str, Any] = {
        "inbound_url": "http://app.example/in",
        "outbound_url": "http://app.example/out",
        "requested": ALL_OUTBOUND,
    }
    numbers = (OURS, OURS_TOO) if account == "5500123" else ()
    return Account(
        account,
        applications={"app": Application("app", **fields | application)},
        numbers={number: Number(number, account, "app") for number in numbers},
    )


def the_rules(**fields: Any) -> Rules:
    return Rules(Directory([an_account(), an_account("5500999")]), **fields)


class Recorded(Births):
    """Births that take up to ``room`` rows at a time (None: all), and remember what they took."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.recipients: list[Recipient] = []
        self.callbacks: list[Callback] = []

    def _some(self, rows: Sequence[object]) -> list[bool]:
        return [self.room is None or place < self.room for place in range(len(rows))]

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return self._some(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return self._some(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        self.recipients += recipients

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks += callbacks


class Node:
    """One node of the database, and what was born to it."""

    def __init__(self, store: Store, births: Recorded) -> None:
        self.store = store
        self.births = births

    @property
    def events(self) -> list[tuple[str, int]]:
        """What is told by the callbacks born to this node: kind and code."""
        return [(c.kind.removeprefix("message-"), c.code) for c in self.births.callbacks]

    async def accept(self, *recipients: Recipient) -> None:
        await self.store.accept(recipients, (), ())

    async def outcome(self, recipient: Recipient, outcome: Outcome, now: float = NOW) -> None:
        await self.store.record(Report(outcomes=[(recipient, outcome)]), now)

    async def hand_over(self, recipient: Recipient, *refs: str, now: float = NOW) -> None:
        await self.outcome(recipient, Accepted(refs, 2 * HOUR), now)

    async def receipt(
        self, *refs: str, code: int = 0, number: str = THEIRS, carrier: str = "carrier", now: float = NOW
    ) -> None:
        await self.store.record(Report(receipts=[Receipt(carrier, refs, number, code)]), now)

    async def acknowledge(self, *callbacks: Callback, now: float = NOW) -> None:
        await self.store.attempted([Attempted(c, None, now, True) for c in callbacks])

    async def lease(self, limit: int = 100, now: float = NOW, *, high: bool = False) -> list[Recipient]:
        return await self.store.lease_recipients(Line("carrier", "5500123", high), limit, now)

    async def callbacks(self, limit: int = 100, now: float = NOW, endpoint: Endpoint = OUT) -> list[Callback]:
        return await self.store.lease_callbacks(endpoint, limit, now)


class Engine(Protocol):
    """One database, empty at first, that nodes may open."""

    url: str

    async def open(
        self, rules: Rules, births: Births, now: float, history_days: int, changes: Sequence[Migration] = ()
    ) -> Store:
        """Open a node; ``changes`` are further ones of the schema, those of a later version."""
        ...

    def execute(self, statement: str) -> list[tuple[Any, ...]]: ...

    def unopened(self) -> str:
        """Return the URL of a database that no node has ever opened."""
        ...


class SqliteEngine:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:{path}"

    async def open(
        self, rules: Rules, births: Births, now: float, history_days: int, changes: Sequence[Migration] = ()
    ) -> SqliteStore:
        store = SqliteStore(self.path, rules, births, history_days=history_days)
        store._migrations = [*store._migrations, *changes]
        await store.open(now)
        return store

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(10_000)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def unopened(self) -> str:
        return f"sqlite:{self.path}-unopened"


class Stores:
    """All nodes that a test opens on one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._open: list[Store] = []

    async def open(
        self,
        room: int | None = None,
        now: float = NOW,
        *,
        history_days: int = 0,
        rules: Rules | None = None,
        changes: Sequence[Migration] = (),
    ) -> Node:
        births = Recorded(room)
        store = await self.engine.open(rules or the_rules(), births, now, history_days, changes)
        self._open.append(store)
        return Node(store, births)

    async def close(self, node: Node | None = None) -> None:
        for store in [node.store] if node else list(self._open):
            self._open.remove(store)
            await store.close()


_ids = IdSource(random.Random(1).getrandbits)
_seeds = itertools.count()


def a_message(now: float | None = None, **fields: Any) -> Message:
    """A message; those made one after the other are first in, first out, unless ``now`` says when."""
    id_, created_at = IdSource(random.Random(next(_seeds)).getrandbits).next(now) if now else _ids.next(NOW)
    values: dict[str, Any] = {
        "account": "5500123", "id": id_, "direction": Direction.OUT, "kind": Kind.SMS, "application": "app",
        "created_at": created_at, "sender": OURS, "to": (THEIRS,), "text": "Your table is ready", "length": 19,
        "media": (), "tag": "booking 4711", "priority": None, "expires_at": None, "segment_count": 1,
    }  # fmt: skip
    return Message(**values | fields)


def a_recipient(now: float | None = None, **fields: Any) -> Recipient:
    """A recipient of an SMS of its own; fields of both, and ``high`` for its priority."""
    if fields.pop("high", False):
        fields["priority"] = Priority.HIGH
    own: dict[str, Any] = {"n": 0, "carrier": "carrier"}
    own |= {name: fields.pop(name) for name in tuple(fields) if name in Recipient.__struct_fields__}
    return Recipient(a_message(now, **fields), **own)


def a_group(*numbers: str, **fields: Any) -> list[Recipient]:
    message = a_message(to=numbers, kind=Kind.MMS)
    return [Recipient(message, n, "carrier", **fields) for n in range(len(numbers))]
