"""What is read from a SQLite database beside the path of the messages, in a thread and on a connection of its own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from passband.domain.errors import StoreUnavailable
from passband.domain.message import Direction, Kind
from passband.store import CarrierRef, Depth, Found, Line, NodeState, Provisions, Query
from passband.store.bury import Held
from passband.store.queries import load
from passband.store.rows import Row
from passband.store.sharing import node_states, provisions

Q = load("sqlite_reads.sql", {})

# What a search compares, by the field of Query; the value is bound once for each "?".
FILTERS = {
    "id": "id = ?",
    "status": "status = ?",
    "carrier": "carrier = ?",
    "code": "code = ?",
    "received_from": "received_at >= ?",
    "received_to": "received_at <= ?",
    "min_segments": "segment_count >= ?",
    "max_segments": "segment_count <= ?",
    "min_length": "length >= ?",
    "max_length": "length <= ?",
}
SORTS = {
    "id": "id",
    "source": "source",
    "destination": "destination",
    "status": "status",
    "direction": "direction",
    "kind": "-kind",  # 0 is SMS, the later word
    "carrier": "carrier",
    "code": "code",
    "received_at": "received_at",
    "segment_count": "segment_count",
    "length": "length",
}


Key = tuple[str, str, int]

OVERDUE_ROWS = 500  # of one account at a time, so that expiring a backlog does not hold up everyone else


class Reads:
    """The reading connection of one node. Its methods block, and are called in its thread only."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def _fetch(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def nodes(self) -> list[tuple[int, str, int, float]]:
        return self._fetch(Q["nodes"])

    def held(self, node: int) -> Held:
        """Return the keys of the recipients and the callbacks that a node holds."""
        return self._fetch(Q["held_recipients"], (node,)), self._fetch(Q["held_callbacks"], (node,))

    def lines(self, now: float) -> list[Line]:
        """Skip from line to line through the index of free recipients: the cost grows with the lines only."""
        lines = []
        at: Row = ("", "", -1)
        while found := self._next(("next_high", "next_account", "next_carrier"), at):
            at = carrier, account, high = found
            if self._fetch(Q["due_in_line"], (carrier, account, high, now)):
                lines.append(Line(carrier, account, high == 1))
        return lines

    def endpoints(self) -> list[tuple[str, str, str, float]]:
        """Skip from endpoint to endpoint through the index of free callbacks."""
        endpoints = []
        at: Row = ("", "", "")
        while found := self._next(("next_direction", "next_application", "next_owner"), at):
            endpoints.append(found)
            at = found[:3]
        return endpoints

    def _next(self, statements: Sequence[str], at: Row) -> Row | None:
        """Return the first row after ``at``: the first statement compares all of its columns, each other one fewer."""
        for place, statement in enumerate(statements):
            rows: list[Row] = self._fetch(Q[statement], at[: len(at) - place])
            if rows:
                return rows[0]
        return None

    def overdue(self, now: float, receipts_over: float, retries_over: float) -> tuple[list[Key], list[Key]]:
        """Return the keys of recipients whose receipts, and whose retries, are over: those created before these."""
        receipts: list[Key] = []
        retries: list[Key] = []
        account = ""
        while (account := self._fetch(Q["accounts"], (account,))[0][0]) is not None:
            oldest = (account, f"{int(receipts_over * 1000):013d}", now, OVERDUE_ROWS)
            receipts += self._fetch(Q["overdue_receipts"], oldest)
            retries += self._fetch(Q["overdue_retries"], (account, f"{int(retries_over * 1000):013d}", OVERDUE_ROWS))
        return receipts, retries

    def node_states(self, now: float) -> list[NodeState]:
        return node_states(self._fetch(Q["node_states"], (now,)), self._fetch(Q["leased_slots"]))

    def provisioned(self, since: int | None) -> Provisions | None:
        return provisions(self._fetch(Q["provisioned"], (since,)))

    def carrier_refs(self, account: str, id_: str) -> list[CarrierRef]:
        return [CarrierRef(*row[1:]) for row in self._fetch(Q["carrier_refs"], (account, id_))]

    def depths(self) -> Sequence[Depth]:
        return [Depth(*row) for row in self._fetch(Q["depths"])]

    def oldest_callback(self) -> float | None:
        oldest: float | None = self._fetch(Q["oldest_callback"])[0][0]
        return oldest

    def search(self, query: Query) -> tuple[int, list[Found]]:
        """Return how many match in all, and one page of them."""
        conditions, values = _conditions(query)
        where = " AND ".join(conditions)
        order = SORTS.get(query.sort, "received_at")
        down = "DESC" if query.descending else "ASC"
        # Only names from the tables above get into the text; every value is bound.
        total = self._fetch(f"{Q['search']} SELECT count(*) FROM found WHERE {where}", values)[0][0]  # noqa: S608
        page = f"ORDER BY {order} {down}, id {down}, n LIMIT ? OFFSET ?"
        rows = self._fetch(
            f"{Q['search']} SELECT * FROM found WHERE {where} {page}",  # noqa: S608
            (*values, query.limit, query.offset),
        )
        return total, [_found(row) for row in rows]


def read_nodes(path: Path, now: float) -> list[NodeState]:
    """Return the nodes of a file without becoming one. Raises StoreUnavailable; an absent file is not made."""
    try:
        connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(1000)
            return Reads(connection).node_states(now)
        finally:
            connection.close()
    except apsw.Error as error:
        raise StoreUnavailable(f"cannot read {path}: {error}") from error


def _conditions(query: Query) -> tuple[list[str], tuple[object, ...]]:
    conditions: list[str] = []
    values: list[object] = [query.account] * 3
    for field, condition in FILTERS.items():
        if (value := getattr(query, field)) is not None:
            conditions.append(condition)
            values.append(value)
    if query.direction is not None:
        conditions.append("direction = ?")
        values.append(query.direction.value)
    if query.kind is not None:
        conditions.append("kind = ?")
        values.append(0 if query.kind is Kind.SMS else 1)
    for column, numbers in (("source", query.sources), ("destination", query.destinations)):
        if len(numbers) == 1 and numbers[0].endswith("*"):
            conditions.append(f"substr({column}, 1, ?) = ?")
            values += [len(numbers[0]) - 1, numbers[0][:-1]]
        elif numbers:
            conditions.append(f"{column} IN ({', '.join('?' * len(numbers))})")
            values += numbers
    return conditions or ["TRUE"], tuple(values)


def _found(row: Row) -> Found:
    id_, account, _, source, destination, status, direction, kind, segments, code, at, carrier, length, media, to = row
    return Found(
        id_, account, source, destination, status, Direction(direction), Kind.MMS if kind else Kind.SMS, segments, code,
        at, carrier, length, media, to,
    )  # fmt: skip
