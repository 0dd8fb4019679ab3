"""Media: bytes by account and name, kept for 48 hours, on local files or in an object store.

Rule: an engine keeps bytes and what is needed to give them back; who may ask is decided in ``api``, and a name is never
a path. The **key** under which a file lies is its name in base32 of an order-preserving alphabet: nothing but digits
and small letters, so that no name leads anywhere else, ``a`` does not stand in the way of ``a/b``, and ``A`` is not
``a`` on a disk that thinks so. Names of more than 120 octets end in a digest, since file names end at 255 (``names``).

Why not a hash of the name, which is shorter: listing goes by name, and so needs an index that is written with every
file and is right after every crash. With these keys the folder itself is that index, as is the bucket: a page of 1,000
costs one reading of the folder and 1,000 of files, with 10,000 files in the account about 0.1 s, and nothing can
disagree. Size and metadata are in the same file as the bytes, its modification time is when it was uploaded: one rename
puts everything in place.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from passband.domain.errors import ConfigurationError, InvalidRequest, RequestFault
from passband.mm4.mime import Part

KEPT_SECONDS = 48 * 3600.0

# The largest upload: 3.75 MB (HTTP API, section 4.3).
MAX_OCTETS = 3_932_160

# Of a content type and of a Cache-Control, in octets of Latin-1: an object store has 2 KB for both and the name.
MAX_FIELD_OCTETS = 255

# Of a download: as much as a transport takes before it asks for a pause.
CHUNK_OCTETS = 64 * 1024

WITHOUT_EXTRA = "media.url: s3 needs the extra: pip install 'passband[s3]'"


class MediaNotFound(RequestFault):
    """No such media, or older than its 48 hours."""


class MediaTooLarge(InvalidRequest):
    """The upload is larger than the limit; nothing of it was kept."""


class BadMediaName(InvalidRequest):
    """The name is too long, or holds an empty segment, a dot segment, a control character or what is not UTF-8."""


class RangeNotSatisfiable(RequestFault):
    """The range begins after the end of the file."""

    def __init__(self, octets: int) -> None:
        """``octets`` is the size of the whole file."""
        super().__init__(f"the file has {octets} octets")
        self.octets = octets


@dataclass(frozen=True, slots=True)
class Media:
    """What is known of a file. ``octets`` is its size; ``uploaded_at`` is in seconds since 1970."""

    name: str
    octets: int
    content_type: str
    cache_control: str | None
    uploaded_at: float

    def is_kept(self, now: float) -> bool:
        """Tell whether its 48 hours are not over."""
        return is_kept(self.uploaded_at, now)


class Listed(NamedTuple):
    """What a listing says of a file; an object store does not tell the rest with it."""

    name: str
    octets: int
    uploaded_at: float


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An open file, or a range of it: ``span`` counts octets from 0, its stop is not included.

    ``chunks`` gives the octets of the span once, in pieces of at most 64 KiB; it raises StoreUnavailable.
    """

    media: Media
    span: range
    chunks: AsyncIterator[bytes]


class MediaStore(Protocol):
    """Files of accounts. Names of one account are nothing to another.

    Every method raises StoreUnavailable where disk or object store fail, and BadMediaName for a name that
    ``names.check_name`` refuses. What is older than 48 hours is not found, whether ``expire`` has run or not.
    """

    async def put(
        self,
        account: str,
        name: str,
        chunks: AsyncIterable[bytes],
        *,
        content_type: str,
        cache_control: str | None,
        now: float,
        limit: int | None = None,
    ) -> int:
        """Keep a file in place of the one of this name, if any; return its octets. It is durable on return.

        The next chunk is asked for when the last one is stored. If ``chunks`` raises, or more than ``limit`` octets
        come (MediaTooLarge), or the store fails, nothing is kept and the old file stays. Who reads the old file goes on
        reading it.
        """
        ...

    async def put_parts(self, account: str, message_id: str, parts: Sequence[Part], now: float) -> list[str]:
        """Keep the parts of an inbound message as ``{message_id}/{index}/{name}``, durably; return these names.

        If it raises, some parts may be there; keeping the same message again replaces them (Callbacks, section 6).
        """
        ...

    def open(
        self, account: str, name: str, now: float, first: int | None = None, last: int | None = None
    ) -> AbstractAsyncContextManager[MediaFile]:
        """Open a file from its octet ``first`` to its octet ``last``, counted from 0, both included.

        Without ``last`` to the end; without ``first`` its last ``last`` octets. Leaving the context closes it. Entering
        it raises MediaNotFound and RangeNotSatisfiable.
        """
        ...

    async def stat(self, account: str, name: str, now: float) -> Media:
        """Return what is known of a file. Raises MediaNotFound."""
        ...

    async def delete(self, account: str, name: str) -> None:
        """Remove a file, durably; nothing happens where there is none."""
        ...

    async def list(self, account: str, after: str, limit: int, now: float) -> list[Listed]:
        """Return the next ``limit`` files in order of their names by code points, those up to ``after`` left out.

        ``after`` may be empty, and need not be the name of a file.
        """
        ...

    async def expire(self, now: float) -> int:
        """Remove what is older than 48 hours, of all accounts, and what broken uploads have left; return how many."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections. Files that are open must be closed before."""
        ...


def is_kept(uploaded_at: float, now: float) -> bool:
    """Tell whether 48 hours have not passed."""
    return now < uploaded_at + KEPT_SECONDS


async def once(octets: bytes) -> AsyncIterator[bytes]:
    """Give a file that is in memory to ``MediaStore.put``."""
    yield octets


def span(octets: int, first: int | None, last: int | None) -> range:
    """Return which octets of a file of that size are meant by ``MediaStore.open``. Raises RangeNotSatisfiable."""
    if first is None:
        if last == 0:
            raise RangeNotSatisfiable(octets)
        return range(0 if last is None else max(0, octets - last), octets)
    if first >= octets:
        raise RangeNotSatisfiable(octets)
    return range(first, octets if last is None else min(last + 1, octets))


async def try_media(url: str) -> None:
    """Find out whether media can be kept where ``url`` says; nothing is left behind.

    A folder must be one that can be written to, or made. A bucket must let itself be listed; nothing is written to it.
    Raises OSError and ConfigurationError.
    """
    if urlsplit(url).scheme == "file":
        from passband.media.files import try_folder

        await asyncio.to_thread(try_folder, _folder(url))
        return
    try:
        from passband.media.objects import try_bucket
    except ImportError as error:
        raise ConfigurationError([WITHOUT_EXTRA]) from error
    await try_bucket(url)


def _folder(url: str) -> Path:
    path = url.removeprefix("file:")
    return Path(path.removeprefix("//") if path.startswith("///") else path)


def open_media(url: str) -> MediaStore:
    """Return the store for ``file:FOLDER`` (made if need be) or ``s3://BUCKET/PREFIX``.

    The object store's address and credentials come from the usual environment (``AWS_ENDPOINT_URL``,
    ``AWS_ACCESS_KEY_ID`` and so on). Raises ConfigurationError.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        from passband.media.files import FileMedia

        try:
            return FileMedia(_folder(url))
        except OSError as error:
            raise ConfigurationError([f"media.url: {url.removeprefix('file:')}: {error.strerror}"]) from error
    if scheme == "s3":
        try:
            from passband.media.objects import ObjectMedia
        except ImportError as error:
            raise ConfigurationError([WITHOUT_EXTRA]) from error
        return ObjectMedia(url)
    raise ConfigurationError([f"media.url: {scheme or url!r} is neither file: nor s3:"])
