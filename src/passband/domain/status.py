"""A recipient's states and every legal transition, as one table (Semantics, section 2).

Rule: what happens to a recipient is looked up here; nothing else decides which state follows which, and which event
goes with it. ``delivered`` and ``failed`` have no rows, so nothing that comes later can change them. The table is
drawn in ``docs/how-it-works.md``, and a test holds the drawing against it.
"""

import enum
from typing import NamedTuple

from passband.domain.event import EventKind


class State(enum.StrEnum):
    """Where an outbound recipient is. Only ``queued`` and ``handed`` outlive a node; ``sending`` is a lease on a queued
    one, and the row of a terminal one is gone."""

    QUEUED = "queued"
    SENDING = "sending"
    HANDED = "handed"
    DELIVERED = "delivered"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in (State.DELIVERED, State.FAILED)


class Cause(enum.StrEnum):  # hashed as text: a plain Enum takes a call of Python for it, twice a message
    """What can happen to a recipient."""

    REFUSED_BY_RULE = enum.auto()
    EXPIRED = enum.auto()
    LEFT_QUEUE = enum.auto()
    DEFERRED = enum.auto()
    REJECTED = enum.auto()
    RETRIES_OVER = enum.auto()
    ACCEPTED_FOR_GOOD = enum.auto()
    ACCEPTED_AWAITING_RECEIPT = enum.auto()
    RECEIPT_POSITIVE = enum.auto()
    RECEIPT_NEGATIVE = enum.auto()
    RECEIPT_WINDOW_OVER = enum.auto()


class Transition(NamedTuple):
    """The state that follows, and the events that go with it, wanted or not."""

    state: State
    events: tuple[EventKind, ...] = ()


_SENT_DELIVERED = (EventKind.SENT, EventKind.DELIVERED)

TRANSITIONS: dict[tuple[State, Cause], Transition] = {
    (State.QUEUED, Cause.REFUSED_BY_RULE): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.QUEUED, Cause.EXPIRED): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.QUEUED, Cause.RETRIES_OVER): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.QUEUED, Cause.LEFT_QUEUE): Transition(State.SENDING, (EventKind.SENDING,)),
    (State.SENDING, Cause.DEFERRED): Transition(State.QUEUED),
    (State.SENDING, Cause.REJECTED): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.SENDING, Cause.RETRIES_OVER): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.SENDING, Cause.ACCEPTED_FOR_GOOD): Transition(State.DELIVERED, _SENT_DELIVERED),
    (State.SENDING, Cause.ACCEPTED_AWAITING_RECEIPT): Transition(State.HANDED, (EventKind.SENT,)),
    # A carrier that takes first and says later whether it really did (MM4, section 8).
    (State.HANDED, Cause.DEFERRED): Transition(State.QUEUED),
    (State.HANDED, Cause.RETRIES_OVER): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.HANDED, Cause.RECEIPT_POSITIVE): Transition(State.DELIVERED, (EventKind.DELIVERED,)),
    (State.HANDED, Cause.RECEIPT_NEGATIVE): Transition(State.FAILED, (EventKind.FAILED,)),
    (State.HANDED, Cause.RECEIPT_WINDOW_OVER): Transition(State.FAILED, (EventKind.FAILED,)),
}


def follow(state: State, cause: Cause) -> Transition:
    """Return what follows; for a pair that is not in the table the state stays and nothing is told."""
    found = TRANSITIONS.get((state, cause))
    return Transition(state) if found is None else found
