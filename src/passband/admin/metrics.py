"""Metrics: what a node counted, and what its store holds, in the text format of Prometheus.

Every metric is a row of a table here; ``docs/operating.md`` lists them, and a test holds the list against the tables.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from passband.counts import Counts
from passband.domain.errors import StoreUnavailable
from passband.domain.event import Endpoint
from passband.store import Depth, Store


class Counted(NamedTuple):
    """A counter: what it means, and the labels that its keys in Counts have."""

    help: str
    labels: tuple[str, ...]


COUNTERS: Mapping[str, Counted] = {
    "accepted": Counted("Requests answered with 202.", ("kind",)),
    "answers": Counted("Errors answered by the HTTP API, by status.", ("status",)),
    "refused": Counted("Recipients that failed by a rule when they were accepted, by error code.", ("code",)),
    "submits": Counted("Messages handed to a carrier.", ("carrier",)),
    "outcomes": Counted(
        "What carriers answered to submits: accepted, deferred or rejected.", ("carrier", "outcome", "code")
    ),
    "receipts": Counted("Receipts of carriers, by what they say.", ("carrier", "result")),
    "inbound": Counted("Messages that came in.", ("carrier", "kind")),
    "events": Counted("Events stored, by type.", ("type",)),
    "attempts": Counted("Attempts at callbacks, by the answer's class or the fault.", ("answer",)),
    "dropped": Counted("Callbacks given up after 24 hours.", ("type",)),
    "expired": Counted("Rows settled or deleted because they waited too long.", ()),
}
STORE_COUNTERS = {
    "commits": "Transactions committed.",
    "operations": "Steps made durable; many share a transaction.",
    "seconds": "Time spent in transactions, in seconds.",
    "unmatched_receipts": "Receipts that matched nothing within ten minutes: forged, repeated, or too late.",
}
LINK_COUNTERS = {
    "submitted": "Segments written to a link.",
    "answered": "Segments of a link that were answered.",
    "received": "Receipts and messages that came over a link.",
    "connections": "Connections of a link.",
}
CARRIER_COUNTERS = {
    "throttled": "Segments that a carrier refused because they were too many.",
    "nameless_receipts": "Receipts of a carrier that name no id.",
    "unreadable_receipts": "Receipts of a carrier that say nothing that is understood.",
}
REFUSALS = "Segments that a carrier refused, by the status of its answer."
GAUGES = {
    "queue_recipients": "Recipients that wait for a carrier.",
    "queue_oldest_seconds": "How long the oldest of them has waited.",
    "handed_recipients": "Recipients whose receipt is awaited.",
    "callbacks_oldest_seconds": "How long ago the oldest event happened that is still to be acknowledged.",
    "commit_largest_operations": "Most steps that shared one transaction.",
    "memory_recipients": "Recipients held in this node's memory.",
    "memory_callbacks": "Callbacks held in this node's memory.",
    "endpoint_failing": "1 where an endpoint gets one probe at a time.",
    "endpoint_in_flight": "Attempts under way to an endpoint.",
    "carrier_room": "Segments that a carrier takes now.",
    "link_bound": "1 where a link to a carrier is bound.",
    "link_pending": "Segments of a link whose answer is awaited.",
    "link_window": "Segments that may be unanswered on a link.",
    "link_error": "1, with what ended a link's last connection, or kept it from a new one.",
}


class LinkHeld(NamedTuple):
    """One link to a carrier at this moment; ``place`` tells it from the carrier's others."""

    carrier: str
    place: int
    bound: bool
    pending: int
    window: int
    error: str | None
    counts: Mapping[str, int]
    """As LINK_COUNTERS names them."""

    @property
    def labels(self) -> tuple[str, str]:
        return self.carrier, str(self.place)


class Held(NamedTuple):
    """What a node holds in memory at this moment."""

    recipients: int
    callbacks: int
    endpoints: Sequence[tuple[Endpoint, bool, int, int]]
    rooms: Mapping[str, int]
    links: Sequence[LinkHeld] = ()
    carriers: Mapping[str, Mapping[str, int]] = {}
    """Of carriers that have links, as CARRIER_COUNTERS names them."""
    refusals: Mapping[str, Mapping[str, int]] = {}
    """Of the same carriers, by status."""


class Metrics:
    """Answers ``/metrics``. ``held`` tells what the node holds; ``now`` is its clock."""

    def __init__(self, counts: Counts, store: Store, held: Callable[[], Held], now: Callable[[], float]) -> None:
        self._counts = counts
        self._store = store
        self._held = held
        self._now = now

    async def render(self) -> bytes:
        """Return all metrics as text. What the store cannot tell now is left out."""
        try:
            depths = await self._store.depths()
            oldest = await self._store.oldest_callback()
        except StoreUnavailable:
            depths, oldest = (), None
        registry = CollectorRegistry()
        registry.register(_Collected([*self._counters(), *self._gauges(depths, oldest)]))
        return generate_latest(registry)

    def _counters(self) -> Iterable[Metric]:
        for name, (text, labels) in COUNTERS.items():
            family = CounterMetricFamily(f"passband_{name}", text, labels=labels)
            for key, value in self._counts.items():
                if key[0] == name:
                    family.add_metric(key[1:], value)
            yield family
        statistics = self._store.statistics()
        for name, text in STORE_COUNTERS.items():
            yield CounterMetricFamily(f"passband_store_{name}", text, value=statistics[name])
        held = self._held()
        for name, text in LINK_COUNTERS.items():
            family = CounterMetricFamily(f"passband_link_{name}", text, labels=("carrier", "link"))
            for link in held.links:
                family.add_metric(link.labels, link.counts[name])
            yield family
        for name, text in CARRIER_COUNTERS.items():
            family = CounterMetricFamily(f"passband_carrier_{name}", text, labels=("carrier",))
            for carrier, counts in held.carriers.items():
                family.add_metric((carrier,), counts[name])
            yield family
        family = CounterMetricFamily("passband_carrier_refusals", REFUSALS, labels=("carrier", "status"))
        for carrier, by_status in held.refusals.items():
            for status, count in by_status.items():
                family.add_metric((carrier, status), count)
        yield family

    def _gauges(self, depths: Sequence[Depth], oldest: float | None) -> Iterable[Metric]:
        now = self._now()
        held = self._held()
        values: dict[str, Sequence[tuple[tuple[str, ...], float]]] = {
            "queue_recipients": [((d.carrier,), d.waiting) for d in depths],
            "queue_oldest_seconds": [((d.carrier,), now - d.oldest_at) for d in depths if d.oldest_at is not None],
            "handed_recipients": [((d.carrier,), d.handed) for d in depths],
            "callbacks_oldest_seconds": [((), now - oldest)] if oldest is not None else [((), 0)],
            "commit_largest_operations": [((), self._store.statistics()["largest"])],
            "memory_recipients": [((), held.recipients)],
            "memory_callbacks": [((), held.callbacks)],
            "endpoint_failing": [(_labels(e), int(failing)) for e, failing, _, _ in held.endpoints],
            "endpoint_in_flight": [(_labels(e), in_flight) for e, _, in_flight, _ in held.endpoints],
            "carrier_room": [((name,), room) for name, room in held.rooms.items()],
            "link_bound": [(link.labels, int(link.bound)) for link in held.links],
            "link_pending": [(link.labels, link.pending) for link in held.links],
            "link_window": [(link.labels, link.window) for link in held.links],
            "link_error": [((*link.labels, link.error), 1) for link in held.links if link.error is not None],
        }
        for name, text in GAUGES.items():
            labels: tuple[str, ...] = ()
            if name.startswith("endpoint"):
                labels = ("account", "application", "direction")
            elif name.startswith(("queue", "handed", "carrier")):
                labels = ("carrier",)
            elif name.startswith("link"):
                labels = ("carrier", "link", "error") if name == "link_error" else ("carrier", "link")
            family = GaugeMetricFamily(f"passband_{name}", text, labels=labels)
            for key, value in values[name]:
                family.add_metric(key, value)
            yield family


def _labels(endpoint: Endpoint) -> tuple[str, ...]:
    return endpoint.account, endpoint.application, endpoint.direction.value


class _Collected(Collector):
    """Metrics that were gathered already; the client library asks synchronously, the store answers asynchronously."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
