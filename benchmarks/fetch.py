"""How much processor time a callback costs: the fetcher beside aiohttp, against a small server in another process.

    python benchmarks/fetch.py --requests 50000 --concurrency 64

Prints requests per second and microseconds of this process's processor time per request, for one endpoint and for many
(each with a URL and credentials of its own), under uvloop. The server's processor time is not counted.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import cast

import aiohttp
import uvloop

from passband.fetch import Fetcher, Request, Response

BODY = b'[{"type":"message-delivered","message":{"text":"%s"}}]' % (b"x" * 560)  # the size of a delivered event
CONTENT_TYPE = "application/json; charset=utf-8"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: endpoint\r\nContent-Length: 2\r\n\r\nok"


class Endpoint(asyncio.Protocol):
    """Answers every request with 200, and understands no more of HTTP than that takes."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from asyncio's

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(rest) >= int(length.split(b"\r\n", 1)[0]):
            self._received = b""
            self._transport.write(ANSWER)


def serve(pipe: Connection) -> None:
    """Run the endpoint until the process is ended."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def with_fetcher(urls: list[str], requests: int, concurrency: int) -> None:
    """Keep ``concurrency`` callbacks in flight until ``requests`` are done."""
    finished = asyncio.get_running_loop().create_future()
    prepared = [
        Request(url, BODY, (f"Content-Type: {CONTENT_TYPE}", *([f"X-Endpoint: {n}"] if n else [])), 10.0)
        for n, url in enumerate(urls)
    ]
    started = ended = 0

    def send() -> None:
        nonlocal started
        fetcher.post(prepared[started % len(prepared)], done)
        started += 1

    def done(response: Response) -> None:
        nonlocal ended
        ended += 1
        if response.status != 200:
            finished.set_exception(AssertionError(response))
        elif started < requests:
            send()
        elif ended == requests:
            finished.set_result(None)

    async with Fetcher(allow_private_networks=True) as fetcher:
        for _ in range(concurrency):
            send()
        await finished


async def with_aiohttp(urls: list[str], requests: int, concurrency: int) -> None:
    """The same with aiohttp, one task per request in flight."""
    numbers = iter(range(requests))
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "BandwidthAPI/v2"}

    async def work() -> None:
        for n in numbers:
            async with session.post(urls[n % len(urls)], data=BODY, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 200
                await answer.read()

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(work() for _ in range(concurrency)))


Client = Callable[[list[str], int, int], Coroutine[None, None, None]]


def measure(label: str, client: Client, urls: list[str], requests: int, concurrency: int) -> None:
    """Run one client and print its line."""
    wall, processor = time.perf_counter(), time.process_time()
    uvloop.run(client(urls, requests, concurrency))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{label:<24}{requests / wall:>12,.0f}/s{processor / requests * 1e6:>12.1f} µs")


def main() -> None:
    """Start the server, run both clients, stop the server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    one = [f"http://127.0.0.1:{port}/callbacks/status"]
    many = [f"http://127.0.0.1:{port}/callbacks/{n}" for n in range(100)]
    for _ in range(arguments.rounds):
        measure("fetcher, one endpoint", with_fetcher, one, arguments.requests, arguments.concurrency)
        measure("fetcher, 100 endpoints", with_fetcher, many, arguments.requests, arguments.concurrency)
        measure("aiohttp, one endpoint", with_aiohttp, one, arguments.requests // 4, arguments.concurrency)
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
