"""The disk is full, for real: nothing is promised that cannot be kept, and when there is space again all goes on."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from system.conftest import MakePlay
from system.installation import ACCOUNT, AUTHORIZATION, SENDER, Installation
from system.waiting import until

SMALL, LARGE = 8, 256  # MiB


class SmallDisk:
    """A file system of its own, which can be made larger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, installation: Installation) -> None:
        """It is small from the beginning."""

    def free(self, installation: Installation) -> None:
        subprocess.run(["mount", "-o", f"remount,size={LARGE}m", str(self.folder)], check=True)


class SizeLimit:
    """No file of the process may grow beyond a size: what is left where no file system can be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, installation: Installation) -> None:
        installation.limit_file_size(SMALL * 2**20 // 4)

    def free(self, installation: Installation) -> None:
        installation.limit_file_size(resource.RLIM_INFINITY)


@pytest.fixture(params=["full", pytest.param("size limit", marks=pytest.mark.soak)])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk | SizeLimit]:
    """A small disk where one can be mounted, which only root may; else a limit, which the soak tests always take."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}m", "passband-test", str(folder)]
    if (
        request.param == "size limit"
        or not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        yield SizeLimit(folder)
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
async def test_a_full_disk_refuses_new_messages_and_loses_none(
    make_play: MakePlay, disk: SmallDisk | SizeLimit
) -> None:
    play = make_play()
    play.application.answer = 503  # so that what is stored stays
    async with play.running(folder=disk.folder / "passband") as installation:
        disk.fill(installation)
        async with play.application.posting(installation, rate=2000):
            await until(lambda: len(play.ledger.refused) > 50, 60, lambda: play.ledger.summary)
            assert set(play.ledger.refused.values()) <= {500, 503}
            assert await other_answers(installation) == {"search": 200, "wrong": 400, "unknown": 401, "healthz": 200}
        before = len(play.ledger.promised)
        play.application.answer = 200
        disk.free(installation)
        async with play.application.posting(installation):
            await until(lambda: len(play.ledger.promised) > before + 50, 20, lambda: play.ledger.summary)
        assert installation.process.poll() is None
        assert await play.judge(installation) == []


async def other_answers(installation: Installation) -> dict[str, int]:
    """Return the statuses of requests that need no room on the disk."""
    messages = f"{installation.api}/users/{ACCOUNT}/messages"
    statuses: dict[str, int] = {}
    async with aiohttp.ClientSession() as session:
        for name, method, url, options in (
            ("search", "GET", f"{messages}?sourceTn=%2B{SENDER[1:]}&limit=1", {"headers": AUTHORIZATION}),
            ("wrong", "POST", messages, {"headers": AUTHORIZATION, "json": {"to": []}}),
            ("unknown", "POST", messages, {"json": {}}),
            ("healthz", "GET", f"{installation.admin}/healthz", {}),
        ):
            async with session.request(method, url, **options) as answer:
                statuses[name] = answer.status
    return statuses
