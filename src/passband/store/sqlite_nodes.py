"""What nodes do beside each other in a SQLite database: heartbeats, leases, taking over, links, what all must know.

Inside a transaction that is already open, like ``sqlite_steps.py``.
"""

from collections.abc import Callable
from typing import Any

import apsw

from passband.domain.event import SLOTS, Callback, Endpoint
from passband.domain.message import Recipient
from passband.store import Slots
from passband.store import operations as op
from passband.store.commit import Operation
from passband.store.queries import load
from passband.store.rows import COLUMNS, TOLD, callback_key, callback_of, recipient_key, recipient_of
from passband.store.sharing import held_slots, share

Q = load("sqlite.sql", COLUMNS)


class NodeSteps:
    """The operations of one node that concern nodes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.node = 0
        self.lives = False
        self.steps: dict[type[Operation[Any]], Callable[[Any], Any]] = {
            op.Beat: self._beat,
            op.Register: self._register,
            op.Bury: self._bury,
            op.LeaseRecipients: self._lease_recipients,
            op.LeaseCallbacks: self._lease_callbacks,
            op.Release: self._release,
            op.LeaseSlots: self._lease_slots,
            op.ReleaseSlots: self._release_slots,
            op.Hurry: self._hurry,
            op.Provide: self._provide,
        }

    def _fetch(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def look(self) -> None:
        """Note whether the others know this node: one that they gave up while it was paused must take no leases.

        Nobody would ever free them.
        """
        self.lives = bool(self._fetch(Q["node_lives"], (self.node,)))

    def _register(self, o: op.Register) -> int:
        return int(self._fetch(Q["insert_node"], (o.host, o.pid, o.level, o.now, o.now))[0][0])

    def _beat(self, o: op.Beat) -> bool:
        self._execute(Q["beat"], (o.now, self.node))
        return self._connection.changes() == 1

    def _bury(self, o: op.Bury) -> None:
        self._execute(Q["give_up_node"], (o.node,))
        self._execute(Q["release_slots_of_node"], (o.node,))
        self._execute(Q["doubt_told"], (f"{TOLD}%@{o.node}",))
        self._executemany(Q["release_recipient"], [(*key, o.node) for key in o.recipients])
        self._executemany(Q["release_callback"], [(*key, o.node) for key in o.callbacks])
        if o.last:
            self._execute(Q["delete_node"], (o.node,))

    def _lease_recipients(self, o: op.LeaseRecipients) -> list[Recipient]:
        if not self.lives:
            return []
        line = o.line
        rows = self._fetch(Q["lease_recipients"], (self.node, line.carrier, line.account, line.high, o.now, o.limit))
        return sorted(map(recipient_of, rows), key=recipient_key)

    def _lease_callbacks(self, o: op.LeaseCallbacks) -> list[Callback]:
        if not self.lives:
            return []
        endpoint = (o.endpoint.account, o.endpoint.application, o.endpoint.direction.value)
        if o.untried_since is None:
            rows = self._fetch(Q["lease_callbacks"], (self.node, *endpoint, o.now, o.limit))
        else:
            rows = self._fetch(Q["lease_untried_callbacks"], (self.node, *endpoint, o.untried_since, o.limit))
        return sorted(map(callback_of, rows), key=lambda c: (c.due_at, c.at, SLOTS[c.kind]))

    def _release(self, o: op.Release) -> None:
        self._executemany(Q["release_recipient"], [(*recipient_key(r), self.node) for r in o.recipients])
        self._executemany(Q["release_callback"], [(*callback_key(c), self.node) for c in o.callbacks])

    def _lease_slots(self, o: op.LeaseSlots) -> Slots:
        held = held_slots(self._fetch(Q["held_slots"], (o.carrier,)))
        if self.node not in held:
            return Slots((), ())
        slots = share(held, self.node, o.slots)
        taken = set(slots.held).difference(held[self.node])
        self._executemany(Q["lease_slot"], [(o.carrier, slot, self.node) for slot in taken])
        return slots

    def _release_slots(self, o: op.ReleaseSlots) -> None:
        self._executemany(Q["release_slot"], [(o.carrier, slot, self.node) for slot in o.slots])

    def _hurry(self, o: op.Hurry) -> int:
        what = o.what
        if isinstance(what, Endpoint):
            endpoint = (what.account, what.application, what.direction.value)
            self._execute(Q["hurry_endpoint"], (o.now, *endpoint, o.limit))
        else:
            key = (what.account, what.message, what.n, SLOTS[what.kind], what.kind.value)
            self._execute(Q["hurry_callback"], (o.now, *key))
        return self._connection.changes()

    def _provide(self, o: op.Provide) -> int | None:
        self._execute(Q["next_version"], (o.at,))
        if not self._connection.changes():
            return None
        for p in o.changes:
            if p.value is None:
                self._execute(Q["remove_provision"], (p.account, p.kind, p.name))
            else:
                self._execute(Q["put_provision"], (p.account, p.kind, p.name, p.value))
        return o.at + 1
