"""``passband bench``: the whole path under load on this machine, as a table.

Three processes: a node as ``passband serve`` runs it (SQLite, everything durable, simulated carrier), an application
that posts and takes callbacks (``drive``), and this one, which only starts them and reads their figures. On two cores
the node has one and the rest shares the other, so the figures are those of one node.
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
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from passband.bench.plan import Plan, Played
from passband.domain.errors import OwnFault

ACCOUNT, USER, PASSWORD = "5500123", "bench", "bench"
APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
SENDER = "+19195550117"
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
name = "simulator"
type = "simulator"
delay = 0
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
"""


class Figures(msgspec.Struct):
    """What one part of the benchmark measured; ``cpu`` is the node's processor time a message in µs, ``memory`` its
    largest resident size in MB."""

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


async def run_bench(messages: int, connections: int, *, as_json: bool) -> int:
    """Run all parts and print them; return the exit status."""
    figures = []
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        for name, plan in _parts(messages, connections):
            task = progress.add_task(f"{name} …")
            figures.append(await _measure(name, plan))
            progress.remove_task(task)
    if as_json:
        sys.stdout.write(json.dumps([_row(f) for f in figures]) + "\n")
    else:
        Console(width=120).print(_table(figures))
    return 0


def _parts(messages: int, connections: int) -> list[tuple[str, Callable[[int, int], Plan]]]:
    def plan(**fields: Any) -> Callable[[int, int], Plan]:
        return lambda port, endpoint: Plan(
            "127.0.0.1", port, endpoint, ACCOUNT, USER, PASSWORD, APPLICATION, SENDER, **fields
        )

    return [
        ("accept only", plan(count=messages, connections=connections, callbacks=False)),
        ("the whole path", plan(count=messages, connections=connections)),
        ("1,000/s", plan(count=int(STEADY_RATE * STEADY_SECONDS), connections=connections, rate=STEADY_RATE)),
        ("a backlog of callbacks", plan(count=messages, connections=connections, backlog=True)),
    ]


async def _measure(name: str, make_plan: Callable[[int, int], Plan]) -> Figures:
    port, endpoint = _free_port(), _free_port()
    plan = make_plan(port, endpoint)
    with tempfile.TemporaryDirectory(prefix="passband-bench-") as folder:
        # Accepting alone: a carrier that takes one segment in a thousand seconds leaves everything in the queue.
        carrier = "" if plan.callbacks else "rate = 0.001"
        async with _node(Path(folder), port, endpoint, carrier) as (process, ready_seconds):
            played = await _drive(plan)
            cpu = _processor_seconds(process.pid)
            memory = _largest_memory(process.pid)
    return Figures(name, played, cpu / max(1, played.accepted) * 1e6, memory, ready_seconds)


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
        )
    )
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "passband", "serve", "--config", str(file))
    try:
        await _until_ready(port, process)
        yield process, time.monotonic() - started
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


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


async def _drive(plan: Plan) -> Played:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "passband.bench.drive", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(plan))
    if process.returncode:
        raise NodeFailed("the applications' side of the benchmark failed; its messages are above")
    return msgspec.json.decode(out, type=Played)


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
        "drained_per_second": round(f.drain_rate) if "backlog" in f.name else None,
        "accept_ms_p50_p99": [round(v * 1000, 1) for v in f.played.accept_latency],
        "callback_ms_p50_p99": [round(v * 1000, 1) for v in f.played.callback_latency],
        "cpu_us_per_message": round(f.cpu),
        "memory_mb": round(f.memory),
        "ready_seconds": round(f.ready_seconds, 2),
        "refused": f.played.refused,
        "repeated": f.played.repeated,
    }


def _table(figures: list[Figures]) -> Table:
    table = Table(title="Passband, one node, SQLite, everything durable")
    for column in ("", "accepted/s", "end to end/s", "POST to 202", "POST to callback", "processor", "memory"):
        table.add_column(column, justify="left" if not column else "right")
    for f in figures:
        row = _row(f)
        whole = row["drained_per_second"] or row["whole_per_second"]
        table.add_row(
            f.name,
            f"{row['accepted_per_second']:,}",
            f"{whole:,}" if whole else "",
            _latency(f.played.accept_latency),
            _latency(f.played.callback_latency) if whole and not row["drained_per_second"] else "",
            f"{row['cpu_us_per_message']} µs",
            f"{row['memory_mb']} MB",
        )
    table.caption = "times: median / 99th percentile; processor: the node's, for each message; memory: its largest"
    return table


def _latency(percentiles: tuple[float, float]) -> str:
    median, last = (value * 1000 for value in percentiles)
    return f"{median:.1f} / {last:.1f} ms"
