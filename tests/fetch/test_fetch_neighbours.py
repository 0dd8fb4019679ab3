"""One endpoint does not hold up another, and nothing is left behind."""

import asyncio
import gc
import os
import socket
import time
from functools import partial

import pytest

from fetch.peers import MakeFetcher, MakePeer, Peer, Post
from passband.fetch import ErrorKind, Fetcher, Request, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _other_end(descriptor: int) -> int | None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            return int(connection.getpeername()[1])
    except (OSError, IndexError):
        return None  # no socket, or not a connected one


async def _silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    await reader.read()


async def test_hundreds_that_hang_delay_nobody(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    hanging, good = await make_peer(_silent), await make_peer(OK)
    fetcher = make_fetcher(max_connections_per_host=100)
    hung: list[Response] = []
    for _ in range(300):
        fetcher.post(Request(hanging.url(), b"", (), 30.0), hung.append)
    await hanging.received(100)
    for _ in range(20):
        response = await post(fetcher, good.url())
        assert response.status == 200
        assert response.seconds < 5  # however busy the machine; behind those that hang it would be 30
    assert not hung
    assert hanging.connections == 100
    assert good.connections == 1


async def test_more_than_the_connections_of_a_host_wait_and_are_served(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher(max_connections_per_host=4)
    responses = await asyncio.gather(*(post(fetcher, peer.url()) for _ in range(100)))
    assert {response.status for response in responses} == {200}
    assert peer.connections == 4


async def test_every_request_of_a_storm_ends_exactly_once(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    served = 0

    async def moody(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        while True:
            await peer.request(reader)
            served += 1
            match served % 7:
                case 3:
                    return
                case 5:
                    writer.transport.abort()
                    return
                case 6:
                    writer.write(b"garbage\r\n\r\n")
                    return
                case _:
                    writer.write(OK)

    peer = await make_peer(moody)
    fetcher = make_fetcher()
    ends = [0] * 500
    finished = asyncio.Event()

    def ended(number: int, response: Response) -> None:
        ends[number] += 1
        assert response.status == 200 or response.error in (ErrorKind.CONNECT, ErrorKind.PROTOCOL)
        if sum(ends) == len(ends):
            finished.set()

    for number in range(len(ends)):
        fetcher.post(Request(peer.url(f"/{number}"), b"%d" % number, (), 5.0), partial(ended, number))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(finished.wait(), 30)
    assert ends == [1] * 500


async def test_no_descriptor_and_no_handle_is_left_after_closing(make_peer: MakePeer, post: Post) -> None:
    good, hanging = await make_peer(OK), await make_peer(_silent)

    async def use(peers: int) -> None:
        async with Fetcher(allow_private_networks=True) as fetcher:
            await asyncio.gather(*(post(fetcher, good.url()) for _ in range(peers)))
            for _ in range(peers):
                fetcher.post(Request(hanging.url(), b"", (), 5.0), lambda _: None)
            await hanging.received(len(hanging.requests) + peers)
            await fetcher.get(good.url(), sink=bytearray().extend, max_octets=9, timeout=5)
            await fetcher.get("http://127.0.0.1:1/", sink=bytearray().extend, max_octets=9, timeout=5)

    async def settled() -> int:
        # The servers of this process close their ends a little later.
        for _ in range(200):
            await asyncio.sleep(0)
        gc.collect()
        return len(os.listdir("/dev/fd"))

    await use(3)
    before = await settled()
    for _ in range(3):
        await use(20)
    assert await settled() <= before


async def test_idle_connections_that_close_and_numbers_that_are_reused_confuse_nobody(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    fetcher = make_fetcher()
    peers = [await make_peer(OK) for _ in range(5)]
    for round_ in range(10):
        responses = await asyncio.gather(*(post(fetcher, peer.url()) for peer in peers for _ in range(3)))
        assert {response.status for response in responses} == {200}
        peers[round_ % 5].hang_up()
        other = await make_peer(OK)  # its sockets take the numbers that are free now
        assert (await post(fetcher, other.url())).status == 200


async def test_a_connection_that_closes_while_idle_does_not_keep_the_loop_busy(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    await asyncio.gather(*(post(make_fetcher(), peer.url()) for _ in range(3)))
    peer.hang_up()
    used = time.process_time()
    await asyncio.sleep(0.15)
    assert time.process_time() - used < 0.1


async def test_child_processes_inherit_no_connection(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.fetch.handles.refusal", lambda _: None)
    peer = await make_peer(OK)
    for fetcher in (make_fetcher(), make_fetcher(allow_private_networks=False)):
        assert (await post(fetcher, peer.url())).status == 200
    ours = [number for number in map(int, os.listdir("/dev/fd")) if _other_end(number) == peer.port]
    assert len(ours) == 2
    assert not any(os.get_inheritable(number) for number in ours)
