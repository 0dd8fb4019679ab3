"""Which engine a store's URL means."""

import asyncio
from pathlib import Path

from passband.domain.errors import ConfigurationError
from passband.domain.rules import Rules
from passband.store import Births, NodeState, Store


def open_store(url: str, rules: Rules, births: Births, *, history_days: int = 0) -> Store:
    """Return the store of ``sqlite:PATH`` or ``postgresql://…``; it is used once its ``open`` has returned.

    Raises ConfigurationError if the URL means neither, or the driver is not installed.
    """
    path = _sqlite_path(url)
    if path is not None:
        from passband.store.sqlite import SqliteStore

        return SqliteStore(path, rules, births, history_days=history_days)
    from passband.store.postgres import PostgresStore

    return PostgresStore(url, rules, births, history_days=history_days)


async def try_store(url: str, rules: Rules, births: Births, now: float) -> None:
    """Find out whether a node could use a store. Makes an SQLite file that is not there, and changes no database.

    Raises ConfigurationError as ``open_store`` does, and StoreUnavailable.
    """
    if _sqlite_path(url) is None:
        from passband.store.postgres import try_database

        await try_database(url)
        return
    store = open_store(url, rules, births)
    await store.open(now)
    await store.close()


async def read_nodes(url: str, now: float) -> list[NodeState]:
    """Return the nodes of a store as ``Store.nodes`` does, without becoming one of them, nor making anything.

    Raises ConfigurationError as ``open_store`` does, and StoreUnavailable if there is no store or it cannot be read.
    """
    path = _sqlite_path(url)
    if path is not None:
        from passband.store import sqlite_reads

        return await asyncio.to_thread(sqlite_reads.read_nodes, path, now)
    from passband.store import postgres_reads

    return await postgres_reads.read_nodes(url)


def _sqlite_path(url: str) -> Path | None:
    """Return the file that a URL means; None if it means a PostgreSQL database that can be used."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        return Path(rest)
    if scheme not in ("postgresql", "postgres"):
        raise ConfigurationError(["store.url: it begins with neither sqlite: nor postgresql://"])
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError([f"store.url: {scheme} needs the extra passband[postgres] ({error})"]) from error
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        fault = str(error).partition(":")[0].strip()  # what follows quotes the URL, which may be a part of the password
        raise ConfigurationError(
            [f"store.url: {fault}; in a password %, @, :, / and ? are written as %25, %40, %3A, %2F and %3F"]
        ) from None
    return None
