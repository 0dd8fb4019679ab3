"""The links of one carrier by slot: those that this node holds, and those that it is leaving.

A carrier allows so many binds over all nodes; each is a slot, counted from 0. A slot has one link, or one that
transmits and one that receives. A slot that is not held any more is left in good order, and is used until its last
connection has ended: only then may another node have it.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from passband.carriers.smpp.connection import Owner
from passband.carriers.smpp.link import BINDS, Link, LinkState, Spacing
from passband.carriers.smpp.settings import SmppSettings
from passband.clock import Clock

UNBIND_SHARE: Final = 0.2  # of the time to stop in: for the answer to our unbind, if answers to segments do not come
UNBIND_MORE_SECONDS: Final = 1.0  # beyond the carrier's time for its answer, until links are closed without a word


class LinkSlots:
    """The links of one node to one carrier. Until somebody says what to hold, that is all slots.

    Resource handling: ``start`` and ``stop`` enclose the life of all connections. ``failed`` is told of an error that
    nobody expects.
    """

    def __init__(
        self,
        settings: SmppSettings,
        owner: Owner,
        clock: Clock,
        random: Callable[[], float],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._clock = clock
        self._random = random
        self._failed = failed
        self._links: dict[int, tuple[Link, ...]] = {}
        self._tasks: dict[asyncio.Task[None], tuple[int, Link]] = {}
        self._running = False
        self._spacing = Spacing()
        self.held = frozenset(range(settings.binds))

    def start(self) -> None:
        """From now on links are kept up."""
        self._running = True
        self._begin()

    def hold(self, slots: frozenset[int], within: float) -> None:
        """Hold these slots and no others; links of others have so many seconds for the answers that they await."""
        self.held = slots
        if self._running:
            self._leave([(task, link) for task, (slot, link) in self._tasks.items() if slot not in slots], within)
            self._begin()

    @property
    def used(self) -> frozenset[int]:
        """The slots that have a link which is connected, or may yet be."""
        return frozenset(slot for slot, _ in self._tasks.values())

    def states(self) -> list[LinkState]:
        """Return what there is to know of each link of the slots that are held or used."""
        return [
            link.state(slot * len(BINDS[self._settings.bind_type]) + place)
            for slot in sorted(self.held | self.used)
            for place, link in enumerate(self._links_of(slot))
        ]

    def _links_of(self, slot: int) -> tuple[Link, ...]:
        links = self._links.get(slot)
        if links is None:
            commands = BINDS[self._settings.bind_type]
            links = self._links[slot] = tuple(
                Link(self._settings, command, self._owner, self._clock, self._random, self._spacing)
                for command in commands
            )
        return links

    def _idle(self) -> Iterator[tuple[int, Link]]:
        running = {id(link) for _, link in self._tasks.values()}
        for slot in sorted(self.held):
            for link in self._links_of(slot):
                if id(link) not in running:
                    yield slot, link

    def _begin(self) -> None:
        for slot, link in list(self._idle()):
            task = asyncio.create_task(link.run(), name=f"link {link.peer}")
            self._tasks[task] = (slot, link)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
        elif self._running:
            self._begin()  # a slot that is held again since its link was told to leave

    def _leave(self, leaving: "list[tuple[asyncio.Task[None], Link]]", within: float) -> None:
        for task, link in leaving:
            link.leave(within)
            if link.connection is None:
                task.cancel()

    async def stop(self, until: float) -> None:
        """Unbind every link; return when the last connection is closed, which is by ``until`` of the loop's time."""
        self._running = False
        tasks = {task: link for task, (_, link) in self._tasks.items()}
        self._leave(list(tasks.items()), 0.0)
        if tasks:
            left = max(0.0, until - asyncio.get_running_loop().time())
            await asyncio.wait(tasks, timeout=min(left, self._settings.unbind_timeout + UNBIND_MORE_SECONDS))
        for task, link in tasks.items():
            link.abort()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
