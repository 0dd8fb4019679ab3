"""The life of a listener: TLS, what is mounted beside the messages, and how it ends."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from api.conftest import Start
from api.service import ACCOUNT, PATH, Service, new_message, raw
from passband.api.app import Resource
from passband.api.asgi import Receive, Scope, Send, answer, read_body
from passband.domain.account import Account
from passband.media import MediaNotFound

PEM = Path(__file__).parent / "data" / "localhost.pem"
GOOD = raw("POST", PATH, body=json.dumps(new_message()).encode())


async def test_messages_are_taken_over_tls(start: Start) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(PEM)
    service = await start(tls=(server, ssl.create_default_context(cafile=str(PEM))))
    wire = await service.connect()
    for _ in range(2):
        await wire.send(GOOD)
        assert (await wire.reply()).status == 202
    await wire.send(b"nonsense\r\n\r\n")
    assert (await wire.end()).startswith(b"HTTP/1.1 400 ")


async def test_clear_text_on_a_tls_port_harms_nobody(start: Start) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(PEM)
    service = await start(tls=(server, ssl.create_default_context(cafile=str(PEM))))
    reader, writer = await asyncio.open_connection("127.0.0.1", service.listener.port)
    writer.write(GOOD)
    assert not (await reader.read()).startswith(b"HTTP")
    writer.close()
    assert (await service.post(new_message())).status == 202


class Gate:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        await self.open.wait()
        await answer(send, 200, (), b"through")


async def test_what_is_under_way_is_finished_before_the_listener_stops(start: Start) -> None:
    gate = Gate()
    service = await start(mounts=[("/gate", gate)])
    idle, busy, halfway = [await service.connect() for _ in range(3)]
    await busy.send(raw("GET", "/gate"))
    await halfway.send(b"GET / HTTP/1.1\r\n")
    await gate.entered.wait()
    stopping = asyncio.create_task(service.listener.stop())
    assert await idle.end() == b""
    assert await halfway.end() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", service.listener.port)
    gate.open.set()
    reply = await busy.reply()
    assert (reply.status, reply.body) == (200, b"through")
    await stopping
    assert service.listener.connections == set()


async def test_what_takes_too_long_is_cut_off_when_the_listener_stops(start: Start) -> None:
    gate = Gate()
    service = await start(mounts=[("/gate", gate)])
    busy = await service.connect()
    await busy.send(raw("GET", "/gate"))
    await gate.entered.wait()
    await service.listener.stop(grace=0.01)
    assert await busy.ended()
    assert (service.listener.connections, service.listener.active) == (set(), set())


async def test_an_application_hears_that_its_client_is_gone(start: Start) -> None:
    heard = asyncio.Event()

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(receive) == b""
        if (await receive())["type"] == "http.disconnect":
            heard.set()

    service = await start(mounts=[("", listening)])
    wire = await service.connect()
    await wire.send(raw("GET", "/anything"))
    await asyncio.sleep(0.01)
    wire.writer.transport.abort()
    async with asyncio.timeout(30):
        await heard.wait()


async def test_a_connection_that_is_accepted_while_it_stops_is_closed_at_once(service: Service) -> None:
    service.listener.stopping = True  # its address is given up a moment later
    wire = await service.connect()
    assert await wire.end() == b""


async def test_a_client_that_leaves_in_the_middle_of_its_body_sends_nothing(service: Service) -> None:
    wire = await service.connect()
    await wire.send(GOOD[:-10])
    wire.writer.transport.abort()
    async with asyncio.timeout(30):
        while service.listener.connections or service.listener.active:
            await asyncio.sleep(0.001)
    assert service.accepted == []


async def echo(account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await answer(send, 200, (), f"{account.id} {rest} {len(body)}".encode())


async def test_another_resource_lies_below_the_account_behind_its_credentials(start: Start) -> None:
    below = Resource({"GET": echo}, below={"GET": echo, "PUT": echo}, body_limit=4_000_000)
    service = await start(resources={"media": below, "single": Resource({"GET": echo})})
    base = f"/api/v2/users/{ACCOUNT}"
    assert (await service.request("GET", f"{base}/media/a%2Fb/c")).body == b"5500123 a%2Fb/c 0"
    assert (await service.request("PUT", f"{base}/media/x", {}, b"x" * 3_000_000)).body == b"5500123 x 3000000"
    assert (await service.request("PUT", f"{base}/media/x", {}, b"x" * 4_000_001)).status == 400
    assert (await service.request("DELETE", f"{base}/media/x")).headers["allow"] == "GET, PUT"
    assert (await service.request("GET", f"{base}/single/x")).status == 404
    assert (await service.request("GET", f"{base}/media", {"Authorization": ""})).status == 401


async def lose(account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
    raise MediaNotFound


async def test_media_that_is_not_there_is_answered_as_documented(start: Start) -> None:
    service = await start(resources={"media": Resource({"GET": lose}, below={"GET": lose})})
    reply = await service.request("GET", f"/api/v2/users/{ACCOUNT}/media/x")
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.body == b'{"type":"object-not-found","description":"Object not found"}'


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, 200, (), f"{scope['root_path']}|{scope['path']}".encode())


@pytest.mark.parametrize(
    ("path", "answered"),
    [("/admin", b"/admin|/admin"), ("/admin/a%20b", b"/admin|/admin/a b"), ("/administrator", None)],
)
async def test_whole_applications_are_mounted_by_prefix(start: Start, path: str, answered: bytes | None) -> None:
    service = await start(mounts=[("/admin", tell)])
    reply = await service.request("GET", path)
    assert (reply.body if reply.status == 200 else None) == answered
