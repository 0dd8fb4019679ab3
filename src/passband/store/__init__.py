"""The store: what is durable, as one small protocol with two engines.

One method is one step of a message's life and returns when that step is durable. Calls made at the same time share a
transaction (``commit.py``). What a node has just stored is born leased to it and goes straight on to its own verbs
through ``Births``, without being read back; a row that the node has no room for is born free, and is read later.

A lease is the number of the node that holds a row; it lasts as long as that node's heartbeat. Only the node that holds
a lease records what came of it: recording is conditional on the lease, so that a node which was paused and lost its
leases changes nothing any more. SQL, cursors and dialects do not show here. Every method raises StoreUnavailable when
its change could not be made durable; then nothing of it was kept.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from passband.domain.event import Callback, CallbackKey, Endpoint
from passband.domain.message import Direction, Kind, Recipient
from passband.domain.report import Report


class Births(Protocol):
    """Where rows go that this node has just stored. Called on the event loop, after the commit (``take_…``)."""

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        """Tell of each row whether it should be born leased to this node."""
        ...

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]: ...

    def take_recipients(self, recipients: Sequence[Recipient]) -> None: ...

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None: ...


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What a request adds to a limited account's queue: ``segments``, refused above ``capacity``.

    ``rate`` is only for the refusal's text.
    """

    account: str
    kind: Kind
    segments: int
    capacity: float
    rate: float


class Line(msgspec.Struct, frozen=True, gc=False):
    """Recipients that wait, free of leases, for one carrier from one account with one priority."""

    carrier: str
    account: str
    high: bool


class Attempted(msgspec.Struct, frozen=True, gc=False):
    """What came of one attempt at a callback: its row waits for the next try at ``due_at``, or goes (None).

    ``acknowledged`` tells that the endpoint answered 2xx.
    """

    callback: Callback
    due_at: float | None
    tried_at: float
    acknowledged: bool


class Pace(msgspec.Struct, frozen=True, gc=False):
    """A request for the right to send ``segments`` under the limit ``key`` of an account, ``rate`` per second.

    ``burst`` is how many segments may go at once after a rest.
    """

    account: str
    key: str
    segments: float
    rate: float
    burst: float


class Slots(msgspec.Struct, frozen=True, gc=False):
    """The links to one carrier that this node may hold, each by the number of its slot.

    ``surplus`` are those of ``held`` that it should give back once they are idle: other nodes hold fewer, or the
    carrier has fewer slots than before.
    """

    held: tuple[int, ...]
    surplus: tuple[int, ...]


class NodeState(msgspec.Struct, frozen=True, gc=False):
    """What one node is and holds.

    ``silent`` is for how many seconds it has not been heard of; infinite once it was given up, and the others free what
    it held. ``recipients`` and ``callbacks`` count its leases, ``slots`` are the carriers' links that it may hold.
    """

    number: int
    host: str
    pid: int
    started_at: float
    silent: float
    recipients: int
    callbacks: int
    slots: tuple[tuple[str, int], ...]


class Provision(msgspec.Struct, frozen=True, gc=False):
    """One thing that was set while the platform ran, beside the configuration file: of an account, by kind and name.

    ``value`` means nothing to the store. None takes the entry away.
    """

    account: str
    kind: str
    name: str
    value: str | None


class Provisions(msgspec.Struct, frozen=True, gc=False):
    """All that was set while the platform ran, and the version that this is: it grows with every change."""

    version: int
    entries: tuple[Provision, ...]


class Depth(msgspec.Struct, frozen=True, gc=False):
    """How many recipients wait for one carrier, and since when the oldest has waited."""

    carrier: str
    waiting: int
    handed: int
    oldest_at: float | None


class Found(msgspec.Struct, frozen=True, gc=False):
    """One recipient as the search shows it: metadata only (HTTP API, section 3.2)."""

    id: str
    account: str
    source: str
    destination: str
    status: str
    direction: Direction
    kind: Kind
    segment_count: int
    code: int
    received_at: float
    carrier: str | None
    length: int
    attachments: int | None
    recipients: int


class CarrierRef(msgspec.Struct, frozen=True, gc=False):
    """What a carrier calls a segment whose receipt is awaited, exactly as it gave it.

    ``segment`` counts from 0. None: there is one for the whole message.
    """

    number: str
    segment: int | None
    ref: str


class Query(msgspec.Struct, frozen=True):
    """A search, as the store understands it. Empty and None mean: any.

    ``sources`` and ``destinations`` are full numbers, or one prefix if it ends in ``*``. ``sort`` is a field of Found.
    Times are seconds since 1970, both ends included.
    """

    account: str
    id: str | None = None
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    status: str | None = None
    direction: Direction | None = None
    kind: Kind | None = None
    carrier: str | None = None
    code: int | None = None
    received_from: float | None = None
    received_to: float | None = None
    min_segments: int | None = None
    max_segments: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    sort: str = "received_at"
    descending: bool = True
    offset: int = 0
    limit: int = 100


class Store(Protocol):
    """The durable state of the platform, seen from one node."""

    node: int
    hosts: frozenset[str]
    """Where nodes ran at this one's last heartbeat, as ``processes.machine`` tells it; empty before the first."""

    async def open(self, now: float) -> None:
        """Make the store usable, bring its schema up to date, and enter this process as a node."""
        ...

    async def accept(
        self, recipients: Sequence[Recipient], callbacks: Sequence[Callback], charges: Sequence[Charge]
    ) -> None:
        """Keep a request: its queued recipients, and the events of those that failed at once. All or nothing.

        Raises QueueFull if a charge goes over its capacity.
        """
        ...

    async def announce(self, recipients: Sequence[Recipient], now: float) -> None:
        """Note that these left the queue, and keep their message-sending events."""
        ...

    async def record(self, report: Report, now: float) -> None:
        """Keep what a carrier reported, with all that follows from it by the rules.

        Outcomes count only while this node holds the recipient's lease. A receipt that matches nothing is kept until
        its outcome comes, and dropped after ten minutes; an unclear one is dropped at once. An inbound message with a
        known ``ref`` is dropped. Parts are kept until their message is complete, and join it in the same transaction; a
        repeat within an hour is dropped, a part with a known number and other octets begins another message.
        """
        ...

    async def fail(self, recipients: Sequence[tuple[Recipient, int]], now: float) -> None:
        """Settle leased recipients that never left the queue: each fails with its code."""
        ...

    async def reserve(self, paces: Sequence[Pace], now: float) -> list[float]:
        """Take the right to send from each limit; return from when on each may be used."""
        ...

    async def attempted(self, results: Sequence[Attempted]) -> None:
        """Record attempts at callbacks that this node holds. A callback that waits for its next try is free again."""
        ...

    async def lease_recipients(self, line: Line, limit: int, now: float) -> list[Recipient]:
        """Take over waiting recipients that are due, first in first out."""
        ...

    async def lease_callbacks(
        self, endpoint: Endpoint, limit: int, now: float, *, untried_since: float | None = None
    ) -> list[Callback]:
        """Take over callbacks of one endpoint that are due, the longest due first.

        With ``untried_since``: whether due or not, if they were not tried since then.
        """
        ...

    async def hurry(self, what: Endpoint | CallbackKey, now: float) -> int:
        """Make due now what waits for its next try: all of an endpoint, or one callback; return how many they were.

        Every node finds them as it finds what is due. What a node holds at this moment is on its way already, and what
        was tried since ``now`` waits on.
        """
        ...

    async def release(self, recipients: Sequence[Recipient], callbacks: Sequence[Callback]) -> None:
        """Give leases back, for any node to take."""
        ...

    async def lines(self, now: float) -> list[Line]:
        """Return where recipients wait that are due and free."""
        ...

    async def endpoints(self, now: float) -> list[tuple[Endpoint, float]]:
        """Return the endpoints for which free callbacks wait, each with the earliest moment one is due."""
        ...

    async def expire(self, now: float) -> int:
        """Settle what waited too long; return how many rows it concerned (0: nothing is left to do).

        Handed recipients whose receipts did not come (9902) or were unclear, free recipients past the retry window,
        callbacks past their 24 hours, receipts that matched nothing, history older than its days. Parts whose message
        did not become complete are joined as they are.
        """
        ...

    async def beat(self, now: float) -> bool:
        """Tell the other nodes that this one lives, and free what silent nodes held.

        Return False if this node itself had been given up: its leases are gone, and it must forget what it holds.
        """
        ...

    async def lease_slots(self, carrier: str, slots: int, now: float) -> Slots:
        """Take this node's share of a carrier's ``slots``, of those that are free; return what it holds then.

        Shares differ by one at most. No slot is ever leased to two nodes; those of a silent node are free once another
        node has given it up (``beat``). A node that was given up holds nothing.
        """
        ...

    async def release_slots(self, carrier: str, slots: Sequence[int]) -> None:
        """Give slots back, for other nodes to take. Those that this node does not hold are left alone."""
        ...

    async def provision(self, changes: Sequence[Provision], at: int) -> int | None:
        """Set what the admin API changes, for all nodes; return the new version.

        None, with nothing changed, if ``at`` is not the version any more: somebody else was first, look again.
        """
        ...

    async def provisioned(self, since: int | None = None) -> Provisions | None:
        """Return all that is set; None if that is still version ``since``. Cheap enough for every heartbeat."""
        ...

    async def nodes(self, now: float) -> list[NodeState]:
        """Return every node in the store, in the order they came."""
        ...

    async def search(self, query: Query, now: float) -> tuple[int, list[Found]]:
        """Return how many match in all, and one page of them."""
        ...

    async def carrier_refs(self, account: str, id_: str) -> list[CarrierRef]:
        """Return what carriers call those segments of a message whose receipts are awaited, in their order.

        Those to which they gave no name are left out.
        """
        ...

    async def depths(self) -> Sequence[Depth]: ...

    async def oldest_callback(self) -> float | None:
        """Return when the oldest pending callback's event happened."""
        ...

    def statistics(self) -> Mapping[str, float]:
        """Return counters since the start: commits, operations, seconds and largest of the group commit.

        ``unmatched_receipts`` are those that this node has dropped because nothing matched them within ten minutes.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way, free this node's leases, close the files."""
        ...
