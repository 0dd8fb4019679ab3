"""A receipt and one that decides nothing, for the same message, in two transactions at once."""

import asyncio
from collections.abc import Callable

import psycopg

from passband.domain.report import Receipt, Report, Unclear
from store.nodes import NOW, THEIRS, Stores, a_recipient
from store.postgres_server import PostgresEngine

FOR_ROWS = "'transactionid', 'tuple'"
HAND_OVER_LOCK = "SELECT pg_advisory_xact_lock_shared(1885500001)"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_receipt_that_has_to_run_alone_is_not_missed(postgres: PostgresEngine) -> None:
    """It would find its row changed by a transaction that was there before it, and not look again."""

    def waiting(events: str = f"'advisory', {FOR_ROWS}") -> int:
        statement = f"SELECT 1 FROM pg_stat_activity WHERE application_name = 'passband' AND wait_event IN ({events})"
        return len(postgres.execute(statement))

    stores = Stores(postgres)
    node, other = await stores.open(), await stores.open()
    for ref in ("1", "2"):
        recipient = a_recipient()
        await node.accept(recipient)
        await node.hand_over(recipient, ref)
    node.births.callbacks.clear()
    url = postgres.server.url(postgres.schema)
    with psycopg.connect(url) as handing_over, psycopg.connect(url) as holder:
        handing_over.execute(HAND_OVER_LOCK)
        # The first of these is early, and there is somebody who hands over.
        receipts = asyncio.create_task(
            node.store.record(Report(receipts=[Receipt("carrier", (ref,), THEIRS, 0) for ref in ("early", "1")]), NOW)
        )
        await until(lambda: waiting() == 1)
        holder.execute("SELECT FROM recipients WHERE carrier_ref = '2' FOR UPDATE")
        unclear = asyncio.create_task(
            other.store.record(Report(unclear=[Unclear("carrier", (ref,), THEIRS, 9999) for ref in ("1", "2")]), NOW)
        )
        await until(lambda: waiting() == 2)
        handing_over.commit()
        await until(lambda: receipts.done() or waiting(FOR_ROWS) == 2)
        holder.commit()
        await asyncio.gather(receipts, unclear)
    assert node.events == [("delivered", 0)]
    await stores.close()
