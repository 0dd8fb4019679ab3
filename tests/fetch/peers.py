"""A server on the loopback that behaves as it is told to, well or badly."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from passband.fetch import Fetcher, Response

Behaviour = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that treats each connection as its behaviour says, and keeps what it received."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.sockets: list[tuple[str, int]] = []  # our end of each connection: where the client went to
        self._writers: list[asyncio.StreamWriter] = []
        self.requests: list[tuple[str, bytes]] = []
        self.port = 0

    async def start(self, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._connected, "0.0.0.0", 0, ssl=tls, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """Close all connections."""
        for writer in self._writers:
            writer.close()

    def url(self, path: str = "/callbacks/status", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def request(self, reader: asyncio.StreamReader) -> str:
        """Read one request, and return its head."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((line for line in head.split("\r\n") if line.startswith("Content-Length:")), "x:0")
        body = await reader.readexactly(int(length.partition(":")[2]))
        self.requests.append((head, body))
        self._arrived.set()
        return head

    async def received(self, requests: int) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < requests:
            self._arrived.clear()
            await self._arrived.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.sockets.append(writer.get_extra_info("sockname"))
        self._writers.append(writer)
        try:
            await self._behaviour(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            return  # the client went away, or the test is over
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            with suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()
            self._tasks.discard(task)


def answering(answer: bytes) -> Behaviour:
    """Give every request of a connection this answer."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            writer.write(answer)
            await writer.drain()

    return behave


def answering_once(answer: bytes, *, then_hang: bool = False) -> Behaviour:
    """Give one request this answer, then close the connection or go silent."""

    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer)
        await writer.drain()
        if then_hang:
            await reader.read()

    return behave


MakePeer = Callable[..., Awaitable[Peer]]
MakeFetcher = Callable[..., Fetcher]
Post = Callable[..., Awaitable[Response]]
