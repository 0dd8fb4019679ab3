"""Several machines, of which each may have a folder for media of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from structlog.testing import capture_logs

from passband import service
from passband.config.developers import dev_settings
from passband.service import Node
from passband.store.processes import machine
from ports import free_port

CONTAINER = machine().replace(machine().split()[0], "another", 1)
ELSEWHERE = "elsewhere 00000000-boot pid:[1]"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Node]:
    settings = dev_settings(folder, port=free_port(), callback_url="http://127.0.0.1:9/")
    media = msgspec.structs.replace(settings.media, url=f"file:{folder}/media")
    store = msgspec.structs.replace(settings.store, url=f"sqlite:{folder}/passband.db")
    node = Node(msgspec.structs.replace(settings, media=media, store=store))
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def enter(folder: Path, host: str) -> None:
    """Make a node of another host known to the store."""
    connection = apsw.Connection(f"{folder}/passband.db")
    connection.set_busy_timeout(10_000)
    node = (host, 1, 1, time.time(), time.time() + 60)
    connection.execute("INSERT INTO nodes (host, pid, level, started_at, beat_at) VALUES (?, ?, ?, ?, ?)", node)
    connection.close()


def warnings_in(entries: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [entry for entry in entries if entry["log_level"] == "warning"]


@pytest.mark.slow
async def test_media_in_a_folder_are_warned_of_once_where_nodes_run_on_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BEAT_SECONDS", 0.01)
    async with running(tmp_path):
        enter(tmp_path, CONTAINER)
    with capture_logs() as entries:
        async with running(tmp_path) as node, asyncio.timeout(10):
            while len(node.store.hosts) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # some heartbeats
            assert warnings_in(entries) == []
            enter(tmp_path, ELSEWHERE)
            while not warnings_in(entries):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
    (warning,) = warnings_in(entries)
    assert warning["event"].startswith("media are in a folder")
    assert warning["machines"] == sorted([min(machine().split()[0], "another"), "elsewhere"])
