"""Several real processes on one SQLite file."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from store.nodes import NOW, SqliteEngine, Stores

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent.parent


async def a_process(what: str, path: Path, count: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "store.node_process", what, str(path), str(count),
        stdout=PIPE, stderr=PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)},
    )  # fmt: skip


async def finish(process: Process) -> list[str]:
    """Return the lines that a process printed; it must have ended well."""
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err.decode()
    assert "Busy" not in err.decode()
    return out.decode().splitlines()


async def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "passband.db"
    processes = [await a_process("accept", path, 1000) for _ in range(2)]
    accepted = [line for lines in await asyncio.gather(*map(finish, processes)) for line in lines]
    stores = Stores(SqliteEngine(path))
    node = await stores.open()
    assert len(accepted) == 2000
    assert sorted(r.message.text for r in await node.lease(3000)) == sorted(accepted)
    await stores.close()


async def test_what_a_killed_process_held_is_taken_over_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "passband.db"
    process = await a_process("hold", path, 50)
    assert process.stdout
    accepted = []
    while (line := (await process.stdout.readline()).decode().strip()) != "held":
        accepted.append(line)
    stores = Stores(SqliteEngine(path))
    node = await stores.open()
    await node.store.beat(NOW)
    assert await node.lease() == []
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    await node.store.beat(NOW)
    assert sorted(r.message.text for r in await node.lease()) == sorted(accepted)
    assert len(accepted) == 50
    await stores.close()


async def test_what_was_acknowledged_before_a_kill_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "passband.db"
    process = await a_process("accept", path, 100_000)
    assert process.stdout
    accepted = [(await process.stdout.readline()).decode().strip() for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    rest, _ = await process.communicate()
    accepted += re.findall(r"^(\d+ \d+)\n", rest.decode(), re.MULTILINE)
    stores = Stores(SqliteEngine(path))
    node = await stores.open()
    await node.store.beat(NOW)
    kept = {r.message.text for r in await node.lease(100_000)}
    assert set(accepted) <= kept
    await stores.close()


async def test_a_full_disk_refuses_all_who_wait_and_hurts_nothing(tmp_path: Path) -> None:
    """The file may not grow, as on a full disk; then it may again."""
    path = tmp_path / "passband.db"
    (counts,) = await finish(await a_process("fill", path, 600_000))
    kept, refused = map(int, counts.split())
    assert kept > 50
    assert refused > 0
    stores = Stores(SqliteEngine(path))
    node = await stores.open()
    await node.store.beat(NOW)
    texts = [r.message.text for r in await node.lease(10_000)]
    assert len(texts) == kept + 1
    assert texts[-1] == "recovered"
    await stores.close()
