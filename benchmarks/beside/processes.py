"""Programs that a comparison starts and ends, each by its own number, and the carrier that all gateways share."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60.0  # RabbitMQ takes ten on a busy machine
END_SECONDS = 20.0


class Missing(Exception):
    """A peer cannot be measured here; the text says what to install."""


class NotStarted(Exception):
    """A program did not come up; the text says which, and where its output is."""


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs: the port of its API, and the numbers of the processes that it consists of.

    A process that leads a session stands for the whole session.
    """

    port: int
    leaders: Sequence[int]

    def processor_seconds(self) -> float:
        """Return the processor time that it has used (proc(5), /proc/pid/stat)."""
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has just ended
                fields = file.read_text().rpartition(")")[2].split()
                if int(fields[3]) in self.leaders or int(file.parent.name) in self.leaders:
                    ticks += sum(map(int, fields[11:15]))  # its own, and that of children that have ended
        return ticks / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as sockets:
        probes = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.asynccontextmanager
async def program(
    folder: Path, *command: str | Path, listens: int, environ: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run a program as long as the block lasts; yield its number once it ``listens`` on that port (0: at once).

    Its output goes to a file in ``folder``. It leads a session of its own, and all of that is ended with it. Raises
    NotStarted.
    """
    log = folder / f"{Path(command[0]).name}-{listens}.out"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environ or {})}, cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        await _listening(process, listens, log)
        yield process.pid
    finally:
        await _end(process)


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while port:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        if process.returncode is not None or time.monotonic() > deadline:
            raise NotStarted(f"{log.name}: {_end_of(log)}")
        await asyncio.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_SECONDS)


@contextlib.asynccontextmanager
async def carrier(folder: Path, delay: float) -> AsyncIterator[int]:
    """Run ``passband smsc``; yield its port."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "passband", "smsc", "--port", str(port), "--delay", str(delay))
    async with program(folder, *command, listens=port):
        yield port
