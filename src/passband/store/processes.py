"""Which process a node is, so that another one on the same machine can tell that it is gone."""

import contextlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path


def machine() -> str:
    """Return what tells apart where process numbers mean something: this machine since its start, this container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def names_of_machines(places: Iterable[str]) -> list[str]:
    """Return a name for each machine of what ``machine`` has told; several containers on one are one."""
    names: dict[str, str] = {}
    for place in sorted(places):
        name, _, rest = place.partition(" ")
        names.setdefault(rest.partition(" ")[0] or name, name)
    return sorted(names.values())


def is_dead(where: str, pid: int) -> bool:
    """Tell whether a node was a process of this machine that is gone, so that nobody need wait for its silence."""
    if where != machine():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
