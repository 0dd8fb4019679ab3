"""What the store costs: rows per second and processor time of this process per row, for each step and engine.

    python benchmarks/store.py sqlite:/tmp/store.db postgresql://postgres@/postgres?host=/tmp/pg
    python benchmarks/store.py --rows 20000 --batch 100 --clients 1 URL …

Each step is one call of ``--batch`` rows at a time, ``--clients`` of them at once; everything is durable. The database
should be empty before.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import uvloop

from passband.domain.account import Account, Application, Directory, Number
from passband.domain.event import Callback
from passband.domain.message import Direction, IdSource, Kind, Message, Recipient
from passband.domain.report import Accepted, Receipt, Report
from passband.domain.rules import Rules
from passband.store import Attempted, Births, Store
from passband.store.open import open_store

ACCOUNT, APPLICATION, SENDER = "5500123", "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21", "+19195550117"


class Everything(Births):
    """A node with room for all."""

    def __init__(self) -> None:
        self.recipients: list[Recipient] = []
        self.callbacks: list[Callback] = []

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return [True] * len(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return [True] * len(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None:
        self.recipients += recipients

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks += callbacks


def messages(count: int, now: float) -> list[Recipient]:
    ids = IdSource(random.Random(1).getrandbits)  # noqa: S311  # the same in every run
    recipients = []
    for n in range(count):
        id_, created_at = ids.next(now + n / 10_000)
        message = Message(
            ACCOUNT, id_, Direction.OUT, Kind.SMS, APPLICATION, created_at, SENDER, (f"+1408555{n % 10_000:04}",),
            "Your table for two is ready, see you soon at the Old Mill. Reply STOP to get no more of these. ", 95,
            (), "booking 4711", None, None, 1,
        )  # fmt: skip
        recipients.append(Recipient(message, 0, "carrier"))
    return recipients


def rules() -> Rules:
    application = Application(APPLICATION, inbound_url="http://app.example/in", outbound_url="http://app.example/out")
    number = Number(SENDER, ACCOUNT, APPLICATION)
    return Rules(Directory([Account(ACCOUNT, applications={APPLICATION: application}, numbers={SENDER: number})]))


async def life(store: Store, births: Everything, rows: int, batch: int, clients: int) -> None:
    """Take ``rows`` messages from their acceptance to the acknowledgement of their callbacks."""
    now = time.time()
    recipients = messages(rows, now)

    async def step(name: str, call: Callable[[int, int], Awaitable[None]]) -> None:
        starts = iter(range(0, rows, batch))

        async def client() -> None:
            for first in starts:
                await call(first, first + batch)

        commits, wall, processor = store.statistics()["commits"], time.perf_counter(), time.process_time()
        await asyncio.gather(*(client() for _ in range(clients)))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        commits = store.statistics()["commits"] - commits
        print(f"  {name:12}{rows / wall:>10,.0f} rows/s{processor / rows * 1e6:>8.1f} µs/row{commits:>8.0f} commits")

    await step("accept", lambda a, b: store.accept(recipients[a:b], (), ()))
    await step(
        "hand over",
        lambda a, b: store.record(
            Report(outcomes=[(r, Accepted((r.message.id[-12:],), 7200.0)) for r in recipients[a:b]]), now
        ),
    )
    await step(
        "receipts",
        lambda a, b: store.record(
            Report(receipts=[Receipt("carrier", ("0", r.message.id[-12:]), r.number, 0) for r in recipients[a:b]]), now
        ),
    )
    assert len(births.callbacks) == rows
    await step(
        "acknowledge",
        lambda a, b: store.attempted([Attempted(c, None, now, True) for c in births.callbacks[a:b]]),
    )


async def main(urls: Sequence[str], rows: int, batch: int, clients: int) -> None:
    """Measure each store twice, and print what every step costs."""
    for url in urls:
        births = Everything()
        store = open_store(url, rules(), births)
        await store.open(time.time())
        try:
            print(f"{url.partition(':')[0]}: {rows} rows, {batch} a call, {clients} calls at once")
            for _ in range(2):
                births.recipients.clear()
                births.callbacks.clear()
                await life(store, births, rows, batch, clients)
        finally:
            await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--clients", type=int, default=1)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(given.urls, given.rows, given.batch, given.clients))
