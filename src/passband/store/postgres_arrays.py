"""Columns of a batch as PostgreSQL's binary arrays, so that it is one statement with one parameter for each column.

psycopg's own dumper of lists looks at every item's type, half a microsecond each; here the column says the type, and
numbers are packed all at once (PostgreSQL, src/backend/utils/adt/arrayfuncs.c, ``array_recv``).

PostgreSQL's ``text`` cannot hold NUL. What an application wrote, and what names a message to a carrier, must come back
exactly: it is ``bytea`` with UTF-8 in it. In other texts, numbers that a carrier gave us, NUL becomes its symbol, so
that it cannot make the whole batch of its neighbours fail.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

_HEADER = struct.Struct("!iiIii")  # dimensions, whether there are NULLs, type of the items, their count, first index
_EMPTY = struct.Struct("!iiI")
_length = struct.Struct("!i").pack
_NULL = _length(-1)
_NUL_SYMBOL = "␀".encode()


class Array:
    """One column of a batch, packed. The subclasses are named as the types of their items."""

    __slots__ = ("data",)
    item_oid: int
    oid: int

    def __init__(self, values: Sequence[Any]) -> None:
        count = len(values)
        if not count:
            self.data = _EMPTY.pack(0, 0, self.item_oid)
            return
        nulls = None in values
        self.data = _HEADER.pack(1, nulls, self.item_oid, count, 1) + self.items(values, nulls)

    @classmethod
    def items(cls, values: Sequence[Any], nulls: bool) -> bytes:
        """Return the items, each after its length in octets."""
        pieces = []
        for value in values:
            if value is None:
                pieces.append(_NULL)
            else:
                octets = value.encode()
                pieces += (_length(len(octets)), octets)
        return b"".join(pieces)


class Bytea(Array):
    """Texts, as UTF-8."""

    __slots__ = ()
    item_oid, oid = 17, 1001


class Octets(Array):
    """Octets that are no text."""

    __slots__ = ()
    item_oid, oid = 17, 1001

    @classmethod
    def items(cls, values: Sequence[Any], nulls: bool) -> bytes:
        return b"".join([_NULL if value is None else _length(len(value)) + value for value in values])


class Text(Array):
    """Texts in which NUL means nothing."""

    __slots__ = ()
    item_oid, oid = 25, 1009

    @classmethod
    def items(cls, values: Sequence[Any], nulls: bool) -> bytes:
        pieces = []
        for value in values:
            if value is None:
                pieces.append(_NULL)
            else:
                octets = value.encode()
                if b"\0" in octets:
                    octets = octets.replace(b"\0", _NUL_SYMBOL)
                pieces += (_length(len(octets)), octets)
        return b"".join(pieces)


class _Numbers(Array):
    __slots__ = ()
    code: str
    size: int

    @classmethod
    def items(cls, values: Sequence[Any], nulls: bool) -> bytes:
        if nulls:
            one = struct.Struct(f"!i{cls.code}").pack
            return b"".join([_NULL if value is None else one(cls.size, value) for value in values])
        flat = [cls.size] * (2 * len(values))
        flat[1::2] = values
        return struct.pack("!" + f"i{cls.code}" * len(values), *flat)


class Smallint(_Numbers):
    __slots__ = ()
    item_oid, oid, code, size = 21, 1005, "h", 2


class Int(_Numbers):
    __slots__ = ()
    item_oid, oid, code, size = 23, 1007, "i", 4


class Bigint(_Numbers):
    __slots__ = ()
    item_oid, oid, code, size = 20, 1016, "q", 8


class Float8(_Numbers):
    __slots__ = ()
    item_oid, oid, code, size = 701, 1022, "d", 8


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        return obj.data


class _TextOfBytea(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


_DUMPERS = {cls: type(f"{cls.__name__}Dumper", (_ArrayDumper,), {"oid": cls.oid}) for cls in (
    Bytea, Octets, Text, Smallint, Int, Bigint, Float8,
)}  # fmt: skip


def adapt(connection: AsyncConnection[Any]) -> None:
    """Let a connection take arrays as parameters, and return ``bytea`` as text."""
    for cls, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(cls, dumper)
    connection.adapters.register_loader("bytea", _TextOfBytea)


# The types of the columns of rows.py, and of what is written beside them; text unless named here.
TYPES: Mapping[str, type[Array]] = {
    "n": Smallint, "application": Bytea, "text": Bytea, "length": Int, "tag": Bytea, "priority": Smallint,
    "expires_at": Float8, "segment_count": Smallint, "reference": Int, "due_at": Float8, "attempts": Int, "code": Int,
    "announced": Smallint, "charge": Int, "node": Int, "high": Smallint, "slot": Smallint, "named": Bytea,
    "created_at": Float8, "message_kind": Smallint, "at": Float8, "receipted": Smallint, "tried_at": Float8,
    "received_at": Float8, "attachments": Smallint, "recipients": Smallint,
}  # fmt: skip
NUMBERED_KINDS = {"kind": Smallint}  # where a kind is Kind's number rather than an event's name


def types_of(columns: Sequence[str], *, numbered_kind: bool = False) -> tuple[type[Array], ...]:
    own = NUMBERED_KINDS if numbered_kind else {}
    return tuple(own.get(column) or TYPES.get(column, Text) for column in columns)


def pack(types: Sequence[type[Array]], rows: Sequence[Sequence[Any]]) -> list[Array]:
    """Turn rows into one array for each of their columns, to be put together again by one ``unnest``.

    A column with nothing in it is an empty array: ``unnest`` fills the shorter ones up with NULL.
    """
    if not rows:
        return [cls(()) for cls in types]
    count = len(rows)
    return [
        cls(() if column[0] is None and column.count(None) == count else column)
        for cls, column in zip(types, zip(*rows, strict=True), strict=True)
    ]


def placeholders(types: Sequence[type[Array]], first: int = 1) -> list[str]:
    """Return ``$1::text[]`` and so on, as ``pack`` gives the parameters."""
    return [f"${place}::{cls.__name__.lower()}[]" for place, cls in enumerate(types, first)]
