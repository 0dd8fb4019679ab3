"""The processes that a benchmark starts and ends: nodes, application and carrier; and the store that they share.

All of them end with the benchmark, even where it is killed (``tether``).
"""

import asyncio
import contextlib
import functools
import os
import secrets
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from passband.bench.plan import Backlog, Plan
from passband.domain.errors import OwnFault

ACCOUNT, USER, PASSWORD = "5500123", "bench", "bench"
APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
SENDER = "+19195550117"
# What a backlog waits for: a carrier that takes one segment in a thousand seconds, an endpoint that nobody listens on.
STUCK_CARRIER, DEAD_APPLICATION, DEAD_ENDPOINT = "stuck", "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4", "127.0.0.1:9"
START_SECONDS = 20.0

CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
[admin]
listen = "127.0.0.1:{port}"
[store]
url = "{store}"
[media]
url = "file:{folder}/media"
[callbacks]
allow_private_networks = true
[log]
level = "error"
[[carriers]]
{carrier}
[[carriers]]
name = "{stuck}"
type = "simulator"
rate = 0.001
[[accounts]]
id = "{account}"
users = [{{ name = "{user}", password = "{password}" }}]
{limit}
[[accounts.applications]]
id = "{application}"
callback_url = "http://127.0.0.1:{endpoint}/"
[[accounts.applications]]
id = "{dead_application}"
callback_url = "http://{dead_endpoint}/"
[[accounts.numbers]]
number = "{sender}"
application = "{application}"
"""

SIMULATOR = """
name = "simulator"
type = "simulator"
delay = 0
"""
SMPP = """
name = "smpp"
type = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "bench"
window = 100
binds = {binds}
"""


class NodeFailed(OwnFault):
    """What was to be measured did not start."""


@functools.cache
def _tether() -> int:
    """Return the end that children have of a pipe that this process holds open as long as it lives."""
    for_children, _ = os.pipe()
    return for_children


async def _start(
    module: str, *arguments: str, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
) -> asyncio.subprocess.Process:
    """Run one of our modules until it ends, or this process does."""
    command = (sys.executable, "-m", "passband.bench.tether", str(_tether()), module, *arguments)
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=[_tether()]
    )


@contextlib.asynccontextmanager
async def empty_store(url: str | None, folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a store with nothing in it: a SQLite file in ``folder``, or a new schema of this PostgreSQL.

    The schema is dropped afterwards, with everything in it.
    """
    if url is None:
        yield f"sqlite:{folder}/passband.db"
        return
    import psycopg

    schema = f"passband_bench_{secrets.token_hex(4)}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
        finally:
            await connection.execute(f"DROP SCHEMA {schema} CASCADE")


@contextlib.asynccontextmanager
async def carrier(*, smpp: bool, nodes: int) -> AsyncIterator[str]:
    """Yield the settings of the carrier, with a bind for each node; its SMSC runs as long as they are in use."""
    if not smpp:
        yield SIMULATOR
        return
    port = free_port()
    silence = asyncio.subprocess.DEVNULL
    arguments = ("smsc", "--port", str(port), "--delay", "0")
    process = await _start("passband", *arguments, stdout=silence, stderr=silence)
    try:
        await _until_listening(port, process)
        yield SMPP.format(port=port, binds=nodes)
    finally:
        await _end(process)


async def _until_listening(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise NodeFailed(f"the simulated carrier did not listen within {START_SECONDS:g} s")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await process.wait()


@contextlib.asynccontextmanager
async def node(
    folder: Path, store: str, port: int, endpoint: int, carrier: str, limit: str
) -> AsyncIterator[tuple[int, float]]:
    """Yield the process number of a node, as ``passband serve`` runs it, and how many seconds it took to be ready.

    ``carrier`` and ``limit`` are settings of the carrier and of the account.
    """
    file = folder / f"{port}.toml"
    file.write_text(
        CONFIGURATION.format(
            port=port,
            store=store,
            endpoint=endpoint,
            folder=folder,
            carrier=carrier,
            limit=limit,
            account=ACCOUNT,
            user=USER,
            password=PASSWORD,
            application=APPLICATION,
            sender=SENDER,
            stuck=STUCK_CARRIER,
            dead_application=DEAD_APPLICATION,
            dead_endpoint=DEAD_ENDPOINT,
        )
    )
    started = time.monotonic()
    process = await _start("passband", "serve", "--config", str(file))
    try:
        await _until_ready(port, process)
        yield process.pid, time.monotonic() - started
    finally:
        await _end(process)


async def _until_ready(port: int, process: asyncio.subprocess.Process) -> None:
    url = f"http://127.0.0.1:{port}/readyz"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(OSError):
            answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=1)
            if answer.status == 200:
                return
        await asyncio.sleep(0.02)
    raise NodeFailed(f"the node was not ready within {START_SECONDS:g} s; its messages are above")


async def play(module: str, what: Plan | Backlog) -> bytes:
    """Run one of our modules in a process of its own, give it its part, and return what it says."""
    process = await _start(module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate(msgspec.json.encode(what))
    if process.returncode:
        raise NodeFailed(f"{module} failed; its messages are above")
    return out


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processor_seconds(pid: int) -> float:
    """Return the processor time that a running process has used (proc(5), /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def largest_memory(pid: int) -> float:
    """Return the largest resident size of a running process in MB (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
