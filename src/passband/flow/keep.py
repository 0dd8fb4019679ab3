"""Keep: the files of an inbound message are durable, and have their URLs, before anybody is told of the message.

They are named by the identifier of the message that will list them (Callbacks, section 6), so that identifier is made
here, for the first of the message's copies in each account; an account has the files once, whatever its numbers.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable

import msgspec

from passband.domain.account import Directory
from passband.domain.report import Inbound, Kept
from passband.media import MediaStore
from passband.media.names import media_url
from passband.mm4.mime import Part


class Keep:
    """Keeps the files of inbound messages in the accounts that they are for."""

    def __init__(
        self,
        media: MediaStore,
        directory: Callable[[], Directory],
        public_url: str,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        """``public_url`` is as for ``create_app``."""
        self._media = media
        self._directory = directory
        self._public_url = public_url
        self._new_uuid = new_uuid

    async def __call__(self, inbound: Inbound, now: float) -> Inbound:
        """Return the message with its files kept, and their octets let go. Raises StoreUnavailable."""
        if not inbound.attachments:
            return inbound
        directory = self._directory()
        numbers = [directory.number(number) for number in inbound.told or inbound.to]
        accounts = dict.fromkeys(ours.account for ours in numbers if ours is not None and ours.application is not None)
        parts = [Part(a.index, a.content_type, a.name, a.octets) for a in inbound.attachments]
        digest = _digest(inbound) if inbound.ref is not None else None
        kept = await asyncio.gather(*(self._account(account, parts, digest, now) for account in accounts))
        stored = dict(zip(accounts, kept, strict=True))
        return msgspec.structs.replace(inbound, attachments=(), kept=stored)

    async def _account(self, account: str, parts: list[Part], digest: bytes | None, now: float) -> Kept:
        # A message that comes again, because its peer or we have lost an answer, must not leave its files twice.
        id_ = str(self._new_uuid() if digest is None else _named(digest, account))
        names = await self._media.put_parts(account, id_, parts, now)
        return Kept(id_, tuple(media_url(self._public_url, account, name) for name in names))


def _digest(inbound: Inbound) -> bytes:
    """Return what is the same in a repeat, and differs where a carrier uses a reference again for something else."""
    digest = hashlib.blake2b(f"{inbound.carrier}\n{inbound.ref}\n{inbound.sender}".encode())
    for attachment in inbound.attachments:
        digest.update(f"\n{attachment.index}/{attachment.name} {len(attachment.octets)}\n".encode())
        digest.update(attachment.octets)
    return digest.digest()


def _named(digest: bytes, account: str) -> uuid.UUID:
    octets = hashlib.blake2b(account.encode(), key=digest, digest_size=16).digest()
    return uuid.UUID(bytes=octets, version=4)
