"""One installation of the platform as an operator runs it: a folder, a configuration, processes that can be killed."""

import asyncio
import base64
import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import apsw
import psutil  # type: ignore[import-untyped]  # no stubs are installed

from ports import free_ports

ACCOUNT, USER, PASSWORD = "5500123", "system", "a password"


def authorization(user: str) -> dict[str, str]:
    """Return the header by which a user is known; everyone has the same password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}


AUTHORIZATION = authorization(USER)
APPLICATION, OTHER_APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21", "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4"
SENDER, SENDER_TOO, OTHER_SENDER = "+19195550117", "+19195550118", "+19195550119"
SIMULATOR = '[[carriers]]\nname = "simulator"\ntype = "simulator"\ndelay = 0.1\nreceipt_window = 4\n'

_CONFIGURATION = """
[server]
listen = "127.0.0.1:{api}"
[admin]
listen = "127.0.0.1:{admin}"
[store]
url = "{store}"
[media]
url = "file:{folder}/media"
[callbacks]
allow_private_networks = true
timeout = {callback_seconds}
schedule = [0.3, 0.5, 1]
[log]
level = "debug"
{carrier}
[[accounts]]
id = "{account}"
users = [{{ name = "{user}", password = "{password}" }}]
[[accounts.applications]]
id = "{application}"
callback_url = "http://127.0.0.1:{endpoint}/"
[[accounts.numbers]]
number = "{sender}"
application = "{application}"
[[accounts.numbers]]
number = "{sender_too}"
application = "{application}"
{more}
"""


TABLES = ("recipients", "callbacks", "segments", "parts", "orphans", "history")  # those with rows of messages


class Platform(Protocol):
    """What there is to see, from outside, of one installation, or of several that share a store."""

    @property
    def api(self) -> str: ...

    @property
    def admin(self) -> str: ...

    @property
    def log(self) -> str: ...

    async def metrics(self) -> dict[str, float]: ...

    async def found(self) -> int: ...

    def rows(self) -> dict[str, int]: ...

    def left_in_files(self, marks: Sequence[str]) -> list[str]: ...

    def left_in_log(self, marks: Iterable[str]) -> list[str]: ...


class Installation:
    """Starts, kills and looks at the processes of ``passband serve``, from outside only.

    ``carrier`` is the ``[[carriers]]`` table to use, ``more`` what else the configuration says.
    """

    CALLBACK_SECONDS = 3.0

    def __init__(
        self,
        folder: Path,
        endpoint: int,
        *,
        workers: int = 1,
        carrier: str = SIMULATOR,
        more: str = "",
        files: int = 0,
        store: str = "",
        program: Sequence[str] = ("-m", "passband"),
    ) -> None:
        """``files`` is how many files a process may open; 0: as many as this one. ``store`` is a URL; "": SQLite's.

        ``program`` is what Python runs in place of the product itself.
        """
        self.folder = folder
        self.workers = workers
        self._files = files
        self._program = program
        self._api, self._admin = free_ports(1), free_ports(workers)
        self._log = folder.parent / f"{folder.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._file = folder.parent / f"{folder.name}.toml"
        self._file.write_text(
            _CONFIGURATION.format(
                api=self._api, admin=self._admin, folder=folder, carrier=carrier, account=ACCOUNT, user=USER,
                password=PASSWORD, application=APPLICATION, sender=SENDER, sender_too=SENDER_TOO, endpoint=endpoint,
                callback_seconds=self.CALLBACK_SECONDS, more=more,
                store=store or f"sqlite:{folder}/passband.db",
            )
        )  # fmt: skip

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._api}/api/v2"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self._admin}"

    @property
    def api_port(self) -> int:
        return self._api

    @property
    def database(self) -> Path:
        return self.folder / "passband.db"

    # ── processes ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start, and return when every process is ready."""
        command = [sys.executable, *self._program, "serve", "--config", str(self._file)]
        # Its settings are in its file alone, not in whatever the tests were started with.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PASSBAND_")}
        command += ["--workers", str(self.workers)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, preexec_fn=self._limit_files
            )
        await self.ready()

    def _limit_files(self) -> None:
        if self._files:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(self._files, most), most))

    async def ready(self, seconds: float = 30.0) -> None:
        """Return when every process is ready. Raises AssertionError with the log's end if they are not."""
        deadline = time.monotonic() + seconds
        async with aiohttp.ClientSession() as session:
            for worker in range(self.workers):
                while not await _answers(session, f"http://127.0.0.1:{self._admin + worker}/readyz"):
                    assert time.monotonic() < deadline, f"not ready after {seconds} s:\n{self.log[-2000:]}"
                    assert self.process.poll() is None, f"ended by itself:\n{self.log[-2000:]}"
                    await asyncio.sleep(0.02)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def nodes(self) -> list[psutil.Process]:
        """The processes that run the five verbs, without the one that only starts them again."""
        top = psutil.Process(self.process.pid)
        return [top] if self.workers == 1 else [one for one in top.children() if one.status() != psutil.STATUS_ZOMBIE]

    def kill_nodes(self, nodes: Sequence[psutil.Process]) -> None:
        """End some of them at once, and not the process that starts them again."""
        for node in nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                node.kill()

    def kill(self) -> None:
        """End everything at once, as a power cut would; only what the disk has is left."""
        nodes = self.nodes if self.process.poll() is None else []
        self.process.kill()
        self.kill_nodes(nodes)
        self.process.wait()
        psutil.wait_procs(nodes, timeout=10)

    async def terminate(self) -> int:
        """Stop in good order; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 30)

    async def outlived(self, seconds: float = 10.0) -> bool:
        """Kill only the process that starts the nodes; return whether any of them lives so many seconds longer."""
        nodes = self.nodes
        self.process.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, nodes, seconds)
        return bool(alive)

    def limit_file_size(self, octets: int) -> None:
        """Let no file of its process grow beyond so many octets; -1: as large as it likes."""
        psutil.Process(self.process.pid).rlimit(psutil.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    # ── what can be seen of it ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def megabytes(self) -> float:
        """The resident memory of all nodes."""
        return float(sum(node.memory_info().rss for node in self.nodes)) / 2**20

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def metrics(self) -> dict[str, float]:
        """Return the samples of ``/metrics`` of all nodes, added up, by name and labels as they are printed."""
        totals: dict[str, float] = {}
        async with aiohttp.ClientSession() as session:
            for worker in range(self.workers):
                async with session.get(f"http://127.0.0.1:{self._admin + worker}/metrics") as answer:
                    for name, value in re.findall(r"^(passband_\S+) (\S+)$", await answer.text(), re.MULTILINE):
                        totals[name] = totals.get(name, 0.0) + float(value)
        return totals

    async def found(self) -> int:
        """How many messages the search of the API finds, of either direction."""
        total = 0
        async with aiohttp.ClientSession(headers=AUTHORIZATION) as session:
            for query in ({"sourceTn": SENDER}, {"destinationTn": SENDER}):
                async with session.get(f"{self.api}/users/{ACCOUNT}/messages", params=query) as answer:
                    assert answer.status == 200
                    total += (await answer.json())["totalCount"]
        return total

    def rows(self) -> dict[str, int]:
        """How many rows of messages the database holds, by table, without the tables that hold none."""
        with contextlib.closing(apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            counts = {
                table: int(str(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]))
                for table in TABLES
            }
        return {table: count for table, count in counts.items() if count}

    def left_in_files(self, marks: Sequence[str]) -> list[str]:
        """Which of these are found in any file of the installation."""
        return [
            f"{mark!r} in {path.name}"
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
            for octets in [path.read_bytes()]
            for mark in marks
            if mark.encode() in octets
        ]

    def left_in_log(self, marks: Iterable[str]) -> list[str]:
        """Lines of the log that hold any of these."""
        return [line for line in self.log.splitlines() if any(mark in line for mark in marks)]


@contextlib.asynccontextmanager
async def installed(installation: Installation) -> AsyncIterator[Installation]:
    """Start an installation, and end whatever is left of it, also of one that was never ready."""
    try:
        await installation.start()
        yield installation
    finally:
        if installation.process.poll() is None:
            installation.kill()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with session.get(url) as answer:
            return answer.status == 200
    return False


def open_files(wanted: int) -> int:
    """Let this process open so many files, or as many as it may; return how many."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return allowed if soft == resource.RLIM_INFINITY else max(soft, allowed)
