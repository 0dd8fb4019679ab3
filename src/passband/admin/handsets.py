"""The developers' handsets: every number that a message reached or came from is a phone, with its last bubbles.

Rule: texts are in here, so it exists in the developers' edition only; bounded, in memory, gone with the node.
"""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from passband.admin.live import Live
from passband.domain.message import Direction, Kind, Recipient
from passband.wire import timestamp

MOST_HANDSETS = 500
MOST_BUBBLES = 300  # of each
MOST_KEPT = 10_000  # of all; a text of 2,048 characters is the longest: 20 MB at worst


class Bubble(msgspec.Struct, frozen=True):
    """A message as one handset has it. ``direction`` is relative to the platform: ``out`` came to the handset.

    ``others`` are the numbers at the other end: one of ours, or a whole group. ``media`` are addresses.
    """

    number: int
    handset: str
    direction: Direction
    at: float
    sender: str
    to: tuple[str, ...]
    text: str
    media: tuple[str, ...]
    kind: Kind
    segment_count: int
    message_id: str | None = None
    tag: str | None = None
    account: str | None = None

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(n for n in dict.fromkeys((self.sender, *self.to)) if n != self.handset)

    def view(self) -> dict[str, Any]:
        """Return it as JSON; ``media`` become addresses of the admin API, which a page may show."""
        return {
            "number": self.number,
            "handset": self.handset,
            "direction": self.direction,
            "time": timestamp(self.at),
            "from": self.sender,
            "to": list(self.to),
            "others": list(self.others),
            "text": self.text,
            "media": [f"/admin/handsets/media/{self.number}/{index}" for index in range(len(self.media))],
            "mediaUrls": list(self.media),
            "kind": self.kind,
            "segmentCount": self.segment_count,
            "messageId": self.message_id,
            "tag": self.tag,
        }


class Handsets:
    """The handsets of a node. ``is_ours`` tells of a number whether it is the platform's: that is no handset."""

    def __init__(self, live: Live, now: Callable[[], float], is_ours: Callable[[str], bool]) -> None:
        self._live = live
        self._now = now
        self._is_ours = is_ours
        self._numbers = itertools.count(1)
        self._handsets: OrderedDict[str, deque[Bubble]] = OrderedDict()
        self._bubbles: OrderedDict[int, Bubble] = OrderedDict()

    def arrived(self, recipients: Sequence[Recipient]) -> None:
        """Take in what a carrier has delivered: the simulated carrier's ``on_delivered``."""
        for recipient in recipients:
            m = recipient.message
            self._add(
                recipient.number, Direction.OUT, m.sender, m.to, m.text, m.media, m.kind, m.segment_count,
                message_id=m.id, tag=m.tag, account=m.account,
            )  # fmt: skip

    def sent(
        self, sender: str, to: Sequence[str], text: str, media: Sequence[str], kind: Kind, segments: int
    ) -> Bubble:
        """Note what a handset has sent; other handsets in the group get it too. Return the sender's bubble."""
        bubble = self._add(sender, Direction.IN, sender, tuple(to), text, tuple(media), kind, segments)
        for number in to:
            if number != sender and not self._is_ours(number):
                self._add(number, Direction.OUT, sender, tuple(to), text, tuple(media), kind, segments)
        return bubble

    def _add(
        self,
        handset: str,
        direction: Direction,
        sender: str,
        to: tuple[str, ...],
        text: str,
        media: tuple[str, ...],
        kind: Kind,
        segments: int,
        **more: str | None,
    ) -> Bubble:
        bubble = Bubble(
            next(self._numbers), handset, direction, self._now(), sender, to, text, media, kind, segments, **more
        )
        bubbles = self._handsets.get(handset)
        if bubbles is None:
            bubbles = self._handsets[handset] = deque(maxlen=MOST_BUBBLES)
            if len(self._handsets) > MOST_HANDSETS:
                self._handsets.popitem(last=False)
        bubbles.append(bubble)
        self._bubbles[bubble.number] = bubble
        if len(self._bubbles) > MOST_KEPT:
            self._drop(self._bubbles.popitem(last=False)[1])
        if self._live.watched:
            self._live.publish("bubble", bubble.view())
        return bubble

    def _drop(self, bubble: Bubble) -> None:
        bubbles = self._handsets.get(bubble.handset)
        if bubbles and bubbles[0] is bubble:
            bubbles.popleft()

    def find(self, number: int) -> Bubble | None:
        return self._bubbles.get(number)

    def forget(self) -> None:
        """Empty all handsets."""
        self._handsets.clear()
        self._bubbles.clear()
        self._live.publish("handsets-forgotten", {})

    def view(self, handset: str | None = None) -> list[dict[str, Any]]:
        """Return all handsets with their bubbles, or one of them."""
        return [
            {"handset": number, "bubbles": [bubble.view() for bubble in bubbles]}
            for number, bubbles in self._handsets.items()
            if handset in (None, number)
        ]
