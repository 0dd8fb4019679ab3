"""The table of states: every pair of state and cause either is a listed transition or changes nothing."""

import itertools

import pytest

from passband.domain.event import EventKind
from passband.domain.status import TRANSITIONS, Cause, State, follow

SENDING, SENT, DELIVERED, FAILED = EventKind.SENDING, EventKind.SENT, EventKind.DELIVERED, EventKind.FAILED

# Semantics, section 2, written down once more; what follows a deferral of a handed recipient is from MM4, section 8.
LISTED: dict[tuple[str, str], tuple[str, list[EventKind]]] = {
    ("queued", "REFUSED_BY_RULE"): ("failed", [FAILED]),
    ("queued", "EXPIRED"): ("failed", [FAILED]),
    ("queued", "RETRIES_OVER"): ("failed", [FAILED]),
    ("queued", "LEFT_QUEUE"): ("sending", [SENDING]),
    ("sending", "DEFERRED"): ("queued", []),
    ("sending", "REJECTED"): ("failed", [FAILED]),
    ("sending", "RETRIES_OVER"): ("failed", [FAILED]),
    ("sending", "ACCEPTED_FOR_GOOD"): ("delivered", [SENT, DELIVERED]),
    ("sending", "ACCEPTED_AWAITING_RECEIPT"): ("handed", [SENT]),
    ("handed", "DEFERRED"): ("queued", []),
    ("handed", "RETRIES_OVER"): ("failed", [FAILED]),
    ("handed", "RECEIPT_POSITIVE"): ("delivered", [DELIVERED]),
    ("handed", "RECEIPT_NEGATIVE"): ("failed", [FAILED]),
    ("handed", "RECEIPT_WINDOW_OVER"): ("failed", [FAILED]),
}
PAIRS = list(itertools.product(State, Cause))


@pytest.mark.parametrize(("state", "cause"), PAIRS, ids=[f"{s} {c.name}" for s, c in PAIRS])
def test_what_follows_from(state: State, cause: Cause) -> None:
    next_state, events = LISTED.get((state.value, cause.name), (state.value, []))
    assert follow(state, cause) == (State(next_state), tuple(events))


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED])
def test_nothing_changes_a_terminal_state(state: State, cause: Cause) -> None:
    assert state.terminal
    assert follow(state, cause) == (state, ())


def test_a_transition_tells_one_terminal_event_exactly_if_its_state_is_terminal() -> None:
    for transition in TRANSITIONS.values():
        terminal = [event for event in transition.events if event.terminal]
        assert len(terminal) == (1 if transition.state.terminal else 0)
        assert terminal == [event for event in transition.events[-1:] if event.terminal]
    assert {t.state: t.events[-1] for t in TRANSITIONS.values() if t.state.terminal} == {
        State.DELIVERED: DELIVERED,
        State.FAILED: FAILED,
    }


def test_every_state_can_be_reached_and_every_open_one_can_be_left() -> None:
    reached, frontier = {State.QUEUED}, {State.QUEUED}
    while frontier:
        frontier = {t.state for (state, _), t in TRANSITIONS.items() if state in frontier} - reached
        reached |= frontier
    assert reached == set(State)
    assert {state for state, _ in TRANSITIONS} == {state for state in State if not state.terminal}


def test_every_cause_leads_somewhere() -> None:
    assert {cause for _, cause in TRANSITIONS} == set(Cause)
