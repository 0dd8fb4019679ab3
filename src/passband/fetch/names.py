"""Host names and the addresses they lead to: one lookup per name at a time, in threads.

Why not libcurl's own resolver: it has twenty threads and asks once per transfer, so twenty callbacks to one name
whose name server hangs would stop everybody else's; and it makes closing wait for the lookups that hang. Here a name
occupies one thread, and a name that is known goes on with its last addresses while a lookup hangs.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

FRESH = 60.0  # seconds that addresses are used without asking again, as libcurl does
USABLE = 300.0  # seconds that they are used while nobody answers
FAILED = 5.0  # seconds that a failed lookup stands; the first retry of a callback comes after 5 s
LOOKUPS = 64  # threads at most; by resolv.conf's defaults one may hang for half a minute


class Name:
    """A host name and its ``addresses``, empty if it leads nowhere; ``version`` counts the lookups that found some."""

    __slots__ = ("addresses", "fresh_until", "host", "looking", "usable_until", "version", "waiting")

    def __init__(self, host: str) -> None:
        self.host = host
        self.addresses: tuple[str, ...] = ()
        self.version = 0
        self.fresh_until = 0.0
        self.usable_until = 0.0
        self.looking = False
        self.waiting: list[Callable[[], None]] = []


class Names:
    """Looks names up without holding up the event loop.

    Resource handling: at most ``LOOKUPS`` threads, which are daemons, because nothing can interrupt the system's
    resolver and the process must not wait for it. Further lookups queue, first come, first served.
    """

    def __init__(self, lookup: Callable[[str], Sequence[str]], loop: asyncio.AbstractEventLoop) -> None:
        """``lookup`` returns the numeric addresses of a name, best first, none if there are none; it may block."""
        self._lookup = lookup
        self._loop = loop
        self._running = 0
        self._queued: deque[Name] = deque()

    def ready(self, name: Name, now: float) -> bool:
        """Tell whether ``name.addresses`` can be used, and look the name up if need be; ``now`` is ``monotonic()``."""
        if now < name.fresh_until:
            return True
        if not name.looking:
            name.looking = True
            self._queued.append(name)
            self._start()
        return now < name.usable_until

    def wait(self, name: Name, call: Callable[[], None]) -> None:
        """Have ``call`` called on the event loop when the lookup that ``ready`` started has ended, well or not."""
        name.waiting.append(call)

    def _start(self) -> None:
        while self._queued and self._running < LOOKUPS:
            name = self._queued.popleft()
            self._running += 1
            threading.Thread(target=self._run, args=(name,), name="passband-lookup", daemon=True).start()

    def _run(self, name: Name) -> None:
        try:
            addresses = tuple(self._lookup(name.host))
        except (OSError, UnicodeError):  # UnicodeError: a label longer than 63 characters, or an empty one
            addresses = ()
        try:
            self._loop.call_soon_threadsafe(self._ended, name, addresses)
        except RuntimeError:
            # The loop was closed while the lookup hung; nobody waits for its end any more.
            return

    def _ended(self, name: Name, addresses: tuple[str, ...]) -> None:
        now = monotonic()
        self._running -= 1
        name.looking = False
        if addresses:
            name.addresses = addresses
            name.version += 1  # even if they are the same: libcurl forgets what it was told the last time
            name.fresh_until, name.usable_until = now + FRESH, now + USABLE
        else:
            name.fresh_until = now + FAILED
            if now >= name.usable_until:
                name.addresses = ()
        self._start()
        waiting, name.waiting = name.waiting, []
        for call in waiting:
            call()


def system_addresses(host: str) -> list[str]:
    """Return the addresses that the operating system knows for a name, best first, without those bound to an interface.

    Raises:
        OSError: the name leads nowhere, or nobody answered.
        UnicodeError: it is not a host name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(address[0]) for _, _, _, _, address in found)
    return [address for address in addresses if "%" not in address]
