"""Both engines: local files, and an object store that is a real process (moto)."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest

from media.endpoint import point_to
from passband.media import MediaStore, open_media


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of an object store with a bucket named ``media``."""
    program = shutil.which("moto_server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        assert os.environ.get("CI") != "true", "moto_server is missing: the object store is untested"
        pytest.skip("OBJECT STORE UNTESTED: moto_server is not installed (pip install 'moto[server]')")
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        found = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)))
        # It logs every request; with nobody to read that, it would stop when the pipe is full.
        reading = Thread(target=server.stderr.read)
        reading.start()
        with urlopen(Request(f"{found[0]}/media", method="PUT")):
            yield found[0]
    finally:
        server.terminate()
        server.wait()
    reading.join()
    server.stderr.close()


@pytest.fixture(params=["files", "objects"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MediaStore]:
    if request.param == "files":
        store = open_media(f"file:{tmp_path}/media")
    else:
        point_to(request.getfixturevalue("bucket"), monkeypatch)
        store = open_media(f"s3://media/{tmp_path.name}")
    yield store
    await store.close()


@pytest.fixture
def now() -> float:
    """The time of day: an object store has its own clock, and goes by it."""
    return time.time()
