"""``passband bench``: the whole path under load on this machine, as a table.

Three processes: a node as ``passband serve`` runs it (SQLite, everything durable, simulated carrier), an application
that posts and takes callbacks (``drive``), and this one, which only starts them and reads their figures. On two cores
the node has one and the rest shares the other, so the figures are those of one node. Over SMPP there is a fourth, which
has its share of the other core: ``passband smsc``, over TCP. On PostgreSQL there are the server's processes, too.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from passband.bench.plan import Backlog, Plan, Played
from passband.bench.processes import (
    ACCOUNT,
    APPLICATION,
    DEAD_APPLICATION,
    PASSWORD,
    SENDER,
    STUCK_CARRIER,
    USER,
    carrier,
    empty_store,
    free_port,
    largest_memory,
    node,
    play,
    processor_seconds,
)

STEADY_RATE = 1000.0
STEADY_SECONDS = 8  # at most: with few messages it posts no more than that many


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


@dataclass(frozen=True)
class Part:
    """One line of the table: what is played, what waits in the store before, and whether the account has a ``rate``.

    That rate is never reached: what is measured is what it costs that there is one.
    """

    name: str
    plan: Callable[[list[int], int], Plan]
    backlog: Callable[[str], Backlog] | None = None
    limited: bool = False


async def run_bench(
    messages: int,
    connections: int,
    *,
    backlog: int = 0,
    smpp: bool = False,
    store: str | None = None,
    nodes: int = 1,
    as_json: bool,
) -> int:
    """Run all parts and print them; return the exit status. With ``smpp`` all goes over SMPP to ``passband smsc``.

    With ``backlog`` it is other parts: the whole path beside an empty store, and beside so many rows that wait.
    ``store`` is the URL of a PostgreSQL, in which each part has a schema of its own; without it each has a SQLite file.
    The application spreads its connections over the ``nodes``. Raises NodeFailed.
    """
    figures = []
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        for part in backlog_parts(messages, connections, backlog) if backlog else _parts(messages, connections):
            task = progress.add_task(f"{part.name} …")
            figures.append(await measure(part, smpp=smpp, store_url=store, nodes=nodes))
            progress.remove_task(task)
    if as_json:
        sys.stdout.write(json.dumps([_row(f) for f in figures]) + "\n")
    else:
        engine = "SQLite" if store is None else "PostgreSQL"
        several = f"{nodes} nodes" if nodes > 1 else "one node"
        by = "SMPP" if smpp else "simulated carrier"
        Console(width=120).print(table(figures, f"Passband, {several}, {engine}, {by}, everything durable"))
    return 0


def _plan(**fields: Any) -> Callable[[list[int], int], Plan]:
    return lambda ports, endpoint: Plan(
        "127.0.0.1", ports, endpoint, ACCOUNT, USER, PASSWORD, APPLICATION, SENDER, **fields
    )


def _parts(messages: int, connections: int) -> list[Part]:
    steady = min(messages, int(STEADY_RATE * STEADY_SECONDS))
    return [
        Part("accept only", _plan(count=messages, connections=connections, callbacks=False)),
        Part("the whole path", _plan(count=messages, connections=connections)),
        Part("1,000/s", _plan(count=steady, connections=connections, rate=STEADY_RATE)),
        Part("a backlog of callbacks", _plan(count=messages, connections=connections, backlog=True)),
    ]


def backlog_parts(messages: int, connections: int, backlog: int) -> list[Part]:
    """Return the whole path beside an empty store, and beside so many recipients and so many callbacks that wait."""
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


async def measure(part: Part, *, smpp: bool, store_url: str | None, nodes: int) -> Figures:
    """Run one part on a store of its own, which is gone afterwards. Raises NodeFailed."""
    ports, endpoint = [free_port() for _ in range(nodes)], free_port()
    plan = part.plan(ports, endpoint)
    # Accepting alone: a carrier that takes one segment in a thousand seconds leaves everything in the queue.
    rate = "rate = 0.001" if not plan.callbacks else "rate = 0" if smpp else ""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="passband-bench-")))
        store = await stack.enter_async_context(empty_store(store_url, folder))
        if part.backlog is not None:
            await play("passband.bench.backlog", part.backlog(store))
        settings = await stack.enter_async_context(carrier(smpp=smpp, nodes=nodes)) + rate
        limit = "rate = 100_000" if part.limited else ""
        nodes_ = [node(folder, store, port, endpoint, settings, limit) for port in ports]
        started = [await stack.enter_async_context(one) for one in nodes_]
        pids = [pid for pid, _ in started]
        before = sum(map(processor_seconds, pids))
        played = msgspec.json.decode(await play("passband.bench.drive", plan), type=Played)
        cpu = sum(map(processor_seconds, pids)) - before
        memory = max(map(largest_memory, pids))
    return Figures(part.name, played, cpu / max(1, played.accepted) * 1e6, memory, max(ready for _, ready in started))


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


def table(figures: list[Figures], title: str) -> Table:
    """Return what was measured, a line for each part."""
    table = Table(title=title)
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
        "times: median / 99th percentile; processor: the nodes' for each message, from ready on; memory: the largest"
    )
    return table


def _latency(percentiles: tuple[float, float]) -> str:
    median, last = (value * 1000 for value in percentiles)
    return f"{median:.1f} / {last:.1f} ms"
