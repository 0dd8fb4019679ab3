"""What PostgreSQL keeps of deleted rows in its tables, and its removal where little happens.

A deleted row stays in its page until a vacuum, and autovacuum comes after thousands of rows: at a few messages a day,
their texts would stay for months. So nodes vacuum a table themselves that has fewer dead rows than that. A table whose
rows are all dead becomes empty by it, and its pages leave the file. What a vacuum frees in a page that other rows keep
alive is overwritten by the next rows there, not at once; and the write-ahead log holds everything until it is recycled.
Where that matters the disk is to be encrypted.
"""

import psycopg
import structlog

from passband.store.postgres_hosts import ANSWER_SECONDS, OUT_OF_ORDER, Hosts
from passband.store.postgres_reads import Q, Reads

log = structlog.get_logger()

# Those that hold texts or numbers.
TABLES = ("recipients", "segments", "callbacks", "parts", "orphans", "early_answers", "history")
LONGEST_SECONDS = 60
TAKE_TIME = """
SELECT set_config(name, $1, false) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')
"""


async def vacuum(hosts: Hosts, reads: Reads) -> list[str]:
    """Vacuum the tables with a few dead rows that nobody else vacuums; return which. What fails is tried next time."""
    try:
        quiet = [str(name) for (name,) in await reads.fetch(Q["quiet_tables"], list(TABLES))]
        if quiet:
            async with await hosts.connect("passband vacuum") as connection:
                await connection.execute(TAKE_TIME, (f"{LONGEST_SECONDS}s",))
                for name in quiet:
                    with hosts.answering(connection, LONGEST_SECONDS + ANSWER_SECONDS):
                        await connection.execute(f"VACUUM (SKIP_LOCKED) {name}")
    except (*OUT_OF_ORDER, psycopg.ProgrammingError) as error:
        log.warning("deleted rows could not be cleared from the tables", cause=str(error))
        return []
    return quiet
