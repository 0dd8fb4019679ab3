"""TLS proves who answers, or there is no request."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from fetch.peers import MakeFetcher, MakePeer, Peer, Post
from passband.fetch import ErrorKind

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def _context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_a_certificate_of_the_operators_own_authority_is_believed(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, authority: trustme.CA, ca_file: str
) -> None:
    peer = await make_peer(OK, _context(authority, "shop.example", "127.0.0.1"))
    fetcher = make_fetcher(ca_file=ca_file)
    for host in ("shop.example", "127.0.0.1"):
        for _ in range(2):
            response = await post(fetcher, peer.url(host=host, scheme="https"))
            assert (response.status, response.error) == (200, None)
    assert peer.connections == 2


async def test_an_unknown_authority_is_not_believed(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, authority: trustme.CA, ca_file: str
) -> None:
    peer = await make_peer(OK, _context(trustme.CA(), "shop.example"))
    for fetcher in (make_fetcher(ca_file=ca_file), make_fetcher()):
        response = await post(fetcher, peer.url(host="shop.example", scheme="https"))
        assert (response.status, response.error) == (0, ErrorKind.TLS)
    assert not peer.requests


async def test_a_certificate_for_another_name_is_not_believed(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, authority: trustme.CA, ca_file: str
) -> None:
    peer = await make_peer(OK, _context(authority, "other.example"))
    response = await post(make_fetcher(ca_file=ca_file), peer.url(host="shop.example", scheme="https"))
    assert (response.status, response.error) == (0, ErrorKind.TLS)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_old_tls_is_refused(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, authority: trustme.CA, ca_file: str
) -> None:
    context = _context(authority, "shop.example")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    peer = await make_peer(OK, context)
    response = await post(make_fetcher(ca_file=ca_file), peer.url(host="shop.example", scheme="https"))
    assert (response.status, response.error) == (0, ErrorKind.TLS)


async def test_a_server_that_does_not_speak_tls(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    async def plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    peer = await make_peer(plain)
    response = await post(make_fetcher(), peer.url(scheme="https"))
    assert (response.status, response.error) == (0, ErrorKind.TLS)


async def test_a_handshake_that_hangs_times_out(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    peer = await make_peer(silent)
    response = await post(make_fetcher(), peer.url(scheme="https"), timeout=0.1)
    assert (response.status, response.error) == (0, ErrorKind.TIMEOUT)


async def test_a_redirect_from_https_to_http_is_refused(
    make_peer: MakePeer, make_fetcher: MakeFetcher, authority: trustme.CA, ca_file: str
) -> None:
    clear = await make_peer(OK)
    location = f"HTTP/1.1 302 Found\r\nLocation: {clear.url()}\r\nContent-Length: 0\r\n\r\n".encode()
    peer = await make_peer(location, _context(authority, "127.0.0.1"))
    response = await make_fetcher(ca_file=ca_file).get(
        peer.url(scheme="https"), sink=bytearray().extend, max_octets=9, timeout=5
    )
    assert (response.status, response.error) == (0, ErrorKind.REDIRECTS)
    assert clear.connections == 0


async def test_closing_does_not_wait_for_the_other_sides_goodbye(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, authority: trustme.CA, ca_file: str
) -> None:
    async def deaf(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(OK)
        await asyncio.Event().wait()

    peer = await make_peer(deaf, _context(authority, "127.0.0.1"))
    fetcher = make_fetcher(ca_file=ca_file)
    await post(fetcher, peer.url(scheme="https"))
    started = asyncio.get_running_loop().time()
    await fetcher.close()
    assert asyncio.get_running_loop().time() - started < 0.2


async def test_a_file_of_authorities_that_is_not_there_is_found_out_at_once(make_fetcher: MakeFetcher) -> None:
    with pytest.raises(FileNotFoundError):
        make_fetcher(ca_file="/nowhere/authority.pem")
