"""A proxy before a PostgreSQL server, on a Unix socket: counts round trips, and cuts connections at will."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

PORT = 5433  # of the proxy's socket; the server's is 5432


class Proxy:
    """``turns`` counts how often a client spoke after the server had."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self.turns = 0
        self._asks = False
        self.cut_answers = False  # let the client's next words reach the server, and then cut the connection
        self.refuse = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
        else:
            task = asyncio.create_task(self._serve(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        self._writers |= {writer, to_server}
        spoken = asyncio.create_task(self._answer(from_server, writer))
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(1 << 16):
                self.turns += not self._asks
                self._asks = True
                to_server.write(octets)
        spoken.cancel()
        self._writers -= {writer, to_server}
        to_server.close()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 16):
            if self.cut_answers:
                await asyncio.sleep(0.05)  # whatever the client asked for is done by now
                break
            self._asks = False
            writer.write(octets)
        writer.close()

    def cut(self) -> None:
        """Cut every connection at once."""
        for writer in self._writers:
            writer.close()


@contextlib.asynccontextmanager
async def proxy_before(folder: Path) -> AsyncIterator[Proxy]:
    """A proxy to the server whose socket is in ``folder``."""
    proxy = Proxy(folder / ".s.PGSQL.5432")
    listener = await asyncio.start_unix_server(proxy.serve, folder / f".s.PGSQL.{PORT}")
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.close()
