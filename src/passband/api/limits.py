"""What a client of the HTTP server may send, how much and how slowly; and what a connection waits for meanwhile."""

import enum
from typing import Final, NamedTuple


class Limits(NamedTuple):
    """What a client may do. The numbers are those of the well-known servers, rounded.

    A request's head is limited to ``head_octets`` in ``head_seconds``. Of a body 64 KiB, or the rest of it, must come
    in every ``body_seconds``. A client that reads nothing for ``write_seconds`` while more than 64 KiB wait for it is
    dropped. ``body_octets`` is the size from which the application is asked for the limit of a path.
    """

    head_octets: int = 16 * 1024  # what h11 and Apache (8 KiB a line) let through
    head_seconds: float = 10
    body_octets: int = 1024 * 1024
    body_seconds: float = 30
    idle_seconds: float = 75  # nginx's
    write_seconds: float = 30
    linger_seconds: float = 5
    pipelined: int = 64
    connections: int = 20_000


class Phase(enum.Enum):
    """What a connection waits for, and so what its deadline is about."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    BUSY = enum.auto()
    STALLED = enum.auto()
    CLOSING = enum.auto()


# For ``connection``, on the path of every message; see ``domain.message`` for why members have names of their own.
IDLE: Final = Phase.IDLE
HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
BUSY: Final = Phase.BUSY
STALLED: Final = Phase.STALLED
CLOSING: Final = Phase.CLOSING
