"""Receipts that decide nothing: what their recipients fail with if nothing better comes. They are few."""

from collections.abc import Awaitable, Callable, Sequence

from passband.domain.report import Inbound, Unclear
from passband.store.postgres_arrays import Bytea, Int, Text, pack
from passband.store.postgres_pipe import Pipe

NOTE = (Int, Text, Bytea, Text, Int)


async def note(
    pipe: Pipe, receipts: Sequence[tuple[Unclear, float]]
) -> Callable[[], Awaitable[list[tuple[Inbound, float]]]]:
    """Send what keeps the code of each with the recipient that it means; return what returns those that are messages.

    One that matches nothing is not kept for later: as an early receipt it would take the place of a better one.
    """
    # A receipt that is matched meanwhile misses a row that is changed here; it looks again once nobody has this lock.
    if not pipe.manner.alone:
        await pipe.send("hand_over_lock")
    named = [
        (place, receipt.carrier, ref, receipt.number, receipt.code)
        for place, (receipt, _) in enumerate(receipts)
        for ref in receipt.refs
    ]
    noted = await pipe.send("note_unclear", *pack(NOTE, named)) if named else None

    async def finish() -> list[tuple[Inbound, float]]:
        matched = {place for (place,) in await noted.fetchall()} if noted is not None else set()
        messages = []
        for place, (receipt, now) in enumerate(receipts):
            if place in matched:
                continue
            if receipt.pair and await _is_one(pipe, receipt):
                by_pair = (place, receipt.carrier, receipt.pair, receipt.number, receipt.code)
                await pipe.send("note_unclear", *pack(NOTE, [by_pair]))
            elif receipt.otherwise is not None:
                messages.append((receipt.otherwise, now))
        return messages

    return finish


async def _is_one(pipe: Pipe, receipt: Unclear) -> bool:
    """Whether exactly one recipient is known by the receipt's two numbers."""
    ((known,),) = await pipe.fetch("known_by_pair", receipt.carrier, receipt.pair.encode(), receipt.number)
    return bool(known == 1)
