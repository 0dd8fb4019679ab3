"""Numbers of the running system over the last hour: one sample a second, in rings of fixed size.

Sampling reads counters that are counted anyway; one sample takes about 20 µs of processor time. What the store has to
count itself, the queue, is asked every 15 s. The rings take 0.7 MB.
"""

import asyncio
import math
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from passband.admin.live import Live
from passband.admin.metrics import Held
from passband.counts import Counts
from passband.domain.errors import StoreUnavailable
from passband.store import Store
from passband.wire import timestamp

SECONDS = 3600
STORE_EVERY = 15  # samples
STORE_SHARE = 100  # how much longer than it took the store is left alone


PERCENTILES = (50, 95, 99)


class Series(NamedTuple):
    """A line of a chart: what it shows, and whether a minute is the mean of its seconds or the largest of them.

    A latency is not a number (``null`` in JSON) for a second in which nothing was measured.
    """

    help: str
    unit: str
    largest: bool = False


SERIES: Mapping[str, Series] = {
    "accepted": Series("Messages answered with 202", "/s"),
    "submitted": Series("Messages handed to carriers", "/s"),
    "receipts": Series("Receipts of carriers", "/s"),
    "inbound": Series("Messages that came in", "/s"),
    "events": Series("Events stored", "/s"),
    "acknowledged": Series("Callbacks answered with 2xx", "/s"),
    "unanswered": Series("Attempts at callbacks that failed", "/s"),
    "refused": Series("Errors answered by the HTTP API", "/s"),
    "queue": Series("Recipients that wait for a carrier", "", largest=True),
    "queueAge": Series("Age of the oldest waiting recipient", "s", largest=True),
    "handed": Series("Recipients whose receipt is awaited", "", largest=True),
    "callbacks": Series("Callbacks that wait in memory", "", largest=True),
    "callbackAge": Series("Age of the oldest unacknowledged event", "s", largest=True),
    "failingEndpoints": Series("Endpoints that are failing", "", largest=True),
    "room": Series("Segments that carriers take now", "", largest=True),
    **{
        f"{name}P{percent}": Series(f"{help_}, {percent} % of them within", "ms", largest=True)
        for name, help_ in (
            ("storedIn", "From the POST until it is durable"),
            ("handedIn", "From the POST until the carrier has it"),
            ("toldIn", "From an event until it is acknowledged"),
        )
        for percent in PERCENTILES
    },
}
_COUNTED = {
    "accepted": ("accepted",),
    "submitted": ("submits",),
    "receipts": ("receipts",),
    "inbound": ("inbound",),
    "events": ("events",),
    "refused": ("answers",),
}


class Latency:
    """A latency, sampled once a batch: how it was distributed since it was last asked."""

    __slots__ = ("_samples", "sample")

    def __init__(self) -> None:
        self._samples: list[float] = []
        self.sample: Callable[[float], None] = self._samples.append  # in seconds

    def take(self) -> list[float]:
        """Return the percentiles in milliseconds, not a number where there was no sample, and begin anew."""
        samples = sorted(self._samples)
        self._samples.clear()
        if not samples:
            return [math.nan] * len(PERCENTILES)
        return [round(samples[math.ceil(len(samples) * p / 100) - 1] * 1000, 2) for p in PERCENTILES]


class Rates:
    """The numbers of one node. ``also`` is called with every sample."""

    def __init__(
        self,
        live: Live,
        counts: Counts,
        store: Store,
        held: Callable[[], Held],
        now: Callable[[], float],
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._live = live
        self._counts = counts
        self._store = store
        self._held = held
        self._now = now
        self._also = also
        self._rings = {name: array("d", bytes(8 * SECONDS)) for name in SERIES}
        self._samples = 0
        self._ask_at = 0.0
        self._before: dict[str, int] = {}  # counters begin with the node: what the first sample finds is of its second
        self._stored = {"queue": 0.0, "queueAge": 0.0, "handed": 0.0, "callbackAge": 0.0}
        self.stored_in, self.handed_in, self.told_in = Latency(), Latency(), Latency()

    async def run(self) -> None:
        """Take a sample every second, until cancelled."""
        due = time.monotonic()
        while True:
            due += 1
            if self._samples % STORE_EVERY == 0 and time.monotonic() >= self._ask_at:
                asked = time.monotonic()
                await self._ask_store()
                # With a million rows the store counts for half a second: then it is asked less often.
                self._ask_at = asked + STORE_SHARE * (time.monotonic() - asked)
            self.sample()
            self._also()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask_store(self) -> None:
        now = self._now()
        try:
            depths, oldest = await self._store.depths(), await self._store.oldest_callback()
        except StoreUnavailable:
            return  # the last picture stands; whoever needs the store says so in the log
        waits = [now - depth.oldest_at for depth in depths if depth.oldest_at is not None]
        self._stored = {
            "queue": float(sum(depth.waiting for depth in depths)),
            "queueAge": max(waits, default=0.0),
            "handed": float(sum(depth.handed for depth in depths)),
            "callbackAge": now - oldest if oldest is not None else 0.0,
        }

    def sample(self) -> None:
        """Add one second to every series."""
        values = self._values()
        place = self._samples % SECONDS
        for name, ring in self._rings.items():
            ring[place] = values[name]
        self._samples += 1
        if self._live.watched:
            self._live.publish("rates", {"time": timestamp(time.time()), "values": values, "links": self._links()})

    def _values(self) -> dict[str, float]:
        totals = dict.fromkeys((*_COUNTED, "acknowledged", "unanswered"), 0)
        names = {keys[0]: name for name, keys in _COUNTED.items()}
        for key, value in self._counts.items():
            if key[0] == "attempts":
                totals["acknowledged" if key[1] == "2xx" else "unanswered"] += value
            elif (name := names.get(key[0])) is not None:
                totals[name] += value
        before, self._before = self._before, totals
        held = self._held()
        queue = max(self._stored["queue"], held.recipients)
        latencies = (("storedIn", self.stored_in), ("handedIn", self.handed_in), ("toldIn", self.told_in))
        return {
            **{name: float(totals[name] - before.get(name, 0)) for name in totals},
            **{name: round(value, 1) for name, value in self._stored.items()},
            "queue": float(queue),
            "callbacks": float(held.callbacks),
            "failingEndpoints": float(sum(failing for _, failing, _, _ in held.endpoints)),
            "room": float(sum(held.rooms.values())),
            **{
                f"{name}P{percent}": value
                for name, latency in latencies
                for percent, value in zip(PERCENTILES, latency.take(), strict=True)
            },
        }

    def _links(self) -> list[dict[str, Any]]:
        """Return each carrier with its room, and its links where it has some."""
        held = self._held()
        return [
            {
                "carrier": name,
                "room": room,
                "links": [
                    {"link": link.place, "bound": link.bound, "pending": link.pending, "window": link.window}
                    for link in held.links
                    if link.carrier == name
                ],
            }
            for name, room in held.rooms.items()
        ]

    def view(self, step: int, last: int = SECONDS) -> dict[str, Any]:
        """Return the last points of all series, oldest first, at ``step`` seconds (1 or 60) a point.

        ``last`` is how many points at most; there are as many as the node has samples of the last hour.
        """
        count = min(self._samples, SECONDS, last * step)
        first = self._samples - count
        series = {}
        for name, ring in self._rings.items():
            seconds = [ring[(first + i) % SECONDS] for i in range(count)]
            series[name] = seconds if step == 1 else _grouped(seconds, step, largest=SERIES[name].largest)
        return {
            "step": step,
            "end": timestamp(time.time()),
            "series": [
                {"name": name, "help": line.help, "unit": line.unit, "values": series[name]}
                for name, line in SERIES.items()
            ],
            "links": self._links(),
        }


def _grouped(values: Sequence[float], step: int, *, largest: bool) -> list[float]:
    """Return one value for each ``step`` values, counted from the newest; the oldest may have fewer."""
    grouped = []
    end = len(values)
    while end > 0:
        part = values[max(0, end - step) : end]
        known = [value for value in part if not math.isnan(value)]
        if not known:
            grouped.append(math.nan)
        else:
            grouped.append(max(known) if largest else round(sum(known) / len(known), 2))
        end -= step
    return grouped[::-1]
