"""How much the simulated SMSC takes, and what a message costs the SMPP carrier: python benchmarks/smsc.py

The SMSC runs in a process of its own, on one core. First a bare client submits to it through one window, without asking
for receipts and then asking for them. Then the carrier does the same with a store that keeps nothing: what is printed
as its cost is the processor time of the whole client process for each message: text, submit, response, outcome,
receipt and its acknowledgement, the event loop and the system's sockets included. What the SMSC takes on
one core follows from its own processor time for each message.
"""

import argparse
import asyncio
import itertools
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from passband.carriers.smpp import SmppCarrier, SmppSettings
from passband.clock import SystemClock
from passband.domain.message import Direction, Kind, Message, Recipient
from passband.domain.report import Report, Submission
from passband.smpp import text
from passband.smpp.pdu import BindTransceiver, DeliverSm, ReceiptSm, SubmitSm
from passband.smpp.session import Session
from passband.smpp.session_events import Answered, Bound, Received
from passband.smpp.session_states import Role
from passband.smpp.template import SubmitTemplate

WINDOW = 1000
TEXT = "Your parcel arrives today between 14:00 and 16:00. Track it: example.com/t/4711"
SERVE = """
import asyncio, uvloop
from passband.smsc import SmscOptions, serve
uvloop.run(serve(SmscOptions(port=0, receipt_delay=0.05), lambda port, _: print(port, flush=True)))
"""


@contextmanager
def smsc() -> Iterator[tuple[int, int]]:
    """The SMSC's port and process id."""
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client(asyncio.Protocol):
    """A window that is always full."""

    def __init__(self, count: int, receipts: bool) -> None:
        self.left, self.missing = count, count * (2 if receipts else 1)
        self.session = Session(Role.CLIENT, time.time(), window=WINDOW, receipts=True)
        self.template = SubmitTemplate(SubmitSm())
        self.receipts = receipts
        self.numbers = itertools.cycle([f"1202777{number:04}" for number in range(1000)])
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.session.bind(BindTransceiver(system_id="bench"), time.time())
        self.transport.write(self.session.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Count the answers in it, and keep the window full."""
        now = time.time()
        for event in self.session.receive_data(data, now):
            if isinstance(event, Answered):
                assert event.pdu.command_status == 0
                self.missing -= 1
            elif isinstance(event, Received):
                assert isinstance(event.pdu, (DeliverSm, ReceiptSm))
                self.session.respond_deliver(event.pdu.sequence_number)
                self.missing -= 1
            else:
                assert isinstance(event, Bound)
                self.began = time.perf_counter()
        _, (octets,) = text.encode_segments(TEXT)
        for _ in range(min(self.session.room, self.left)):
            body = self.template.body((1, 1, "12025550143"), (1, 1, next(self.numbers)), octets, 0, 0, self.receipts)
            self.session.submit(body, now)
            self.left -= 1
        self.transport.write(self.session.data_to_send())
        if not self.missing and not self.done.done():
            self.done.set_result(time.perf_counter() - self.began)


async def bare(count: int, receipts: bool) -> tuple[float, float, float]:
    """Messages per second; µs of processor time for each, of the client and of the SMSC."""
    with smsc() as (port, pid):
        transport, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(count, receipts), "127.0.0.1", port
        )
        own, theirs = time.process_time(), cpu_of(pid)
        seconds = await client.done
        own, theirs = time.process_time() - own, cpu_of(pid) - theirs
        transport.close()
    return count / seconds, own / count * 1e6, theirs / count * 1e6


def submissions(count: int) -> list[Submission]:
    """Messages as a node hands them over."""
    first = Message(
        account="5500123",
        id="17730441423170000000000000000",
        direction=Direction.OUT,
        kind=Kind.SMS,
        application="7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",
        created_at=1_773_044_142.317,
        sender="+12025550143",
        to=("+12027770000",),
        text=TEXT,
        length=len(TEXT),
        media=(),
        tag=None,
        priority=None,
        expires_at=None,
        segment_count=1,
    )
    return [
        Submission((Recipient(msgspec.structs.replace(first, to=(f"+1202777{n % 10000:04}",)), 0, "bench"),))
        for n in range(count)
    ]


async def whole_carrier(count: int, receipts: bool) -> tuple[float, float, float]:
    """The same through the carrier."""
    with smsc() as (port, pid):
        settings = SmppSettings(
            name="bench",
            host="127.0.0.1",
            port=port,
            system_id="bench",
            window=WINDOW,
            rate=None,
            delivered_on="receipt" if receipts else "submit",
        )
        clock = SystemClock()
        carrier = SmppCarrier(settings, clock, random.Random(1))  # noqa: S311 - for jitter
        waiting = submissions(count)
        waiting.reverse()
        missing = count * (2 if receipts else 1)
        done = asyncio.Event()
        began = 0.0

        def more() -> None:
            room = carrier.room(clock.now())
            if room and waiting:
                carrier.submit([waiting.pop() for _ in range(min(room, len(waiting)))])

        async def report(said: Report) -> None:
            nonlocal missing
            await asyncio.sleep(0)
            missing -= len(said.outcomes) + len(said.receipts)
            if not missing:
                done.set()

        bound = asyncio.Event()
        task = asyncio.create_task(carrier.run(report, lambda: more() if began else bound.set()))
        if not carrier.room(clock.now()):
            await bound.wait()
        began, own, theirs = time.perf_counter(), time.process_time(), cpu_of(pid)
        more()
        await done.wait()
        seconds = time.perf_counter() - began
        own, theirs = time.process_time() - own, cpu_of(pid) - theirs
        task.cancel()
        await asyncio.wait([task])
    return count / seconds, own / count * 1e6, theirs / count * 1e6


def main() -> None:
    """Measures everything and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000, help="messages of each row")
    count = parser.parse_args().count
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    table = Table(title=f"{count:,} messages, one bind, window {WINDOW}")
    for heading in ("", "messages/s", "client µs", "SMSC µs", "SMSC/s a core"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    rows: dict[str, Any] = {"bare client": bare, "the carrier": whole_carrier}
    for name, run in rows.items():
        for receipts in (False, True):
            rate, own, theirs = uvloop.run(run(count, receipts))
            label = f"{name}, {'with' if receipts else 'without'} receipts"
            table.add_row(label, f"{rate:,.0f}", f"{own:.1f}", f"{theirs:.1f}", f"{1e6 / theirs:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
