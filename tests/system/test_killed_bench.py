"""A benchmark that is killed leaves nothing running."""

import asyncio
import subprocess
import sys

import psutil  # type: ignore[import-untyped]  # no stubs are installed
import pytest

from system.waiting import until

STARTED = ("passband serve", "passband smsc", "passband.bench.drive")


@pytest.mark.slow
async def test_what_a_benchmark_started_ends_with_it_however_it_ends() -> None:
    command = [sys.executable, "-m", "passband", "bench", "--smpp", "--messages", "1000000", "--connections", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
        try:
            top = psutil.Process(bench.pid)
            await until(lambda: all(any(s in line for line in command_lines(top)) for s in STARTED), 120)
            children = top.children(recursive=True)
        finally:
            bench.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
    assert [process.pid for process in alive] == []


def command_lines(process: psutil.Process) -> list[str]:
    return [" ".join(child.cmdline()) for child in process.children(recursive=True)]
