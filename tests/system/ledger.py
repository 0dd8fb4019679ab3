"""The outside record: what the platform promised, and what it told. It knows nothing of the platform's inside.

Rule: whatever is judged here was seen on the wire by somebody who cannot crash together with the platform.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DELIVERED, FAILED, RECEIVED = "message-delivered", "message-failed", "message-received"

# How long before a crash an answer may have been given that was not on disk yet: the commit that holds it, on a machine
# that does other things at the same time.
UNRECORDED_SECONDS = 2.0

Fate = tuple[str, int]
"""How a recipient ends: the terminal event's type, and its code or 0."""


@dataclass(frozen=True)
class Post:
    """One message that was posted. ``fates`` are the ends that each recipient may have, in the order of ``to``."""

    tag: str
    text: str
    to: tuple[str, ...]
    fates: tuple[frozenset[Fate], ...]


class EventKey(NamedTuple):
    id: str
    to: str
    type: str


@dataclass
class Told:
    """One event in one callback. ``acknowledged_at`` is when 200 was on its way; None: it was answered otherwise."""

    key: EventKey
    code: int
    tag: str
    text: str
    came_at: float
    acknowledged_at: float | None = None


@dataclass
class Disturbance:
    """A crash, or a stop, of one node or of all. What was in flight then may come again."""

    began_at: float
    ended_at: float

    def excuses(self, acknowledged_at: float) -> bool:
        return self.began_at - UNRECORDED_SECONDS <= acknowledged_at <= self.ended_at + UNRECORDED_SECONDS


@dataclass
class Ledger:
    """Everything that was promised and told in one test."""

    promised: dict[str, Post] = field(default_factory=dict)  # by the id in the 202
    uncertain: dict[str, Post] = field(default_factory=dict)  # by tag: the connection broke before the answer
    refused: dict[str, int] = field(default_factory=dict)  # by tag: the status
    inbound_promised: set[str] = field(default_factory=set)  # texts of handsets' messages
    inbound_uncertain: set[str] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    # A commit whose connection was lost may have been made: then an answer of 5xx leaves it open whether it was kept.
    unsure: bool = False

    def note_events(self, body: list[dict[str, Any]], now: float) -> list[Told]:
        """Note what a callback says."""
        noted = [
            Told(
                key=EventKey(event["message"]["id"], event["to"], event["type"]),
                code=int(event.get("errorCode") or 0),
                tag=event["message"].get("tag") or "",
                text=event["message"]["text"],
                came_at=now,
            )
            for event in body
        ]
        self.told += noted
        return noted

    def disturb(self, began_at: float, ended_at: float | None = None) -> None:
        self.disturbances.append(Disturbance(began_at, began_at if ended_at is None else ended_at))

    # ── what must come true ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def missing(self) -> int:
        """How many acknowledged ends are still to come of what was promised."""
        seen = {one.key for one in self.told if one.acknowledged_at is not None}
        ended = {(key.id, key.to) for key in seen if key.type in (DELIVERED, FAILED)}
        arrived = {one.text for one in self.told if one.key.type == RECEIVED and one.acknowledged_at is not None}
        waiting = sum((id_, number) not in ended for id_, post in self.promised.items() for number in post.to)
        return waiting + len(self.inbound_promised - arrived) + len({one.key for one in self.told} - seen)

    def faults(self) -> list[str]:
        """Return every promise that was broken, one sentence each; empty: none."""
        return [*self._wrong_ends(), *self._wrong_inbound(), *self._unacknowledged(), *self._needless_repeats()]

    def _wrong_ends(self) -> Iterable[str]:
        ends: dict[str, dict[str, set[Fate]]] = defaultdict(lambda: defaultdict(set))
        ids_of_tag: dict[str, set[str]] = defaultdict(set)
        for one in self.told:
            if one.key.type == RECEIVED:
                continue
            ids_of_tag[one.tag].add(one.key.id)
            if one.key.type in (DELIVERED, FAILED):
                ends[one.key.id][one.key.to].add((one.key.type, one.code))
        for id_, post in self.promised.items():
            yield from _judge(id_, post, ends.get(id_, {}))
        for tag, post in self.uncertain.items():
            if len(ids_of_tag[tag]) > 1:
                yield f"one request became {len(ids_of_tag[tag])} messages"
            for id_ in ids_of_tag[tag]:
                yield from _judge(id_, post, ends.get(id_, {}))
        known = {post.tag for post in self.promised.values()} | self.uncertain.keys()
        for tag in ids_of_tag.keys() - known:
            answer = self.refused.get(tag)
            yield f"an event of a request that was answered with {answer}" if answer else "an event of nobody's request"

    def _wrong_inbound(self) -> Iterable[str]:
        arrivals: dict[str, set[str]] = defaultdict(set)
        for one in self.told:
            if one.key.type == RECEIVED:
                arrivals[one.text].add(one.key.id)
        delivered = {one.tag for one in self.told if one.key.type == DELIVERED}
        on_net = {p.text: p for p in [*self.promised.values(), *self.uncertain.values()]}
        for text, ids in arrivals.items():
            sent = on_net.get(text)
            if len(ids) > 1:
                yield f"one inbound message came as {len(ids)}"
            if sent is not None and sent.tag not in delivered:
                yield "a message between our numbers arrived and was not delivered"
            if sent is None and text not in self.inbound_promised | self.inbound_uncertain:
                yield "an inbound message that nobody sent"
        for _ in self.inbound_promised - arrivals.keys():
            yield "an inbound message that was acknowledged never arrived"

    def _unacknowledged(self) -> Iterable[str]:
        acknowledged = {one.key for one in self.told if one.acknowledged_at is not None}
        for key in {one.key for one in self.told} - acknowledged:
            yield f"{key.type} of {key.id} was given up before it was acknowledged"

    def _needless_repeats(self) -> Iterable[str]:
        for key, acknowledged_at in self._repeats():
            if not any(d.excuses(acknowledged_at) for d in self.disturbances):
                yield f"{key.type} of {key.id} came again after it was acknowledged, and nothing had happened"

    def _repeats(self) -> Iterable[tuple[EventKey, float]]:
        acknowledged: dict[EventKey, float] = {}
        for one in sorted(self.told, key=lambda told: told.came_at):
            last = acknowledged.get(one.key)
            if last is not None and one.came_at > last:
                yield one.key, last
            if one.acknowledged_at is not None:
                acknowledged[one.key] = one.acknowledged_at

    @property
    def repeated(self) -> int:
        """How many events came again although they had been acknowledged."""
        return sum(1 for _ in self._repeats())

    @property
    def summary(self) -> str:
        ends = Counter(one.key.type for one in {one.key: one for one in self.told}.values())
        unreceipted = len({one.key for one in self.told if one.code == 9902})
        return (
            f"{len(self.promised)} promised, {len(self.uncertain)} uncertain, {len(self.refused)} refused, "
            f"{len(self.inbound_promised)} inbound, events {dict(ends)}, {unreceipted} without receipt, "
            f"{self.repeated} repeated"
        )


def _judge(id_: str, post: Post, ends: dict[str, set[Fate]]) -> Iterable[str]:
    for number, fates in zip(post.to, post.fates, strict=True):
        seen = ends.get(number, set())
        if len(seen) != 1:
            yield f"a recipient of {id_} has the ends {sorted(seen)}"
        elif not seen <= fates:
            yield f"a recipient of {id_} ended as {sorted(seen)} rather than {sorted(fates)}"
    for _ in ends.keys() - set(post.to):
        yield f"an event of {id_} about a number that it was not sent to"
