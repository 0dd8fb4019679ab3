"""Media in an object store: S3 and what speaks like it, through obstore (an extra).

An object is the bytes alone; name, content type and Cache-Control are in its metadata, and it is as old as the object
store says: that one's clock decides when the 48 hours are over.

**Resource handling.** Up and down, the bytes rest in a nameless local file in between. So a client that is slow holds
up no connection to the object store, an upload becomes one request of known length, which S3 demands of anything below
5 MiB, and at most eight files are in memory. **Error handling.** obstore tries again for ten seconds, then it is
StoreUnavailable, logged. S3 has no removal under a condition: a file that is replaced in the milliseconds between
``expire``'s second look at it and its removal is lost. A file is replaced 48 hours after its upload too rarely to give
every upload a name of its own for that.
"""

from __future__ import annotations  # obstore's types exist for the type checker only

import asyncio
import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import IO, TYPE_CHECKING, ParamSpec, TypeVar

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.media import CHUNK_OCTETS, Listed, Media, MediaFile, MediaNotFound, MediaTooLarge, is_kept, once, span
from passband.media.names import KEYED_OCTETS, account_key, check_name, is_whole, key_of, keyed_octets
from passband.media.pages import beginning, page
from passband.mm4.mime import Part

if TYPE_CHECKING:
    from obstore import Attributes, GetResult, ObjectMeta

_log = structlog.get_logger()

_THREADS = 8
_TRANSFERS = 8
# Small requests, for the metadata of names that a key does not hold.
_REQUESTS = 32
_TRY_SECONDS = 10.0

P = ParamSpec("P")
T = TypeVar("T")


def _bucket(url: str, *, retries: int) -> S3Store:
    try:
        return S3Store.from_url(
            url,
            client_options={
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=30),
                "allow_http": True,
            },
            retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=10)},
        )
    except BaseError as error:
        raise ConfigurationError([f"media.url: {error}"]) from error


async def try_bucket(url: str) -> None:
    """List what no account has, as these credentials may. Raises OSError, TimeoutError and ConfigurationError."""
    try:
        async with asyncio.timeout(_TRY_SECONDS):
            async for _ in obstore.list(_bucket(url, retries=0), "passband-check", chunk_size=1):
                break
    except BaseError as error:
        raise OSError(str(error).partition("\n")[0]) from error


class ObjectMedia:
    """A ``MediaStore`` in a bucket, below a prefix. Raises ConfigurationError."""

    def __init__(self, url: str) -> None:
        self._store = _bucket(url, retries=5)
        self._url = url
        self._pool = ThreadPoolExecutor(_THREADS, "media")
        self._transfers = asyncio.Semaphore(_TRANSFERS)
        self._requests = asyncio.Semaphore(_REQUESTS)

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
        """Store a file; on return the object store has it whole. It is spooled to disk first. See MediaStore."""
        path, attributes = _path(account, name), _attributes(name, content_type, cache_control)
        octets = 0
        spool = await self._run(_spool)
        try:
            async for chunk in chunks:
                octets += len(chunk)
                if limit is not None and octets > limit:
                    raise MediaTooLarge
                await self._run(spool.write, chunk)
                del chunk  # not two of them while the next one comes
            async with self._transfers:
                body = await self._run(_whole, spool)
                await self._ask(obstore.put_async(self._store, path, body, attributes=attributes, use_multipart=False))
        finally:
            await self._run(spool.close)
        return octets

    async def put_parts(self, account: str, message_id: str, parts: Sequence[Part], now: float) -> list[str]:
        names = [f"{message_id}/{part.path}" for part in parts]
        for name, part in zip(names, parts, strict=True):
            chunks = once(part.octets)
            await self.put(account, name, chunks, content_type=part.content_type, cache_control=None, now=now)
        return names

    @asynccontextmanager
    async def open(
        self, account: str, name: str, now: float, first: int | None = None, last: int | None = None
    ) -> AsyncIterator[MediaFile]:
        """Yield a file, read to a spool on disk first, so that no slow reader holds up the object store."""
        path = _path(account, name)
        spool = await self._run(_spool)
        try:
            async with self._transfers:
                result = await self._get(path)
                media = _media(name, result.attributes, result.meta)
                if not media.is_kept(now):
                    raise MediaNotFound
                wanted = span(media.octets, first, last)
                await self._ask(self._fill(spool, result))
            await self._run(spool.seek, wanted.start)
            yield MediaFile(media, wanted, self._chunks(spool, len(wanted)))
        finally:
            await self._run(spool.close)

    async def _fill(self, spool: IO[bytes], result: GetResult) -> None:
        async for piece in result.stream(min_chunk_size=CHUNK_OCTETS):
            await self._run(spool.write, piece)

    async def _chunks(self, spool: IO[bytes], left: int) -> AsyncIterator[bytes]:
        while left:
            chunk = await self._run(spool.read, min(CHUNK_OCTETS, left))
            left -= len(chunk)
            yield chunk

    async def stat(self, account: str, name: str, now: float) -> Media:
        result = await self._get(_path(account, name), head=True)
        media = _media(name, result.attributes, result.meta)
        if not media.is_kept(now):
            raise MediaNotFound
        return media

    async def delete(self, account: str, name: str) -> None:
        await self._ask(obstore.delete_async(self._store, [_path(account, name)]))

    async def list(self, account: str, after: str, limit: int, now: float) -> list[Listed]:
        """Return a page of an account's files by name; each name that its key does not hold is asked for."""
        folder = account_key(account)

        async def entries() -> AsyncGenerator[tuple[str, ObjectMeta], None]:
            async for meta in self._objects(folder, f"{folder}/{beginning(after)}"):
                key = meta["path"].removeprefix(f"{folder}/")
                if keyed_octets(key) is not None:
                    yield key, meta

        async def read(metas: Sequence[ObjectMeta]) -> list[Listed]:
            return [one for one in await asyncio.gather(*map(self._listed, metas)) if one is not None]

        return await page(entries(), read, after, limit, now)

    async def _listed(self, meta: ObjectMeta) -> Listed | None:
        """Return what a listing says of an object, whose name must be asked for where the key does not hold it."""
        key = meta["path"].rpartition("/")[2]
        octets = keyed_octets(key) or b""
        if not is_whole(key):
            try:
                async with self._requests:
                    octets += _unpacked((await self._get(meta["path"], head=True)).attributes, "rest")
            except MediaNotFound:
                return None
        return Listed(octets.decode(), meta["size"], _uploaded_at(meta))

    async def expire(self, now: float) -> int:
        removed = 0
        async for meta in self._objects(None, None):
            if keyed_octets(meta["path"].rpartition("/")[2]) is None or is_kept(_uploaded_at(meta), now):
                continue
            with contextlib.suppress(MediaNotFound):
                # Looked at again, because a new file may have taken its place since the page was listed.
                result = await self._get(meta["path"], head=True)
                if not is_kept(_uploaded_at(result.meta), now):
                    await self._ask(obstore.delete_async(self._store, [meta["path"]]))
                    removed += 1
        return removed

    async def close(self) -> None:
        self._pool.shutdown(wait=False)

    async def _objects(self, prefix: str | None, offset: str | None) -> AsyncGenerator[ObjectMeta, None]:
        """Give the objects in order of their keys, 1,000 a request."""
        stream = obstore.list(self._store, prefix, offset=offset, chunk_size=1000)
        while True:
            try:
                metas = await self._ask(anext(stream))
            except StopAsyncIteration:
                return
            for meta in metas:
                yield meta

    async def _get(self, path: str, *, head: bool = False) -> GetResult:
        """Raises MediaNotFound, also where the bucket is not there: S3 says the same of both."""
        try:
            return await self._ask(obstore.get_async(self._store, path, options={"head": head}))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise MediaNotFound from None
            raise

    async def _ask(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except (BaseError, OSError) as error:
            if not isinstance(error, FileNotFoundError):
                _log.error("the object store failed", error=type(error).__name__, url=self._url)
            raise StoreUnavailable from error

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns in a thread. It runs to its end even if nobody waits for it any more."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self._pool.submit(work, *args, **kwargs)))
        except OSError as error:
            _log.error("the local disk failed", error=os.strerror(error.errno or 0))
            raise StoreUnavailable from error


def _path(account: str, name: str) -> str:
    return f"{account_key(account)}/{key_of(name)}"


def _spool() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _whole(spool: IO[bytes]) -> bytes:
    spool.seek(0)
    return spool.read()


def _attributes(name: str, content_type: str, cache_control: str | None) -> Attributes:
    """Return the metadata of an object: in base64, since HTTP and S3 have ideas of their own of what a header holds."""
    attributes: Attributes = {"type": _packed(content_type.encode("latin-1"))}
    if cache_control is not None:
        attributes["cache"] = _packed(cache_control.encode("latin-1"))
    if rest := check_name(name)[KEYED_OCTETS:]:
        attributes["rest"] = _packed(rest)
    return attributes


def _packed(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode()


def _unpacked(attributes: Attributes, name: str) -> bytes:
    try:
        return base64.b64decode(attributes.get(name, ""), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""  # written by somebody else


def _media(name: str, attributes: Attributes, meta: ObjectMeta) -> Media:
    content_type = _unpacked(attributes, "type").decode("latin-1")
    cache_control = _unpacked(attributes, "cache").decode("latin-1") if "cache" in attributes else None
    return Media(name, meta["size"], content_type, cache_control, _uploaded_at(meta))


def _uploaded_at(meta: ObjectMeta) -> float:
    return meta["last_modified"].timestamp()
