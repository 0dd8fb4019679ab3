"""Media over the wire: every answer of section 4, to the octet, through the real listener."""

import asyncio
import os
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.conftest import Start
from api.service import ACCOUNT, NOW, Reply, Service, Wire, raw
from passband.api.media import media_resource
from passband.media import KEPT_SECONDS, MAX_OCTETS, once
from passband.media.files import FileMedia

MEDIA = f"/api/v2/users/{ACCOUNT}/media"
PUBLIC_URL = "https://messaging.example.net"
_JSON = "application/json; charset=utf-8"

# Status and body of each documented error, keys in order.
ERRORS: dict[str, tuple[int, dict[str, str]]] = {
    "media-not-found": (404, {"type": "object-not-found", "description": "Object not found"}),
    "media-too-large": (400, {"type": "request-validation", "description": "Your request could not be accepted"}),
    "bad-request": (400, {"type": "request-validation", "description": "Your request could not be accepted"}),
    "internal": (
        503,
        {
            "type": "internal-server-error",
            "description": "Internal server error. No further information available",
        },
    ),
}


class Time:
    def __init__(self) -> None:
        self.now = NOW


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileMedia]:
    store = FileMedia(tmp_path / "media")
    yield store
    await store.close()


@pytest.fixture
async def service(start: Start, store: FileMedia, time: Time) -> Service:
    media = media_resource(store, lambda: time.now, PUBLIC_URL, MAX_OCTETS)
    return await start(resources={"media": media})


async def put(service: Service, name: str, body: bytes, **headers: str) -> Reply:
    sent = {"Content-Type": "image/png", "Content-Length": str(len(body))}
    return await service.request(
        "PUT", f"{MEDIA}/{name}", sent | {key.replace("_", "-"): value for key, value in headers.items()}, body
    )


async def get(service: Service, name: str, **headers: str) -> Reply:
    return await service.request("GET", f"{MEDIA}/{name}", {key.replace("_", "-"): v for key, v in headers.items()})


def is_documented(reply: Reply, error: str) -> bool:
    status, body = ERRORS[error]
    seen = (reply.status, reply.headers["content-type"], list(reply.json.items()))
    return seen == (status, _JSON, list(body.items()))


async def test_an_upload_is_answered_with_204_and_nothing(service: Service) -> None:
    reply = await put(service, "menu.png", b"bytes")
    assert (reply.status, reply.body) == (204, b"")
    assert set(reply.headers) == {"date"}


async def test_a_download_has_the_octets_and_headers_of_the_upload(service: Service) -> None:
    await put(service, "menu.png", b"bytes", Content_Type='text/x-y; a="\xfc"', Cache_Control="no-cache")
    reply = await get(service, "menu.png")
    assert (reply.status, reply.body) == (200, b"bytes")
    del reply.headers["date"]
    assert reply.headers == {
        "content-type": 'text/x-y; a="\xfc"',
        "content-length": "5",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "no-cache",
    }


async def test_an_upload_without_a_type_is_octets(service: Service) -> None:
    await put(service, "m", b"x", Content_Type="")
    headers = (await get(service, "m")).headers
    assert headers["content-type"] == "application/octet-stream"
    assert "cache-control" not in headers


async def test_head_tells_what_get_would(service: Service) -> None:
    await put(service, "m", b"bytes", Cache_Control="no-cache")
    wire = await service.connect()
    await wire.send(raw("HEAD", f"{MEDIA}/m") + raw("GET", f"{MEDIA}/m"))
    head, whole = await wire.reply(to_head=True), await wire.reply()
    assert head.headers | {"date": ""} == whole.headers | {"date": ""}
    assert (head.status, head.body, whole.body) == (200, b"", b"bytes")


@pytest.mark.parametrize("octets", [0, 1, 65_536, 1_048_577, MAX_OCTETS])
async def test_every_size_goes_both_ways(service: Service, octets: int) -> None:
    body = bytes(range(256)) * (octets // 256 + 1)
    body = body[:octets]
    assert (await put(service, "m", body)).status == 204
    assert (await get(service, "m")).body == body


@pytest.mark.parametrize("piece", [1, 1000, 65_536, 1_000_000])
async def test_a_chunked_upload_is_as_good(service: Service, piece: int) -> None:
    body = bytes(range(256)) * (3 if piece == 1 else 4096)
    chunks = [body[at : at + piece] for at in range(0, len(body), piece)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    wire = await service.connect()
    await wire.send(raw("PUT", f"{MEDIA}/m", {"Transfer-Encoding": "chunked"}) + coded)
    assert (await wire.reply()).status == 204
    assert (await get(service, "m")).body == body


async def test_a_client_that_waits_for_100_is_told_to_go_on(service: Service) -> None:
    wire = await service.connect()
    await wire.send(raw("PUT", f"{MEDIA}/m", {"Expect": "100-continue", "Content-Length": "5"}))
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"bytes")
    assert (await wire.reply()).status == 204


RANGES: dict[str, tuple[str, int, str | None, bytes]] = {
    "first": ("bytes=0-0", 206, "bytes 0-0/10", b"0"),
    "middle": ("bytes=3-5", 206, "bytes 3-5/10", b"345"),
    "from": ("bytes=7-", 206, "bytes 7-9/10", b"789"),
    "beyond the end": ("bytes=7-99", 206, "bytes 7-9/10", b"789"),
    "suffix": ("bytes=-3", 206, "bytes 7-9/10", b"789"),
    "suffix of more than all": ("bytes=-99", 206, "bytes 0-9/10", b"0123456789"),
    "all": ("bytes=0-", 206, "bytes 0-9/10", b"0123456789"),
    "unit in capitals": ("BYTES=0-1", 206, "bytes 0-1/10", b"01"),
    "after the end": ("bytes=10-", 416, "bytes */10", b""),
    "far after the end": ("bytes=99999999999999999-", 416, "bytes */10", b""),
    "suffix of nothing": ("bytes=-0", 416, "bytes */10", b""),
    "backwards": ("bytes=5-3", 200, None, b"0123456789"),
    "several": ("bytes=0-1,3-4", 200, None, b"0123456789"),
    "other unit": ("items=0-1", 200, None, b"0123456789"),
    "no number": ("bytes=-", 200, None, b"0123456789"),
    "nonsense": ("bytes", 200, None, b"0123456789"),
    "too long a number": (f"bytes={'9' * 5000}-", 200, None, b"0123456789"),
}


@pytest.mark.parametrize(("asked", "status", "content_range", "body"), RANGES.values(), ids=RANGES.keys())
async def test_one_range_is_served(
    service: Service, asked: str, status: int, content_range: str | None, body: bytes
) -> None:
    await put(service, "m", b"0123456789")
    reply = await get(service, "m", Range=asked)
    assert (reply.status, reply.headers.get("content-range"), reply.body) == (status, content_range, body)
    assert reply.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(("asked", "status"), [("bytes=-5", 200), ("bytes=0-", 416)])
async def test_an_empty_file_has_no_ranges(service: Service, asked: str, status: int) -> None:
    await put(service, "m", b"")
    assert (await get(service, "m", Range=asked)).status == status


async def test_a_slash_may_be_encoded_or_not(service: Service) -> None:
    forms = ("a/b%20c.png", "a%2Fb%20c.png", "a%2fb%20c.png", "a/b%20c.png/")
    for n, sent in enumerate(forms):
        await put(service, sent, b"%d" % n)
        assert [(await get(service, form)).body for form in forms] == [b"%d" % n] * len(forms)


async def test_a_name_is_decoded_once(service: Service) -> None:
    await put(service, "a%252Fb", b"percent")
    await put(service, "a%2Fb", b"slash")
    assert (await get(service, "a%252Fb")).body == b"percent"
    assert [item["mediaName"] for item in (await get(service, "")).json] == ["a%2Fb", "a/b"]


BAD_NAMES = {
    "dots": "..",
    "encoded dots": "%2e%2e/%2e%2e/etc/passwd",
    "dots within": "a/../b",
    "empty segment": "a//b",
    "slash alone": "/",
    "absolute": "%2Fetc%2Fpasswd",
    "NUL": "a%00",
    "line end": "a%0D%0Ab",
    "not UTF-8": "%FF",
    "too long": "a" * 1025,
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
async def test_what_is_no_name_is_refused(service: Service, store: FileMedia, method: str, name: str) -> None:
    reply = await service.request(method, f"{MEDIA}/{name}", {"Content-Length": "0"})
    assert reply.status == 400
    if method != "HEAD":
        assert is_documented(reply, "bad-request")
    assert await store.list(ACCOUNT, "", 10, NOW) == []


async def test_the_list_is_in_order_with_sizes_and_urls(service: Service) -> None:
    assert (await get(service, "")).body == b"[]"
    await put(service, "z/0/caf%C3%A9%20100%25.png", b"")
    await put(service, "menu.png", bytes(48_211))
    for path in (MEDIA, f"{MEDIA}/"):
        reply = await service.request("GET", path)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert "continuation-token" not in reply.headers
        assert reply.body.decode() == (
            '[{"contentLength":48211,"mediaName":"menu.png",'
            f'"content":"{PUBLIC_URL}{MEDIA}/menu.png"}},'
            '{"contentLength":0,"mediaName":"z/0/café 100%.png",'
            f'"content":"{PUBLIC_URL}{MEDIA}/z/0/caf%C3%A9%20100%25.png"}}]'
        )
    for item in reply.json:
        assert (await service.request("GET", item["content"].removeprefix(PUBLIC_URL))).status == 200


async def put_all(store: FileMedia, names: list[str]) -> None:
    """Put empty files, some at a time, because each waits for the disk."""
    puts = [store.put(ACCOUNT, name, once(b""), content_type="a/b", cache_control=None, now=NOW) for name in names]
    for at in range(0, len(puts), 50):
        await asyncio.gather(*puts[at : at + 50])


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["uvloop"])  # thousands of files, and nothing of a transport
async def test_a_long_list_comes_in_pages(service: Service, store: FileMedia) -> None:
    names = [f"{n:04}" for n in range(2001)]
    await put_all(store, names)
    listed: list[str] = []
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        reply = await get(service, "", Continuation_Token=token)
        listed += [item["mediaName"] for item in reply.json]
        token = reply.headers.get("continuation-token", "")
        sizes.append(len(reply.json))
    assert (listed, sizes) == (names, [1000, 1000, 1])


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_list_of_exactly_one_page_has_no_token(service: Service, store: FileMedia) -> None:
    await put_all(store, [f"{n}" for n in range(1000)])
    reply = await get(service, "")
    assert (len(reply.json), reply.headers.get("continuation-token")) == (1000, None)


@pytest.mark.parametrize("token", ["!", "YQ", "Li4=", "/w==", "_w==", "YQ==\xff"])
async def test_a_token_that_is_not_ours_is_refused(service: Service, token: str) -> None:
    assert is_documented(await get(service, "", Continuation_Token=token), "bad-request")


async def test_what_is_not_there_is_not_found(service: Service, time: Time) -> None:
    await put(service, "m", b"x")
    assert is_documented(await get(service, "n"), "media-not-found")
    assert (await service.request("HEAD", f"{MEDIA}/n")).status == 404
    time.now += KEPT_SECONDS
    assert is_documented(await get(service, "m"), "media-not-found")
    assert (await get(service, "")).json == []


async def test_deleting_is_always_answered_with_204(service: Service) -> None:
    await put(service, "m", b"x")
    for _ in range(2):
        reply = await service.request("DELETE", f"{MEDIA}/m")
        assert (reply.status, reply.body) == (204, b"")
        assert (await get(service, "m")).status == 404


TOO_LARGE = MAX_OCTETS + 1


async def test_an_upload_over_the_limit_is_refused_and_the_old_file_stays(service: Service) -> None:
    await put(service, "m", b"old")
    assert is_documented(await put(service, "m", bytes(TOO_LARGE)), "media-too-large")
    wire = await service.connect()
    head = raw("PUT", f"{MEDIA}/m", {"Transfer-Encoding": "chunked"})
    await wire.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (TOO_LARGE, bytes(TOO_LARGE)))
    assert is_documented(await wire.reply(), "media-too-large")
    assert (await get(service, "m")).body == b"old"


async def test_an_announced_size_over_the_limit_is_refused_before_it_comes(service: Service) -> None:
    wire = await service.connect()
    await wire.send(raw("PUT", f"{MEDIA}/m", {"Content-Length": str(10**12)}))
    assert is_documented(await wire.reply(), "media-too-large")


@pytest.mark.parametrize("limit", [0, 10, 2_000_000])
async def test_the_limit_is_the_operators(start: Start, store: FileMedia, limit: int) -> None:
    service = await start(resources={"media": media_resource(store, lambda: NOW, PUBLIC_URL, limit)})
    assert (await put(service, "m", bytes(limit))).status == 204
    assert (await put(service, "m", bytes(limit + 1))).status == 400
    assert (await get(service, "m")).body == bytes(limit)


@pytest.mark.parametrize("header", ["Content_Type", "Cache_Control"])
async def test_a_header_too_long_to_be_stored_is_refused(service: Service, header: str) -> None:
    assert (await put(service, "m", b"x", **{header: "a" * 256})).status == 400
    assert (await put(service, "m", b"x", **{header: "a" * 255})).status == 204


METHODS = {
    "post to a file": ("POST", "/m", "GET, HEAD, PUT, DELETE"),
    "patch a file": ("PATCH", "/m", "GET, HEAD, PUT, DELETE"),
    "upload without a name": ("PUT", "", "GET, HEAD"),
    "upload without a name, with a slash": ("PUT", "/", "GET, HEAD"),
    "delete the list": ("DELETE", "", "GET, HEAD"),
    "ask what the list takes": ("OPTIONS", "", "GET, HEAD"),
}


@pytest.mark.parametrize(("method", "rest", "allowed"), METHODS.values(), ids=METHODS.keys())
async def test_other_methods_are_refused(service: Service, method: str, rest: str, allowed: str) -> None:
    reply = await service.request(method, f"{MEDIA}{rest}", {"Content-Length": "0"})
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert reply.json["type"] == "method-not-allowed"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("rest", ["", "/m", "/..", "/nothing"])
async def test_credentials_come_first(service: Service, method: str, rest: str) -> None:
    await put(service, "m", b"x")
    headers = {"Content-Length": "0"}
    assert (await service.request(method, f"{MEDIA}{rest}", headers | {"Authorization": ""})).status == 401
    assert (await service.request(method, f"/api/v2/users/5500999/media{rest}", headers)).status == 403
    assert (await get(service, "m")).body == b"x"


async def test_the_old_clients_path_leads_to_the_same_files(service: Service) -> None:
    await put(service, "m", b"x")
    assert (await service.request("GET", f"/users/{ACCOUNT}/media/m")).body == b"x"


async def test_a_client_that_goes_away_leaves_the_old_file(service: Service, store: FileMedia, tmp_path: Path) -> None:
    await put(service, "m", b"old")
    wire = await service.connect()
    await wire.send(raw("PUT", f"{MEDIA}/m", {"Content-Length": "1000000"}) + bytes(500_000))
    await _until(lambda: _incoming(tmp_path))
    wire.writer.transport.abort()
    await _until(lambda: not _incoming(tmp_path))
    assert (await get(service, "m")).body == b"old"


def _incoming(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "media" / "incoming").iterdir())


async def _until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_a_file_replaced_during_a_download_comes_whole(service: Service) -> None:
    old = b"old!" * (MAX_OCTETS // 4)
    await put(service, "m", old)
    slow = await _begun_download(service)
    await put(service, "m", b"new")
    await service.request("DELETE", f"{MEDIA}/m")
    assert (await slow.reply()).body == old


async def test_a_file_is_read_no_further_for_a_client_that_is_gone(
    service: Service, store: FileMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = 10 * MAX_OCTETS  # more than what lies on the way to a client that does not read
    await store.put(ACCOUNT, "m", once(bytes(large)), content_type="a/b", cache_control=None, now=NOW, limit=large)
    read: list[int] = []
    pread = os.pread

    def counted(descriptor: int, octets: int, position: int) -> bytes:
        read.append(octets)
        return pread(descriptor, octets, position)

    monkeypatch.setattr(os, "pread", counted)
    slow = await _begun_download(service)
    slow.writer.transport.abort()
    await _until(lambda: not service.listener.active)
    assert sum(read) < large


async def test_an_upload_is_on_the_disk_before_its_204(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's octets, then its name, then the folder that holds the name; and only then the answer."""
    await put(service, "first", b"x")  # so that the folder is there
    steps: list[str] = []
    reached, go_on = threading.Event(), threading.Event()
    fsync, rename = os.fsync, Path.rename
    folder = next(path for path in (tmp_path / "media").iterdir() if path.name != "incoming")

    def sync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(f"sync {target.name if target == folder else target.parent.name}")
        if target == folder:
            reached.set()
            assert go_on.wait(10)
        fsync(descriptor)

    def move(path: Path, target: Path) -> Path:
        steps.append(f"rename from {path.parent.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", move)
    uploading = asyncio.create_task(put(service, "m", b"new"))
    assert await asyncio.to_thread(reached.wait, 10)
    assert steps == ["sync incoming", "rename from incoming", f"sync {folder.name}"]
    assert (await service.request("GET", "/healthz", {"Authorization": ""})).status == 404
    assert not uploading.done()
    go_on.set()
    assert (await uploading).status == 204


async def _begun_download(service: Service) -> Wire:
    """Return a connection on which the answer has begun."""
    wire = await service.connect()
    await wire.send(raw("GET", f"{MEDIA}/m"))
    await _until(lambda: any(exchange.begun for exchange in service.listener.active))
    return wire


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Refuse files beyond 200,000 octets, in the middle of a write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
async def test_a_full_disk_is_our_fault_and_the_old_file_stays(service: Service) -> None:
    await put(service, "m", b"old")
    reply = await put(service, "m", bytes(300_000))
    assert is_documented(reply, "internal")
    assert (await get(service, "m")).body == b"old"
