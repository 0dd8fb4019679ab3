"""A hundred at once: what the process holds does not grow with the files, and who stalls stalls alone."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.service import ACCOUNT, raw
from passband.media import MAX_OCTETS

CLIENTS = 100
MOST = 75 * 1024 * 1024  # of the whole process, its 35 MB at rest included; 65 when this was written
CONTENT = bytes(range(256)) * (MAX_OCTETS // 256)
MEDIA = f"/api/v2/users/{ACCOUNT}/media"


class Server:
    """The listener in a process of its own, so that its memory is nobody else's."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("media_server.py")), str(folder), ACCOUNT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.port = int(self._out.readline())

    def peak(self) -> int:
        """Return the most memory it ever had, in octets."""
        self._in.write("\n")
        self._in.flush()
        return int(self._out.readline())

    def stop(self) -> None:
        self._in.close()
        assert self._process.wait() == 0
        self._out.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "media")
    yield server
    server.stop()


async def _connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def _finish_upload(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
    view = memoryview(rest)
    for at in range(0, len(rest), 65_536):
        writer.write(view[at : at + 65_536])
        await writer.drain()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
    writer.close()


async def _finish_download(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    at = 0
    while at < MAX_OCTETS:
        piece = await reader.read(65_536)
        assert piece == CONTENT[at : at + len(piece)]
        assert piece
        at += len(piece)
    writer.close()


async def _warm_up(server: Server) -> int:
    """Return the peak after one file went both ways: from then on it is growth."""
    reader, writer = await _connect(server)
    writer.write(raw("PUT", f"{MEDIA}/first", {"Content-Length": str(MAX_OCTETS)}))
    await _finish_upload(reader, writer, CONTENT)
    reader, writer = await _connect(server)
    writer.write(raw("GET", f"{MEDIA}/first"))
    await _finish_download(reader, writer)
    return server.peak()


@pytest.mark.slow
async def test_a_hundred_uploads_and_a_hundred_downloads_at_once_stay_small(server: Server) -> None:
    before = await _warm_up(server)

    async def upload(n: int, half: asyncio.Barrier) -> None:
        reader, writer = await _connect(server)
        writer.write(raw("PUT", f"{MEDIA}/{n}", {"Content-Length": str(MAX_OCTETS)}))
        writer.write(CONTENT[: MAX_OCTETS // 2])
        await writer.drain()
        await half.wait()  # all are under way before any goes on
        await _finish_upload(reader, writer, CONTENT[MAX_OCTETS // 2 :])

    async def download(n: int, begun: asyncio.Barrier) -> None:
        reader, writer = await _connect(server)
        writer.write(raw("GET", f"{MEDIA}/{n}"))
        await writer.drain()
        await begun.wait()
        await _finish_download(reader, writer)

    barrier = asyncio.Barrier(CLIENTS)
    await asyncio.gather(*(upload(n, barrier) for n in range(CLIENTS)))
    uploads = server.peak()
    barrier = asyncio.Barrier(2 * CLIENTS)
    both = [upload(n + CLIENTS, barrier) for n in range(CLIENTS)] + [download(n, barrier) for n in range(CLIENTS)]
    await asyncio.gather(*both)
    peak = server.peak()
    print(f"before {before >> 20} MB, uploads {uploads >> 20} MB, uploads and downloads {peak >> 20} MB")
    assert peak < MOST


@pytest.mark.slow
async def test_clients_that_do_not_read_are_not_read_for(server: Server) -> None:
    await _warm_up(server)
    stalled = [await _connect(server) for _ in range(CLIENTS)]
    for _, writer in stalled:
        for _ in range(8):  # pipelined: 31 MB for each of them
            writer.write(raw("GET", f"{MEDIA}/first"))
        await writer.drain()
    reader, writer = await _connect(server)
    writer.write(raw("GET", f"{MEDIA}/first"))
    await _finish_download(reader, writer)
    assert server.peak() < MOST
    for _, writer in stalled:
        writer.transport.abort()
