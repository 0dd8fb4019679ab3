"""The SMTP server that a peer connects to: a process of its own, on the node's listening socket.

Why a process: a mail is read line by line, in Python. A megabyte of base64 takes 20 ms of processor time on
CPython 3.11, in which a node that did so itself, or in a thread beside it, would serve nobody else; and a peer may send
many. Here it costs the node what the finished mail costs to be handed over, and whatever a peer does to this process it
does to nobody else.

It decides nothing that needs the store: each recipient and each mail is a question to the node, and the peer gets the
node's reply. **Resource handling.** It ends when the node's end of the socket closes, however the node came to its end.
At most 20 sessions are open, each with one mail of the limited size. **Error handling.** Where the node does not reply,
the peer is told to come again (451).
"""

import asyncio
import hmac
import itertools
import logging
import signal
import socket
import ssl
import sys
from ipaddress import ip_address, ip_network
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from passband.carriers.mm4.frames import Mail, Question, Rcpt, Reply, Start, read, write

MOST_SESSIONS: Final = 20
MOST_RECIPIENTS: Final = 1000
REPLY_SECONDS: Final = 120.0  # a commit takes milliseconds; a peer waits ten minutes for the reply to its dot
IDLE_SECONDS: Final = 300.0
LATER: Final = "451 4.3.0 try again later"


class Node:
    """The node, at the other end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[str]] = {}

    async def listen(self) -> None:
        """Hand replies to who asked, until the node is gone."""
        try:
            while True:
                reply: Reply = await read(self._reader, Reply)
                asked = self._asked.get(reply.id)
                if asked is not None and not asked.done():
                    asked.set_result(reply.text)
        except (asyncio.IncompleteReadError, OSError):
            return

    async def ask(self, kind: type[Rcpt] | type[Mail], *content: Any) -> str:
        """Return the node's reply to a question."""
        id_ = next(self._ids)
        question: Question = kind(id_, *content)
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[id_] = asked
        try:
            write(self._writer, question)
            del question, content  # the mail need not be here twice while the node thinks
            async with asyncio.timeout(REPLY_SECONDS):
                await self._writer.drain()
                return await asked
        except (TimeoutError, OSError):
            return LATER
        finally:
            del self._asked[id_]


class Handler:
    """What aiosmtpd asks; the names are its own."""

    def __init__(self, start: Start, node: Node) -> None:
        self._start = start
        self._node = node
        self._networks = [ip_network(text) for text in start.allow]
        self.sessions = 0

    def is_allowed(self, session: Session) -> bool:
        """Whether this address may send without logging in."""
        address = ip_address(_address(session).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def refusal(self, session: Session) -> str | None:
        """Return how a connection is refused, if it is."""
        if not self.is_allowed(session) and self._start.user is None:
            return "554 5.7.1 not a peer of this server"
        if self.sessions >= MOST_SESSIONS:
            return "421 4.7.0 too many connections"
        return None

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        right = False
        if isinstance(data, LoginPassword) and self._start.user is not None and self._start.password is not None:
            user = hmac.compare_digest(data.login, self._start.user.encode())
            right = hmac.compare_digest(data.password, self._start.password.encode()) and user
        return AuthResult(success=right, handled=False)

    async def handle_EHLO(  # noqa: N802 - the names are aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not (self.is_allowed(session) or session.authenticated):
            return "530 5.7.0 authentication required"
        envelope.mail_from = address or ""
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        reply = await self._node.ask(Rcpt, address)
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        octets, envelope.content = envelope.content, None
        envelope.original_content = None
        return await self._node.ask(Mail, _address(session), envelope.mail_from or "", tuple(envelope.rcpt_tos), octets)

    async def handle_exception(self, error: Exception) -> str:
        print(f"the MM4 server failed: {type(error).__name__}", file=sys.stderr)
        return LATER


def _address(session: Session) -> str:
    assert session.peer is not None
    return str(session.peer[0])


class Server(SMTP):
    """A session, unless it is refused before its first word.

    Commands and lines of a mail are read by up to 1,001 octets; what a longer line of a mail has more is read after it.
    """

    event_handler: Handler

    async def _handle_client(self) -> None:
        handler = self.event_handler
        assert self.session is not None
        refusal = handler.refusal(self.session)
        if refusal is not None:
            await self.push(refusal)
            assert self.transport is not None
            self.transport.close()
            return
        handler.sessions += 1
        try:
            await super()._handle_client()
        finally:
            handler.sessions -= 1

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take a mail, of lines of whatever length: some peers write all their base64 into one.

        RFC 5321 §4.5.3.1.6 allows 1,000 octets, and aiosmtpd's own refuses more; before it does so, it keeps in memory
        all of a line that does not end. Of a mail over the limit nothing is kept here.
        """
        assert self.envelope is not None
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._content(self.data_size_limit or 0)
        if content is None:
            await self.push("552 5.3.4 too large")
        else:
            self.envelope.content = content
            del content
            await self.push(await self._call_handler_hook("DATA"))
        self._set_post_data_state()  # type: ignore[no-untyped-call]

    async def _content(self, limit: int) -> bytes | None:
        """Return a mail up to its dot, other dots unstuffed (RFC 5321 §4.5.2); None where it is over the limit."""
        content: bytearray | None = bytearray()
        begins = True  # whether what comes next is the beginning of a line
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
                ends = True
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.read(error.consumed)
                ends = False
            if begins and piece == b".\r\n":
                return None if content is None else bytes(content)
            if content is not None:
                content += piece[1:] if begins and piece.startswith(b".") else piece
                if len(content) > limit:
                    content = None
            begins = ends


async def serve(listening: socket.socket, node_end: socket.socket) -> None:
    """Serve until the node's end of the socket closes."""
    loop = asyncio.get_running_loop()
    # The node decides when it is over; a Ctrl-C or a SIGTERM to the whole group is the node's to hear.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)
    reader, writer = await asyncio.open_unix_connection(sock=node_end)
    start: Start = await read(reader, Start)
    node = Node(reader, writer)
    handler = Handler(start, node)
    context = None
    if start.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(start.certificate, start.key)

    def session() -> Server:
        """Return what speaks with one peer."""
        return Server(
            handler,
            data_size_limit=start.max_octets,
            hostname=start.hostname,
            ident="ESMTP",
            tls_context=context,
            timeout=IDLE_SECONDS,
            auth_require_tls=context is not None,
            auth_exclude_mechanism=None if start.user is not None else ("PLAIN", "LOGIN"),
            authenticator=handler.authenticate,
            loop=loop,
        )

    await loop.create_server(session, sock=listening)
    await node.listen()


def main() -> None:
    """Serve; the arguments are the numbers of the listening socket and of the one to the node."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's, which tells whole commands
    listening, node_end = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    asyncio.run(serve(listening, node_end))


if __name__ == "__main__":
    main()
