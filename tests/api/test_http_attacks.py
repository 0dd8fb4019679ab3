"""What clients do to a server, by mistake or on purpose, and that nobody else notices. Real sockets throughout."""

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import pytest

from api.conftest import Start
from api.service import PATH, Service, Wire, new_message, raw
from passband.api.asgi import Receive, Scope, Send, read_body
from passband.api.limits import Limits

GOOD = raw("POST", PATH, body=json.dumps(new_message()).encode())
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
AUTHORIZED = HEAD + b"Authorization: Basic ZGVtbzpzZWNyZXQ=\r\n"
REFUSED = b'{"type":"request-validation","description":"Your request could not be accepted"}'

MALFORMED: list[tuple[str, bytes]] = [
    ("no HTTP", b"hello\r\n\r\n"),
    ("TLS on a clear port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("HTTP/0.9", b"GET /\r\n\r\n"),
    ("another version", b"GET / HTTP/3.1\r\nHost: x\r\n\r\n"),
    ("no host", b"GET / HTTP/1.1\r\n\r\n"),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("a proxy's method", b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another scheme", b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a path that is not ASCII", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("a blank before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n"),
    ("a header without a name", b"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n"),
    ("NUL in a header", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("a bare line feed", b"GET / HTTP/1.1\nHost: a\n\n"),
    ("a length and chunks", HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunks and a length", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("two lengths", HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   "),
    ("the same length twice", HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n{}   "),
    ("two lengths in one", HEAD + b"Content-Length: 5, 5\r\n\r\n{}   "),
    ("a length with a sign", HEAD + b"Content-Length: +5\r\n\r\n{}   "),
    ("a length below zero", HEAD + b"Content-Length: -5\r\n\r\n{}   "),
    ("a length that overflows", HEAD + b"Content-Length: 18446744073709551617\r\n\r\n{}   "),
    ("chunks twice", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunks of something", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunks in disguise", HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("chunks and identity", HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a chunk with a sign", AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{\r\n0\r\n\r\n"),
    ("a chunk without its end", AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n"),
    ("a chunk that overflows", AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
]


@pytest.mark.parametrize("octets", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
async def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    service: Service, octets: bytes
) -> None:
    wire = await service.connect()
    await wire.send(octets + GOOD)
    answer = await wire.end()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(REFUSED)
    assert answer.count(b"HTTP/1.1") == 1
    assert service.accepted == []


ENDLESS = [(b"GET /", b"x" * 5000), (b"GET / HTTP/1.1\r\nX: ", b"y" * 5000), (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 900)]


@pytest.mark.parametrize(("begin", "piece"), ENDLESS, ids=["path", "header", "headers"])
async def test_an_endless_head_is_cut_off(service: Service, begin: bytes, piece: bytes) -> None:
    wire = await service.connect()
    await wire.send(begin)
    for _ in range(5):
        await wire.send(piece)
        await asyncio.sleep(0)
    assert (await wire.end()).startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_is_refused_in_one_piece_too(service: Service) -> None:
    wire = await service.connect()
    await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 17_000 + b"\r\n\r\n")
    assert (await wire.end()).startswith(b"HTTP/1.1 431 ")


async def test_a_head_below_the_limit_is_read_octet_by_octet(service: Service) -> None:
    wire = await service.connect()
    for n in range(len(GOOD)):
        await wire.send(GOOD[n : n + 1])
        if n % 50 == 0:
            await asyncio.sleep(0)
    assert (await wire.reply()).status == 202


@pytest.mark.parametrize("framing", [b"1;%b\r\n" % (b"x" * 60_000), b"1\r\n{\r\n0\r\n" + b"X: y\r\n" * 10_000])
async def test_endless_chunk_extensions_and_trailers_are_cut_off(service: Service, framing: bytes) -> None:
    wire = await service.connect()
    await wire.send(AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(20):
            await wire.send(framing)
            await asyncio.sleep(0)
    assert await wire.ended()
    assert service.accepted == []


async def test_a_slow_head_is_dropped_after_its_time(service: Service) -> None:
    wire = await service.connect()
    await wire.send(HEAD)
    await until(lambda: in_phase(service, "HEAD") == 1)
    await wire.send(b"X: y\r\n")
    assert service.past(9) == 0
    assert service.past(11) == 1
    assert (await wire.end()).startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_dropped_after_its_time(service: Service) -> None:
    wire = await service.connect()
    await wire.send(AUTHORIZED + b"Content-Length: 500000\r\n\r\n{")
    await until(lambda: in_phase(service, "BODY") == 1)
    assert service.past(29) == 0
    assert service.past(31) == 1
    assert (await wire.end()).startswith(b"HTTP/1.1 408 ")
    assert service.accepted == []


async def test_a_large_body_may_take_longer_as_long_as_it_comes(service: Service) -> None:
    wire = await service.connect()
    await wire.send(AUTHORIZED + b"Content-Length: 300000\r\n\r\n{")
    for window in range(4):
        await until(lambda: in_phase(service, "BODY") == 1)
        assert service.past(29 * (window + 1)) == 0
        await wire.send(b" " * 70_000)
        await until(partial(has_received, service, 70_000 * (window + 1)))
    await wire.send(b" " * (300_000 - 280_001))
    assert (await wire.reply()).status == 400


async def test_an_idle_connection_is_closed_silently(service: Service) -> None:
    fresh, used = await service.connect(), await service.connect()
    await used.send(GOOD)
    assert (await used.reply()).status == 202
    await until(lambda: in_phase(service, "IDLE") == 2)
    assert service.past(74) == 0
    assert service.past(77) == 2
    assert await fresh.end() == b""
    assert await used.end() == b""


async def test_the_connection_that_was_idle_longest_makes_room(start: Start) -> None:
    service = await start(limits=Limits(connections=3))
    first, second, third = [await used(service) for _ in range(3)]
    await first.send(GOOD)  # no longer the one idle longest
    await first.reply()
    fourth = await service.connect()
    assert await second.ended()
    for wire in (first, third, fourth):
        await wire.send(GOOD)
        assert (await wire.reply()).status == 202


async def test_where_nobody_is_idle_the_newcomer_goes(start: Start) -> None:
    service = await start(limits=Limits(connections=2))
    busy = [await service.connect() for _ in range(2)]
    for wire in busy:
        await wire.send(HEAD)
    await until(lambda: in_phase(service, "HEAD") == 2)
    assert await (await service.connect()).ended()
    assert len(service.listener.connections) == 2


async def test_pipelined_requests_are_answered_in_their_order(service: Service) -> None:
    wire = await service.connect()
    texts = [f"text {n}" for n in range(40)]
    await wire.send(b"".join(raw("POST", PATH, body=json.dumps(new_message(text=text)).encode()) for text in texts))
    assert [(await wire.reply()).json["text"] for _ in texts] == texts


async def test_too_many_pipelined_requests_end_the_connection_after_the_answers(service: Service) -> None:
    wire = await service.connect()
    await wire.send(GOOD * 300)
    answers = await wire.end()
    assert 64 <= answers.count(b"HTTP/1.1 202") < 300
    assert answers.endswith(REFUSED)


async def test_what_is_malformed_after_a_request_is_answered_after_it(service: Service) -> None:
    wire = await service.connect()
    await wire.send(GOOD + b"nonsense\r\n\r\n")
    answers = await wire.end()
    assert answers.startswith(b"HTTP/1.1 202 ")
    assert answers.endswith(REFUSED)


async def test_after_connection_close_nothing_more_is_read(service: Service) -> None:
    wire = await service.connect()
    await wire.send(raw("POST", PATH, {"Connection": "close"}, json.dumps(new_message()).encode()) + GOOD)
    answers = await wire.end()
    assert answers.count(b"HTTP/1.1") == 1
    assert len(service.accepted) == 1


async def test_a_client_may_close_its_half_after_the_request(service: Service) -> None:
    wire = await service.connect()
    await wire.send(GOOD)
    wire.writer.write_eof()
    assert (await wire.end()).startswith(b"HTTP/1.1 202 ")


async def test_an_upgrade_to_another_protocol_is_ignored(service: Service) -> None:
    wire = await service.connect()
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    await wire.send(raw("GET", PATH + "?errorCode=0", upgrade) + GOOD)
    assert (await wire.reply()).status == 200
    assert (await wire.reply()).status == 202


async def test_a_client_that_waits_for_100_gets_it_once_its_body_is_wanted(service: Service) -> None:
    body = json.dumps(new_message()).encode()
    wire = await service.connect()
    await wire.send(AUTHORIZED + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(body)
    assert (await wire.reply()).status == 202


@pytest.mark.parametrize(("head", "length", "status"), [(HEAD, 100, 401), (AUTHORIZED, 2_000_000, 400)])
async def test_a_client_that_waits_for_100_is_refused_without(
    service: Service, head: bytes, length: int, status: int
) -> None:
    wire = await service.connect()
    await wire.send(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
    answer = await wire.end()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in answer


async def test_an_answer_reaches_a_client_that_is_still_sending(service: Service) -> None:
    wire = await service.connect()
    await wire.send(HEAD + b"Content-Length: 900000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        await wire.send(b"x" * 900_000)
    assert (await wire.reply()).status == 401


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
    await send({"type": "http.response.body"})


async def test_a_client_that_does_not_read_is_dropped(start: Start) -> None:
    service = await start(mounts=[("/large", large)])
    wire = await service.connect()
    await wire.send(raw("GET", "/large"))
    await until(lambda: in_phase(service, "STALLED") == 1)
    assert service.past(29) == 0
    assert service.past(31) == 1
    await until(lambda: not service.listener.active)
    assert service.listener.connections == set()


async def test_a_client_that_reads_slowly_gets_everything(start: Start) -> None:
    service = await start(mounts=[("/large", large)])
    wire = await service.connect()
    await wire.send(raw("GET", "/large", {"Connection": "close"}))
    answer = await wire.end()
    assert answer.count(b"x") >= 65_536_000
    assert answer.endswith(b"\r\n0\r\n\r\n")


async def test_a_client_that_only_asks_and_never_reads_is_not_served_for_ever(service: Service) -> None:
    wire = await service.connect()
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    sent = 0
    while in_phase(service, "STALLED") == 0:
        wire.writer.write(GOOD * 40)
        sent += 40
        await until(partial(is_served_or_stalled, service, sent))
    served = len(service.accepted)
    wire.writer.write(GOOD * 60)
    await asyncio.sleep(0.01)
    assert len(service.accepted) <= served + 1
    service.past(31)
    await until(lambda: not service.listener.connections)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].endswith("late"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    if scope["path"].endswith("split"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nSet-Cookie: b")]})
        await send({"type": "http.response.body", "body": b"x"})
    if scope["path"].endswith("greedy"):
        await read_body(receive)
    if scope["path"].endswith("silent"):
        return
    raise RuntimeError("no application is perfect")


@pytest.mark.parametrize(
    ("path", "status"),
    [("raises", b"500"), ("split", b"500"), ("silent", b"500"), ("greedy", b"413"), ("late", b"200")],
)
async def test_an_application_that_fails_ends_its_own_connection_only(start: Start, path: str, status: bytes) -> None:
    service = await start(mounts=[("/broken", broken)])
    wire, other = await service.connect(), await used(service)
    length = 2_000_000 if path == "greedy" else 0
    await wire.send(f"POST /broken/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await wire.end()
    assert answer.startswith(b"HTTP/1.1 " + status) or status == b"200"
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"Set-Cookie" not in answer
    await other.send(GOOD)
    assert (await other.reply()).status == 202


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["a byte a second", "endless heads", "idle", "slow bodies"])
async def test_a_thousand_bad_clients_leave_another_clients_latency_as_it_was(start: Start, attack: str) -> None:
    service = await start(limits=Limits(connections=5000))
    good = await used(service)
    before = await latency(good)
    bad = [await service.connect() for _ in range(1000)]
    if attack == "slow bodies":
        for wire in bad:
            wire.writer.write(AUTHORIZED + b"Content-Length: 1000\r\n\r\n")
    elif attack != "idle":
        for wire in bad:
            wire.writer.write(b"GET /")
    await until(lambda: len(service.listener.connections) == 1001)
    crumb = {"a byte a second": b"x", "endless heads": b"x" * 20, "idle": b"", "slow bodies": b" "}[attack]
    dribbling = asyncio.create_task(dribble(bad, crumb))
    during = await latency(good)
    dribbling.cancel()
    assert during < 10 * before + 0.05  # far below what waiting for one of them would take
    service.past(80)
    await until(lambda: len(service.listener.connections) <= 1 or in_phase(service, "CLOSING") >= 999)


async def dribble(wires: list[Wire], crumb: bytes) -> None:
    """Send a crumb from each of a thousand connections, a second for all of them."""
    while crumb:
        for wire in wires:
            wire.writer.write(crumb)
            await asyncio.sleep(0.001)


async def latency(wire: Wire) -> float:
    """Return the median time of a request, in seconds."""
    times = []
    for _ in range(100):
        began = time.perf_counter()
        await wire.send(GOOD)
        assert (await wire.reply()).status == 202
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    return statistics.median(times)


async def used(service: Service) -> Wire:
    """Return a connection that has served a request."""
    wire = await service.connect()
    await wire.send(GOOD)
    assert (await wire.reply()).status == 202
    return wire


def in_phase(service: Service, phase: str) -> int:
    return sum(connection.phase.name == phase for connection in service.listener.connections)


def has_received(service: Service, octets: int) -> bool:
    return any(exchange.octets >= octets for exchange in service.listener.active)


def is_served_or_stalled(service: Service, requests: int) -> bool:
    return len(service.accepted) == requests or in_phase(service, "STALLED") == 1


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; what it waits for comes over a loopback socket."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)
