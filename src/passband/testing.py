"""What tests of applications and of Passband itself use: a whole Passband in a thread (``Passband``); a clock that
stands still, a carrier and an endpoint that do as they are told."""

import asyncio
from collections.abc import Callable, Sequence

from passband.carriers import ReportFunction
from passband.domain.message import Kind, Recipient
from passband.domain.report import Accepted, Outcome, Report, Submission
from passband.fetch import Request, Response
from passband.kit import HANDSET, PICTURE, ApplicationFault, File, KitFault, Missed, Passband, Sent, Told

__all__ = [
    "HANDSET",
    "PICTURE",
    "ApplicationFault",
    "FakeClock",
    "File",
    "KitFault",
    "Missed",
    "Passband",
    "ScriptedCarrier",
    "ScriptedPoster",
    "Sent",
    "Told",
    "accepted",
    "answered",
]


class FakeClock:
    """A clock that only ``advance`` moves."""

    def __init__(self, now: float = 1_773_044_142.317) -> None:
        self._now = now
        self._resting: set[asyncio.Event] = set()

    def now(self) -> float:
        return self._now

    async def rest(self, wake: asyncio.Event, until: float | None) -> None:
        """Wait for ``wake`` or for ``advance``, whichever comes first."""
        if until is None or until > self._now:
            self._resting.add(wake)
            await wake.wait()
            self._resting.discard(wake)
        wake.clear()

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for wake in self._resting:
            wake.set()


class ScriptedCarrier:
    """A carrier that keeps what it is handed until the test says what came of it."""

    def __init__(self, name: str = "scripted", *, window: int = 1_000_000) -> None:
        self.name = name
        self.kinds = frozenset(Kind)
        self.window = window
        self.submitted: list[Submission] = []
        self.open: list[Recipient] = []

    def room(self, now: float) -> int:
        return self.window - len(self.open)

    def submit(self, submissions: Sequence[Submission]) -> None:
        self.submitted += submissions
        self.open += [r for s in submissions for r in s.recipients]

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    def take(self, decide: Callable[[Recipient], Outcome] | None = None) -> Report:
        """Return the report on everything that is open; without ``decide``, all is accepted and awaits its receipt."""
        recipients, self.open = self.open, []
        return Report(outcomes=[(r, decide(r) if decide else accepted(r)) for r in recipients])

    @property
    def texts(self) -> list[str]:
        return [s.recipients[0].message.text for s in self.submitted]


def accepted(recipient: Recipient, receipt_window: float | None = 7200.0) -> Accepted:
    """Return an acceptance with one reference for each segment, made of the message's id."""
    message = recipient.message
    refs = tuple(f"{message.id}-{recipient.n}-{segment}" for segment in range(message.segment_count))
    return Accepted(refs, receipt_window)


def answered(status: int, *, challenge: bool = False) -> Response:
    """Return an endpoint's answer."""
    return Response(status=status, error=None, seconds=0.001, challenge=challenge)


class ScriptedPoster:
    """An endpoint without a network: answers each request as ``answer`` says; None leaves it hanging."""

    def __init__(self, answer: Callable[[Request], Response | None] | None = None) -> None:
        self.answer = answer or (lambda request: answered(200))
        self.requests: list[Request] = []
        self.hanging: list[Callable[[Response], None]] = []

    def post(self, request: Request, done: Callable[[Response], None]) -> None:
        self.requests.append(request)
        response = self.answer(request)
        if response is None:
            self.hanging.append(done)
        else:
            asyncio.get_running_loop().call_soon(done, response)
