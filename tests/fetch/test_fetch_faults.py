"""What a bad endpoint can do to us: nothing but fail."""

import asyncio
import os
import socket
import threading

import pytest

from fetch.peers import Behaviour, MakeFetcher, MakePeer, Peer, Post, answering_once
from passband.fetch import ErrorKind, Fetcher, Request, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def _silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    await reader.read()


async def _closing(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)


async def _resetting(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.transport.abort()


def _flooding(head: bytes, piece: bytes) -> Behaviour:
    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


def _dripping(answer: bytes) -> Behaviour:
    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        for octet in answer:
            writer.write(bytes((octet,)))
            await asyncio.sleep(0.02)

    return behave


_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("behaviour", "status", "error"),
    [
        pytest.param(_silent, 0, ErrorKind.TIMEOUT, id="never answers"),
        pytest.param(_dripping(OK), 0, ErrorKind.TIMEOUT, id="drips its status line"),
        pytest.param(_dripping(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99), None, ErrorKind.TIMEOUT, id="drips headers"),
        pytest.param(answering_once(_LENGTH % 10, then_hang=True), 200, ErrorKind.TIMEOUT, id="promises a body"),
        pytest.param(answering_once(_INTERIM, then_hang=True), None, ErrorKind.TIMEOUT, id="an interim answer only"),
        pytest.param(_flooding(b"", _INTERIM * 1000), 100, None, id="interim answers for ever"),
        pytest.param(answering_once(b"HTTP/1.1 20"), 0, None, id="closes amid the status line"),
        pytest.param(_closing, 0, ErrorKind.CONNECT, id="closes without an answer"),
        pytest.param(_resetting, 0, ErrorKind.CONNECT, id="resets the connection"),
        pytest.param(answering_once(OK[:20]), None, ErrorKind.CONNECT, id="closes amid the headers"),
        pytest.param(answering_once(_INTERIM + OK[:20]), None, ErrorKind.CONNECT, id="closes amid the later headers"),
        pytest.param(answering_once(b"SSH-2.0-OpenSSH_9.9\r\n"), 0, ErrorKind.PROTOCOL, id="another protocol"),
        pytest.param(answering_once(bytes(range(256))), 0, ErrorKind.PROTOCOL, id="garbage"),
        pytest.param(answering_once(b"HTTP/1.1 wow\r\n\r\n"), 0, ErrorKind.PROTOCOL, id="no status"),
        pytest.param(
            _flooding(b"HTTP/1.1 200 OK\r\n", b"X-Header: y\r\n" * 1000),
            200,
            ErrorKind.TOO_LARGE,
            id="headers for ever",
        ),
        pytest.param(
            _flooding(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 9999), 200, ErrorKind.TOO_LARGE, id="a header for ever"
        ),
    ],
)
async def test_a_bad_answer_is_an_error(
    make_peer: MakePeer,
    make_fetcher: MakeFetcher,
    post: Post,
    behaviour: Behaviour,
    status: int | None,
    error: ErrorKind | None,
) -> None:
    peer = await make_peer(behaviour)
    fetcher = make_fetcher()
    response = await post(fetcher, peer.url(), timeout=0.15)
    assert response.error is not None
    assert error is None or response.error is error
    assert status is None or response.status == status
    good = await make_peer(OK)
    assert (await post(fetcher, good.url())).error is None


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answering_once(_LENGTH % 10 + b"12345"), id="breaks off"),
        pytest.param(_flooding(_LENGTH % 10**12, b"x" * 4096), id="announces a terabyte"),
        pytest.param(_flooding(_TO_THE_END, b"x" * 4096), id="has no end"),
        pytest.param(_flooding(_CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"), id="has no last chunk"),
    ],
)
async def test_the_status_counts_whatever_its_body_does(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, behaviour: Behaviour
) -> None:
    peer = await make_peer(behaviour)
    fetcher = make_fetcher()
    for _ in range(2):
        response = await post(fetcher, peer.url())
        assert (response.status, response.error) == (200, None)
    assert peer.connections == 2  # it cannot be used again


async def test_a_body_of_64_kib_is_read_and_the_connection_kept(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(_LENGTH % 65536 + b"x" * 65536)
    fetcher = make_fetcher()
    for _ in range(2):
        assert (await post(fetcher, peer.url())).error is None
    assert peer.connections == 1


async def test_nobody_listens(make_fetcher: MakeFetcher, post: Post) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        response = await post(make_fetcher(), f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert (response.status, response.error) == (0, ErrorKind.CONNECT)


async def test_a_black_hole_times_out(make_fetcher: MakeFetcher, post: Post) -> None:
    with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for filler in (first, second):  # the queue of those not yet accepted is full now
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        response = await post(make_fetcher(), f"http://127.0.0.1:{hole.getsockname()[1]}/", timeout=0.15)
    assert (response.status, response.error) == (0, ErrorKind.TIMEOUT)
    assert 0.14 < response.seconds < 5


async def test_the_time_limit_is_that_of_each_request(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(_silent)
    fetcher = make_fetcher()
    responses = await asyncio.gather(*(post(fetcher, peer.url(), timeout=limit) for limit in (0.2, 0.05, 0.1)))
    assert [response.error for response in responses] == [ErrorKind.TIMEOUT] * 3
    for response, limit in zip(responses, (0.2, 0.05, 0.1), strict=True):
        assert limit - 0.01 < response.seconds < limit + 5


async def test_a_short_time_limit_is_kept_beside_a_long_one_that_runs_already(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(_silent)
    fetcher = make_fetcher()
    long: list[Response] = []
    fetcher.post(Request(peer.url(), b"", (), 30.0), long.append)
    await peer.received(1)
    response = await post(fetcher, peer.url(), timeout=0.05)
    assert response.error is ErrorKind.TIMEOUT
    assert response.seconds < 5
    assert not long


async def test_a_fault_in_done_harms_no_other_request(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher()
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def broken(_: Response) -> None:
        raise ZeroDivisionError

    for _ in range(5):
        fetcher.post(Request(peer.url(), b"", (), 5.0), broken)
    assert (await post(fetcher, peer.url())).status == 200
    assert len(faults) == 5
    assert all(isinstance(fault, ZeroDivisionError) for fault in faults)


async def test_done_may_post_again_and_close(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher()
    request = Request(peer.url(), b"", (), 5.0)
    ends: list[ErrorKind | None] = []
    finished = asyncio.Event()
    closing: list[asyncio.Task[None]] = []

    def again(response: Response) -> None:
        ends.append(response.error)
        fetcher.post(request, last)

    def last(response: Response) -> None:
        ends.append(response.error)
        if not closing:
            closing.append(asyncio.ensure_future(fetcher.close()))
        if len(ends) == 20:
            finished.set()

    for _ in range(10):
        fetcher.post(request, again)
    await asyncio.wait_for(finished.wait(), 30)
    await closing[0]
    assert set(ends) <= {None, ErrorKind.SHUTDOWN}


async def test_closing_ends_what_is_in_flight(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    peer = await make_peer(_silent)
    fetcher = make_fetcher()
    responses: list[Response] = []
    for _ in range(3):
        fetcher.post(Request(peer.url(), b"", (), 5.0), responses.append)
    download = asyncio.ensure_future(fetcher.get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=5))
    await peer.received(4)
    await fetcher.close()
    assert [response.error for response in responses] == [ErrorKind.SHUTDOWN] * 3
    assert (await download).error is ErrorKind.SHUTDOWN
    await fetcher.close()
    assert (await post(fetcher, peer.url())).error is ErrorKind.SHUTDOWN
    late = await fetcher.get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=5)
    assert late.error is ErrorKind.SHUTDOWN


async def test_a_fetcher_that_never_sent_anything_leaves_no_file_and_no_thread_behind() -> None:
    files, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    fetcher = Fetcher(allow_private_networks=False)
    assert set(os.listdir("/proc/self/fd")) > files
    await fetcher.close()
    assert set(os.listdir("/proc/self/fd")) <= files
    assert set(threading.enumerate()) <= threads
