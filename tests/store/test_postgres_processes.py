"""A real process on a PostgreSQL database, killed and paused."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from store.nodes import NOW, Stores
from store.postgres_server import PostgresEngine

pytestmark = pytest.mark.slow

# Accepts 50 messages and holds them; then, asked by a line, accepts another and tells whether it still lives.
PROGRAM = """
import asyncio, sys
from passband.store.postgres import PostgresStore
from store.nodes import NOW, Recorded, a_recipient, the_rules

async def main():
    births = Recorded()
    store = PostgresStore(sys.argv[1], the_rules(), births)
    await store.open(NOW)
    await asyncio.gather(*(store.accept([a_recipient(text=f"{n}")], (), ()) for n in range(50)))
    print("held", len(births.recipients), flush=True)
    sys.stdin.readline()
    await store.fail([(r, 4360) for r in births.recipients], NOW)
    await store.accept([a_recipient(text="late")], (), ())
    print(await store.beat(NOW), len(births.recipients), len(births.callbacks), flush=True)

asyncio.run(main())
"""


async def a_holder(postgres: PostgresEngine) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, postgres.url, stdin=PIPE, stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    await line_of(process, "held 50")
    return process


async def line_of(process: Process, expected: str) -> None:
    """Read what a process prints, its log included, until it is what is expected."""
    assert process.stdout
    async with asyncio.timeout(20):
        while (line := (await process.stdout.readline()).decode()).strip() != expected:
            assert line, f"ended without {expected!r}"


async def test_what_a_killed_process_held_is_taken_over_without_waiting(postgres: PostgresEngine) -> None:
    process = await a_holder(postgres)
    stores = Stores(postgres)
    node = await stores.open()
    await node.store.beat(NOW)
    assert await node.lease() == []
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await node.store.beat(NOW)
    assert sorted(int(r.message.text) for r in await node.lease()) == list(range(50))
    await stores.close()


async def test_a_paused_process_that_was_given_up_changes_nothing_and_finds_out(postgres: PostgresEngine) -> None:
    process = await a_holder(postgres)
    process.send_signal(signal.SIGSTOP)
    stores = Stores(postgres)
    node = await stores.open()
    await node.store.beat(NOW + 11)
    held = await node.lease()
    assert len(held) == 50
    process.send_signal(signal.SIGCONT)
    assert process.stdin
    process.stdin.write(b"\n")
    await line_of(process, "False 50 0")
    await process.wait()
    await node.store.fail([(r, 4432) for r in held], NOW)
    assert node.events == [("failed", 4432)] * 50
    assert [r.message.text for r in await node.lease()] == ["late"]
    await stores.close()
