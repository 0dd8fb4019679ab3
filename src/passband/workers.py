"""Processes: one node until it is told to stop, or several of them on one machine, started again when they die.

SIGTERM and SIGINT stop in good order: no new requests, what is in flight finishes, leases are given back, exit with 0.
Several nodes also stop when the process that watches over them is gone, however it died: each reads a pipe that this
process holds open. Left alone they would keep their addresses from those that are started in their place.
"""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from passband.config import Settings
from passband.logs import set_up_logs
from passband.service import GRACE_SECONDS, Node

log = structlog.get_logger()

RESTART_SECONDS = 1.0
STOP_SECONDS = 2 * GRACE_SECONDS + 5
# How many more objects there must be before the collector looks for cycles: the path of a message makes none, and at
# Python's 700 the search for them takes 5 percent of a busy node's time.
COLLECT_OBJECTS = 50_000


async def run_node(
    settings: Settings,
    *,
    worker: int = 0,
    workers: int = 1,
    developers: bool = False,
    started: Callable[[Node], None] | None = None,
) -> int:
    """Run one node until SIGTERM or SIGINT; return the exit status. ``started`` is called once it accepts."""
    set_up_logs(settings.log)
    _raise_file_limit()
    stop = _stop_signal()
    if workers > 1:
        _stop_with_parent(stop)
    node = Node(settings, worker=worker, workers=workers, developers=developers)
    try:
        await node.start()
    except OSError as error:
        log.critical("cannot listen", cause=str(error))
        await node.stop()
        return 1
    if started:
        started(node)
    else:
        log.info("ready", listen=[f"{host}:{port}" for host, port in node.addresses], node=node.store.node)
    _collect_less()
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(node.failed.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    log.info("stopping", node=node.store.node)
    await node.stop()
    return 1 if node.failed.is_set() else 0


async def run_workers(settings: Settings, config: Path | None, workers: int) -> int:
    """Run so many nodes, each in a process of its own, until SIGTERM or SIGINT; return the exit status.

    Each process reads ``config`` again. One that dies is started again; what it held is taken over by the others
    meanwhile.
    """
    set_up_logs(settings.log)
    stop = _stop_signal()
    await asyncio.gather(*(_keep_running(config, worker, workers, stop) for worker in range(workers)))
    return 0


async def _keep_running(config: Path | None, worker: int, workers: int, stop: asyncio.Event) -> None:
    command = [sys.executable, "-m", "passband", "serve", *(["--config", str(config)] if config else [])]
    while not stop.is_set():
        process = await asyncio.create_subprocess_exec(
            *command, "--worker", f"{worker}/{workers}", start_new_session=True, stdin=asyncio.subprocess.PIPE
        )
        exited = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([exited, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if stop.is_set() and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(asyncio.shield(exited), STOP_SECONDS)
            except TimeoutError:
                process.kill()
        status = await exited
        if not stop.is_set():
            log.error("a worker died and is started again", worker=worker, status=status)
            try:
                await asyncio.wait_for(stop.wait(), RESTART_SECONDS)
            except TimeoutError:
                continue


def _collect_less() -> None:
    """Let the collector pass over what a node has once it runs, and look at what comes later less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_OBJECTS, 20, 20)


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _stop_with_parent(stop: asyncio.Event) -> None:
    """Stop when standard input, the pipe of ``run_workers``, ends."""
    loop, pipe = asyncio.get_running_loop(), sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(pipe)
        stop.set()

    loop.add_reader(pipe, ended)
