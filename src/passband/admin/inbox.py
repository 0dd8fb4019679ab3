"""The developers' inbox: a callback endpoint inside ``passband dev``, for who has not written one yet."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from passband.admin.live import Live
from passband.wire import timestamp

MOST_KEPT = 500


class Inbox:
    """Keeps the last callbacks as they came, texts included; bounded, in memory, gone with the node."""

    def __init__(self, live: Live, now: Callable[[], float]) -> None:
        self._live = live
        self._now = now
        self._numbers = itertools.count(1)
        self._kept: deque[dict[str, Any]] = deque(maxlen=MOST_KEPT)

    def take(self, headers: Sequence[tuple[str, str]], body: str) -> None:
        """Keep one request."""
        received = {
            "number": next(self._numbers),
            "time": timestamp(self._now()),
            "headers": [f"{name}: {value}" for name, value in headers],
            "body": body,
        }
        self._kept.append(received)
        self._live.publish("inbox", received)

    def view(self) -> list[dict[str, Any]]:
        """Return what was received, oldest first."""
        return list(self._kept)

    def forget(self) -> None:
        self._kept.clear()
        self._live.publish("inbox-forgotten", {})
