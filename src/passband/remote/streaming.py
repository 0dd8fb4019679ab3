"""The live stream of a running Passband, read to the end of time: it reconnects, and misses nothing on the way.

Server-sent events: HTML Living Standard, section 9.2.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from passband.asking import Unreachable, answer_of
from passband.remote import Admin, Refused

SILENCE_SECONDS = 60.0  # after which a stream is given up: twice the node's heartbeat, and a little
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class ServerEvent(NamedTuple):
    """One event of the stream; ``reset`` is the one that says: events were missed, ask for everything anew."""

    id: str
    topic: str
    data: str


def events(lines: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the events that a stream's lines hold; comments and unknown fields are passed over."""
    id_, topic, data = "", "message", list[str]()
    for line in lines:
        field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if not field and not value and not line.startswith(b":"):
            if data:
                yield ServerEvent(id_, topic, "\n".join(data))
            topic, data = "message", []
        elif field == "id":
            id_ = value
        elif field == "event":
            topic = value
        elif field == "data":
            data.append(value)


def follow(
    admin: Admin,
    topics: Iterable[str],
    after: str,
    lost: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[ServerEvent]:
    """Yield what happens after a cursor, and go on after every break where the last event was.

    ``lost`` is told why once for each break. Raises Unreachable and Refused only while nothing was ever answered: what
    was there is waited for, however long it takes.
    """
    query = {"topics": ",".join(topics)}
    answered, told, rest = False, False, FIRST_PAUSE_SECONDS
    while True:
        try:
            with admin.site.stream("/admin/live", query, {"Last-Event-ID": after}, SILENCE_SECONDS) as response:
                if response.status != 200:
                    admin.demand(answer_of(response, response.read()), "GET /admin/live")
                answered, told = True, False
                for event in events(response):
                    rest = FIRST_PAUSE_SECONDS
                    after = event.id or after
                    yield event
            why = f"{admin.site.url} has ended the stream"
        except (Unreachable, Refused) as error:
            if not answered:
                raise
            why = str(error)
        if not told:
            lost(why)
            told = True
        pause(rest)
        rest = min(rest * 2, LONGEST_PAUSE_SECONDS)
