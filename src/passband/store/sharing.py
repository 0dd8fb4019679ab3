"""What nodes share, from its rows, the same for both engines: carriers' links, who holds what, what all must know."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from passband.store import NodeState, Provision, Provisions, Slots
from passband.store.rows import Row


def held_slots(rows: Iterable[tuple[int, int | None]]) -> dict[int, set[int]]:
    """Return the slots of each living node, from rows of a node and a slot; None: it holds none."""
    held: dict[int, set[int]] = {}
    for node, slot in rows:
        of = held.setdefault(node, set())
        if slot is not None:
            of.add(slot)
    return held


def share(held: Mapping[int, Collection[int]], node: int, slots: int) -> Slots:
    """Return what ``node`` holds once it has taken its share of ``slots``, and what of that it should give back.

    ``held`` are the slots that each living node holds, this one included. Fair shares differ by one at most; who holds
    more keeps the larger one, so that no link moves for nothing. Of nodes that hold the same, who asks may take the
    larger share: a slot must not wait for a node that never asks.
    """
    counts = {number: sum(slot < slots for slot in of) for number, of in held.items()}

    def fair(first: int | None) -> int:
        order = sorted(counts, key=lambda number: (-counts[number], number != first, number))
        return slots // len(order) + (order.index(node) < slots % len(order))

    mine = sorted(held[node])
    kept = [slot for slot in mine if slot < slots][: fair(None)]
    leased = set().union(*held.values())
    free = [slot for slot in range(slots) if slot not in leased]
    taken = free[: max(0, fair(node) - counts[node])]
    return Slots(tuple(sorted([*mine, *taken])), tuple(slot for slot in mine if slot not in kept))


def node_states(nodes: Iterable[Row], slots: Iterable[tuple[int, str, int]]) -> list[NodeState]:
    """Return what each node is and holds, from rows of the other fields and rows of node, carrier and slot."""
    held: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for node, carrier, slot in slots:
        held[node].append((carrier, slot))
    return [
        NodeState(node, where.partition(" ")[0], pid, started_at, silent, recipients, callbacks, tuple(held[node]))
        for node, where, pid, started_at, silent, recipients, callbacks in nodes
    ]


def provisions(rows: Sequence[Row]) -> Provisions | None:
    """Return what is set, from rows that begin with the version; none if it is still the version that is known."""
    if not rows:
        return None
    return Provisions(rows[0][0], tuple(Provision(*entry) for _, *entry in rows if entry[0] is not None))
