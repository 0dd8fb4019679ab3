"""The node's side of the SMTP server: it opens the socket, keeps the process running, and answers its questions."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from passband.carriers.mm4.frames import Mail, Question, Rcpt, Reply, Start, read, write
from passband.carriers.mm4.profile import Profile

log = structlog.get_logger()

RESTART_SECONDS: Final = 1.0
END_SECONDS: Final = 5.0


class Receiver:
    """Listens for one peer.

    **Resource handling.** The listening socket is the node's, so that connections wait in its queue while a process
    that failed is replaced. Cancelling ``run`` ends the process and closes the socket. **Error handling.** What goes
    wrong with one mail costs that mail's reply: the peer is told to come again.
    """

    def __init__(
        self,
        profile: Profile,
        rcpt: Callable[[str], str],
        mail: Callable[[Mail], Awaitable[str]],
        *,
        reuse_port: bool = False,
    ) -> None:
        """``rcpt`` and ``mail`` return SMTP replies. ``reuse_port`` lets several processes serve the same address."""
        self._profile = profile
        self._rcpt = rcpt
        self._mail = mail
        self._reuse_port = reuse_port
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Open the socket, if it is not. Raises OSError where the address cannot be had."""
        if self._socket is not None:
            return
        self._socket = socket.create_server(
            self._profile.listen,
            family=socket.AF_INET6 if ":" in self._profile.listen[0] else socket.AF_INET,
            backlog=128,
            reuse_port=self._reuse_port,
        )

    @property
    def port(self) -> int:
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    async def run(self) -> None:
        """Serve until cancelled."""
        assert self._socket is not None
        try:
            while True:
                await self._serve(self._socket)
                log.error("the MM4 server ended and is started again", carrier=self._profile.name)
                await asyncio.sleep(RESTART_SECONDS)
        finally:
            self._socket.close()
            self._socket = None

    async def _serve(self, listening: socket.socket) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "passband.carriers.mm4.server",
                str(listening.fileno()),
                str(theirs.fileno()),
                pass_fds=(listening.fileno(), theirs.fileno()),
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            write(writer, self._start())
            await self._converse(reader, writer)
        finally:
            for task in self._tasks:
                task.cancel()
            writer.close()
            await _end(process)

    def _start(self) -> Start:
        p = self._profile
        return Start(
            hostname=p.domain,
            max_octets=p.max_inbound_octets,
            allow=tuple(map(str, p.allow)),
            certificate=str(p.listen_certificate) if p.listen_certificate else None,
            key=str(p.listen_key) if p.listen_key else None,
            user=p.listen_user,
            password=str(p.listen_password) if p.listen_password else None,
        )

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                question: Question = await read(reader, Question)
                if isinstance(question, Rcpt):
                    write(writer, Reply(question.id, self._rcpt(question.address)))
                else:
                    task = asyncio.create_task(self._answer(question, writer))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                await writer.drain()

    async def _answer(self, mail: Mail, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await self._mail(mail)
        except Exception:  # the top of what is done about one mail: whatever it was, the peer keeps the mail
            log.exception("a mail of a peer could not be taken", carrier=self._profile.name, octets=len(mail.octets))
            reply = "451 4.3.0 try again later"
        write(writer, Reply(mail.id, reply))


async def _end(process: "asyncio.subprocess.Process") -> None:
    """Wait for the process, which ends by itself now; kill it where it does not."""
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
