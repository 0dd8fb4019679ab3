"""The SMPP carrier: its queue, its links, and its reports.

On the path of every message. What arrives in one turn of the event loop is one report, and no message has a task or a
timer of its own; see ``benchmarks/smsc.py`` for what a message costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, cast

import structlog

from passband.carriers import ReportFunction
from passband.carriers.smpp.check import check
from passband.carriers.smpp.connection import Connection, Entry
from passband.carriers.smpp.inbound import Arrival, Reader
from passband.carriers.smpp.link import LinkState
from passband.carriers.smpp.numbers import Numbers
from passband.carriers.smpp.outbound import Outbound
from passband.carriers.smpp.pacing import Pacing
from passband.carriers.smpp.refusals import Refusals
from passband.carriers.smpp.repeats import Answers
from passband.carriers.smpp.reports import Reports
from passband.carriers.smpp.settings import SmppSettings
from passband.carriers.smpp.slots import UNBIND_SHARE, LinkSlots
from passband.clock import Clock
from passband.domain.message import Kind
from passband.domain.report import Inbound, Matched, Part, Receipt, Rejected, Submission
from passband.smpp import tlv
from passband.smpp.codec import ROK
from passband.smpp.error_mapping import Outcome, Retry
from passband.smpp.message_id import IdRule
from passband.smpp.outcome import submit_verdict
from passband.smpp.pdu import DataSm, DataSmResp, DeliverSm, GenericNack, Pdu, ReceiptSm, SubmitSmResp
from passband.smpp.session_events import Answered
from passband.smpp.session_steps import RUNKNOWNERR, RX_T_APPN

log = structlog.get_logger()

NO_LINK: Final = 5501
THROTTLED: Final = 5600

HOLD_SECONDS: Final = 2.0
"""How long what was taken over is held while no link is bound; then it goes back to the store, where it expires, and
where nodes with a link find it. A link that was cut is back within this time, if its carrier is."""

PAUSE_SECONDS: Final = 10.0  # of a longer pause after throttling the store keeps what waits

MOST_UNREPORTED: Final = 5000  # outcomes; beyond it the store is out of order, and no more is sent


class SmppCarrier:
    """Submits over SMPP 3.4 and takes receipts and inbound messages; obeys ``Carrier``.

    Resource handling: ``run`` holds one connection for each bind, and closes them in good order: what is written is
    waited for, what is not goes back to the store. A segment whose answer does not come by then counts as lost: its
    message goes back too, to be submitted once more, or fails with 5630, as ``on_unacked`` says. Error handling: links
    come back for ever; what the store cannot keep is answered with ESME_RX_T_APPN, so that the carrier sends it again,
    and outcomes are reported again until they are kept.

    For operators: ``throttled_count`` segments were refused since the start because they were too many, ``refusals`` by
    which statuses; ``links`` tells the rest.
    """

    kinds = frozenset({Kind.SMS})

    def __init__(
        self,
        settings: SmppSettings,
        clock: Clock,
        random: Random,
        is_ours: Callable[[str], bool] = lambda number: False,
    ) -> None:
        """``is_ours`` tells whether a number is one of the platform's own."""
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._outbound = Outbound(settings, Numbers(settings), random.random)
        self._reader = Reader(settings, is_ours)
        self._answers = Answers()
        self._pacing = Pacing(settings.rate)
        self._overrides = settings.overrides
        self.binds = settings.binds
        self._slots = LinkSlots(settings, self, clock, random.random, self._failed)
        self._bound: list[Connection] = []  # those that transmit
        self._queue: deque[Entry] = deque()
        self._again: deque[Entry] = deque()  # written once; before the queue
        self._starved = False  # somebody found no room and waits to be woken
        self._unsendable_since: float | None = clock.now()
        self.refusals = Refusals(settings.name)
        self._reports = Reports(self.name, clock, self._answer)
        self._tick_wake = asyncio.Event()
        self._calm = asyncio.Event()
        self._stopping = False
        self._wake: Callable[[], None] = _nothing
        self.throttled_count = 0

    # ── the way out ────────────────────────────────────────────────────────────────────────────────────────────────

    def room(self, now: float) -> int:
        room = 0
        if not self._stopping and self._bound and len(self._reports.outcomes) < MOST_UNREPORTED:
            room = min(self._free(), self._pacing.allowance(now))
            if self._settings.rate is None and room:
                # As much again as the windows hold, so that an answer finds the next segment ready to go.
                room += self._settings.window * len(self._bound)
            room = max(0, room - len(self._queue) - len(self._again))
        self._starved = self._starved or not room
        return room

    def _free(self) -> int:
        window = self._pacing.window(self._settings.window)
        return sum(max(0, min(bind.room, window - bind.session.pending)) for bind in self._bound)

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Queue the segments of these, write what the windows take; outcomes are reported later. Obeys ``Carrier``."""
        now = self._clock.now()
        outbound, queue = self._outbound, self._queue
        for submission in submissions:
            for recipient in submission.recipients:
                sending = outbound.prepare(recipient, now)
                if isinstance(sending, Rejected):
                    self._reports.outcome(recipient, sending)
                    continue
                queue.append((sending, 0))
                if len(sending.bodies) > 1:
                    queue.extend((sending, index) for index in range(1, len(sending.bodies)))
        self._pump(now)
        if not self.room(now):
            self._tick_wake.set()  # only its rate says when there is room again

    def _pump(self, now: float) -> None:
        """Write what may go now."""
        allowance = self._pacing.allowance(now)
        if not allowance:
            return
        window = self._pacing.window(self._settings.window)
        written = 0
        for bind in self._bound:
            room = min(bind.room, window - bind.session.pending, allowance - written)
            before = written
            while room > 0 and (entry := self._next()) is not None:
                bind.submit(entry, now)
                room -= 1
                written += 1
            if written > before:
                bind.submitted += written - before
                bind.flush()
        if written:
            self._pacing.spend(written, now)
            if len(self._bound) > 1:  # the next turn begins with another bind
                self._bound.append(self._bound.pop(0))

    def _next(self) -> Entry | None:
        for waiting in (self._again, self._queue):
            while waiting:
                entry = waiting.popleft()
                sending, index = entry
                if not sending.over and sending.ids[index] is None:
                    return entry
        return None

    # ── what links tell ────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, connection: Connection, event: Answered, now: float) -> None:
        """A segment was answered."""
        sequence = event.sequence_number
        entry = connection.unanswered.pop(sequence, None)
        if entry is not None:
            entry[0].flying -= 1
        else:
            entry = connection.late.pop(sequence, None)
            if entry is None:
                return
        sending, index = entry
        connection.answered += 1
        if sending.over or sending.ids[index] is not None:
            return
        pdu = event.pdu
        if type(pdu) is SubmitSmResp and pdu.command_status == ROK:
            if self._pacing.throttled:
                self._pacing.succeed()
            self.refusals.in_a_row = 0
            outcome = self._outbound.taken(sending, index, pdu.message_id)
            if outcome is not None:
                self._reports.outcome(sending.recipient, outcome)
        elif not event.late:
            self._refused(connection, entry, pdu, now)

    def _refused(self, connection: Connection, entry: Entry, pdu: Pdu, now: float) -> None:
        sending, index = entry
        # A generic_nack without a status is no consent either.
        status = pdu.command_status or RUNKNOWNERR
        tlvs = pdu.tlvs if isinstance(pdu, SubmitSmResp) else {}
        if reason := tlv.string(tlvs, tlv.ADDITIONAL_STATUS_INFO_TEXT):
            log.info("the carrier tells why it refuses a segment", carrier=self.name, status=status, reason=reason)
        verdict = submit_verdict(status, tlvs, self._overrides)
        self.refusals.count(status, verdict, nacked=isinstance(pdu, GenericNack))
        if verdict.outcome is Outcome.ACCEPTED:
            outcome = self._outbound.taken(sending, index, None)
            if outcome is not None:
                self._reports.outcome(sending.recipient, outcome)
            return
        if verdict.retry is Retry.THROTTLE:
            self.throttled_count += 1
            before = self._pacing.paused_until
            seconds = self._pacing.throttle(now)
            if self._pacing.paused_until != before:
                log.warning(
                    "the carrier asks for less, a pause", carrier=self.name, status=verdict.name, seconds=seconds
                )
            self._again.append(entry)
            self._tick_wake.set()
            return
        self._reports.outcome(sending.recipient, self._outbound.refused(sending, verdict))
        if verdict.retry in (Retry.RECONNECT, Retry.BIND):
            connection.rebind = verdict.name

    def lost(self, entries: Sequence[Entry], now: float) -> None:
        """These segments were written, and their answers will not come, or come late."""
        for entry in entries:
            sending, index = entry
            if sending.over or sending.ids[index] is not None:
                continue
            outcome = self._outbound.lost(sending, index)
            if outcome is None:
                self._again.append(entry)
            else:
                self._reports.outcome(sending.recipient, outcome)

    def received(self, connection: Connection, pdu: Pdu, now: float) -> None:
        """A deliver_sm or data_sm: kept, and answered when it is durable."""
        connection.received += 1
        if not self._reports.takes_arrivals:
            _respond(connection, pdu, RX_T_APPN)
            return
        self._reader.ids_given = self._outbound.gives_ids
        value = self._reader.read(cast("DeliverSm | DataSm | ReceiptSm", pdu))  # in quotes: the union is dear to make
        if value is None:
            _respond(connection, pdu, ROK)
            return
        if type(value) is Inbound and self._answers.is_repeat(value.digest, connection, pdu, now):
            return
        self._reports.arrival(connection, pdu, value, now)

    def _answer(self, connection: Connection, pdu: Pdu, value: Arrival, received_at: float, kept: bool) -> None:
        """What was reported is durable, or was not kept: tell the carrier."""
        status = ROK if kept else RX_T_APPN
        _respond(connection, pdu, status)
        message = value.otherwise if isinstance(value, Receipt) else value
        if isinstance(message, Inbound):
            if message is value:
                _, *repeats = arrivals = self._answers.stored(message.digest, pdu)
                for again, request, _ in repeats:  # which have no report of their own
                    _respond(again, request, status)
                    again.flush()
                connection, _, received_at = arrivals[-1]
            if kept and self._answers.is_doubtful(message.digest, connection, received_at, self._clock.now()):
                self._reports.doubt([message.digest])

    def changed(self, connection: Connection, now: float) -> None:
        """A connection was bound, or has ended."""
        if connection.closed is not None:
            self._reports.doubt(self._answers.ended(connection, now))
        self._bound = [bind for bind in self._bound if bind is not connection]
        if connection.transmits and connection.session.bound:
            self._bound.append(connection)
            self._wake()  # what found no link waits in the store, and nobody has asked for room
        if self._bound:
            self._unsendable_since = None
        elif self._unsendable_since is None:
            self._unsendable_since = now
        self._tick_wake.set()

    def settle(self, connection: Connection, now: float) -> None:
        """All that a connection heard at once has been told: write what there is room for."""
        if self._queue or self._again:
            self._pump(now)
        self._wake_if_roomy(now)
        if self._stopping:
            self._calm.set()

    def _wake_if_roomy(self, now: float) -> None:
        """Wake whoever found no room, once there is so much that it is worth it."""
        if not self._starved or self._stopping:
            return
        self._starved = False
        worth = 1 if self._settings.rate is not None else max(1, self._settings.window * len(self._bound) // 2)
        if self.room(now) >= worth:
            self._wake()
        else:
            self._starved = True

    # ── slots ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def hold(self, slots: frozenset[int], within: float | None = None) -> None:
        """Have links for these slots of the carrier's ``binds``, counted from 0, and for no others.

        Links of other slots take no more segments, wait ``within`` seconds at most for the answers to those that they
        have written (None: ``drain_timeout``) and unbind. The rate of all binds is shared by slot. Until it is called
        all slots are held.
        """
        if slots:
            self._pacing.share_out(len(slots) / self.binds)
        self._slots.hold(slots, self._settings.drain_timeout if within is None else within)
        self._tick_wake.set()

    @property
    def used(self) -> frozenset[int]:
        """The slots whose links are connected or may yet be; those that are not held any more come to an end."""
        return self._slots.used

    def reachable(self, now: float) -> bool:
        """Return whether what waits may leave by this node soon: a link is bound, or is just being bound again."""
        if self._unsendable_since is None:
            return True
        return bool(self._slots.held) and now < self._unsendable_since + HOLD_SECONDS

    # ── running ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        """Keep the links of the held slots up until cancelled; then unbind in good order. Obeys ``Carrier``."""
        self._stopping = False
        self._wake = wake
        self._reports.start(report)
        self._slots.start()
        ticks = asyncio.create_task(self._ticks(), name=f"carrier {self.name}")
        failure = self._reports.failure
        try:
            await asyncio.wait([ticks, failure], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop()
            ticks.cancel()
            await asyncio.wait([ticks])
        for ended in (failure, ticks):  # only an error that nobody expects ends one of them
            if not ended.cancelled() and ended.done():
                ended.result()

    def _failed(self, error: BaseException) -> None:
        failure = self._reports.failure
        if not failure.done():
            failure.set_exception(error)

    async def _ticks(self) -> None:
        while True:
            await self._clock.rest(self._tick_wake, self._tick(self._clock.now()))

    def _tick(self, now: float) -> float | None:
        """Do what only time makes due; return when to call again at the latest."""
        self._pump(now)
        held = self._queue or self._again
        if held:
            if not self.reachable(now):
                self._give_back(NO_LINK)
            elif self._pacing.paused_until > now + PAUSE_SECONDS:
                self._give_back(THROTTLED)
        self._wake_if_roomy(now)
        moments = []
        if self._unsendable_since is not None and held:
            moments.append(self._unsendable_since + HOLD_SECONDS)
        if (held or self._starved) and self._pacing.next_at() > now:
            moments.append(self._pacing.next_at())
        return min((moment for moment in moments if moment > now), default=None)

    def _give_back(self, code: int, *, untouched_only: bool = False) -> None:
        """Return what waits to the store."""
        for waiting in (self._again, self._queue):
            for entry in list(waiting):
                sending = entry[0]
                if not sending.over and not sending.flying and not (untouched_only and sending.written):
                    self._reports.outcome(sending.recipient, self._outbound.returned(sending, code))
            kept = [entry for entry in waiting if not entry[0].over]
            waiting.clear()
            waiting.extend(kept)

    async def _stop(self) -> None:
        """Leave all links within ``drain_timeout``, of which what unbinding may need is kept back."""
        self._stopping = True
        seconds = self._settings.drain_timeout
        until = asyncio.get_running_loop().time() + seconds
        paused = self._pacing.paused(self._clock.now())
        self._give_back(THROTTLED if paused else NO_LINK, untouched_only=not paused)
        try:
            async with asyncio.timeout_at(until - min(self._settings.unbind_timeout, seconds * UNBIND_SHARE)):
                while self._pending or (self._again and self._bound and not self._pacing.paused(self._clock.now())):
                    self._calm.clear()
                    await self._calm.wait()
                await self._reports.idle()
        except TimeoutError:
            log.warning("segments are not answered when stopping", carrier=self.name, segments=self._pending)
        await self._slots.stop(until)
        self._give_back(NO_LINK)
        await self._reports.stop()

    # ── for operators ──────────────────────────────────────────────────────────────────────────────────────────────

    def links(self) -> list[LinkState]:
        """Return what there is to know of each link of the slots that this node holds or leaves."""
        return self._slots.states()

    @property
    def _pending(self) -> int:
        return sum(len(bind.unanswered) for bind in self._bound)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return what has happened since the start, ``throttled`` segments and receipts that tell too little."""
        reader = self._reader
        return {
            "throttled": self.throttled_count,
            "nameless_receipts": reader.nameless_receipts,
            "unreadable_receipts": reader.unreadable_receipts,
        }

    @property
    def throttled_until(self) -> float:
        """When a throttled carrier is sent to again; in the past if it is not throttled."""
        return self._pacing.paused_until

    @property
    def join(self) -> Callable[[Sequence[Part]], Inbound]:
        """How this carrier's parts become a message; for ``Rules.joins``."""
        return self._reader.join

    @property
    def matched(self) -> Callable[[Matched], None] | None:
        """Who is told how receipts matched; for ``Rules.matched``. None where the settings say how they do.

        References of our own are in no base, and which receipts they found is not told apart from ids.
        """
        settings = self._settings
        return self._reader.matched if settings.id_rule is IdRule.AUTO and not settings.user_message_reference else None

    async def check(self) -> list[str]:
        """Bind to every host and unbind; return what is wrong, nothing if all is well."""
        return await check(self._settings, self._clock)


def _respond(connection: Connection, pdu: Pdu, command_status: int) -> None:
    if isinstance(pdu, DataSm):
        connection.session.respond(DataSmResp(pdu.sequence_number, command_status))
    else:
        connection.session.respond_deliver(pdu.sequence_number, command_status)


def _nothing() -> None:
    """Nobody is to be woken before the carrier runs."""
