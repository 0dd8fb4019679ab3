"""No statement of the SQLite engine reads a whole table that may be large."""

import apsw
import pytest

from passband.store.queries import load, migrations
from passband.store.rows import COLUMNS
from passband.store.sqlite_reads import FILTERS, SORTS

SMALL = {"nodes", "slots", "provisioned", "provisioning"}
MAY_SCAN = {
    "held_recipients": "twice for each node that is given up, in the reader's thread",
    "held_callbacks": "the same",
    "depths": "for the metrics, in the reader's thread",
    "oldest_callback": "for the metrics, in the reader's thread",
    "node_states": "for a command, in the reader's thread",
    "any_orphan": "stops at the first row",
}
# What is sorted beside an index is what one statement finds, a handful of rows.
MAY_SORT = {"orphans_by_ref", "depths", "node_states", "provisioned", "search", "carrier_refs"}

STATEMENTS = {**load("sqlite.sql", COLUMNS), **load("sqlite_reads.sql", {})}


@pytest.fixture(scope="module")
def empty() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for _, sql in migrations("sqlite"):
        connection.execute(sql)
    return connection


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    count = max((number for number in range(9) if f"?{number}" in sql), default=sql.count("?"))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * count)]


@pytest.mark.parametrize("name", STATEMENTS)
def test_an_index_is_used_by(name: str, empty: apsw.Connection) -> None:
    sql = STATEMENTS[name] + (" SELECT count(*) FROM found" if name == "search" else "")
    for step in plan(empty, sql):
        words = step.split()
        if words[0] == "SCAN" and words[1] not in SMALL | {"found"}:
            assert name in MAY_SCAN, step
        if words[:3] == ["USE", "TEMP", "B-TREE"]:
            assert name in MAY_SORT, step


def test_what_may_scan_or_sort_exists() -> None:
    assert set(MAY_SCAN) | MAY_SORT <= set(STATEMENTS)


WALKS = {  # what must go through an index alone, in its order, so that a limit ends it
    "lease_recipients": "USING COVERING INDEX recipients_free",
    "lease_callbacks": "USING COVERING INDEX callbacks_free",
    "lease_untried_callbacks": "USING INDEX callbacks_free",
    "hurry_endpoint": "USING INDEX callbacks_free",
    "next_high": "USING COVERING INDEX recipients_free",
    "next_account": "USING COVERING INDEX recipients_free",
    "next_carrier": "USING COVERING INDEX recipients_free",
    "due_in_line": "USING COVERING INDEX recipients_free",
    "next_direction": "USING COVERING INDEX callbacks_free",
    "next_application": "USING COVERING INDEX callbacks_free",
    "next_owner": "USING COVERING INDEX callbacks_free",
    "expire_callbacks": "USING COVERING INDEX callbacks_expire",
}


@pytest.mark.parametrize("name", WALKS)
def test_rows_are_found_in_the_order_of_an_index_by(name: str, empty: apsw.Connection) -> None:
    steps = plan(empty, STATEMENTS[name])
    assert any(WALKS[name] in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("condition", ["id = ?", *FILTERS.values()])
def test_a_search_reads_the_rows_of_one_account_only(condition: str, empty: apsw.Connection) -> None:
    for order in SORTS.values():
        sql = f"{STATEMENTS['search']} SELECT * FROM found WHERE {condition} ORDER BY {order}, id, n LIMIT 100"
        steps = [step for step in plan(empty, sql) if step.split()[1] in ("recipients", "callbacks", "history")]
        assert len(steps) == 3
        assert all("USING PRIMARY KEY (account=?" in step for step in steps), steps
