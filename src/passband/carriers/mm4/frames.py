"""What the SMTP server, a process of its own, and the node say to each other: length, then msgpack, over a socket."""

import asyncio
from typing import Any

import msgspec

_LENGTH_OCTETS = 4
_encode = msgspec.msgpack.Encoder().encode


class Start(msgspec.Struct, frozen=True, tag=True):
    """The node's first word: how to serve. ``allow`` are addresses and networks."""

    hostname: str
    max_octets: int
    allow: tuple[str, ...]
    certificate: str | None
    key: str | None
    user: str | None
    password: str | None


class Rcpt(msgspec.Struct, frozen=True, tag=True):
    """Is this recipient ours?"""

    id: int
    address: str


class Mail(msgspec.Struct, frozen=True, tag=True):
    """A mail, complete, dots unstuffed."""

    id: int
    peer: str
    sender: str
    recipients: tuple[str, ...]
    octets: bytes


class Reply(msgspec.Struct, frozen=True, tag=True):
    """What the peer is told: an SMTP reply of one line."""

    id: int
    text: str


Question = Rcpt | Mail


def write(writer: asyncio.StreamWriter, frame: msgspec.Struct) -> None:
    octets = _encode(frame)
    writer.write(len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets)


async def read(reader: asyncio.StreamReader, kind: Any) -> Any:
    """Return the next frame. Raises IncompleteReadError and OSError where the other side is gone."""
    length = int.from_bytes(await reader.readexactly(_LENGTH_OCTETS), "big")
    return msgspec.msgpack.decode(await reader.readexactly(length), type=kind)
