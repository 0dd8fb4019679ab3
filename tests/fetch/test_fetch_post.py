"""A callback is one POST, well formed, over a connection that is kept."""

import pytest

from fetch.peers import MakeFetcher, MakePeer, Post, answering_once
from passband.fetch import ErrorKind

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TYPE = "Content-Type: application/json; charset=utf-8"


async def test_the_request_carries_what_the_documents_show_and_no_more(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    body = '[{"text":"zażółć"}]'.encode()
    response = await post(make_fetcher(), peer.url("/callbacks/status?shop=1"), body, (TYPE,))
    assert (response.status, response.error, response.challenge) == (200, None, False)
    assert 0 < response.seconds < 5
    head, received = peer.requests[0]
    assert received == body
    assert head.split("\r\n") == [
        "POST /callbacks/status?shop=1 HTTP/1.1",
        f"Host: 127.0.0.1:{peer.port}",
        "User-Agent: BandwidthAPI/v2",
        "Accept: */*",
        TYPE,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]


async def test_a_long_body_is_sent_without_asking_first(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    body = b"x" * 3_000_000
    response = await post(make_fetcher(), peer.url(), body, (TYPE,))
    assert response.status == 200
    assert peer.requests[0][1] == body
    assert "Expect" not in peer.requests[0][0]


async def test_an_empty_body_has_a_length_too(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    peer = await make_peer(OK)
    assert (await post(make_fetcher(), peer.url(), b"")).status == 200
    assert "Content-Length: 0" in peer.requests[0][0]


async def test_a_connection_is_used_again(make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher()
    for n in range(20):
        assert (await post(fetcher, peer.url(f"/{n}"), b"%d" % n, (f"X-Number: {n}",))).status == 200
    assert peer.connections == 1
    assert [body for _, body in peer.requests] == [b"%d" % n for n in range(20)]
    assert all(f"X-Number: {n}\r\n" in head for n, (head, _) in enumerate(peer.requests))


async def test_nothing_of_a_request_is_left_in_the_next_one(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    fetcher = make_fetcher()
    await post(fetcher, peer.url(), b"secret", ("Authorization: Basic c2VjcmV0",))
    await post(fetcher, peer.url("/other", host="shop.example"), b"")
    head, body = peer.requests[1]
    assert body == b""
    assert "Authorization" not in head
    assert head.startswith(f"POST /other HTTP/1.1\r\nHost: shop.example:{peer.port}\r\n")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, id="204"),
        pytest.param(
            b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 202, id="chunked"
        ),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, id="503"),
        pytest.param(
            b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 301, id="a redirect, not followed"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, id="100 first"),
        pytest.param(b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 Fine\r\n\r\n", 204, id="103 first"),
    ],
)
async def test_the_status_is_reported_and_the_connection_is_kept(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, answer: bytes, status: int
) -> None:
    peer = await make_peer(answer)
    fetcher = make_fetcher()
    for _ in range(2):
        response = await post(fetcher, peer.url())
        assert (response.status, response.error) == (status, None)
    assert peer.connections == 1
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        pytest.param(b'WWW-Authenticate: Basic realm=""\r\n', True, id="Basic"),
        pytest.param(b"www-authenticate: Something else\r\n", True, id="an unknown scheme in lower case"),
        pytest.param(b"X-Note: WWW-Authenticate: Basic\r\n", False, id="in another header"),
        pytest.param(b"", False, id="none"),
    ],
)
async def test_a_challenge_is_a_401_that_names_a_way(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post, header: bytes, challenge: bool
) -> None:
    fetcher = make_fetcher()
    peer = await make_peer(b"HTTP/1.1 401 Unauthorized\r\n" + header + b"Content-Length: 0\r\n\r\n")
    response = await post(fetcher, peer.url())
    assert (response.status, response.error, response.challenge) == (401, None, challenge)
    other = await make_peer(b"HTTP/1.1 403 Forbidden\r\n" + header + b"Content-Length: 0\r\n\r\n")
    assert not (await post(fetcher, other.url())).challenge


async def test_a_kept_connection_that_the_server_closed_is_replaced(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(answering_once(OK))
    fetcher = make_fetcher()
    for _ in range(5):
        response = await post(fetcher, peer.url())
        assert (response.status, response.error) == (200, None)
    assert peer.connections == 5


async def test_an_old_server_without_kept_connections_will_do(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(answering_once(b"HTTP/1.0 200 OK\r\n\r\nfine"))
    fetcher = make_fetcher()
    for _ in range(2):
        assert (await post(fetcher, peer.url())).status == 200


async def test_neither_proxies_nor_netrc_nor_cookies_of_the_environment_count(
    make_peer: MakePeer,
    make_fetcher: MakeFetcher,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(home))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    peer = await make_peer(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    fetcher = make_fetcher()
    for _ in range(2):
        assert (await post(fetcher, peer.url())).status == 200
    assert not any("Cookie" in head or "Authorization" in head for head, _ in peer.requests)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/callbacks",
        "shop.example/callbacks",
        "//shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/_MAIL",
        "dict://127.0.0.1:11211/stat",
        "http://",
        "http:///path",
        "http://shop.example:99999/",
        "http://shop.example:0/",
        "http://shop.example:x/",
        "http://[::1/",
        "http://zażółć.example/",
        "http://%73hop.example/",
        "http://shop example/",
        "http://1.2.3.256/",
        "http://shop.example/\r\nX: y",
        "http://shop.example/" + "x" * 8000,
    ],
)
async def test_what_is_no_http_url_is_refused(make_fetcher: MakeFetcher, post: Post, url: str) -> None:
    response = await post(make_fetcher(), url)
    assert (response.status, response.error) == (0, ErrorKind.BAD_URL)


async def test_a_space_and_foreign_letters_in_a_path_are_encoded(
    make_peer: MakePeer, make_fetcher: MakeFetcher, post: Post
) -> None:
    peer = await make_peer(OK)
    assert (await post(make_fetcher(), peer.url("/my café?a=b|c"))).status == 200
    assert peer.requests[0][0].startswith("POST /my%20caf%C3%A9?a=b|c HTTP/1.1\r\n")
