"""Every statement of the PostgreSQL engine goes through an index, whatever statistics say when it is planned."""

import re

import psycopg
import pytest

from passband.store.postgres_hosts import SESSION
from passband.store.postgres_pipe import EXPECT, Q
from passband.store.postgres_reads import Q as READS
from store.nodes import NOW, Node, Stores, a_recipient
from store.postgres_server import PostgresEngine

LARGE = {"recipients", "callbacks", "segments", "orphans", "early_answers", "parts", "inbound_refs", "history"}
LARGE |= {"queues", "paces"}  # by their dead rows
STATEMENTS = {**Q, **{f"expected {name}": sql for name, sql in EXPECT.items()}} | {
    name: READS[name] for name in ("lines", "endpoints")
}


def plan_of(connection: psycopg.Connection, statement: str) -> str:
    return "\n".join(line for (line,) in connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}".encode()).fetchall())


def scanned(plan: str) -> set[str]:
    """Return the large tables that a plan looks through whole."""
    whole = set(re.findall(r"Seq Scan on (\w+)", plan))
    whole |= set(re.findall(r"Index (?:Only )?Scan using \w+ on (\w+)(?: \w+)?  \(.*\)\n(?! +Index Cond)", plan + "\n"))
    return whole & LARGE


# What looks through an index from its first entry on: it finds what it wants there.
FROM_THE_FRONT = {"expire_retries", "lines", "endpoints"}

BEFORE = {
    "nothing": (),
    "nothing, vacuumed": ("DELETE FROM recipients", "DELETE FROM callbacks", "VACUUM ANALYZE recipients, callbacks"),
    "everything was held, analyzed": ("ANALYZE recipients, callbacks",),
    "one limited account, vacuumed and analyzed": (
        "INSERT INTO queues VALUES ('5500123', 0, 0, 0)",
        "INSERT INTO paces VALUES ('5500123', 'sms', 0, 0)",
        "VACUUM ANALYZE queues, paces",
    ),
    "everything is free, analyzed": (
        "UPDATE recipients SET node = 0",
        "UPDATE callbacks SET node = 0",
        "ANALYZE recipients, callbacks",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("state", BEFORE)
async def test_no_statement_looks_through_a_table(state: str, postgres: PostgresEngine) -> None:
    """Whatever there was when the tables were last looked at; now there are a thousand free rows."""
    stores = Stores(postgres)
    node = await stores.open()
    await fill(node)
    for statement in BEFORE[state]:
        postgres.execute(statement)
    await fill(node)
    await stores.close()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SESSION.encode())
        plans = {name: plan_of(connection, sql) for name, sql in STATEMENTS.items()}
    found = {name: scanned(plan) for name, plan in plans.items() if name not in FROM_THE_FRONT}
    assert {name: tables for name, tables in found.items() if tables} == {}
    assert "callbacks_free on callbacks" in plans["endpoints"]
    assert "recipients_free on recipients" in plans["lines"]
    assert "recipients_handed on recipients" in plans["expire_receipts"]
    for name in ("lease_callbacks", "lease_untried_callbacks", "hurry_endpoint"):
        assert "callbacks_free on callbacks" in plans[name]
    for name in ("hold_queues", "hold_paces"):
        assert "Index Scan Backward using" in plans[name]  # so the newest version is met first
    in_order = ("lease_recipients", "lease_callbacks", "lines", "endpoints", "hold_queues", "hold_paces")
    assert "Sort" not in "".join(plans[name] for name in in_order)


async def fill(node: Node) -> None:
    recipients = [a_recipient() for _ in range(1000)]
    await node.accept(*recipients)
    await node.store.announce(recipients, NOW)
