"""One connection to the peer's SMTP server, kept for many mails, and one mail on it (MM4, section 6; RFC 5321).

Rule: nothing that a peer says or leaves unsaid raises here; it is all in the ``Sent`` of the mail.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from passband.carriers.mm4.profile import Profile, Tls
from passband.mm4.outcome import NO_CONNECTION, Outcome, RetryClass, Stage, Verdict, of_smtp_reply

CONNECT_SECONDS: Final = 30.0  # connecting, the greeting, TLS and the login, each
COMMAND_SECONDS: Final = 60.0
DATA_SECONDS: Final = 300.0  # until the reply to the dot, which may wait for the peer's own store
QUIT_SECONDS: Final = 5.0

# The rest goes in another transaction, at once.
NEXT_TRANSACTION: Final = Verdict(Outcome.RETRY, RetryClass.NONE, 5600)

_enhanced = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b").match


class Sent(NamedTuple):
    """What came of a mail: for each address that it was not taken for, why. ``link`` tells that no mail can be sent."""

    refused: Mapping[str, Verdict]
    link: bool = False


class Link:
    """A connection that is opened when it is needed. It belongs to one task."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._client: SMTP | None = None
        self._context: ssl.SSLContext | None = None
        self._stale = False  # the last mail failed at its first command

    @property
    def is_open(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def send(self, sender: str, recipients: Sequence[str], octets: bytes) -> Sent:
        """Send one mail to these addresses, and say what came of it."""
        kept = self.is_open
        sent = await self._send(sender, recipients, octets)
        if kept and self._stale:
            # A peer may close what has been idle, and that says nothing about this mail.
            sent = await self._send(sender, recipients, octets)
        return sent

    async def _send(self, sender: str, recipients: Sequence[str], octets: bytes) -> Sent:
        self._stale = False
        stage = Stage.CONNECT
        refused: dict[str, Verdict] = {}
        try:
            client = await self._open()
            size = _size(client)
            if size and len(octets) > size:
                # RFC 1870 §6.1: the server would refuse it with 552 (MM4, section 6).
                return Sent(dict.fromkeys(recipients, of_smtp_reply(552, Stage.MAIL)))
            stage = Stage.MAIL
            options = [f"SIZE={len(octets)}"] if size is not None else []
            await client.mail(sender, options=options, encoding="ascii", timeout=COMMAND_SECONDS)
            stage = Stage.RCPT
            await self._recipients(client, recipients, refused)
            if len(refused) == len(recipients):
                await client.rset(timeout=COMMAND_SECONDS)
                return Sent(refused)
            stage = Stage.DATA
            await client.data(octets, timeout=DATA_SECONDS)
            return Sent(refused)
        except SMTPResponseException as error:
            verdict = of_smtp_reply(error.code, stage, _enhanced_code(error.message))
            self._stale = stage is Stage.MAIL and error.code == 421
            await self._recover(error.code, stage)
            return Sent(dict.fromkeys(recipients, verdict) | refused, stage is Stage.CONNECT)
        except (SMTPException, OSError, TimeoutError, ValueError):
            # ssl's errors are OSErrors; a peer that breaks the protocol makes aiosmtplib raise ValueError.
            self._stale = stage is Stage.MAIL
            self.close()
            return Sent(dict.fromkeys(recipients, NO_CONNECTION) | refused, stage is Stage.CONNECT)

    async def _recipients(self, client: SMTP, recipients: Sequence[str], refused: dict[str, Verdict]) -> None:
        """Name the recipients; add to ``refused`` those that are not taken."""
        for place, address in enumerate(recipients):
            try:
                await client.rcpt(address, encoding="ascii", timeout=COMMAND_SECONDS)
            except SMTPRecipientRefused as error:
                if error.code == 421:
                    raise
                if error.code == 452 and len(refused) < place:
                    refused |= dict.fromkeys(recipients[place:], NEXT_TRANSACTION)
                    return
                refused[address] = of_smtp_reply(error.code, Stage.RCPT, _enhanced_code(error.message))

    async def _open(self) -> SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        p = self._profile
        client = SMTP(
            hostname=p.host,
            port=p.port,
            local_hostname=p.domain,
            timeout=CONNECT_SECONDS,
            use_tls=p.tls is Tls.IMPLICIT,
            start_tls=p.tls is Tls.STARTTLS,
            tls_context=await self._tls() if p.tls is not Tls.NONE else None,
        )
        self._client = client
        await client.connect()
        try:
            if client.is_ehlo_or_helo_needed:
                await client.ehlo(timeout=COMMAND_SECONDS)
        except SMTPHeloError:
            await client.helo(timeout=COMMAND_SECONDS)
        if p.user is not None and p.password is not None:
            await client.login(p.user, str(p.password), timeout=COMMAND_SECONDS)
        return client

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            context = await asyncio.to_thread(ssl.create_default_context)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._profile.tls_ca_file is not None:
                context.load_verify_locations(self._profile.tls_ca_file)
            self._context = context
        return self._context

    async def _recover(self, code: int, stage: Stage) -> None:
        """Make the connection fit for the next mail, or close it."""
        client = self._client
        if client is None or stage is Stage.CONNECT or code == 421:
            self.close()
            return
        try:
            await client.rset(timeout=COMMAND_SECONDS)
        except (SMTPException, OSError, TimeoutError, ValueError):
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def quit(self) -> None:
        """Take leave of the peer, and close."""
        client = self._client
        try:
            if client is not None and client.is_connected:
                await client.quit(timeout=QUIT_SECONDS)
        except (SMTPException, OSError, TimeoutError, ValueError):
            pass
        finally:
            self.close()


def _size(client: SMTP) -> int | None:
    """Return how large a mail the server takes: 0 it does not say, None it knows no SIZE."""
    if not client.supports_extension("size"):
        return None
    word = client.esmtp_extensions.get("size", "").strip()
    return int(word) if word.isdecimal() else 0


def _enhanced_code(text: str) -> str:
    """Return the code of RFC 3463 at the beginning of a reply's text, if there is one."""
    match = _enhanced(text)
    return match[0] if match else ""
