"""A PostgreSQL primary with a synchronous standby, and the nodes of Passband on it: real processes, all of them.

Rule: the servers lose their processes, never the power, so they need no fsync; what a commit promises is that the
standby has it. Everything here blocks, except where it says ``async``: call it beside the event loop.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # no stubs are installed
import psycopg

from ports import free_ports
from store.postgres_server import UNTIL_END_OF_INPUT, USER, programs
from system.installation import TABLES, Installation

START_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_keep_size": "64MB",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",
}

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'passband%'"


class Server:
    """One PostgreSQL server in a folder of its own, on a port of its own, with the user postgres, whom it trusts."""

    def __init__(self, folder: Path, disk: Path | None = None) -> None:
        """With ``disk`` the tables are there; the write-ahead log, without which it would end, never is."""
        self.folder = folder
        self.port = free_ports(1)
        self._data = (disk or folder) / "data"
        for place in (folder, disk):
            if place is not None and os.geteuid() == 0:
                shutil.chown(place, USER)
        self._programs = programs()
        self._user = USER if os.geteuid() == 0 else None  # it refuses to run as root
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make an empty database."""
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run("initdb", "-D", str(self._data), f"--waldir={self.folder / 'wal'}", *options)

    def copy(self, primary: "Server") -> None:
        """Make a standby of ``primary``, from nothing. When it is promoted it waits for no standby of its own."""
        shutil.rmtree(self._data, ignore_errors=True)
        options = ("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
        self._run("pg_basebackup", "-D", str(self._data), "-d", primary.url, *options)
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write("synchronous_standby_names = ''\n")

    def _run(self, program: str, *options: str) -> None:
        run = subprocess.run(
            [self._programs / program, *options], check=False, capture_output=True, user=self._user, cwd="/"
        )
        assert run.returncode == 0, run.stderr.decode()

    def start(self, **settings: str) -> None:
        """Start, and return when it takes connections; ``settings`` go before those that it has."""
        settings = {**SETTINGS, "port": f"{self.port}", **settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", UNTIL_END_OF_INPUT, "sh", self._programs / "postgres", "-D", self._data, *options],
                stdin=subprocess.PIPE, stdout=log, stderr=log, user=self._user, cwd="/",
            )  # fmt: skip
        _until(self._answers, self._log)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Whatever the test itself changes waits for no standby.
            connection.execute("SET synchronous_commit = local")
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _processes(self) -> list[psutil.Process]:
        """The server's, the one first that starts the others."""
        if self._process is None or self._process.poll() is not None:
            return []
        servers = psutil.Process(self._process.pid).children()
        return [*servers, *(child for server in servers for child in server.children(recursive=True))]

    def kill(self) -> None:
        """End all its processes at once, as if the machine was gone."""
        self._signal(signal.SIGKILL)
        self._end()

    def quit(self) -> None:
        """Let it stop at once, without finishing anything: its connections hear of it."""
        for server in self._processes()[:1]:
            server.send_signal(signal.SIGQUIT)
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)
            self._process = None

    def suspend(self) -> None:
        """Stop its processes where they are: connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


class Cluster:
    """A primary and its synchronous standby; ``alone``: only the first. ``url`` is for the nodes."""

    def __init__(self, folder: Path, *, alone: bool = False, disk: Path | None = None) -> None:
        self._servers: list[Server] = []
        for name in ("one",) if alone else ("one", "two"):
            (folder / name).mkdir()
            self._servers.append(Server(folder / name, disk))
        self.primary = self._servers[0]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self._servers)
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    @property
    def standby(self) -> Server:
        (other,) = (server for server in self._servers if server is not self.primary)
        return other

    def start(self) -> None:
        self.primary.create()
        self.primary.start()
        if len(self._servers) > 1:
            self.rejoin()

    def promote(self) -> None:
        """Make the standby the primary; return when it takes writes."""
        promoted = self.standby
        assert promoted.execute("SELECT pg_promote(true, 30)") == [(True,)]
        self.primary = promoted

    def rejoin(self) -> None:
        """Rebuild the server that is not the primary as its standby; from then on every commit waits for it."""
        self.standby.kill()
        self.standby.copy(self.primary)
        self.standby.start()
        _until(lambda: self.primary.execute("SELECT state FROM pg_stat_replication") == [("streaming",)])
        self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.execute("SELECT pg_reload_conf()")
        _until(lambda: self.primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])

    def terminate(self) -> int:
        """Cut the nodes' connections; return how many they were."""
        return len(self.primary.execute(TERMINATE))

    def stop(self) -> None:
        for server in self._servers:
            server.kill()


@contextlib.contextmanager
def cluster_in(folder: Path, *, alone: bool = False, disk: Path | None = None) -> Iterator[Cluster]:
    """Start a cluster in a folder that exists; end it. ``disk`` is for the tables of one that is ``alone``."""
    cluster = Cluster(folder, alone=alone, disk=disk)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder that the servers' user can reach, too."""
    folder = Path(tempfile.mkdtemp(prefix="passband-cluster-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Nodes:
    """Several installations on one cluster. ``api`` and ``admin`` are those of each in turn, as behind a proxy."""

    def __init__(self, cluster: Cluster, folder: Path, endpoint: int, options: dict[str, Any]) -> None:
        self.cluster = cluster
        self.members: list[Installation] = []
        self.alive: list[Installation] = []  # those that get requests
        self._folder, self._endpoint, self._options = folder, endpoint, options
        self._turns = itertools.count()

    async def start(self, count: int = 1, **options: Any) -> list[Installation]:
        """Start more of them at the same moment, and give them their share of the requests when all are ready."""
        members = []
        for number in range(len(self.members), len(self.members) + count):
            folder = self._folder / f"node{number}"
            folder.mkdir(parents=True)
            members.append(
                Installation(folder, self._endpoint, **{"store": self.cluster.url, **self._options, **options})
            )
        self.members += members
        await asyncio.gather(*(member.start() for member in members))
        self.alive += members
        return members

    def _next(self) -> Installation:
        return self.alive[next(self._turns) % len(self.alive)]

    @property
    def api(self) -> str:
        return self._next().api

    @property
    def admin(self) -> str:
        return self._next().admin

    @property
    def log(self) -> str:
        return "".join(member.log for member in self.members)

    async def metrics(self) -> dict[str, float]:
        totals: dict[str, float] = {}
        for member in self.alive:
            for name, value in (await member.metrics()).items():
                totals[name] = totals.get(name, 0.0) + value
        return totals

    async def found(self) -> int:
        return sum([await member.found() for member in self.alive])

    def rows(self) -> dict[str, int]:
        """How many rows of messages the database holds, by table, without the tables that hold none."""
        counts = {table: self.cluster.primary.execute(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
        return {table: count for table, count in counts.items() if count}

    def left_in_files(self, marks: Sequence[str]) -> list[str]:
        """Nothing: what the database's files keep, and for how long, is looked at elsewhere."""
        return []

    def left_in_log(self, marks: Iterable[str]) -> list[str]:
        return [line for member in self.members for line in member.left_in_log(marks)]


@contextlib.asynccontextmanager
async def nodes_on(
    cluster: Cluster, folder: Path, endpoint: int, *, count: int = 2, **options: Any
) -> AsyncIterator[Nodes]:
    """Start nodes of one configuration, each a program of its own, in folders below ``folder``; end them."""
    nodes = Nodes(cluster, folder, endpoint, options)
    try:
        await nodes.start(count)
        yield nodes
    finally:
        for member in nodes.members:
            if member.is_running:
                member.kill()


def _until(happened: Callable[[], bool], state: Callable[[], str] = lambda: "") -> None:
    give_up = time.monotonic() + START_SECONDS
    while not happened():
        assert time.monotonic() < give_up, f"not within {START_SECONDS:g} s: {state()}"
        time.sleep(0.02)
