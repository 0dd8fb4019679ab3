"""What is read from a PostgreSQL database beside the path of the messages, through a few connections of its own."""

import asyncio
from collections.abc import Sequence

import psycopg

from passband.domain.errors import StoreUnavailable
from passband.domain.event import Endpoint
from passband.domain.message import Direction, Kind
from passband.store import CarrierRef, Depth, Found, Line, NodeState, Provisions, Query
from passband.store.bury import Held
from passband.store.postgres_hosts import OUT_OF_ORDER, Hosts, Session
from passband.store.queries import load
from passband.store.rows import Row
from passband.store.sharing import node_states, provisions

Q = load("postgres_reads.sql", {})

# A count of a million rows is not to take the other cores from the messages, nor to sort what it counts.
READING = "SELECT set_config('max_parallel_workers_per_gather', '0', false), set_config('enable_hashagg', 'on', false)"

CONNECTIONS = 2  # one for a search that takes long, one for everyone else

# What a search compares, by the field of Query.
FILTERS = {
    "id": "id = {}::text",
    "status": "status = {}::text",
    "carrier": "carrier = {}::text",
    "code": "code = {}::int",
    "received_from": "received_at >= {}::float8",
    "received_to": "received_at <= {}::float8",
    "min_segments": "segment_count >= {}::int",
    "max_segments": "segment_count <= {}::int",
    "min_length": "length >= {}::int",
    "max_length": "length <= {}::int",
}
# As octets, so that both engines sort alike.
SORTS = {name: f'{name} COLLATE "C"' for name in ("id", "source", "destination", "status", "direction", "carrier")} | {
    name: name for name in ("code", "received_at", "segment_count", "length")
}
SORTS["kind"] = "-kind"  # 0 is SMS, the later word


class Reads:
    """The reading connections of one node, opened when they are needed."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._idle: list[Session] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        """Return the rows of a statement. A connection that was lost while it was idle is replaced.

        Raises StoreUnavailable.
        """
        async with self._turns:
            try:
                while self._idle:
                    connection = self._idle.pop()
                    if self._hosts.is_old(connection):
                        await connection.close()
                        continue
                    try:
                        return await self._run(connection, statement, values)
                    except OUT_OF_ORDER:
                        if not connection.closed:
                            raise
                return await self._run(await self._connect(), statement, values)
            except OUT_OF_ORDER as error:
                raise StoreUnavailable(f"the database could not be read: {error}") from error

    async def _connect(self) -> Session:
        session = await self._hosts.connect("passband reads")
        try:
            with self._hosts.answering(session):
                await session.execute(READING)
        except BaseException:
            await session.close()
            raise
        return session

    async def _run(self, connection: Session, statement: str, values: Sequence[object]) -> list[Row]:
        try:
            with self._hosts.answering(connection):
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement, values or None)
                rows = await cursor.fetchall()
        except psycopg.Error:
            if not connection.broken:
                self._idle.append(connection)
            raise
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def nodes(self) -> list[tuple[int, str, int, float, float]]:
        """Return each node's number, host, process, how long it has been silent in seconds, and the database's time."""
        return [(node, host, pid, silent, now) for node, host, pid, silent, now in await self.fetch(Q["nodes"])]

    async def held(self, node: int) -> Held:
        """Return where the recipients and the callbacks are that a node holds, as ctids."""
        recipients = [tid for (tid,) in await self.fetch(Q["held_recipients"], node)]
        return recipients, [tid for (tid,) in await self.fetch(Q["held_callbacks"], node)]

    async def lines(self, now: float) -> list[Line]:
        return [Line(carrier, account, high == 1) for carrier, account, high in await self.fetch(Q["lines"], now)]

    async def endpoints(self) -> list[tuple[Endpoint, float]]:
        rows = await self.fetch(Q["endpoints"])
        return [
            (Endpoint(account, application, Direction(direction)), due) for account, application, direction, due in rows
        ]

    async def node_states(self) -> list[NodeState]:
        return node_states(await self.fetch(Q["node_states"]), await self.fetch(Q["leased_slots"]))

    async def provisioned(self, since: int | None) -> Provisions | None:
        return provisions(await self.fetch(Q["provisioned"], since))

    async def carrier_refs(self, account: str, id_: str) -> list[CarrierRef]:
        return [CarrierRef(*row[1:]) for row in await self.fetch(Q["carrier_refs"], account, id_)]

    async def depths(self) -> Sequence[Depth]:
        rows = await self.fetch(Q["depths"])
        return [
            Depth(carrier, waiting, handed, int(oldest) / 1000 if oldest else None)
            for carrier, waiting, handed, oldest in rows
        ]

    async def oldest_callback(self) -> float | None:
        ((oldest,),) = await self.fetch(Q["oldest_callback"])
        return None if oldest is None else float(oldest)

    async def search(self, query: Query) -> tuple[int, list[Found]]:
        """Return how many match in all, and one page of them."""
        where, values = _conditions(query)
        order = SORTS.get(query.sort, "received_at")
        down = "DESC" if query.descending else "ASC"
        # Only names from the tables above get into the text; every value is bound.
        ((total,),) = await self.fetch(f"{Q['search']} SELECT count(*) FROM found WHERE {where}", *values)  # noqa: S608
        page = f'ORDER BY {order} {down}, id COLLATE "C" {down}, n LIMIT {query.limit:d} OFFSET {query.offset:d}'
        rows = await self.fetch(f"{Q['search']} SELECT * FROM found WHERE {where} {page}", *values)  # noqa: S608
        return int(total), [_found(row) for row in rows]


async def read_nodes(url: str) -> list[NodeState]:
    """Return the nodes of a database without becoming one. Raises StoreUnavailable."""
    reads = Reads(Hosts(url))
    try:
        return await reads.node_states()
    except psycopg.ProgrammingError as error:
        raise StoreUnavailable(f"the database has no nodes: {error.diag.message_primary}") from error
    finally:
        await reads.close()


def _conditions(query: Query) -> tuple[str, list[object]]:
    conditions: list[str] = []
    values: list[object] = [query.account]

    def bound(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    for field, condition in FILTERS.items():
        if (value := getattr(query, field)) is not None:
            conditions.append(condition.format(bound(value)))
    if query.direction is not None:
        conditions.append(f"direction = {bound(query.direction.value)}::text")
    if query.kind is not None:
        conditions.append(f"kind = {bound(0 if query.kind is Kind.SMS else 1)}::int")
    for column, numbers in (("source", query.sources), ("destination", query.destinations)):
        if len(numbers) == 1 and numbers[0].endswith("*"):
            conditions.append(f"starts_with({column}, {bound(numbers[0][:-1])}::text)")
        elif numbers:
            conditions.append(f"{column} = ANY({bound(list(numbers))}::text[])")
    return " AND ".join(conditions) or "TRUE", values


def _found(row: Row) -> Found:
    id_, account, _, source, destination, status, direction, kind, segments, code, at, carrier, length, media, to = row
    return Found(
        id_, account, source, destination, status, Direction(direction), Kind.MMS if kind else Kind.SMS, segments, code,
        at, carrier, length, media, to,
    )  # fmt: skip
