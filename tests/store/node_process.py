"""A node in a process of its own, for the tests of the SQLite engine.

accept PATH COUNT   accept as many messages, a few dozen at a time; print those acknowledged
hold PATH COUNT     accept them, print "held", and wait to be killed
fill PATH LIMIT     accept until a file would grow beyond LIMIT octets; print what happened; accept once more
"""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import structlog

from passband.domain.errors import StoreUnavailable
from passband.store import Store
from store.nodes import NOW, Recorded, SqliteEngine, a_recipient, the_rules


async def main(what: str, path: str, count: int) -> None:
    if what == "fill":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (count, resource.RLIM_INFINITY))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    name = os.getpid()
    store = await SqliteEngine(Path(path)).open(the_rules(), Recorded(0 if what == "accept" else None), NOW, 0)

    async def accept(number: int) -> str:
        await store.accept([a_recipient(NOW + name, text=f"{name} {number}")], (), ())
        return f"{name} {number}"

    if what == "fill":
        await _fill(store)
    else:
        for first in range(0, count, 25):
            for accepted in await asyncio.gather(*(accept(number) for number in range(first, first + 25))):
                print(accepted, flush=True)
            await store.beat(NOW)
        if what == "hold":
            print("held", flush=True)
            await asyncio.Event().wait()
    await store.close()


async def _fill(store: Store) -> None:
    number, refused = 0, 0
    while not refused:
        together = [store.accept([a_recipient(text="x" * 2000)], (), ()) for _ in range(20)]
        results = await asyncio.gather(*together, return_exceptions=True)
        kept = [result for result in results if result is None]
        refused = len([result for result in results if isinstance(result, StoreUnavailable)])
        assert len(kept) + refused == 20, results
        number += len(kept)
    print(number, refused, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.accept([a_recipient(text="recovered")], (), ())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
