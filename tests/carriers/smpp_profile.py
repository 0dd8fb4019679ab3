"""A carrier as an operator's configuration file describes it, and every PDU that it sends."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from carriers.collector import Collector
from carriers.smpp_pair import Pair, running_smsc
from passband.carriers.smpp import SmppCarrier
from passband.clock import Clock, SystemClock
from passband.config import SmppSettings, load
from passband.smpp.codec import Decoder
from passband.smpp.pdu import Pdu

P = TypeVar("P", bound=Pdu)

NECESSARY = {"name": "carrier", "type": "smpp", "host": "127.0.0.1", "system_id": "passband", "rate": 0}


def toml(value: Any) -> str:
    """Write a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else str(value)


def written(folder: Path, **settings: Any) -> Path:
    """Write a configuration with this one carrier; return its path."""
    path = folder / "passband.toml"
    lines = [f"{name} = {toml(value)}\n" for name, value in (NECESSARY | settings).items()]
    path.write_text("[[carriers]]\n" + "".join(lines), "utf-8")
    return path


def configured(folder: Path, **settings: Any) -> SmppSettings:
    """Read a carrier from a configuration file."""
    (carrier,) = load(written(folder, **settings), {}).carriers
    assert isinstance(carrier, SmppSettings)
    return carrier


class Tap:
    """A way through to an SMSC that keeps what the carrier sends; ``connections`` counts them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.pdus: list[Any] = []
        self.connections = 0
        self.carrier_side: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, kind: type[P]) -> list[P]:
        """The PDUs of this kind."""
        return [pdu for pdu in self.pdus if isinstance(pdu, kind)]

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.carrier_side.append(writer)
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        for source, sink, decoder in ((reader, forth, Decoder()), (back, writer, None)):
            task = asyncio.create_task(self._pass(source, sink, decoder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, decoder: Decoder | None) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if decoder is not None:
                    self.pdus += decoder.feed(data)
                sink.write(data)
                await sink.drain()
        sink.close()


class Profiled(Pair):
    """Both ends, with the tap between them."""

    tap: Tap


@asynccontextmanager
async def profiled(
    folder: Path,
    collector: Collector,
    *,
    clock: Clock | None = None,
    smsc: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Profiled]:
    """Run a carrier with these settings of the configuration file against the simulated SMSC."""
    clock = clock or SystemClock()
    async with running_smsc(**(smsc or {})) as (server, port):
        tap = Tap(port)
        async with tap as way:
            profile = configured(folder, **{"port": way, **settings}).profile()
            carrier = SmppCarrier(profile, clock, random.Random(1), {"+19195550117"}.__contains__)
            both = Profiled(server, port, carrier, collector, clock)
            both.tap = tap
            task = asyncio.create_task(carrier.run(collector, collector.wake))
            try:
                yield both
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
