"""Names are looked up once at a time, away from the event loop, and nobody waits for somebody else's."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from fetch.peers import MakeFetcher, MakePeer, Post
from passband.fetch import ErrorKind, Request, Response
from passband.fetch.names import LOOKUPS, system_addresses

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class NameServer:
    """Answers at once, except for names that begin with "slow", which hang until ``release`` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()
        self.addresses: dict[str, Sequence[str]] = {}

    def lookup(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.release.wait(10)
        if host not in self.addresses and not host.endswith(".example"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.addresses.get(host, ["127.0.0.1"])


@pytest.fixture
def names() -> NameServer:
    return NameServer()


async def test_many_requests_to_a_new_name_ask_once(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher(lookup=names.lookup)
    responses = await asyncio.gather(*(post(fetcher, peer.url(f"/{n}", host="shop.example")) for n in range(30)))
    assert {response.status for response in responses} == {200}
    assert names.asked == ["shop.example"]


async def test_a_name_that_leads_nowhere_fails_and_is_not_asked_again_at_once(
    make_fetcher: MakeFetcher, post: Post, names: NameServer
) -> None:
    fetcher = make_fetcher(lookup=names.lookup)
    for _ in range(3):
        response = await post(fetcher, "http://nowhere.invalid/")
        assert (response.status, response.error) == (0, ErrorKind.RESOLVE)
    assert names.asked == ["nowhere.invalid"]
    download = await fetcher.get("http://nowhere.invalid/", sink=bytearray().extend, max_octets=9, timeout=5)
    assert download.error is ErrorKind.RESOLVE


async def test_one_hanging_name_takes_one_lookup_and_delays_nobody(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher(lookup=names.lookup)
    slow: list[Response] = []
    for n in range(200):
        fetcher.post(Request(peer.url(f"/{n}", host="slow.example"), b"", (), 0.2), slow.append)
    quick = await post(fetcher, peer.url(host="shop.example"))
    assert quick.status == 200
    assert not slow
    download = await fetcher.get(peer.url(host="slow.example"), sink=bytearray().extend, max_octets=9, timeout=0.2)
    assert download.error is ErrorKind.TIMEOUT
    assert [response.error for response in slow] == [ErrorKind.TIMEOUT] * 200
    assert sorted(names.asked) == ["shop.example", "slow.example"]
    names.release.set()
    assert (await post(fetcher, peer.url(host="slow.example"))).status == 200


async def test_the_time_of_a_lookup_counts(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    peer = await make_peer(never)
    fetcher = make_fetcher(lookup=names.lookup)
    asyncio.get_running_loop().call_later(0.6, names.release.set)
    response = await post(fetcher, peer.url(host="slow.example"), timeout=0.8)
    assert response.error is ErrorKind.TIMEOUT
    assert 0.79 < response.seconds < 1.4


async def test_a_known_name_goes_on_with_its_address_while_every_lookup_hangs(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.fetch.names.FRESH", 0.0)
    peer = await make_peer(OK)
    fetcher = make_fetcher(lookup=names.lookup)
    assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    failed: list[Response] = []
    for n in range(LOOKUPS + 5):
        fetcher.post(Request(peer.url(host=f"slow{n}.example"), b"", (), 0.05), failed.append)
    for _ in range(3):
        assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    assert len([host for host in names.asked if host.startswith("slow")]) <= LOOKUPS
    names.release.set()


async def test_a_new_address_is_used_by_the_next_connection(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passband.fetch.names.FRESH", 0.0)
    monkeypatch.setattr("passband.fetch.names.USABLE", 0.0)
    peer = await make_peer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    fetcher = make_fetcher(lookup=names.lookup)
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        names.addresses["shop.example"] = [address]
        assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    assert [host for host, _ in peer.sockets] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


async def test_a_second_address_is_tried_if_the_first_does_not_answer(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, names: NameServer
) -> None:
    names.addresses["shop.example"] = ["::1", "127.0.0.1"]
    peer = await make_peer(OK)
    assert (await post(make_fetcher(lookup=names.lookup), peer.url(host="shop.example"))).status == 200


async def test_closing_does_not_wait_for_a_lookup(make_fetcher: MakeFetcher, names: NameServer) -> None:
    fetcher = make_fetcher(lookup=names.lookup)
    responses: list[Response] = []
    fetcher.post(Request("http://slow.example/", b"", (), 60.0), responses.append)
    download = asyncio.ensure_future(
        fetcher.get("http://slow.example/", sink=bytearray().extend, max_octets=9, timeout=60)
    )
    await asyncio.sleep(0)
    await asyncio.wait_for(fetcher.close(), 30)
    assert [response.error for response in responses] == [ErrorKind.SHUTDOWN]
    assert (await download).error is ErrorKind.SHUTDOWN
    names.release.set()


def test_the_system_knows_the_loopback_and_no_name_that_is_too_long() -> None:
    assert set(system_addresses("localhost")) & {"127.0.0.1", "::1"}
    with pytest.raises((OSError, UnicodeError)):
        system_addresses("x" * 64 + ".example")
