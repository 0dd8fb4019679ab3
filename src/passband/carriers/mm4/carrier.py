"""The MM4 carrier: a few connections that take what waits in turn, and the server that the peer connects to."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from passband.carriers import ReportFunction
from passband.carriers.mm4.frames import Mail
from passband.carriers.mm4.incoming import LARGE_OCTETS, WAITS, Incoming
from passband.carriers.mm4.outgoing import SystemMail, envelope_of, forward_request, taken
from passband.carriers.mm4.profile import DeliveredOn, Profile
from passband.carriers.mm4.receiver import Receiver
from passband.carriers.mm4.reports import Reports
from passband.carriers.mm4.sending import NEXT_TRANSACTION, Link, Sent
from passband.clock import Clock
from passband.domain.errors import StoreUnavailable
from passband.domain.event import Callback
from passband.domain.message import Kind, Recipient
from passband.domain.pace import reserve
from passband.domain.report import Accepted, Deferred, Outcome, Rejected, Report, Submission
from passband.mm4.message import ForwardRequest
from passband.mm4.outcome import Outcome as Known
from passband.mm4.outcome import RetryClass, Verdict
from passband.mm4.writing import render

log = structlog.get_logger()

ROOM: Final = 16  # segments held for each connection: the next mail is there when the last one is gone
IDLE_SECONDS: Final = 60.0
STORE_SECONDS: Final = 0.5  # before outcomes are reported again that the store could not keep
STOP_SECONDS: Final = 5.0  # that mails under way have to come to their end
LOCKED_OUT_SECONDS: Final = 300.0  # before the next connection to a peer that does not let us in
MOST_RESPONSES: Final = 1000  # and reports, that wait for the peer
RESPONSE_TRIES: Final = 10
MOST_TRIED: Final = 10_000  # messages whose tries are remembered, for the waits between them

TOO_LARGE, TYPE_REFUSED, BAD_SENDER = 4411, 4412, 4740
NO_LINK: Final = 5501


class Mm4Carrier:
    """Sends MMS to one peer and takes what it sends; obeys ``Carrier``.

    **Resource handling.** At most ``connections`` connections are open, each closed after a minute without a mail. When
    cancelled, mails under way have five seconds to come to their end; what has no outcome then is sent again by whoever
    gets its lease, under the same identifiers. **Error handling.** While the peer cannot be reached there is no room,
    and what is held goes back to the store, due when the connection is tried again. Outcomes that the store cannot keep
    are reported again until it can. Responses and reports to the peer wait in memory only: it repeats a request that is
    not answered, and does without a report.
    """

    kinds = frozenset({Kind.MMS})

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        *,
        is_ours: Callable[[str], bool],
        receipts_for: Callable[[Recipient], bool] = lambda recipient: False,
        reuse_port: bool = False,
    ) -> None:
        """``receipts_for`` tells of a recipient whether its account awaits the handset's report."""
        self.name = profile.name
        self._profile = profile
        self._clock = clock
        self._receipts_for = receipts_for
        self._reports = Reports(profile, clock, self._respond)
        self._incoming = Incoming(profile, clock, is_ours, self._respond, self._reports.answered)
        self.receiver = Receiver(profile, self._incoming.rcpt, self._take, reuse_port=reuse_port)
        self._report: ReportFunction | None = None
        self._submitted: deque[Submission] = deque()
        self._responses: deque[tuple[SystemMail, int]] = deque()  # with the tries that failed
        self._work = asyncio.Semaphore(0)  # one for each of both
        self._held = 0
        self._blocked = False
        self._tries: OrderedDict[tuple[str, int], int] = OrderedDict()  # by recipient, those that were refused for now
        self._down_until = 0.0
        self._failures = 0  # of the connection, in a row
        self._used_at = 0.0
        self._later: set[asyncio.Task[None]] = set()  # responses that wait for a further try
        self._stopping = asyncio.Event()

    # ── as dispatch sees it ────────────────────────────────────────────────────────────────────────────────────────

    def room(self, now: float) -> int:
        return 0 if now < self._down_until else max(0, ROOM * self._profile.connections - self._held)

    def submit(self, submissions: Sequence[Submission]) -> None:
        for submission in submissions:
            self._submitted.append(submission)
            self._held += submission.cost
            self._work.release()
        if self._held >= ROOM * self._profile.connections:
            self._blocked = True

    async def run(self, report: ReportFunction, wake: Callable[[], None]) -> None:
        """Send and receive until cancelled; what is under way is finished then. Obeys ``Carrier``."""
        self._report = report
        self._wake = wake
        self._stopping.clear()
        self.receiver.listen()
        server = asyncio.create_task(self.receiver.run())
        workers = [asyncio.create_task(self._send_all(report)) for _ in range(self._profile.connections)]
        try:
            # They never end, unless by an error that nobody expected.
            done, _ = await asyncio.wait([server, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stopping.set()
            for _ in workers:
                self._work.release()
            await asyncio.wait(workers, timeout=STOP_SECONDS)
            rest = [server, *workers, *self._later]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    # ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_all(self, report: ReportFunction) -> None:
        """Send what waits over one connection, until the carrier stops."""
        link = Link(self._profile)
        try:
            while not self._stopping.is_set():
                try:
                    async with asyncio.timeout(IDLE_SECONDS if link.is_open else None):
                        await self._work.acquire()
                except TimeoutError:
                    await link.quit()
                    continue
                if self._stopping.is_set():
                    break
                if self._responses:
                    await self._send_response(link, *self._responses.popleft())
                elif self._submitted:
                    await self._send_submission(link, self._submitted.popleft(), report)
            await link.quit()
        finally:
            link.close()

    async def _send_submission(self, link: Link, submission: Submission, report: ReportFunction) -> None:
        outcomes = await self._outcomes(link, submission)
        await self._tell(report, Report(outcomes=outcomes))
        self._held -= submission.cost
        if self._blocked and self.room(self._clock.now()):
            self._blocked = False
            self._wake()

    async def _tell(self, report: ReportFunction, said: Report) -> None:
        """Report until it is kept; a carrier that stops gives up after one more try."""
        while True:
            try:
                await report(said)
            except StoreUnavailable as error:
                log.warning("a carrier's report waits for the store", carrier=self.name, cause=str(error))
                if self._stopping.is_set():
                    return
                await self._rest(self._clock.now() + STORE_SECONDS)
            else:
                return

    async def _outcomes(self, link: Link, submission: Submission) -> list[tuple[Recipient, Outcome]]:
        mode = self._mode(submission)
        code = self._refusal(submission)
        try:
            request = forward_request(self._profile, submission, mode)
            sender, to = envelope_of(self._profile, submission)
            octets = await _rendered(request)
        except ValueError:
            log.error("a message that no mail can be made of", carrier=self.name, message=str(submission.recipients[0]))
            code, octets, to, sender = BAD_SENDER, b"", {}, ""
        if len(octets) > self._profile.max_message_octets:
            code = TOO_LARGE
        if code:
            return [(recipient, Rejected(code)) for recipient in submission.recipients]
        sent = await self._send(link, sender, list(to), octets)
        done = taken(self._profile, request, mode)
        return [
            (recipient, self._outcome(recipient, sent.refused.get(address), done)) for address, recipient in to.items()
        ]

    def _mode(self, submission: Submission) -> DeliveredOn:
        report = self._receipts_for(submission.recipients[0])
        return DeliveredOn.REPORT if report else self._profile.mms_delivered_on

    def _refusal(self, submission: Submission) -> int:
        types = self._profile.content_types
        if types is not None and any(a.content_type not in types for a in submission.attachments):
            return TYPE_REFUSED
        return 0

    def _outcome(self, recipient: Recipient, verdict: Verdict | None, done: Accepted) -> Outcome:
        key = recipient.message.id, recipient.n
        if verdict is None:
            self._tries.pop(key, None)
            return done
        code = verdict.code or NO_LINK
        if verdict.alarm:
            log.error("the peer refuses what is none of the message's fault", carrier=self.name, code=code)
        if verdict.outcome is not Known.RETRY:
            return Rejected(code)
        if verdict is NEXT_TRANSACTION:
            return Deferred(code, 0.0)
        now = self._clock.now()
        if now < self._down_until:
            return Deferred(code, self._down_until - now)
        tries = self._tries.pop(key, 0)
        self._tries[key] = tries + 1
        if len(self._tries) > MOST_TRIED:
            self._tries.popitem(last=False)
        return Deferred(code, WAITS[min(tries, len(WAITS) - 1)], verdict.max_attempts or 0)

    async def _send(self, link: Link, sender: str, recipients: Sequence[str], octets: bytes) -> Sent:
        """Send one mail within the rate; not at all while the peer is known not to be there."""
        if self._clock.now() < self._down_until:
            return Sent(dict.fromkeys(recipients, Verdict(Known.RETRY, RetryClass.BACKOFF, NO_LINK)), link=True)
        if self._profile.rate is not None:
            burst = max(1.0, self._profile.rate)
            self._used_at, start = reserve(self._used_at, self._clock.now(), 1, self._profile.rate, burst)
            await self._rest(start)
        sent = await link.send(sender, recipients, octets)
        if sent.link:
            self._trouble(next(iter(sent.refused.values())))
        else:
            self._failures = 0
        return sent

    def _trouble(self, verdict: Verdict) -> None:
        """Let everything wait: the next connection is tried after 5, 15, 45, 120 s, then every 300 s."""
        wait = WAITS[min(self._failures, len(WAITS) - 1)]
        if verdict.retry is RetryClass.BIND:
            wait = LOCKED_OUT_SECONDS
        self._failures += 1
        self._down_until = self._clock.now() + wait
        log.warning("the peer cannot be reached", carrier=self.name, seconds=wait, alarm=verdict.alarm)

    async def _rest(self, until: float) -> None:
        while not self._stopping.is_set() and self._clock.now() < until:
            await self._clock.rest(asyncio.Event(), min(until, self._clock.now() + 1.0))

    # ── responses ──────────────────────────────────────────────────────────────────────────────────────────────────

    def acknowledged(self, callback: Callback) -> None:
        """Take note that an application has taken a message of the peer's, with what that came with in its ``tag``."""
        self._reports.acknowledged(callback)

    def _respond(self, response: SystemMail, wait: float = 0.0) -> None:
        if len(self._responses) + len(self._later) >= MOST_RESPONSES:
            log.warning("too many responses wait for the peer", carrier=self.name)
        elif wait:
            self._respond_later(response, 0, wait)
        else:
            self._responses.append((response, 0))
            self._work.release()

    async def _send_response(self, link: Link, response: SystemMail, tries: int) -> None:
        sent = await self._send(link, self._profile.system_address, [response.to], response.octets)
        verdict = sent.refused.get(response.to)
        if verdict is None:
            return
        if verdict.outcome is not Known.RETRY or tries >= RESPONSE_TRIES or self._stopping.is_set():
            log.warning("a response could not be sent", carrier=self.name, code=verdict.code)
            return
        self._respond_later(response, tries + 1, WAITS[min(tries, len(WAITS) - 1)])

    def _respond_later(self, response: SystemMail, tries: int, wait: float) -> None:
        async def respond() -> None:
            await self._rest(max(self._down_until, self._clock.now() + wait))
            self._responses.append((response, tries))
            self._work.release()

        task = asyncio.create_task(respond())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    # ── receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, mail: Mail) -> str:
        assert self._report is not None
        return await self._incoming.mail(mail, self._report)


async def _rendered(request: ForwardRequest) -> bytes:
    """Write a request as a mail; a large one in a thread, so that the event loop does not wait for its base64."""
    if sum(len(part.octets) for part in request.parts) > LARGE_OCTETS:
        return await asyncio.to_thread(render, request)
    return render(request)
