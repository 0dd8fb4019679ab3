"""Local files: what is on the disk after a crash, on a full disk, and between several processes."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from media.tables import ACCOUNT
from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.media import KEPT_SECONDS, MediaNotFound, once, open_media, try_media
from passband.media.files import FileMedia
from passband.media.names import account_key, key_of

NOW = 1_773_044_142.317


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[FileMedia]:
    store = FileMedia(root)
    yield store
    await store.close()


async def test_a_folder_that_can_be_written_to_or_made_will_do_and_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "made" / "incoming").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for name in ("made", "not/yet/made"):
        await try_media(f"file:{tmp_path}/{name}")
    assert sorted(tmp_path.rglob("*")) == before


async def test_what_is_no_folder_or_cannot_be_written_to_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is no folder"):
        await try_media(f"file:{tmp_path}/file")
    with pytest.raises(OSError, match="/proc"):  # not even the superuser may make a file there
        await try_media("file:/proc/media")


async def put(store: FileMedia, name: str, octets: bytes, now: float = NOW) -> None:
    await store.put(ACCOUNT, name, once(octets), content_type="image/png", cache_control=None, now=now)


async def get(store: FileMedia, name: str, now: float = NOW) -> bytes:
    async with store.open(ACCOUNT, name, now) as file:
        return b"".join([chunk async for chunk in file.chunks])


def path_of(root: Path, name: str) -> Path:
    return root / account_key(ACCOUNT) / key_of(name)


def everything(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


_UPLOADER = """
import asyncio, sys
from pathlib import Path
from passband.media.files import FileMedia

async def half():
    yield b"new" * 100_000
    print("half", flush=True)
    await asyncio.Event().wait()

asyncio.run(FileMedia(Path(sys.argv[1])).put(
    sys.argv[2], "m", half(), content_type="a/b", cache_control=None, now=float(sys.argv[3])))
"""


def _uploader(root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _UPLOADER, str(root), ACCOUNT, str(NOW)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.slow
async def test_kill_9_in_mid_upload_leaves_the_old_file_and_nothing_else(store: FileMedia, root: Path) -> None:
    await put(store, "m", b"old")
    with _uploader(root) as uploader:
        assert uploader.stdout is not None
        assert uploader.stdout.readline() == b"half\n"
        assert await store.expire(NOW) == 0  # an upload under way is nobody's leftover
        assert len(everything(root)) == 2
        uploader.send_signal(signal.SIGKILL)
    assert [one.name for one in await store.list(ACCOUNT, "", 10, NOW)] == ["m"]
    assert await get(store, "m") == b"old"
    assert await store.expire(NOW) == 1
    assert everything(root) == [path_of(root, "m")]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Refuse files beyond 200,000 octets, in the middle of a write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
async def test_a_full_disk_keeps_the_old_file(store: FileMedia, root: Path) -> None:
    await put(store, "m", b"old")
    for _ in range(20):  # more often than there are threads
        with pytest.raises(StoreUnavailable):
            await put(store, "m", bytes(300_000))
    assert await get(store, "m") == b"old"
    assert everything(root) == [path_of(root, "m")]
    await put(store, "m", bytes(100_000))
    assert await get(store, "m") == bytes(100_000)


async def test_expiry_takes_the_file_from_the_disk_at_48_hours(store: FileMedia, root: Path) -> None:
    await put(store, "m", b"x")
    assert await store.expire(NOW + KEPT_SECONDS - 0.001) == 0
    assert await store.expire(NOW + KEPT_SECONDS) == 1
    assert everything(root) == []


async def test_uploading_again_begins_the_48_hours_again(store: FileMedia) -> None:
    await put(store, "m", b"x")
    await put(store, "m", b"y", NOW + 3600)
    assert await store.expire(NOW + KEPT_SECONDS) == 0
    assert await get(store, "m", NOW + KEPT_SECONDS) == b"y"


@pytest.mark.slow
async def test_expiry_never_takes_what_has_just_replaced_an_old_file(store: FileMedia, root: Path) -> None:
    other_process = FileMedia(root)
    for n in range(100):
        await put(store, "m", b"old", NOW - KEPT_SECONDS)
        await asyncio.gather(put(store, "m", b"new"), other_process.expire(NOW))
        assert await get(store, "m") == b"new", f"round {n}"
    await other_process.close()


async def test_two_processes_see_the_same_files(store: FileMedia, root: Path) -> None:
    other_process = FileMedia(root)
    await put(store, "m", b"x")
    assert await get(other_process, "m") == b"x"
    await other_process.delete(ACCOUNT, "m")
    with pytest.raises(MediaNotFound):
        await get(store, "m")
    await other_process.close()


async def test_names_that_differ_in_case_differ_on_every_disk(store: FileMedia, root: Path) -> None:
    for name in ("menu.png", "MENU.PNG", "Menu.png"):
        await put(store, name, name.encode())
    assert len({path.name.lower() for path in everything(root)}) == 3


async def test_a_file_can_be_read_without_passband(store: FileMedia, root: Path) -> None:
    await put(store, "menu.png", b"\x89PNG\nrest")
    assert path_of(root, "menu.png").read_bytes() == (
        b'{"name":"menu.png","content_type":"image/png","cache_control":null}\n\x89PNG\nrest'
    )


async def test_nobody_else_on_the_machine_may_read_it(store: FileMedia, root: Path) -> None:
    await put(store, "m", b"x")
    modes = [path.stat().st_mode for path in (path_of(root, "m"), path_of(root, "m").parent, root / "incoming")]
    assert all(mode & 0o077 == 0 for mode in modes)


async def test_what_is_not_ours_in_the_folder_is_left_alone(store: FileMedia, root: Path) -> None:
    await put(store, "m", b"x")
    foreign = [path_of(root, "m").with_name(name) for name in (".DS_Store", "README", "c4.part", "\xe9")]
    for path in foreign:
        path.write_bytes(b"theirs")
    assert [one.name for one in await store.list(ACCOUNT, "", 10, NOW)] == ["m"]
    assert await store.expire(NOW + 1000 * KEPT_SECONDS) == 1
    assert sorted(everything(root)) == sorted(foreign)


@pytest.mark.parametrize("content", [b"", b"no line", b"not json\nx", b'{"name":1}\n', b"{" * 9000])
async def test_a_damaged_file_is_not_found_and_harms_no_other(store: FileMedia, root: Path, content: bytes) -> None:
    await put(store, "m", b"x")
    await put(store, "n", b"x")
    path_of(root, "m").write_bytes(content)
    with pytest.raises(MediaNotFound):
        await get(store, "m")
    assert [one.name for one in await store.list(ACCOUNT, "", 10, NOW)] == ["n"]
    await put(store, "m", b"again")
    assert await get(store, "m") == b"again"


async def test_a_file_cut_short_while_it_is_read_is_our_fault(store: FileMedia, root: Path) -> None:
    await put(store, "m", bytes(500_000))
    async with store.open(ACCOUNT, "m", NOW) as file:
        await anext(file.chunks)
        path_of(root, "m").write_bytes(b"")
        with pytest.raises(StoreUnavailable):
            await anext(file.chunks)


async def test_no_descriptor_stays_open(store: FileMedia) -> None:
    async def use() -> None:
        await put(store, "m", bytes(300_000))
        async with store.open(ACCOUNT, "m", NOW) as file:
            await anext(file.chunks)
        with pytest.raises(MediaNotFound):
            await get(store, "nothing")
        await store.list(ACCOUNT, "", 10, NOW)
        await store.expire(NOW)

    await use()
    before = sorted(os.listdir("/dev/fd"))
    for _ in range(5):
        await use()
    assert sorted(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("url", ["ftp://x", "media", "", "s3:"])
def test_what_is_no_media_store_is_told_to_the_operator(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"media\.url"):
        open_media(url)


async def test_a_folder_that_cannot_be_made_is_told_to_the_operator(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"media\.url"):
        open_media(f"file:{tmp_path}/file/media")


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
async def test_a_folder_is_made_if_need_be(tmp_path: Path, form: str) -> None:
    store = open_media(form.format(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    await store.close()
