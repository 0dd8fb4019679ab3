"""A message into an SMTP server that we did not write, in a process of its own: aiosmtpd's, which keeps a Maildir."""

import asyncio
import sys
from pathlib import Path

import pytest

from carriers.collector import an_mms
from carriers.mm4_peer import PHONE, linked
from passband.domain.report import Accepted, Attachment, Submission
from passband.mm4.message import ForwardRequest
from passband.mm4.reading import parse
from passband.testing import FakeClock
from ports import free_port

pytestmark = pytest.mark.slow  # two processes have to start and to end

# Every octet, lines that begin with dots, and bare line ends.
OCTETS = bytes(range(256)) * 1000 + b"\r\n.\r\n..\n.\r" * 100


async def test_a_message_arrives_to_the_last_octet(tmp_path: Path, clock: FakeClock) -> None:
    port = free_port()
    mailbox = tmp_path / "mailbox"
    arguments = ("-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Mailbox", str(mailbox))
    server = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        plain = an_mms(PHONE)
        submission = Submission(plain.recipients, (Attachment("all.png", "image/png", OCTETS),))
        async with linked(port, clock) as link:
            link.carrier.submit([submission])
            await link.collector.until(lambda: bool(link.collector.outcomes))
            assert isinstance(link.collector.outcomes[0][1], Accepted)
    finally:
        server.terminate()
        await server.wait()
    [path] = (mailbox / "new").iterdir()
    message = parse(path.read_bytes())
    assert isinstance(message, ForwardRequest)
    assert message.text == "hello"
    assert [part.octets for part in message.media] == [OCTETS]
