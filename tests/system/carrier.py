"""A carrier of its own: ``passband smsc`` as a process, which keeps a ledger of what reached it; and the line to it.

Rule: what is known of the carrier is what it says on its control endpoint, or what passes on the line.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from ports import free_ports

NAME, SYSTEM_ID, PASSWORD = "smsc", "system", "secret"
START_SECONDS = 30.0

_TABLE = """
[[carriers]]
name = "{name}"
type = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "{system_id}"
password = "{password}"
window = {window}
rate = 0
receipt_window = {receipt_window}
"""


def table(port: int, *, window: int, receipt_window: float) -> str:
    """Return the ``[[carriers]]`` table of a carrier on this port."""
    return _TABLE.format(
        name=NAME, port=port, system_id=SYSTEM_ID, password=PASSWORD, window=window, receipt_window=receipt_window
    )


class Carrier:
    """Starts, kills and asks one ``passband smsc``; it keeps its ports, and nothing else, when it starts again."""

    def __init__(self, log: Path, *options: str) -> None:
        self.port, self._control = free_ports(1), free_ports(1)
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and return when it answers."""
        command = [sys.executable, "-m", "passband", "smsc", "--ledger", "--port", str(self.port)]
        command += ["--control", str(self._control), "--system-id", SYSTEM_ID, "--password", PASSWORD, *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert self._process.poll() is None, self._log.read_text()[-2000:]
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    await self.counters()
                    return
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """End it at once; what it had in its memory is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def handsets(self) -> str:
        """Where handsets on its network send from."""
        return f"{self._url}/inbound"

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._control}"

    async def _ask(self, path: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        async with aiohttp.ClientSession() as session, session.request(method, self._url + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def counters(self) -> dict[str, int]:
        counted: dict[str, int] = await self._ask("/counters")
        return counted

    async def change(self, **settings: Any) -> None:
        await self._ask("/settings", settings)

    async def taken(self) -> Counter[tuple[str, str]]:
        """How often it has taken each segment, by the handset's number and the octets without their reference."""
        segments: Counter[tuple[str, str]] = Counter()
        for _, _, destination, content in await self._ask("/ledger"):
            octets = bytes.fromhex(content)
            if octets[:1] == b"\x05":
                octets = octets[:3] + octets[4:]
            segments[f"+{destination.removeprefix('+')}", octets.decode("latin-1")] += 1
        return segments


@contextlib.asynccontextmanager
async def carrier_running(log: Path, *options: str) -> AsyncIterator[Carrier]:
    """Start a carrier, and end whatever is left of it."""
    carrier = Carrier(log, *options)
    await carrier.start()
    try:
        yield carrier
    finally:
        carrier.kill()


class Line:
    """A TCP line to the carrier, which can be cut in the middle of whatever passes it."""

    def __init__(self, port: int, draw: random.Random) -> None:
        self._there = port
        self._random = draw
        self._writers: list[asyncio.StreamWriter] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._cutting: asyncio.Event | None = None
        self.port = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, draw: random.Random) -> AsyncIterator["Line"]:
        """Yield a line to this port; ``draw`` decides where it is cut."""
        line = cls(port, draw)
        server = await asyncio.start_server(line._connected, "127.0.0.1", 0)
        line.port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            line._hang_up()
            await asyncio.gather(*line._connections, return_exceptions=True)
            await server.wait_closed()

    async def cut(self, *, to_carrier: bool) -> None:
        """Let a piece of the next octets in this direction through, and cut; return when it is done."""
        self._to_carrier, self._cutting = to_carrier, asyncio.Event()
        await self._cutting.wait()

    def _hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            writer.close()
            return
        self._writers += [writer, back]
        pumps = (self._pump(reader, back, to_carrier=True), self._pump(there, writer, to_carrier=False))
        await asyncio.gather(*pumps)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_carrier: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                cutting = self._cutting
                if cutting is not None and to_carrier is self._to_carrier and len(octets) > 1:
                    # Less than the shortest PDU, so that it is one that is cut.
                    writer.write(octets[: -self._random.randrange(1, min(16, len(octets)))])
                    await writer.drain()
                    self._hang_up()
                    self._cutting = None
                    cutting.set()
                    return
                writer.write(octets)
                await writer.drain()
        writer.close()
