"""Links: this node's share of the binds that each carrier allows over all nodes.

A share is leased from the store as slots; a link is up only for a slot that is leased. When another node comes, this
one leaves its surplus in good order, and gives a slot back once its connection has ended; when a node falls silent, the
others take its slots over. A node whose own leases may have ended holds nothing: somebody else may have its slots.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from passband.clock import Clock
from passband.domain.errors import StoreUnavailable
from passband.store import Slots, Store

log = structlog.get_logger()

EVERY_SECONDS = 2.0  # as often as the heartbeat
LEAVING_SECONDS = 0.25  # while a slot waits to be given back
LAST_SECONDS = 1.5  # for answers under way when leases end: others take the slots two seconds later


class Linked(Protocol):
    """A carrier whose links are shared among nodes. ``binds`` is how many slots it has."""

    name: str
    binds: int

    @property
    def used(self) -> frozenset[int]:
        """The slots that may still be connected."""
        ...

    def hold(self, slots: frozenset[int], within: float | None = None) -> None:
        """Have links for these slots only; others have so many seconds for answers under way (None: its own time)."""
        ...

    def reachable(self, now: float) -> bool:
        """Whether what waits may leave by this node soon."""
        ...


class Links:
    """The links of one node. ``holds_leases`` tells whether the others still respect what it has leased."""

    def __init__(
        self, store: Store, carriers: Mapping[str, Linked], clock: Clock, *, holds_leases: Callable[[], bool]
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._clock = clock
        self._holds_leases = holds_leases
        self._held: dict[str, frozenset[int]] = {}
        self.wake = asyncio.Event()
        for carrier in carriers.values():
            carrier.hold(frozenset())

    def reachable(self, carrier: str) -> bool:
        """Return whether what waits for a carrier may leave by this node soon; without links to share it always may."""
        linked = self._carriers.get(carrier)
        return linked is None or linked.reachable(self._clock.now())

    async def run(self) -> None:
        """Step at every heartbeat, until cancelled."""
        while True:
            leaving = await self.step(self._clock.now())
            await self._clock.rest(self.wake, self._clock.now() + (LEAVING_SECONDS if leaving else EVERY_SECONDS))

    async def step(self, now: float) -> bool:
        """Lease each carrier's share and hold it, give back what is not used any more; return whether more is to come.

        While the store cannot be reached this node keeps what it holds for as long as others respect that.
        """
        if not self._holds_leases():
            self._drop(LAST_SECONDS)
            return False
        return any(await asyncio.gather(*(self._share(carrier, now) for carrier in self._carriers.values())))

    async def _share(self, carrier: Linked, now: float) -> bool:
        try:
            slots = await self._store.lease_slots(carrier.name, carrier.binds, now)
            if not self._holds_leases():
                return False  # what was said before they ended counts for nothing
            if not slots.held and self._held.get(carrier.name):
                self._drop(0.0)  # it gave none of them back: it was given up
            self._hold(carrier, slots)
            gone = sorted(set(slots.surplus) - carrier.used)
            if gone:
                await self._store.release_slots(carrier.name, gone)
            return len(gone) < len(slots.surplus)
        except StoreUnavailable as error:
            log.warning("links wait for the store", carrier=carrier.name, cause=str(error))
            return False

    def _hold(self, carrier: Linked, slots: Slots) -> None:
        share = frozenset(slots.held) - frozenset(slots.surplus)
        if share != self._held.get(carrier.name):
            self._held[carrier.name] = share
            log.info("links of this node", carrier=carrier.name, slots=sorted(share), of=carrier.binds)
            carrier.hold(share)

    def forget(self) -> None:
        """This node was given up: hold nothing, at once, and lease anew."""
        self._drop(0.0)
        self.wake.set()

    def _drop(self, within: float) -> None:
        for carrier in self._carriers.values():
            if self._held.pop(carrier.name, None):
                log.warning("this node's links are given up", carrier=carrier.name)
                carrier.hold(frozenset(), within)
