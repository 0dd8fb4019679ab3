"""What nodes do for each other in a PostgreSQL database: taking over, sharing carriers' links, what all must know."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncCursor

from passband.domain.event import SLOTS, Endpoint
from passband.store import Slots
from passband.store import operations as op
from passband.store.postgres_arrays import Int, Text, pack
from passband.store.postgres_pipe import Pipe
from passband.store.rows import TOLD
from passband.store.sharing import held_slots, share


async def bury(pipe: Pipe, o: op.Bury) -> None:
    """Give a node up and free these of its leases, and all its slots."""
    await pipe.send("give_up_node", o.node)
    await pipe.send("release_slots_of_node", o.node)
    await pipe.send("doubt_told", f"{TOLD}%@{o.node}".encode())
    if o.recipients:
        await pipe.send("bury_recipients", Text(list(o.recipients)), o.node)
    if o.callbacks:
        await pipe.send("bury_callbacks", Text(list(o.callbacks)), o.node)
    if o.last:
        await pipe.send("delete_node", o.node)


async def lease_slots(pipe: Pipe, asked: Sequence[op.LeaseSlots], *, lives: bool) -> None:
    """Take this node's share, one node at a time; one that does not live has none."""
    await pipe.send("slots_lock")
    for o in asked:
        held = held_slots(await pipe.fetch("held_slots", o.carrier))
        o.result = Slots((), ())
        if not lives or pipe.node not in held:
            continue
        o.result = share(held, pipe.node, o.slots)
        if taken := set(o.result.held).difference(held[pipe.node]):
            await pipe.send("lease_slots", o.carrier, Int(sorted(taken)), pipe.node)


async def release_slots(pipe: Pipe, o: op.ReleaseSlots) -> None:
    await pipe.send("release_slots", o.carrier, Int(list(o.slots)), pipe.node)


async def hurry(pipe: Pipe, o: op.Hurry) -> AsyncCursor[Any]:
    """Make callbacks due; the cursor has a row for each."""
    what = o.what
    if isinstance(what, Endpoint):
        endpoint = (what.account, what.application.encode(), what.direction.value)
        return await pipe.send("hurry_endpoint", o.now, *endpoint, o.limit)
    key = (what.account, what.message, what.n, SLOTS[what.kind], what.kind.value)
    return await pipe.send("hurry_callback", o.now, *key)


async def provide(pipe: Pipe, o: op.Provide) -> int | None:
    """Set what the admin API changes; return the new version, or None if somebody else was first."""
    rows = await pipe.fetch("next_version", o.at)
    if not rows:
        return None
    # The last word on each: one statement must not change a row twice.
    changes = {(p.account, p.kind, p.name): p.value for p in o.changes}
    put = [(*key, value) for key, value in changes.items() if value is not None]
    gone = [key for key, value in changes.items() if value is None]
    if put:
        await pipe.send("put_provisions", *pack((Text,) * 4, put))
    if gone:
        await pipe.send("remove_provisions", *pack((Text,) * 3, gone))
    return int(rows[0][0])
