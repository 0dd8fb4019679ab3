"""Taking over from a node: it is given up, what it held is freed a batch at a time, and last it is forgotten."""

from collections.abc import Awaitable, Callable
from typing import Any

from passband.store import operations as op
from passband.store.commit import GroupCommit

BURY_ROWS = 2000  # freed by one commit, so that others' steps need not wait for all of it

# Where the recipients and the callbacks of a node are: what the engine's own operation takes.
Held = tuple[list[Any], list[Any]]


async def bury(commit: GroupCommit, node: int, held: Callable[[], Awaitable[Held]]) -> None:
    """Give a node up and free what it held, which ``held`` finds.

    No index knows what a node holds, so it takes a walk through everything: one for all of it, where that holds up
    nobody, and one more that finds nothing. A node that is given up takes no leases any more; but a row that it changed
    while others were about to free it is still its own. It is forgotten last: if this node dies meanwhile, another goes
    on.
    """
    await commit.submit(op.Bury(node, (), (), last=False))
    more = True
    while more:
        recipients, callbacks = await held()
        for first in range(0, max(len(recipients), len(callbacks)), BURY_ROWS):
            rows = slice(first, first + BURY_ROWS)
            await commit.submit(op.Bury(node, recipients[rows], callbacks[rows], last=False))
        more = bool(recipients or callbacks)
    await commit.submit(op.Bury(node, (), (), last=True))
