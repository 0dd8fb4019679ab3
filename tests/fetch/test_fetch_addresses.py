"""Which addresses are refused, and that no spelling, name or redirect gets past the guard."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import passband.fetch.handles
from fetch.peers import MakeFetcher, MakePeer, Post
from passband.fetch import ErrorKind
from passband.fetch.addresses import refusal

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "cloud metadata"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.192", "protocol assignments"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.7", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:a00:1", "private"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"),
    ("64:ff9b::169.254.169.254", "link-local"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b:1::8.8.8.8", "local NAT64"),
    ("100::1", "reserved"),
    ("2001::1", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("2001:2::1", "protocol assignments"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "loopback"),
    ("2002:c0a8:101::1", "private"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fd00:ec2::254", "unique local"),
    ("fc00::1", "unique local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("", "unreadable"),
    ("localhost", "unreadable"),
    ("0x7f.1", "unreadable"),
]


@pytest.mark.parametrize(("address", "reason"), REFUSED)
def test_what_is_not_public_is_refused(address: str, reason: str) -> None:
    assert refusal(address) == reason


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.17",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses_are_not_refused(address: str) -> None:
    assert refusal(address) is None


@given(st.ip_addresses())
def test_nothing_passes_that_python_takes_for_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if refusal(str(address)) is None:
        embedded = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        assert embedded.is_global
        assert not embedded.is_multicast


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(host, id=host)
        for host in (
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "[::127.0.0.1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "www.localhost",
            "inside.example",
            "INSIDE.example",
            "inside.example.",
            "in_side.example",
            "1.1.1.1@127.0.0.1",
            "1.1.1.1:80@127.0.0.1",
            "user:pass%40word@inside.example",
        )
    ],
)
async def test_no_spelling_of_a_private_address_is_connected_to(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, host: str
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher(allow_private_networks=False, lookup=lambda _: ["127.0.0.1", "::1"])
    response = await post(fetcher, peer.url(host=host))
    assert (response.status, response.error) == (0, ErrorKind.REFUSED_ADDRESS)
    assert peer.connections == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1#@192.0.2.1", "127.0.0.1\\@192.0.2.1", "192.0.2.1\\@127.0.0.1", "①②⑦.0.0.1", "%31%32%37.0.0.1"]
)
async def test_no_trick_with_the_host_reaches_the_loopback(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, host: str
) -> None:
    peer = await make_peer(OK)
    response = await post(make_fetcher(allow_private_networks=False), peer.url(host=host), timeout=0.1)
    assert response.error is not None
    assert peer.connections == 0


async def test_a_name_that_is_looked_up_anew_is_vetted_anew_and_a_kept_connection_stays_where_it_is(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 127.0.0.2 plays the public address.
    monkeypatch.setattr(passband.fetch.handles, "refusal", lambda address: None if address == "127.0.0.2" else "no")
    monkeypatch.setattr("passband.fetch.names.FRESH", 0.0)
    addresses = ["127.0.0.2"]
    lookups = []

    def lookup(host: str) -> list[str]:
        lookups.append(host)
        return addresses

    peer = await make_peer(OK)
    fetcher = make_fetcher(allow_private_networks=False, lookup=lookup)
    assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    addresses[:] = ["127.0.0.1"]
    while len(lookups) < 3:  # the kept connection leads to the vetted address still
        assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    assert peer.connections == 1
    assert {host for host, _ in peer.sockets} == {"127.0.0.2"}
    response = await post(fetcher, peer.url(host="other.example"))
    assert response.error is ErrorKind.REFUSED_ADDRESS
    peer.hang_up()
    while (response := await post(fetcher, peer.url(host="shop.example"))).status == 200:
        assert {host for host, _ in peer.sockets} == {"127.0.0.2"}
    assert response.error is ErrorKind.REFUSED_ADDRESS


async def test_a_public_address_is_taken_where_a_name_has_one_beside_a_private_one(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passband.fetch.handles, "refusal", lambda address: None if address == "127.0.0.2" else "no")
    peer = await make_peer(OK)
    fetcher = make_fetcher(allow_private_networks=False, lookup=lambda _: ["127.0.0.1", "127.0.0.2"])
    assert (await post(fetcher, peer.url(host="shop.example"))).status == 200
    assert {host for host, _ in peer.sockets} == {"127.0.0.2"}
