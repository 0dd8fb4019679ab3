"""Media as local files.

One file holds everything: a line of JSON with name, content type and Cache-Control, then the bytes
(``tail -n +2 FILE`` gives them). Its modification time is the instant of the upload. A file is written in ``incoming``
and renamed into the account's folder when it is complete and on the disk.

**Resource handling.** All disk work runs in threads of our own; what one of them works on is closed under its lock, so
that a cancelled request never closes a file under another thread's hands. Several processes may share the folder: an
upload under way holds a lock (flock) on its file, and the removal of an old file excludes the arrival of a new one by a
lock on the folder. Both end with the process. **Error handling.** OSError becomes StoreUnavailable and is logged.
"""

import asyncio
import contextlib
import fcntl
import os
import tempfile
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

import msgspec
import structlog

from passband.domain.errors import StoreUnavailable
from passband.media import CHUNK_OCTETS, Listed, Media, MediaFile, MediaNotFound, MediaTooLarge, is_kept, once, span
from passband.media.names import account_key, key_of, keyed_octets
from passband.media.pages import beginning, page
from passband.mm4.mime import Part

_log = structlog.get_logger()

# An fsync waits for the disk, not for a processor: as many as a disk takes at once.
_THREADS = 16

# The longest header: 1,024 octets of name and twice 255, escaped and in UTF-8.
_MAX_HEADER = 8192

P = ParamSpec("P")
T = TypeVar("T")


class _Header(msgspec.Struct, frozen=True):
    name: str
    content_type: str
    cache_control: str | None


def try_folder(root: Path) -> None:
    """Write to the folder what has no name and goes with this call, or where it would be made. Raises OSError."""
    at = root / "incoming"
    while not at.exists() and at != at.parent:
        at = at.parent
    if not at.is_dir():
        raise NotADirectoryError(f"{at} is no folder")
    with tempfile.TemporaryFile(dir=at) as file:
        file.write(b"\n")
        os.fsync(file.fileno())


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Header).decode


class FileMedia:
    """A ``MediaStore`` in one folder. Raises OSError where that cannot be made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folders: set[Path] = set()
        self._pool = ThreadPoolExecutor(_THREADS, "media")

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
        """Store a file; on return it is on disk: temporary file, fsync, rename, fsync of the folder. See MediaStore."""
        key = key_of(name)
        upload = _Upload()
        octets = 0
        try:
            await self._run(upload.begin, self._incoming, _encode(_Header(name, content_type, cache_control)) + b"\n")
            async for chunk in chunks:
                octets += len(chunk)
                if limit is not None and octets > limit:
                    raise MediaTooLarge
                await self._run(upload.write, chunk)
                del chunk  # not two of them while the next one comes
            await self._run(self._commit, upload, self._folder(account), key, now)
        finally:
            await self._run(upload.close)
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
        reader = _Reader(self._path(account, name))
        try:
            media = await self._run(reader.begin)
            if media is None or not media.is_kept(now):
                raise MediaNotFound
            wanted = span(media.octets, first, last)
            yield MediaFile(media, wanted, self._chunks(reader, wanted))
        finally:
            await self._run(reader.close)

    async def _chunks(self, reader: "_Reader", wanted: range) -> AsyncIterator[bytes]:
        position = wanted.start
        while position < wanted.stop:
            # Memory that a thread asks for stays with the thread: the loop's is enough for all of them.
            buffer = bytearray(min(CHUNK_OCTETS, wanted.stop - position))
            octets = await self._run(reader.read, position, buffer)
            chunk = bytes(memoryview(buffer)[:octets])
            del buffer
            position += octets
            yield chunk

    async def stat(self, account: str, name: str, now: float) -> Media:
        media = await self._run(_media, self._path(account, name))
        if media is None or not media.is_kept(now):
            raise MediaNotFound
        return media

    async def delete(self, account: str, name: str) -> None:
        await self._run(_delete, self._path(account, name))

    async def list(self, account: str, after: str, limit: int, now: float) -> list[Listed]:
        folder = self._folder(account)

        async def entries() -> AsyncGenerator[tuple[str, Path], None]:
            for key in await self._run(_keys, folder, beginning(after)):
                yield key, folder / key

        async def read(paths: Sequence[Path]) -> list[Listed]:
            return await self._run(_several, list(paths))

        return await page(entries(), read, after, limit, now)

    async def expire(self, now: float) -> int:
        return await self._run(self._expire, now)

    async def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _folder(self, account: str) -> Path:
        return self._root / account_key(account)

    def _path(self, account: str, name: str) -> Path:
        return self._folder(account) / key_of(name)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns in a thread. It runs to its end even if nobody waits for it any more."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self._pool.submit(work, *args, **kwargs)))
        except OSError as error:
            _log.error("the media folder failed", error=os.strerror(error.errno or 0), folder=str(self._root))
            raise StoreUnavailable from error

    # --- in a thread --------------------------------------------------------------------------------------------------

    def _commit(self, upload: "_Upload", folder: Path, key: str, now: float) -> None:
        if folder not in self._folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync(self._root)
            self._folders.add(folder)
        try:
            upload.commit(folder, key, now)
        except FileNotFoundError:  # somebody has removed the folder under our feet
            self._folders.discard(folder)
            raise

    def _expire(self, now: float) -> int:
        removed = sum(_remove_leftover(entry.path) for entry in _scan(self._incoming))
        for folder in _scan(self._root):
            if folder.name != self._incoming.name and folder.is_dir(follow_symlinks=False):
                removed += _expire_folder(folder.path, now)
        return removed


class _Upload:
    """A file that nobody sees until it is committed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._descriptor = -1
        self._path: Path | None = None
        self._closed = False

    def begin(self, incoming: Path, header: bytes) -> None:
        with self._lock:
            while not self._closed and self._path is None:
                self._descriptor, path = tempfile.mkstemp(dir=incoming)
                self._path = Path(path)
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                if not os.fstat(self._descriptor).st_nlink:
                    # Removed as a leftover before it was locked: another one.
                    os.close(self._descriptor)
                    self._descriptor, self._path = -1, None
        self.write(header)

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._closed:
                return
            written = os.write(self._descriptor, data)
            while written < len(data):  # a disk that is nearly full takes a part, and refuses the rest
                written += os.write(self._descriptor, memoryview(data)[written:])

    def commit(self, folder: Path, key: str, at: float) -> None:
        """Give the file its name, with ``at`` as its time; on return it and its name are on disk (fsync of both)."""
        with self._lock:
            if self._closed or self._path is None:
                return
            nanoseconds = round(at * 1e9)
            os.utime(self._descriptor, ns=(nanoseconds, nanoseconds))
            os.fsync(self._descriptor)
            with _opened(folder) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_SH)  # not while an older file of this name is being removed
                self._path.rename(folder / key)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                self._path = None
                os.fsync(descriptor)

    def close(self) -> None:
        """Remove what was not committed."""
        with self._lock:
            self._closed = True
            try:
                if self._path is not None:
                    self._path.unlink(missing_ok=True)
            finally:
                descriptor, self._descriptor = self._descriptor, -1
                if descriptor >= 0:
                    os.close(descriptor)


class _Reader:
    """A file that is read, whatever becomes of its name meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._descriptor = -1
        self._body = 0
        self._closed = False

    def begin(self) -> Media | None:
        """Return what is known of the file; None if there is none."""
        with self._lock:
            if self._closed:
                return None
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            media, self._body = _read_header(self._descriptor, self._path)
            return media

    def read(self, position: int, buffer: bytearray) -> int:
        """Fill the buffer from a position in the file; return how many octets came."""
        with self._lock:
            octets = os.preadv(self._descriptor, [buffer], self._body + position) if not self._closed else 0
        if not octets:
            raise OSError(0, "the file is shorter than it was")
        return octets

    def close(self) -> None:
        with self._lock:
            self._closed = True
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path | str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


def _read_header(descriptor: int, path: Path) -> tuple[Media | None, int]:
    """Return what is known of an open file, and where its bytes begin."""
    line, end, _ = os.pread(descriptor, _MAX_HEADER, 0).partition(b"\n")
    try:
        header = _decode(line if end else b"")
    except msgspec.DecodeError:
        _log.error("a file in the media folder is damaged", path=str(path))
        return None, 0
    status, body = os.fstat(descriptor), len(line) + 1
    return Media(
        header.name, status.st_size - body, header.content_type, header.cache_control, status.st_mtime_ns / 1e9
    ), body


def _media(path: Path) -> Media | None:
    try:
        with _opened(path) as descriptor:
            return _read_header(descriptor, path)[0]
    except FileNotFoundError:
        return None


def _several(paths: Sequence[Path]) -> list[Listed]:
    found = filter(None, map(_media, paths))
    return [Listed(media.name, media.octets, media.uploaded_at) for media in found]


def _keys(folder: Path, after: str) -> list[str]:
    try:
        keys = sorted(filter(keyed_octets, os.listdir(folder)))
    except FileNotFoundError:
        return []
    return keys[bisect_right(keys, after) :]


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    _sync(path.parent)


def _scan(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _remove_leftover(path: str) -> bool:
    """Remove a file in ``incoming`` that no process works on."""
    try:
        with _opened(path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _expire_folder(folder: str, now: float) -> int:
    removed = 0
    with _opened(folder) as descriptor:
        for entry in _scan(folder):
            if keyed_octets(entry.name) is not None and not _kept(entry.path, now):
                # Looked at again, because a new file may have taken its place.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not _kept(entry.path, now):
                    Path(entry.path).unlink(missing_ok=True)
                    removed += 1
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    return removed


def _kept(path: str, now: float) -> bool:
    try:
        return is_kept(os.stat(path, follow_symlinks=False).st_mtime_ns / 1e9, now)
    except FileNotFoundError:
        return True  # somebody else has removed it
