"""What a node's messages and callbacks went through lately, for people who look: bounded, in memory only.

Rule: the journal observes and decides nothing. It is told in batches by hooks that exist only while somebody watches
(always in the developers' edition), and what it shows is at most ``most`` recipients and as many callbacks, the oldest
forgotten first. Texts are in it only with ``keeps_text``, which is the developers' edition; otherwise neither a text
nor a body that holds one ever gets in here.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from passband.admin.entries import Attempt, Flight, Key, Step, Told
from passband.admin.live import Live
from passband.domain.event import SLOTS, Callback, Endpoint, EventKind
from passband.domain.message import Direction, Message, Recipient
from passband.domain.report import Accepted, Deferred, Report, Submission
from passband.fetch import Request, Response
from passband.store import Attempted

FLUSH_SECONDS = 0.1  # changes of one entry within this time are told as one
FLUSH_MOST = 200  # entries told at a time; more is no use to a reader


class Journal:
    """The journal of one node. ``new_in_flush`` limits how many messages begin to be followed in each 0.1 s."""

    def __init__(
        self, live: Live, now: Callable[[], float], *, keeps_text: bool, most: int = 2_000, new_in_flush: int = 200
    ) -> None:
        self._live = live
        self._now = now
        self._keeps_text = keeps_text
        self._most = most
        self._new_in_flush = new_in_flush
        self._new = 0
        self._flush: asyncio.TimerHandle | None = None
        self._changed: dict[Flight | Told, None] = {}
        self._refs: OrderedDict[tuple[str, str], Key] = OrderedDict()
        self.flights: OrderedDict[Key, Flight] = OrderedDict()
        self.told: OrderedDict[tuple[Key, int], Told] = OrderedDict()
        self.skipped = 0

    # ── what the hooks tell ────────────────────────────────────────────────────────────────────────────────────────

    def queued(self, recipients: Sequence[Recipient]) -> None:
        """Note rows that this node has just stored."""
        for recipient in recipients:
            if self._step(recipient, "queued", recipient.message.created_at) is None:
                self.skipped += 1

    def leaving(self, submissions: Iterable[Submission]) -> None:
        """Note what is on its way to its carrier."""
        now = self._now()
        for submission in submissions:
            for recipient in submission.recipients:
                detail = f"attempt {recipient.attempts + 1}" if recipient.attempts else ""
                self._step(recipient, "sending", now, detail)

    def reported(self, report: Report) -> None:
        """Note what a carrier said, once it is durable."""
        now = self._now()
        for recipient, outcome in report.outcomes:
            if isinstance(outcome, Accepted):
                if outcome.receipt_window is not None:
                    names = outcome.names
                    flight = self._step(recipient, "handed", now, f"as {', '.join(names)}" if names else "")
                    if flight is not None and not flight.result:
                        flight.awaited = len(outcome.refs)
                        for ref in outcome.refs:
                            self._refs[recipient.carrier, ref] = flight.key
                else:
                    self._settle(self._flight(recipient), "delivered", 0, now)
            elif isinstance(outcome, Deferred):
                self._step(recipient, "queued", now, f"deferred with {outcome.code} for {outcome.delay:g} s")
            else:
                self._settle(self._flight(recipient), "failed", outcome.code, now)
        for receipt in report.receipts:
            for ref in receipt.refs:
                key = self._refs.pop((receipt.carrier, ref), None)
                flight = self.flights.get(key) if key is not None else None
                if flight is not None:
                    flight.awaited -= 1
                    if receipt.code or not flight.awaited:
                        self._settle(flight, "failed" if receipt.code else "delivered", receipt.code, now)
        while len(self._refs) > 4 * self._most:
            self._refs.popitem(last=False)

    def born(self, callbacks: Sequence[Callback]) -> None:
        """Note events that are being stored: before the commit, where all pass by. A repeat is the same entry."""
        for callback in callbacks:
            key = (callback.message.account, callback.message.id, callback.n)
            at = (key, SLOTS[callback.kind])
            flight = self.flights.get(key)
            if flight is None:
                flight = self._begin(callback.message, callback.n, callback.number, callback.carrier or "")
                if flight is None:
                    continue
            if at not in self.told:
                told = self.told[at] = Told(callback)
                flight.told.append(told)
                self._note(told)
                while len(self.told) > 2 * self._most:
                    self.told.popitem(last=False)
            if callback.kind.final:
                result = {EventKind.FAILED: "failed", EventKind.DELIVERED: "delivered"}.get(callback.kind, "received")
                self._settle(flight, result, callback.code, callback.at)
            self._note(flight)

    def attempted(self, request: Request, callback: Callback, response: Response, result: Attempted) -> None:
        """Note an attempt at a callback that has come to its end, and when the next is due."""
        at = ((callback.message.account, callback.message.id, callback.n), SLOTS[callback.kind])
        told = self.told.get(at)
        if told is None:
            told = self.told[at] = Told(callback)
        body = request.body
        if not self._keeps_text and callback.message.direction is Direction.IN:
            body = _without_text(body)
        told.tried(Attempt(result.tried_at, response.status, response.error, response.seconds), request, body, result)
        self._note(told)
        flight = self.flights.get(at[0])
        if flight is not None:
            self._finish(flight, result.tried_at)

    def expired(self, now: float) -> None:
        """Note the callbacks whose 24 hours are over."""
        for told in self.told.values():
            if told.state == "pending" and told.expires_at <= now:
                told.state, told.due_at = "expired", None
                self._note(told)
                flight = self.flights.get(told.key)
                if flight is not None:
                    self._finish(flight, now)

    def clear(self) -> None:
        """Forget everything."""
        self.flights.clear()
        self.told.clear()
        self._refs.clear()
        self._changed.clear()
        self.skipped = 0

    # ── entries ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _flight(self, recipient: Recipient) -> Flight | None:
        key = (recipient.message.account, recipient.message.id, recipient.n)
        flight = self.flights.get(key)
        return flight or self._begin(recipient.message, recipient.n, recipient.number, recipient.carrier)

    def _begin(self, message: Message, n: int, number: str, carrier: str) -> Flight | None:
        """Follow one more recipient; None where too many begin at once."""
        if self._new >= self._new_in_flush:
            return None
        self._new += 1
        if not self._keeps_text:
            message = msgspec.structs.replace(message, text="", media=())
        flight = Flight(message, n, number, carrier)
        self.flights[flight.key] = flight
        while len(self.flights) > self._most:
            self._changed.pop(self.flights.popitem(last=False)[1], None)
        self._note(flight)
        return flight

    def _step(self, recipient: Recipient, state: str, at: float, detail: str = "") -> Flight | None:
        flight = self._flight(recipient)
        if flight is not None and not flight.result and flight.steps[-1:] != [Step(at, state, detail)]:
            flight.carrier = recipient.carrier
            flight.steps.append(Step(at, state, detail))
            self._note(flight)
        return flight

    def _settle(self, flight: Flight | None, result: str, code: int, at: float) -> None:
        if flight is not None and not flight.result:
            flight.result, flight.code = result, code
            flight.steps.append(Step(at, result, str(code) if code else ""))
            self._note(flight)

    def _finish(self, flight: Flight, at: float) -> None:
        """Note the end of a recipient of whom nothing is left to be told."""
        if flight.result and flight.state == "done" and flight.steps[-1].state != "done":
            late = [told.kind.value for told in flight.told if told.state == "expired"]
            flight.steps.append(Step(at, "done", f"{', '.join(late)} expired untold" if late else ""))
        self._note(flight)

    def _note(self, entry: Flight | Told) -> None:
        self._changed[entry] = None
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._tell)

    def _tell(self) -> None:
        self._flush = None
        self._new = 0
        if not self._live.watched:
            self._changed.clear()  # nobody is told, so nothing is made to be told
        for _ in range(min(FLUSH_MOST, len(self._changed))):
            entry = next(iter(self._changed))
            del self._changed[entry]
            if isinstance(entry, Flight):
                self._live.publish("message", entry.view())
            else:
                self._live.publish("callback", entry.view(brief=True))
        if self._changed:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._tell)

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()

    # ── what is asked ──────────────────────────────────────────────────────────────────────────────────────────────

    def find(
        self,
        *,
        number: str = "",
        id_: str = "",
        tag: str = "",
        state: str = "",
        direction: str = "",
        limit: int = 200,
    ) -> list[Any]:
        """Return the newest recipients that match all that is given; numbers, identifiers and tags by any part."""
        found = []
        for flight in reversed(self.flights.values()):
            message = flight.message
            if (
                (not number or number in flight.number or number in message.sender)
                and (not id_ or id_ in message.id)
                and (not tag or tag in (message.tag or ""))
                and (not state or flight.is_in(state))
                and direction in ("", message.direction)
            ):
                found.append(flight.view())
                if len(found) == limit:
                    break
        return found

    def counts(self) -> dict[str, int]:
        """Return how many of the recipients that are followed are in each state."""
        return dict(Counter(flight.state for flight in self.flights.values()))

    def last_attempts(self) -> dict[Endpoint, Attempt]:
        """Return the last attempt at each endpoint that is remembered."""
        last: dict[Endpoint, Attempt] = {}
        for told in self.told.values():
            if told.attempts and (told.endpoint not in last or last[told.endpoint].at < told.attempts[-1].at):
                last[told.endpoint] = told.attempts[-1]
        return last


def _without_text(body: bytes) -> bytes:
    """Return an event's body as it was sent, but for the text of the message."""
    events = msgspec.json.decode(body)
    for event in events:
        event["message"]["text"] = ""
    return msgspec.json.encode(events)
