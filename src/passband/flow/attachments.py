"""Attachments: the files of an MMS, fetched when it leaves the queue, and kept in memory until its carrier has it.

Rule: nothing is fetched for a carrier that could not take it, and nothing before there is memory for it (``turns``);
what a further attempt may need is not fetched again, as long as there is memory for it (``kept_files``).
Text messages never come here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from passband.clock import Clock
from passband.domain import number as numbers
from passband.domain.errors import PassbandError, StoreUnavailable
from passband.domain.message import Message, Recipient
from passband.domain.report import Attachment, Outcome, Submission
from passband.fetch import ErrorKind, Fetcher, Response
from passband.flow.kept_files import KeptFiles
from passband.flow.turns import MOST_HELD_OCTETS, Turns
from passband.media import BadMediaName, MediaNotFound, MediaStore
from passband.media.names import name_from_path
from passband.mm4.headers import parameters
from passband.mm4.names import attachment_name

UNAVAILABLE, TOO_LARGE, TYPE_REFUSED = 4410, 4411, 4412

MESSAGE_OCTETS = 3_932_160  # all files of one message together, as of one upload (Semantics, section 5)
TOLL_FREE_OCTETS = 525 * 1024

KEPT_SHARE = 4  # what waits for a further attempt has at most this part of the budget, on top of it

WAITS = (1.0, 4.0, 10.0)  # between tries; with the time of each, a message's files are there within a minute or not
TRY_SECONDS = 15.0
# What a further try would not change.
_FINAL = frozenset({ErrorKind.REFUSED_ADDRESS, ErrorKind.BAD_URL, ErrorKind.REDIRECTS, ErrorKind.TOO_LARGE})
_TRY_AGAIN = frozenset({408, 425, 429})

# HTTP API, section 4.5: what may be sent.
_SUBTYPES: Mapping[str, str] = {
    "application": "json ogg pdf rtf zip x-tar xml gzip x-bzip2 x-gzip smil javascript",
    "audio": "mp4 mpeg ogg flac webm wav amr 3gpp",
    "image": "bmp gif jpeg pjpeg png svg+xml tiff webp x-icon",
    "text": "css csv calendar plain javascript vcard vnd.wap.wml xml",
    "video": "avi mp4 mpeg ogg quicktime webm x-ms-wmv",
}
CONTENT_TYPES = frozenset(f"{family}/{name}" for family, names in _SUBTYPES.items() for name in names.split())


class MediaRefused(PassbandError):
    """A message cannot be sent because of its files; ``code`` is the delivery error code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Attachments:
    """The files of one node's outbound messages."""

    def __init__(
        self,
        media: MediaStore,
        fetcher: Fetcher,
        clock: Clock,
        *,
        public_url: str,
        max_octets: int,
        limits: Mapping[str, int],
        most_held: int = MOST_HELD_OCTETS,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        """``max_octets`` is the largest file, ``limits`` the largest message by carrier, where it is not the usual one.

        ``public_url`` is as for ``create_app``. ``most_held`` is the budget, in octets. ``released`` is called whenever
        some of it is free again.
        """
        self._media = media
        self._fetcher = fetcher
        self._clock = clock
        self._base = _Base(public_url)
        self._max_octets = max_octets
        self._limits = limits
        self.turns = Turns(self._most, most_held=most_held, released=released)
        self.kept = KeptFiles(most_held // KEPT_SHARE)

    def _most(self, carrier: str, message: Message) -> int:
        return min(len(message.media) * self._max_octets, self._limit(carrier, message))

    def _limit(self, carrier: str, message: Message) -> int:
        limit = min(self._limits.get(carrier, MESSAGE_OCTETS), MESSAGE_OCTETS)
        toll_free = numbers.kind(message.sender) is numbers.Kind.TOLL_FREE
        return min(limit, TOLL_FREE_OCTETS) if toll_free else limit

    async def attach(self, carrier: str, submission: Submission) -> Submission:
        """Return the submission with its files, in the order of the message's ``media``.

        Raises MediaRefused, and StoreUnavailable where it is our own store of media that fails.
        """
        message = submission.recipients[0].message
        if not message.media:
            return submission
        kept = self.kept.take(carrier, submission)
        if kept is not None:
            self.turns.shrink(submission, sum(len(attachment.octets) for attachment in kept))
            return Submission(submission.recipients, kept)
        total = _Total(self._limit(carrier, message))
        tasks = [asyncio.create_task(self._file(message.account, url, total)) for url in message.media]
        try:
            files = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        attachments: list[Attachment] = []
        for index, (name, content_type, octets) in enumerate(files):
            taken = [attachment.name for attachment in attachments]
            safe = attachment_name(name, content_type, index, taken)
            attachments.append(Attachment(safe, content_type, octets, index))
        self.turns.shrink(submission, total.octets)
        return Submission(submission.recipients, tuple(attachments))

    def settled(self, outcomes: Sequence[tuple[Recipient, Outcome]]) -> None:
        """Let go of the files of these, now that their outcomes are durable, but for those that may come again."""
        self.turns.settled(outcomes)
        self.kept.settled(outcomes, self._clock.now())

    def forget(self) -> None:
        """Drop everything that waits: the leases are gone, other nodes have the messages."""
        self.turns.forget()
        self.kept.forget()

    async def _file(self, account: str, url: str, total: "_Total") -> tuple[str, str, bytes]:
        own = self._base.own(url)
        if own is None:
            return await self._foreign(url, total)
        owner, name = own
        if owner != account:
            raise MediaRefused(UNAVAILABLE, "a file of another account")
        try:
            async with self._media.open(account, name, self._clock.now()) as file:
                content_type = _checked_type(file.media.content_type)
                # Before the first octet: of a large file in the store no part need be read.
                total.check(file.media.octets, self._max_octets)
                octets = b"".join([total.add(chunk) async for chunk in file.chunks])
        except (MediaNotFound, BadMediaName) as error:
            raise MediaRefused(UNAVAILABLE, "no such file, or older than 48 hours") from error
        return name, content_type, octets

    async def _foreign(self, url: str, total: "_Total") -> tuple[str, str, bytes]:
        for wait in (*WAITS, None):
            chunks: list[bytes] = []
            response = await self._fetcher.get(
                url,
                sink=lambda chunk, chunks=chunks: chunks.append(total.add(chunk)),  # type: ignore[misc]
                max_octets=self._max_octets,
                timeout=TRY_SECONDS,
            )
            if response.error is None and 200 <= response.status < 300:
                content_type = _checked_type(response.content_type)
                return _name(response, url), content_type, b"".join(chunks)
            total.octets -= sum(map(len, chunks))
            if response.error is ErrorKind.SHUTDOWN:
                raise StoreUnavailable("this node is stopping")  # and says nothing about the file
            if response.error is ErrorKind.TOO_LARGE:
                raise MediaRefused(TOO_LARGE, "a file is too large")
            if wait is None or not _may_change(response):
                break
            # Without the clock's pause, a moved clock would not move this one.
            until = self._clock.now() + wait
            while self._clock.now() < until:
                await self._clock.rest(asyncio.Event(), until)
        raise MediaRefused(UNAVAILABLE, f"status {response.status}, error {response.error}")


class _Total:
    """What the files of one message have come to."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.octets = 0

    def add(self, chunk: bytes) -> bytes:
        self.octets += len(chunk)
        self.check(0, self._limit)
        return chunk

    def check(self, more: int, largest: int) -> None:
        """Raises MediaRefused where a file of so many octets is too large, or makes the message so."""
        if more > largest or self.octets + more > self._limit:
            raise MediaRefused(TOO_LARGE, "the files are too large")


class _Base:
    """The URLs below which our own media lie."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        self._origin = _origin(parts.scheme, parts.hostname, parts.port)
        self._path = parts.path.rstrip("/")

    def own(self, url: str) -> tuple[str, str] | None:
        """Return account and name of one of our media; None for any other URL. Raises MediaRefused."""
        try:
            parts = urlsplit(url)
            if _origin(parts.scheme, parts.hostname, parts.port) != self._origin:
                return None
        except ValueError:
            return None
        if not parts.path.startswith(f"{self._path}/"):
            return None
        # The second form is for clients whose own base address drops the prefix (HTTP API, section 1.1).
        path = parts.path.removeprefix(self._path).removeprefix("/api/v2")
        segments = path.split("/", 4)
        if len(segments) < 5 or segments[:2] != ["", "users"] or segments[3] != "media":
            return None
        try:
            return unquote(segments[2]), name_from_path(segments[4])
        except BadMediaName as error:
            raise MediaRefused(UNAVAILABLE, "no name of a file") from error


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str, int | None]:
    return scheme.lower(), (host or "").lower(), port or {"http": 80, "https": 443}.get(scheme.lower())


def _may_change(response: Response) -> bool:
    if response.error is not None:
        return response.error not in _FINAL
    return response.status >= 500 or response.status in _TRY_AGAIN


def _checked_type(text: str | None) -> str:
    """Return a content type without parameters. Raises MediaRefused where it is not among those that may be sent."""
    content_type = parameters(text or "")[0]
    if content_type not in CONTENT_TYPES:
        raise MediaRefused(TYPE_REFUSED, f"content type {content_type[:80]!r}")
    return content_type


def _name(response: Response, url: str) -> str:
    """Return what a downloaded file is called: by its server (RFC 6266), else the last segment of its URL's path."""
    disposition = response.content_disposition or ""
    with contextlib.suppress(UnicodeError):
        # Headers are read as Latin-1; many servers write UTF-8 there.
        disposition = disposition.encode("latin-1").decode()
    return parameters(disposition)[1].get("filename", "") or unquote(urlsplit(url).path.rpartition("/")[2])
