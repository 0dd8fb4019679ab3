"""Pages of a listing, made of keys that come in their own order."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from passband.media import Listed, is_kept
from passband.media.names import key_of, run_of

T = TypeVar("T")


def beginning(after: str) -> str:
    """Return the key after which a listing must be read, so that it holds every name after this one."""
    return run_of(key_of(after)) if after else ""


async def page(
    entries: AsyncGenerator[tuple[str, T], None],
    read: Callable[[Sequence[T]], Awaitable[list[Listed]]],
    after: str,
    limit: int,
    now: float,
) -> list[Listed]:
    """Return the next ``limit`` files in order of name. ``entries`` are keys in order, with what ``read`` needs.

    Names of more than 120 octets with the same beginning have keys in an order of their own; such a run is read as a
    whole and then put in order.
    """
    found: list[Listed] = []
    batch: list[T] = []
    run = ""

    async def read_batch() -> None:
        listed = [one for one in await read(batch) if one.name > after and is_kept(one.uploaded_at, now)]
        found.extend(sorted(listed))
        batch.clear()

    async with aclosing(entries):
        async for key, entry in entries:
            if len(batch) >= limit and run_of(key) != run:
                await read_batch()
                if len(found) >= limit:
                    return found[:limit]
            run = run_of(key)
            batch.append(entry)
    await read_batch()
    return found[:limit]
