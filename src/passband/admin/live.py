"""The live stream: what happens in a node as server-sent events, which survive a reconnect without gaps.

Every event has a number. The last ones are kept in a ring, so that who was away for a moment gets what it missed; who
was away for too long, or comes from before a restart, is told ``reset`` and asks for everything anew. While nobody
watches nothing is observed, encoded or kept: ``watching`` is told when that begins and ends.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection

import msgspec

KEPT = 2_000  # events, at about 500 octets each 1 MB
LINGER_SECONDS = 60.0  # for which a watcher that went away is still expected back
HEARTBEAT_SECONDS = 25.0  # below the 30 s after which common proxies give a silent connection up
BATCH = 200  # events written at once

_encode = msgspec.json.Encoder().encode


class Live:
    """The events of one node.

    Resource handling: at most ``KEPT`` events are held; a stream holds its place in the ring and nothing else, so a
    slow reader costs nothing but the events that it misses. ``close`` ends all streams.
    """

    def __init__(self, epoch: str, watching: Callable[[bool], None] = lambda watched: None) -> None:
        """``epoch`` differs from start to start: the numbers of another one mean nothing here."""
        self._epoch = epoch
        self._watching = watching
        self._ring: deque[tuple[int, str, bytes]] = deque(maxlen=KEPT)
        self._last = 0
        self._streams: set[asyncio.Event] = set()
        self._linger: asyncio.TimerHandle | None = None
        self._closed = False
        self.watched = False

    @property
    def cursor(self) -> str:
        """Where the stream is now; a stream ``after`` this tells everything that happens from here on."""
        return f"{self._epoch}-{self._last}"

    def touch(self) -> None:
        """Note that somebody looks: events are kept from now on, until nobody has looked for a while."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not self.watched:
            self.watched = True
            self._last += 1  # what happened unseen is a gap, which no cursor from before may bridge
            self._watching(True)
        if not self._streams and not self._closed:
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._forget)

    def _forget(self) -> None:
        self._linger = None
        self.watched = False
        self._ring.clear()
        self._watching(False)

    def publish(self, topic: str, data: object) -> None:
        """Tell all who watch, as JSON; nothing happens where nobody does."""
        if not self.watched:
            return
        self._last += 1
        lines = b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
            self._epoch.encode(), self._last, topic.encode(), _encode(data),
        )  # fmt: skip
        self._ring.append((self._last, topic, lines))
        for stream in self._streams:
            stream.set()

    async def stream(self, after: str | None, topics: Collection[str] = ()) -> AsyncGenerator[bytes, None]:
        """Give out events of these topics (none: all) that come after a cursor, as they happen, until ``close``.

        Without a cursor it begins now. A cursor that cannot be followed gets ``reset`` first.
        """
        wake = asyncio.Event()
        self._streams.add(wake)
        self.touch()
        try:
            at = self._place(after)
            if at is None:
                at = self._last
                yield b"id: %b\nevent: reset\ndata: {}\n\n" % self.cursor.encode()
            else:
                yield b": watching\n\n"
            while not self._closed:
                wake.clear()
                batch, at, more = self._after(at, topics)
                if at < 0:
                    at = self._last
                    yield b"id: %b\nevent: reset\ndata: {}\n\n" % self.cursor.encode()
                elif batch:
                    yield b"".join(batch)
                elif not more:
                    try:
                        async with asyncio.timeout(HEARTBEAT_SECONDS):
                            await wake.wait()
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            self._streams.discard(wake)
            if not self._streams:
                self.touch()

    def _place(self, after: str | None) -> int | None:
        """Return the number of a cursor, or None where what follows it is not all known."""
        if after is None:
            return self._last
        epoch, _, number = after.rpartition("-")
        if epoch != self._epoch or not number.isdecimal() or int(number) > self._last:
            return None
        return int(number) if self._reaches(int(number)) else None

    def _reaches(self, at: int) -> bool:
        oldest = self._ring[0][0] if self._ring else self._last + 1
        return at + 1 >= oldest

    def _after(self, at: int, topics: Collection[str]) -> tuple[list[bytes], int, bool]:
        """Return the next events of these topics, up to which number that reaches, and whether there are more.

        The number is -1 where the ring does not reach back so far.
        """
        if at == self._last:
            return [], at, False
        if not self._reaches(at):
            return [], -1, False
        batch: list[bytes] = []
        start = len(self._ring) - (self._last - at)
        for index in range(start, min(start + BATCH, len(self._ring))):
            at, topic, lines = self._ring[index]
            if not topics or topic in topics:
                batch.append(lines)
        return batch, at, at < self._last

    def close(self) -> None:
        """End all streams, so that the listener need not wait for them."""
        self._closed = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        for stream in self._streams:
            stream.set()
