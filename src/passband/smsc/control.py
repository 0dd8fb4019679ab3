"""The control endpoint of the simulated carrier: a few requests over HTTP/1.1, for tests and for people with curl.

    GET  /counters                                             what has happened, as JSON
    GET  /ledger                                               every segment that was accepted, if they are kept
    POST /inbound     {"from", "to", "text", "systemId"?}      a message from a handset
    POST /disconnect  {"midPdu"?, "unbind"?}                   cut every connection, or ask to leave
    POST /settings    {option: value}                          change what it does

Rule: for the loopback and one client at a time; nothing here is protected.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from passband.domain.gsm0338 import UnencodableText
from passband.smpp.pdu import UnwritablePdu
from passband.smsc.options import LIVE, SmscOptions
from passband.smsc.server import Smsc

MOST_OCTETS = 1_000_000


class Inbound(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /inbound."""

    sender: str = msgspec.field(name="from")
    to: str
    text: str
    system_id: str | None = msgspec.field(name="systemId", default=None)


class Disconnect(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /disconnect."""

    mid_pdu: bool = msgspec.field(name="midPdu", default=False)
    unbind: bool = False


class Control:
    """Answers requests about one simulated carrier."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound = self._server.sockets[0].getsockname()[1]
        assert isinstance(bound, int)
        return bound

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = dict(line.lower().split(":", 1) for line in head[1:] if ":" in line)
            length = int(headers.get("content-length", "0"))
            body = await reader.readexactly(min(length, MOST_OCTETS)) if length else b"{}"
            status, said = self._answer(method, path, body)
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            status, said = "400 Bad Request", {"error": "not a request"}
        octets = msgspec.json.encode(said)
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(octets)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + octets
        )
        writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[str, Mapping[str, Any] | list[Any]]:
        smsc = self._smsc
        try:
            if (method, path) == ("GET", "/counters"):
                return "200 OK", dict(smsc.counters) | {"bound": sum(peer.session.bound for peer in smsc.peers)}
            if (method, path) == ("GET", "/ledger"):
                return "200 OK", [(t.message_id, t.source, t.destination, t.content.hex()) for t in smsc.ledger]
            if (method, path) == ("POST", "/inbound"):
                asked = msgspec.json.decode(body, type=Inbound)
                return "200 OK", {"parts": smsc.inbound(asked.sender, asked.to, asked.text, asked.system_id)}
            if (method, path) == ("POST", "/disconnect"):
                cut = msgspec.json.decode(body, type=Disconnect)
                return "200 OK", {"connections": smsc.unbind() if cut.unbind else smsc.disconnect(mid_pdu=cut.mid_pdu)}
            if (method, path) == ("POST", "/settings"):
                change(smsc.options, msgspec.json.decode(body, type=dict[str, Any]))
                smsc.wake()
                return "200 OK", {name: getattr(smsc.options, name) for name in sorted(LIVE)}
        except (msgspec.MsgspecError, ValueError, UnencodableText, UnwritablePdu) as error:
            return "400 Bad Request", {"error": str(error)}
        return "404 Not Found", {"error": f"{method} {path} is not known"}


def change(options: SmscOptions, changes: Mapping[str, Any]) -> None:
    """Change options while they are in use. Raises ValueError where one cannot be changed or its value is wrong."""
    if unknown := sorted(changes.keys() - LIVE):
        raise ValueError(f"cannot be changed: {', '.join(unknown)}")
    whole = {name: getattr(options, name) for name in LIVE} | dict(changes)
    if isinstance(errors := whole["errors"], Mapping):
        whole["errors"] = {_status(key): ratio for key, ratio in errors.items()}
    for name, value in msgspec.to_builtins(msgspec.convert(whole, type=SmscOptions, strict=False)).items():
        if name in changes:
            setattr(options, name, value)


def _status(key: object) -> object:
    """Return a command_status as a number, which people write as 0x58 or as 88; what is neither, as it is."""
    try:
        return int(key, 0) if isinstance(key, str) else key
    except ValueError:
        return key
