"""A download stops where it is told to, and follows redirects one vetted step at a time."""

import asyncio

import pytest

from fetch.peers import Behaviour, MakeFetcher, MakePeer, Peer
from passband.fetch import ErrorKind

IMAGE = b"\x89PNG" + bytes(range(256)) * 40
PNG = (
    b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=menu.png\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(IMAGE), IMAGE)
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"


def _by_path(answers: dict[str, bytes]) -> Behaviour:
    async def behave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await peer.request(reader)
            writer.write(answers[head.split(" ")[1]])

    return behave


def _to(location: str, status: int = 302, body: bytes = b"gone") -> bytes:
    return f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_a_download_gives_the_body_and_what_the_headers_say_of_it(
    make_peer: MakePeer, make_fetcher: MakeFetcher
) -> None:
    peer = await make_peer(PNG)
    body = bytearray()
    response = await make_fetcher().get(peer.url("/menu.png"), sink=body.extend, max_octets=len(IMAGE), timeout=5)
    assert (response.status, response.error) == (200, None)
    assert (response.content_type, response.content_disposition) == ("image/png", "attachment; filename=menu.png")
    assert bytes(body) == IMAGE
    assert peer.requests[0][0].split("\r\n")[:3] == [
        "GET /menu.png HTTP/1.1",
        f"Host: 127.0.0.1:{peer.port}",
        "User-Agent: BandwidthAPI/v2",
    ]


@pytest.mark.parametrize(
    ("answer", "limit", "sunk"),
    [
        pytest.param(PNG, len(IMAGE) - 1, 0, id="announced: nothing is taken"),
        pytest.param(CHUNKED, 1023, 1023, id="found out while reading"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, 10, 10, id="without an end"),
    ],
)
async def test_a_body_beyond_the_limit_is_too_large(
    make_peer: MakePeer, make_fetcher: MakeFetcher, answer: bytes, limit: int, sunk: int
) -> None:
    peer = await make_peer(answer)
    body = bytearray()
    response = await make_fetcher().get(peer.url(), sink=body.extend, max_octets=limit, timeout=5)
    assert (response.status, response.error) == (200, ErrorKind.TOO_LARGE)
    assert len(body) <= sunk


async def test_a_body_that_breaks_off_is_an_error(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    async def breaking_off(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(PNG[:-1])

    peer = await make_peer(breaking_off)
    response = await make_fetcher().get(peer.url(), sink=bytearray().extend, max_octets=10**6, timeout=5)
    assert (response.status, response.error) == (200, ErrorKind.CONNECT)


async def test_the_body_of_another_status_is_thrown_away(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    page = b"x" * 100_000
    peer = await make_peer(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page))
    body = bytearray()
    response = await make_fetcher().get(peer.url(), sink=body.extend, max_octets=10, timeout=5)
    assert (response.status, response.error, bytes(body)) == (404, None, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(make_peer: MakePeer, make_fetcher: MakeFetcher, status: int) -> None:
    cdn = await make_peer(_by_path({"/e": PNG}))
    elsewhere = f"//cdn.example:{cdn.port}/e"
    peer = await make_peer(_by_path({"/a": _to("b?c=d", status), "/b?c=d": _to(elsewhere, status)}))
    body = bytearray()
    response = await make_fetcher().get(peer.url("/a"), sink=body.extend, max_octets=10**6, timeout=5)
    assert (response.status, response.error, bytes(body)) == (200, None, IMAGE)
    assert [head.split(" ")[1] for head, _ in peer.requests + cdn.requests] == ["/a", "/b?c=d", "/e"]


async def test_too_many_redirects_are_an_error(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    peer = await make_peer(_to("/again"))
    response = await make_fetcher().get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=5, max_redirects=3)
    assert (response.status, response.error) == (0, ErrorKind.REDIRECTS)
    assert len(peer.requests) == 4


@pytest.mark.parametrize(
    ("location", "error"),
    [
        pytest.param("file:///etc/passwd", ErrorKind.BAD_URL, id="a file"),
        pytest.param("ftp://shop.example/", ErrorKind.BAD_URL, id="another protocol"),
        pytest.param("gopher://127.0.0.1:25/_X", ErrorKind.BAD_URL, id="a smuggler's protocol"),
        pytest.param("http://nowhere.invalid/", ErrorKind.RESOLVE, id="nowhere"),
    ],
)
async def test_a_redirect_leads_to_http_only(
    make_peer: MakePeer, make_fetcher: MakeFetcher, location: str, error: ErrorKind
) -> None:
    peer = await make_peer(_to(location))
    response = await make_fetcher().get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=5)
    assert (response.status, response.error) == (0, error)


async def test_a_redirect_to_a_private_address_is_refused(
    make_peer: MakePeer, make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.2 plays the public address.
    monkeypatch.setattr(
        "passband.fetch.handles.refusal", lambda address: None if address == "127.0.0.2" else "not public"
    )
    inside = await make_peer(PNG)
    outside = await make_peer(_to(inside.url()))
    response = await make_fetcher(allow_private_networks=False).get(
        outside.url(host="127.0.0.2"), sink=bytearray().extend, max_octets=9, timeout=5
    )
    assert (response.status, response.error) == (0, ErrorKind.REFUSED_ADDRESS)
    assert (outside.connections, inside.connections) == (1, 0)


async def test_one_time_limit_covers_all_redirects(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    async def dawdling(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.request(reader)
            await asyncio.sleep(0.06)
            writer.write(_to("/again"))

    peer = await make_peer(dawdling)
    response = await make_fetcher().get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=0.2)
    assert response.error is ErrorKind.TIMEOUT
    assert 0.19 < response.seconds < 5


async def test_a_fault_of_the_sink_reaches_the_caller(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    def full(_: bytes) -> None:
        raise OSError("no space left on device")

    peer = await make_peer(PNG)
    fetcher = make_fetcher()
    with pytest.raises(OSError, match="no space"):
        await fetcher.get(peer.url(), sink=full, max_octets=10**6, timeout=5)
    assert (await fetcher.get(peer.url(), sink=bytearray().extend, max_octets=10**6, timeout=5)).error is None


async def test_a_download_can_be_cancelled(make_peer: MakePeer, make_fetcher: MakeFetcher) -> None:
    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await reader.read()
        closed.set()

    closed = asyncio.Event()
    peer = await make_peer(silent)
    download = asyncio.ensure_future(make_fetcher().get(peer.url(), sink=bytearray().extend, max_octets=9, timeout=5))
    await peer.received(1)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    await asyncio.wait_for(closed.wait(), 30)
