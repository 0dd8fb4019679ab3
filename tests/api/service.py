"""A listener on a free port with an acceptor in memory, and a client that shows exactly what came over the wire."""

import asyncio
import base64
import contextlib
import json
import secrets
import ssl
from dataclasses import dataclass
from typing import Any

from passband.api.app import Api, create_app
from passband.api.auth import Authenticator
from passband.api.limits import Limits
from passband.api.server import Listener
from passband.domain.account import Account, Directory, User
from passband.domain.message import Direction, IdSource, Kind, Message, NewMessage
from passband.store import Found, Query

NOW = 1773044142.317
ACCOUNT = "5500123"
CREDENTIALS = "Basic " + base64.b64encode(b"demo:secret").decode()
PATH = f"/api/v2/users/{ACCOUNT}/messages"


def new_message(**fields: Any) -> dict[str, Any]:
    """Return a request that is right, with some fields otherwise; ``...`` leaves one out."""
    request = {
        "to": ["+14085550142"],
        "from": "+19195550117",
        "text": "Your table is ready",
        "applicationId": "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",
    } | {name.rstrip("_"): value for name, value in fields.items()}
    return {name: value for name, value in request.items() if value is not ...}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to the listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, to_head: bool = False) -> Reply:
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines)
            length = 0 if to_head else int(headers.get("content-length", 0))
            return Reply(int(status_line.split()[1]), headers, await self.reader.readexactly(length))

    async def end(self) -> bytes:
        """Return everything up to the end of the connection."""
        async with asyncio.timeout(30):
            return await self.reader.read()

    async def ended(self) -> bool:
        """Tell whether the other side has closed, whatever it sent before."""
        with contextlib.suppress(ConnectionError):
            await self.end()
        return True

    def close(self) -> None:
        self.writer.close()


def raw(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return a request as octets, with the headers that it needs unless given; an empty value leaves one out."""
    lines = {"Host": "passband.test", "Authorization": CREDENTIALS}
    if body:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


class Service:
    """The API as it runs, with what it accepted and what it was asked to find."""

    def __init__(
        self,
        limits: Limits | None,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None,
        users: tuple[User, ...],
        **more: Any,
    ) -> None:
        self.directory = Directory([Account(ACCOUNT, users), Account("5500999", (User("other", "secret"),))])
        self.accepted: list[NewMessage] = []
        self.queries: list[Query] = []
        self.found: list[Found] = []
        self.error: Exception | None = None
        self.authenticator = Authenticator(lambda: self.directory)
        self.now = NOW
        self._ids = IdSource(secrets.randbits)
        self._client_tls = tls[1] if tls else None
        self._wires: list[Wire] = []
        self.api: Api = create_app(
            authenticator=self.authenticator,
            accept=self._accept,
            search=self._search,
            now=lambda: self.now,
            public_url="https://messaging.example.net",
            **more,
        )
        self.listener = Listener(
            self.api,
            limits=limits or Limits(connections=1000),
            body_limit=self.api.body_limit,
            tls=tls[0] if tls else None,
        )

    async def _accept(self, account: Account, request: NewMessage) -> Message:
        if self.error is not None:
            raise self.error
        self.accepted.append(request)
        id_, at = self._ids.next(self.now)
        kind = Kind.MMS if request.media or len(request.to) > 1 else Kind.SMS
        return Message(
            account.id, id_, Direction.OUT, kind, request.application, at, request.sender, request.to, request.text,
            len(request.text), request.media, request.tag, request.priority, request.expires_at, 1,
        )  # fmt: skip

    async def _search(self, query: Query, now: float) -> tuple[int, list[Found]]:
        if self.error is not None:
            raise self.error
        self.queries.append(query)
        return len(self.found), self.found[query.offset : query.offset + query.limit]

    async def connect(self) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=self._client_tls)
        wire = Wire(reader, writer)
        self._wires.append(wire)
        return wire

    async def request(
        self, method: str, path: str = PATH, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        wire = await self.connect()
        await wire.send(raw(method, path, headers, body))
        reply = await wire.reply(to_head=method == "HEAD")
        wire.close()
        return reply

    async def post(self, message: Any, path: str = PATH, **headers: str) -> Reply:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.request("POST", path, {k.replace("_", "-"): v for k, v in headers.items()}, body)

    def past(self, seconds: float) -> int:
        """Let the listener deal with what is due in so many seconds."""
        return self.listener.expire(self.listener.loop.time() + seconds)

    async def stop(self) -> None:
        for wire in self._wires:
            wire.close()
        await self.listener.stop(grace=1)
        self.authenticator.close()
