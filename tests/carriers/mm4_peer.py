"""An MM4 peer that does as it is told, also what no real one would; and what a carrier needs to talk to it."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, NamedTuple

import aiosmtplib

from carriers.collector import Collector, running
from passband.carriers.mm4.carrier import Mm4Carrier
from passband.carriers.mm4.profile import DeliveredOn, Profile, Tls
from passband.clock import Clock
from passband.mm4.address import EnvelopeForm
from passband.mm4.message import ForwardRequest, Message
from passband.mm4.reading import parse

OURS = "+19195550117"
SECOND = "+19195550118"
PHONE, FRIEND = "+14085550142", "+14085550177"
DOMAIN, PEER_DOMAIN = "mms.passband.example", "mmsc.carrier.example"
SYSTEM = f"mms-system@{DOMAIN}"
DROP = ""
"""Instead of a reply: the connection breaks."""


class Received(NamedTuple):
    """A mail as the peer got it."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes

    @property
    def message(self) -> Message:
        return parse(self.octets)

    @property
    def request(self) -> ForwardRequest:
        message = self.message
        assert isinstance(message, ForwardRequest)
        return message


class Peer:
    """An SMTP server of a few lines.

    ``script`` holds replies by verb, taken one by one instead of the usual ones; ``220`` is the greeting, ``.`` the
    reply to the dot. A mail counts as received once its dot has come, whatever the reply.
    """

    def __init__(self) -> None:
        self.script: defaultdict[str, deque[str]] = defaultdict(deque)
        self.received: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self.hold = asyncio.Event()  # clear it, and the reply to a dot waits
        self.hold.set()
        self._changed = asyncio.Event()

    async def until(self, count: int) -> None:
        """Return when so many mails have come."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                self._changed.clear()
                await self._changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self._changed.set()
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, recipients = "", list[str]()

        def say(verb: str, usual: str) -> str:
            reply = self.script[verb].popleft() if self.script[verb] else usual
            if reply == DROP:
                raise ConnectionResetError
            writer.write(reply.encode() + b"\r\n")
            return reply

        say("220", "220 mmsc.carrier.example ESMTP")
        while line := await reader.readline():
            command = line.decode().strip()
            self.commands.append(command)
            verb = command.partition(" ")[0].upper()
            match verb:
                case "EHLO":
                    say(verb, "250-mmsc.carrier.example\r\n250-SIZE 3145728\r\n250 PIPELINING")
                case "MAIL":
                    if say(verb, "250 2.1.0 Ok").startswith("250"):
                        sender, recipients = command.partition(":")[2].partition(" ")[0].strip("<>"), []
                case "RCPT":
                    if say(verb, "250 2.1.5 Ok").startswith("250"):
                        recipients.append(command.partition(":")[2].strip("<>"))
                case "DATA":
                    if say(verb, "354 go on").startswith("354"):
                        octets = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                        self.received.append(Received(sender, tuple(recipients), octets))
                        self._changed.set()
                        await self.hold.wait()
                        say(".", "250 2.0.0 Ok: queued")
                case "QUIT":
                    say(verb, "221 2.0.0 Bye")
                    return
                case _:
                    say(verb, "250 Ok")


@asynccontextmanager
async def a_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        peer.hold.set()
        server.close()


PROFILE = Profile(
    name="mmsc",
    host="127.0.0.1",
    port=0,
    tls=Tls.NONE,
    tls_ca_file=None,
    user=None,
    password=None,
    domain=DOMAIN,
    peer_domain=PEER_DOMAIN,
    system_address=SYSTEM,
    envelope=EnvelopeForm.TYPED,
    connections=1,
    rate=None,
    max_message_octets=1_048_576,
    content_types=None,
    ack_request=True,
    delivery_report=True,
    send_delivery_reports=True,
    mms_delivered_on=DeliveredOn.FORWARD_RES,
    receipt_window=7200.0,
    listen=("127.0.0.1", 0),
    listen_certificate=None,
    listen_key=None,
    listen_user=None,
    listen_password=None,
    allow=(ip_network("127.0.0.0/8"),),
    max_inbound_octets=2_000_000,
    assume_forward=False,
)


async def post(port: int, octets: bytes, *to: str, sender: str = f"system@{PEER_DOMAIN}") -> str:
    """Send a mail to our server as a peer does; return the reply to its dot, or the refusal before it."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=10)
    await client.connect()
    try:
        await client.mail(sender)
        for address in to or (SYSTEM,):
            await client.rcpt(address)
        response = await client.data(octets)
    except aiosmtplib.SMTPResponseException as error:
        return f"{error.code} {error.message}"
    else:
        return f"{response.code} {response.message}"
    finally:
        client.close()


class Link(NamedTuple):
    """A running carrier, and its way in."""

    carrier: Mm4Carrier
    collector: Collector

    @property
    def port(self) -> int:
        return self.carrier.receiver.port

    async def post(self, octets: bytes, *to: str) -> str:
        return await post(self.port, octets, *to)


@asynccontextmanager
async def linked(port: int, clock: Clock, *, receipts: bool = False, **changes: Any) -> AsyncIterator[Link]:
    """Run a carrier for a peer at this port."""
    carrier = Mm4Carrier(
        replace(PROFILE, port=port, **changes),
        clock,
        is_ours=lambda number: number in (OURS, SECOND),
        receipts_for=lambda recipient: receipts,
    )
    carrier.receiver.listen()
    collector = Collector()
    async with running(carrier, collector):
        yield Link(carrier, collector)
