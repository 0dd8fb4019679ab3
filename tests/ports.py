"""Ports of the loopback that stay free until a test listens on them, as real processes on fixed addresses need."""

import itertools
import os
import random
import socket
from collections.abc import Iterator

_FIRST, _EACH, _WORKERS = 12_000, 1_200, 16


def _ports() -> Iterator[int]:
    """Those of this process, from anywhere on: workers of one run share none, and two runs beside each other few."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    first, start = _FIRST + worker * _EACH, random.randrange(_EACH)
    return itertools.cycle(first + (start + place) % _EACH for place in range(_EACH))


_next = _ports()


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row that nobody listens on.

    They are below those that a system gives to connections and to whoever asks for any port: one of these may be
    somebody else's before it is listened on, or while a killed node starts again.
    """
    row: list[int] = []
    for port in itertools.islice(_next, _EACH):
        if not _is_free(port):
            row = []
            continue
        if row and port != row[-1] + 1:
            row = []
        row.append(port)
        if len(row) == count:
            return row[0]
    raise OSError(f"no {count} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return one port that nobody listens on."""
    return free_ports(1)
