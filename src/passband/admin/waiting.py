"""Waiting within a request: a test asks once and is answered when what it looks for is there, or time is up."""

import asyncio
import time
from collections.abc import Callable, Sized
from typing import TypeVar

from starlette.requests import Request

from passband.admin.answers import BadRequest, number
from passband.admin.panel import Panel

MOST_SECONDS = 60.0
MOST_COUNT = 10_000
LOOK_SECONDS = 0.01  # between two looks; what is looked at is in memory

T = TypeVar("T", bound=Sized)


async def until_there(panel: Panel, request: Request, look: Callable[[], T]) -> T:
    """Return what ``look`` finds, at once unless the query asks to ``wait``.

    ``?wait=`` is in seconds, ``?count=`` (1 if absent) how many there must be. Time that is up is no error: what is
    there then is returned, and the client counts it. Raises BadRequest for numbers that are none.
    """
    count = number(request, "count", 1, MOST_COUNT)
    until = time.monotonic() + _seconds(request)
    while len(found := look()) < count and time.monotonic() < until and not panel.closed:  # noqa: ASYNC110
        # What is looked at tells nobody that it has changed: that would cost where nobody waits.
        await asyncio.sleep(LOOK_SECONDS)
    return found


def _seconds(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_SECONDS:
        raise BadRequest(f"wait must be from 0 to {MOST_SECONDS:.0f} seconds")
    return seconds
