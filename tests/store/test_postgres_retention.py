"""What a PostgreSQL database keeps of messages that are over."""

from collections.abc import Sequence

import pytest

from passband.domain.message import Recipient
from passband.domain.report import Accepted, Answer, Inbound, Part, Receipt, Rejected, Report
from passband.store.postgres import PostgresStore
from store.nodes import HOUR, NOW, OURS, THEIRS, Node, Stores, a_recipient, the_rules
from store.postgres_server import PostgresEngine

TEXT, TAG, GIVEN = "Your zebra is ready", "giraffe 4711", "okapi"
TELLING = (TEXT, TAG, GIVEN, THEIRS, OURS)
TELLING_OCTETS = [word.encode().hex() for word in TELLING]


def of_messages(texts: Sequence[str]) -> list[str]:
    """Return those texts that tell something of a message; octets are told as hexadecimal digits."""
    return [text for text in texts if any(word in text for word in (*TELLING, *TELLING_OCTETS))]


def all_rows(postgres: PostgresEngine) -> list[str]:
    tables = postgres.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = current_schema()")
    assert len(tables) >= 12
    rows = " UNION ALL ".join(f"SELECT '{table}: ' || {table}::text FROM {table}" for (table,) in tables)
    return [row for (row,) in postgres.execute(rows)]


async def handed_over(node: Node, count: int = 3) -> list[Recipient]:
    recipients = [a_recipient(text=TEXT, tag=TAG, segment_count=1 + n % 2) for n in range(count)]
    await node.accept(*recipients)
    await node.store.announce(recipients, NOW)
    refs = [tuple(f"{r.message.id}-{n}" for n in range(r.message.segment_count)) for r in recipients]
    accepted = [Accepted(names, 2 * HOUR, given=tuple(f"{GIVEN} {name}" for name in names)) for names in refs]
    await node.store.record(Report(outcomes=list(zip(recipients, accepted, strict=True))), NOW)
    return recipients


async def over(node: Node, recipients: Sequence[Recipient]) -> None:
    """The receipts of these come, twice; all callbacks are acknowledged."""
    receipts = [
        Receipt("carrier", (f"{r.message.id}-{n}",), THEIRS, 0)
        for r in recipients
        for n in range(r.message.segment_count)
    ]
    for _ in range(2):
        await node.store.record(Report(receipts=receipts), NOW)
    await node.acknowledge(*node.births.callbacks)


@pytest.fixture
async def node(stores: Stores) -> Node:
    rules = the_rules()
    rules.joins = {"carrier": lambda parts: Inbound("carrier", parts[0].sender, (parts[0].to,), TEXT)}
    return await stores.open(rules=rules)


@pytest.fixture
def new_engine(postgres: PostgresEngine) -> object:
    return lambda: postgres


async def test_no_row_tells_of_a_message_that_is_over(node: Node, postgres: PostgresEngine) -> None:
    recipients = await handed_over(node)
    assert of_messages(all_rows(postgres))
    parts = [Part("carrier", "set", n, 2, TEXT.encode(), 0, THEIRS, OURS, False) for n in (1, 2)]
    late = Answer("carrier", "unknown", Rejected(4720), (THEIRS,))
    inbound = [Inbound("carrier", THEIRS, (OURS,), TEXT, ref="1")]
    await node.store.record(Report(inbound=inbound, parts=parts, answers=[late]), NOW)
    await over(node, recipients)
    left = all_rows(postgres)
    assert {row.split(":")[0] for row in left} >= {"orphans", "early_answers", "parts", "inbound_refs"}
    assert of_messages(left) == []


async def test_statistics_tell_of_no_message(node: Node, postgres: PostgresEngine) -> None:
    """They are samples of what was in a table when it was last looked at, and stay when its rows have gone."""
    await handed_over(node, 200)
    await node.accept(*(a_recipient(text=TEXT, tag=TAG) for _ in range(200)))
    postgres.execute("ANALYZE")
    samples = [
        text
        for (text,) in postgres.execute(
            "SELECT concat(tablename, '.', attname, most_common_vals, histogram_bounds) FROM pg_stats"
            " WHERE schemaname = current_schema()"
        )
    ]
    assert any("recipients.carrier" in text for text in samples)
    assert of_messages(samples) == []


async def test_where_little_happens_deleted_rows_leave_the_tables(node: Node, postgres: PostgresEngine) -> None:
    tables = ("recipients", "segments", "callbacks")
    await over(node, await handed_over(node))
    assert isinstance(node.store, PostgresStore)
    await node.store._link.ready().execute("SELECT pg_stat_force_next_flush()")
    sizes = f"SELECT {', '.join(f'pg_relation_size($${table}$$)' for table in tables)}"
    assert 0 not in postgres.execute(sizes)[0]
    for half_minute in range(10):  # another session's snapshot may be in the way
        await node.store.expire(NOW + 30 * half_minute)
        if not any(postgres.execute(sizes)[0]):
            break
    assert postgres.execute(sizes) == [(0, 0, 0)]
