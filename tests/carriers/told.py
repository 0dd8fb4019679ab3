"""A real store behind a carrier, and what its applications are told."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from carriers.collector import SENDER
from passband.clock import Clock
from passband.domain.account import Account, Application, Directory, Number
from passband.domain.event import Callback
from passband.domain.message import Recipient
from passband.domain.report import Report
from passband.domain.rules import Rules
from passband.store.sqlite import SqliteStore

A, B = "+19195550118", "+19195550119"

APPLICATION = Application(
    id="7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",
    inbound_url="http://127.0.0.1:8081/inbound",
    outbound_url="http://127.0.0.1:8081/status",
)
ACCOUNT = Account(
    id="5500123",
    applications={APPLICATION.id: APPLICATION},
    numbers={number: Number(number, "5500123", application=APPLICATION.id) for number in (SENDER, A, B)},
)


class Told:
    """A store, and the callbacks that were born in it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.callbacks: list[Callback] = []
        self.clock = clock
        self.store = SqliteStore(path, Rules(Directory([ACCOUNT])), self)

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return [True] * len(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return [True] * len(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None: ...

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks += callbacks

    async def accept(self, recipients: Sequence[Recipient]) -> None:
        await self.store.accept(recipients, [], [])

    async def record(self, report: Report) -> None:
        await self.store.record(report, self.clock.now())

    @property
    def events(self) -> Counter[tuple[str, str, int]]:
        """How often each event was told: type, recipient, code."""
        return Counter((callback.kind.value, callback.number, callback.code) for callback in self.callbacks)
