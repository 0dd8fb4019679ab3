"""Passband beside Kannel and Jasmin, in one run: python benchmarks/peers.py

Each gateway gets the same messages from the same application, over the same number of connections, hands them to the
same simulated carrier (``passband smsc``), and posts the same application a callback for each receipt. What is measured
is from the first request to the last callback. They take turns, twice; only the ratios of one run mean anything, and on
a machine that does other things as well only those of the processor time.

Passband stores everything (SQLite, fsync), Kannel has everything in memory, Jasmin in RabbitMQ and Redis. A peer that
is not installed is left out, with the commands that install it. Ports and folders are new ones, and go with the run.
"""

import argparse
import asyncio
import contextlib
import functools
import signal
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from beside import jasmin, kannel, passband
from beside.load import Application, Dialect, Played
from beside.processes import Gateway, Missing, NotStarted, carrier
from rich.console import Console
from rich.table import Table

Running = Callable[[Path, int, int], contextlib.AbstractAsyncContextManager[Gateway]]


@dataclass
class Row:
    """One row of the table; ``cpu`` is the gateway's processor time in seconds, in each round."""

    name: str
    dialect: Dialect
    running: Running
    count: int
    played: list[Played] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    missing: str = ""

    @property
    def rate(self) -> float:
        return statistics.mean(played.rate for played in self.played)

    @property
    def processor(self) -> float:
        """Seconds of processor time for each message."""
        return statistics.mean(self.cpu) / self.count


@contextlib.asynccontextmanager
async def listening(dialect: Dialect) -> AsyncIterator[Application]:
    application = Application(dialect)
    await application.listen()
    try:
        yield application
    finally:
        application.close()


async def measure(row: Row, connections: int, delay: float) -> None:
    """Start a gateway and everything that it needs, warm it up, and note how it did."""
    with tempfile.TemporaryDirectory(prefix="passband-peers-") as name:
        folder = Path(name)
        async with listening(row.dialect) as application, carrier(folder, delay) as smsc:
            try:
                async with row.running(folder, smsc, application.endpoint) as gateway:
                    await application.play(gateway.port, max(10, row.count // 20), connections)
                    before = gateway.processor_seconds()
                    row.played.append(await application.play(gateway.port, row.count, connections))
                    row.cpu.append(gateway.processor_seconds() - before)
            except (Missing, NotStarted, TimeoutError) as why:
                row.missing = f"{type(why).__name__}: {why}"


def table_of(rows: list[Row]) -> Table:
    """Return the measurements as a table, with the ratios to the first row."""
    first = rows[0]
    caption = (
        "processor: the gateway's own time for each message, all its processes; ratios: how much better Passband is.\n"
        "On a machine that does other things as well, only the processor's ratio is to be trusted."
    )
    table = Table(title="From POST to the receipt's callback, one machine, one run", caption=caption)
    for heading in (
        "",
        "messages",
        "messages/s by round",
        "mean",
        "ratio",
        "processor",
        "ratio",
        "refused",
        "repeated",
    ):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in rows:
        if row.missing:
            table.add_row(row.name, "", "not measured")
            continue
        table.add_row(
            row.name,
            f"{row.count:,}",
            "  ".join(f"{played.rate:,.0f}" for played in row.played),
            f"{row.rate:,.0f}",
            f"{first.rate / row.rate:,.1f}",
            f"{row.processor * 1e6:,.0f} µs",
            f"{row.processor / first.processor:,.1f}",
            str(sum(played.refused for played in row.played)),
            str(sum(played.repeated for played in row.played)),
        )
    return table


async def compare(arguments: argparse.Namespace) -> list[Row]:
    """Measure every gateway in each round, in the opposite order in every other one."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    venv = arguments.jasmin.absolute()
    rows = [
        Row("Passband, everything durable", passband.DIALECT, passband.running, arguments.messages),
        Row("Kannel, everything in memory", kannel.DIALECT, kannel.running, arguments.messages),
        Row("Jasmin, RabbitMQ and Redis", jasmin.DIALECT, functools.partial(jasmin.running, venv=venv),
            arguments.jasmin_messages),
    ]  # fmt: skip
    for turn in range(arguments.rounds):
        for row in rows if turn % 2 == 0 else reversed(rows):
            if not row.missing:
                await measure(row, arguments.connections, arguments.delay)
    return rows


def main() -> None:
    """Measures everything and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=10_000, help="of Passband and Kannel, in each round")
    parser.add_argument("--jasmin-messages", type=int, default=600, help="of Jasmin, which takes 50 times as long")
    parser.add_argument("--jasmin", type=Path, default=Path("jasmin-venv"), help="a virtual environment that has it")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.1, help="seconds until the carrier sends a receipt")
    parser.add_argument("--rounds", type=int, default=2)
    rows = uvloop.run(compare(parser.parse_args()))
    console = Console(width=130)
    console.print(table_of(rows))
    for row in rows:
        if row.missing:
            console.print(f"{row.name} was not measured. {row.missing}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
