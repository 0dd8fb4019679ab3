"""``passband bench``: the whole path under load on this machine, as a table.

Three processes: a node as ``passband serve`` runs it (SQLite, everything durable, simulated carrier), an application
that posts and takes callbacks (``drive``), and this one, which only starts them and reads their figures. On two cores
the node has one and the rest shares the other, so the figures are those of one node. Over SMPP there is a fourth, which
has its share of the other core: ``passband smsc``, over TCP.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from passband.bench.plan import Backlog, Plan, Played
from passband.domain.errors import OwnFault

ACCOUNT, USER, PASSWORD = "5500123", "bench", "bench"
APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
SENDER = "+19195550117"
# What a backlog waits for: a carrier that takes one segment in a thousand seconds, an endpoint that nobody listens on.
STUCK_CARRIER, DEAD_APPLICATION, DEAD_ENDPOINT = "stuck", "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4", "127.0.0.1:9"
STEADY_RATE = 1000.0
STEADY_SECONDS = 8
START_SECONDS = 20.0

CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
[admin]
listen = "127.0.0.1:{port}"
[store]
url = "sqlite:{folder}/passband.db"
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
"""


class Figures(msgspec.Struct):
    """What one part of the benchmark measured; ``cpu`` is the node's processor time a message in µs, from the moment it
    was ready; ``memory`` is its largest resident size in MB."""

    name: str
    played: Played
    cpu: float
    memory: float
    ready_seconds: float

    @property
    def accepted_rate(self) -> float:
        return self.played.accepted / self.played.accept_seconds

    @property
    def whole_rate(self) -> float:
        return self.played.told / self.played.total_seconds

    @property
    def drain_rate(self) -> float:
        return self.played.told / max(self.played.drain_seconds, 1e-9)


class NodeFailed(OwnFault):
    """The node that was to be measured did not start."""


@dataclass(frozen=True)
class Part:
    """One line of the table: what is played, and what waits in the store before."""

    name: str
    plan: Callable[[int, int], Plan]
    backlog: Callable[[str], Backlog] | None = None


async def run_bench(messages: int, connections: int, *, backlog: int = 0, smpp: bool = False, as_json: bool) -> int:
    """Run all parts and print them; return the exit status. With ``smpp`` all goes over SMPP to ``passband smsc``.

    With ``backlog`` it is other parts: the whole path beside an empty store, and beside so many rows that wait.
    """
    figures = []
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        for part in _backlog_parts(messages, connections, backlog) if backlog else _parts(messages, connections):
            task = progress.add_task(f"{part.name} …")
            figures.append(await _measure(part, smpp=smpp))
            progress.remove_task(task)
    if as_json:
        sys.stdout.write(json.dumps([_row(f) for f in figures]) + "\n")
    else:
        Console(width=120).print(_table(figures, "SMPP" if smpp else "simulated carrier"))
    return 0


def _plan(**fields: Any) -> Callable[[int, int], Plan]:
    return lambda port, endpoint: Plan(
        "127.0.0.1", port, endpoint, ACCOUNT, USER, PASSWORD, APPLICATION, SENDER, **fields
    )


def _parts(messages: int, connections: int) -> list[Part]:
    return [
        Part("accept only", _plan(count=messages, connections=connections, callbacks=False)),
        Part("the whole path", _plan(count=messages, connections=connections)),
        Part("1,000/s", _plan(count=int(STEADY_RATE * STEADY_SECONDS), connections=connections, rate=STEADY_RATE)),
        Part("a backlog of callbacks", _plan(count=messages, connections=connections, backlog=True)),
    ]


def _backlog_parts(messages: int, connections: int, backlog: int) -> list[Part]:
    plan = _plan(count=messages, connections=connections)
    return [
        Part("an empty store", plan),
        Part(
            f"{backlog:,} recipients wait",
            plan,
            lambda store: Backlog(store, backlog, ACCOUNT, APPLICATION, SENDER, carrier=STUCK_CARRIER),
        ),
        Part(
            f"{backlog:,} callbacks wait",
            plan,
            lambda store: Backlog(store, backlog, ACCOUNT, DEAD_APPLICATION, SENDER),
        ),
    ]


async def _measure(part: Part, *, smpp: bool) -> Figures:
    port, endpoint = _free_port(), _free_port()
    plan = part.plan(port, endpoint)
    with tempfile.TemporaryDirectory(prefix="passband-bench-") as folder:
        if part.backlog is not None:
            await _play("passband.bench.backlog", part.backlog(f"sqlite:{folder}/passband.db"))
        # Accepting alone: a carrier that takes one segment in a thousand seconds leaves everything in the queue.
        rate = "rate = 0.001" if not plan.callbacks else "rate = 0" if smpp else ""
        async with (
            _carrier(smpp) as carrier,
            _node(Path(folder), port, endpoint, carrier + rate) as (process, ready_seconds),
        ):
            before = _processor_seconds(process.pid)
            played = msgspec.json.decode(await _play("passband.bench.drive", plan), type=Played)
            cpu = _processor_seconds(process.pid) - before
            memory = _largest_memory(process.pid)
    return Figures(part.name, played, cpu / max(1, played.accepted) * 1e6, memory, ready_seconds)


@contextlib.asynccontextmanager
async def _carrier(smpp: bool) -> AsyncIterator[str]:
    """Yield the settings of the carrier; its SMSC runs as long as they are in use."""
    if not smpp:
        yield SIMULATOR
        return
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "passband", "smsc", "--port", str(port), "--delay", "0"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_listening(port, process)
        yield SMPP.format(port=port)
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
async def _node(
    folder: Path, port: int, endpoint: int, carrier: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, float]]:
    file = folder / "passband.toml"
    file.write_text(
        CONFIGURATION.format(
            port=port,
            endpoint=endpoint,
            folder=folder,
            carrier=carrier,
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
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "passband", "serve", "--config", str(file))
    try:
        await _until_ready(port, process)
        yield process, time.monotonic() - started
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


async def _play(module: str, what: Plan | Backlog) -> bytes:
    """Run one of our modules in a process of its own, give it its part, and return what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(what))
    if process.returncode:
        raise NodeFailed(f"{module} failed; its messages are above")
    return out


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _processor_seconds(pid: int) -> float:
    """Return the processor time that a running process has used (proc(5), /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _largest_memory(pid: int) -> float:
    """Return the largest resident size of a running process in MB (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _row(f: Figures) -> dict[str, object]:
    return {
        "part": f.name,
        "accepted_per_second": round(f.accepted_rate),
        "whole_per_second": round(f.whole_rate) if f.played.told == f.played.accepted else None,
        "drained_per_second": round(f.drain_rate) if f.name == "a backlog of callbacks" else None,
        "accept_ms_p50_p99": [round(v * 1000, 1) for v in f.played.accept_latency],
        "callback_ms_p50_p99": [round(v * 1000, 1) for v in f.played.callback_latency],
        "cpu_us_per_message": round(f.cpu),
        "memory_mb": round(f.memory),
        "ready_seconds": round(f.ready_seconds, 2),
        "refused": f.played.refused,
        "repeated": f.played.repeated,
    }


def _table(figures: list[Figures], carrier: str) -> Table:
    table = Table(title=f"Passband, one node, SQLite, {carrier}, everything durable")
    for column in ("", "ready", "accepted/s", "end to end/s", "POST to 202", "POST to callback", "processor", "memory"):
        table.add_column(column, justify="left" if not column else "right")
    for f in figures:
        row = _row(f)
        whole = row["drained_per_second"] or row["whole_per_second"]
        table.add_row(
            f.name,
            f"{f.ready_seconds:.1f} s",
            f"{row['accepted_per_second']:,}",
            f"{whole:,}" if whole else "",
            _latency(f.played.accept_latency),
            _latency(f.played.callback_latency) if whole and not row["drained_per_second"] else "",
            f"{row['cpu_us_per_message']} µs",
            f"{row['memory_mb']} MB",
        )
    table.caption = (
        "times: median / 99th percentile; processor: the node's for each message, from ready on; memory: its largest"
    )
    return table


def _latency(percentiles: tuple[float, float]) -> str:
    median, last = (value * 1000 for value in percentiles)
    return f"{median:.1f} / {last:.1f} ms"
