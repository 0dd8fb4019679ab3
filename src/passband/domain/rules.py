"""What follows from what happened to a recipient: the next state, and who is told what.

Rule: everything here is a pure function of its arguments and the directory. The store calls these inside its
transaction, so that a change and its consequence are always kept together.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import msgspec

from passband.domain.account import Account, Application, Directory
from passband.domain.event import FAILED, RECEIVED, TERMINAL, Callback
from passband.domain.message import IN, SMS, Message, Recipient
from passband.domain.report import Accepted, Deciding, Deferred, Inbound, Matched, Outcome, Part, Rejected
from passband.domain.schedule import CALLBACK_WINDOW
from passband.domain.status import Cause, State, follow

RECEIPT_EXPIRED = 9902

# See ``domain.message`` for why members have names of their own.
_SENDING, _HANDED = State.SENDING, State.HANDED
_AWAITING, _POSITIVE, _NEGATIVE = Cause.ACCEPTED_AWAITING_RECEIPT, Cause.RECEIPT_POSITIVE, Cause.RECEIPT_NEGATIVE
_EVERY = Deciding.EVERY


class Handed(msgspec.Struct, frozen=True, gc=False):
    """The carrier has it; its receipts are awaited until ``deadline_at``."""

    refs: tuple[str, ...]
    deadline_at: float
    callbacks: tuple[Callback, ...]
    deciding: Deciding = _EVERY
    unanswered: int = 0
    given: tuple[str | None, ...] = ()

    @property
    def named(self) -> Iterable[tuple[str, str | None]]:
        """Each reference, with what the carrier really gave where that differs."""
        return zip(self.refs, self.given or repeat(None), strict=False)


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The recipient is terminal: its row goes, these callbacks come."""

    callbacks: tuple[Callback, ...]


class Requeued(msgspec.Struct, frozen=True, gc=False):
    """The recipient waits for a further attempt."""

    recipient: Recipient


Change = Handed | Settled | Requeued


class Rules:
    """The rules under one directory; ``directory`` may be replaced while the node runs.

    ``retry_window`` is how long a recipient may be refused for now before it fails, in seconds from its creation;
    ``receipt_window`` is the shortest time that any carrier's receipts are awaited. ``joins`` tells how each carrier's
    parts, in their order, become one inbound message; ``matched`` is told, of those carriers that want to know, by
    which references their receipts matched, once a batch is durable. Both are filled before the carriers run.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        retry_window: float = 4 * 3600.0,
        receipt_window: float = 2 * 3600.0,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self.directory = directory
        self.retry_window = retry_window
        self.receipt_window = receipt_window
        self.joins: dict[str, Callable[[Sequence[Part]], Inbound]] = {}
        self.matched: dict[str, Callable[[Matched], None]] = {}
        self._new_uuid = new_uuid

    def on_outcome(self, recipient: Recipient, outcome: Outcome, now: float) -> Change:
        """Return what a carrier's outcome makes of a recipient that is being sent."""
        if isinstance(outcome, Accepted):
            if outcome.receipt_window is None:
                return Settled(self.tell(recipient, State.SENDING, Cause.ACCEPTED_FOR_GOOD, now))
            callbacks = self.tell(recipient, _SENDING, _AWAITING, now)
            if outcome.unanswered and recipient.attempts:
                callbacks = ()  # it comes again at its carrier's wish; message-sent was told the first time
            deadline_at = now + outcome.receipt_window
            return Handed(outcome.refs, deadline_at, callbacks, outcome.deciding, outcome.unanswered, outcome.given)
        if isinstance(outcome, Rejected):
            return Settled(self.tell(recipient, State.SENDING, Cause.REJECTED, now, outcome.code))
        return self._on_deferred(recipient, outcome, now)

    def on_answer(self, recipient: Recipient, outcome: Outcome, now: float) -> Change:
        """Return what a carrier's later answer makes of a recipient that it took."""
        if isinstance(outcome, Accepted):
            if outcome.receipt_window is None:
                return Settled(self.tell(recipient, State.HANDED, Cause.RECEIPT_POSITIVE, now))
            return Handed(outcome.refs, now + outcome.receipt_window, (), outcome.deciding, given=outcome.given)
        if isinstance(outcome, Rejected):
            return Settled(self.tell(recipient, State.HANDED, Cause.RECEIPT_NEGATIVE, now, outcome.code))
        return self._on_deferred(recipient, outcome, now, State.HANDED)

    def _on_deferred(
        self, recipient: Recipient, outcome: Deferred, now: float, state: State = State.SENDING
    ) -> Settled | Requeued:
        attempts = recipient.attempts + (1 if outcome.max_attempts else 0)
        due_at = now + outcome.delay
        spent = outcome.max_attempts and attempts >= outcome.max_attempts
        if spent or due_at > recipient.message.created_at + self.retry_window:
            return Settled(self.tell(recipient, state, Cause.RETRIES_OVER, now, outcome.code))
        return Requeued(msgspec.structs.replace(recipient, due_at=due_at, attempts=attempts, code=outcome.code))

    def on_receipt(self, recipient: Recipient, code: int, now: float) -> tuple[Callback, ...]:
        """Return who is told that a handed recipient's receipts are decided: 0 delivered, else the failure's code."""
        cause = _NEGATIVE if code else _POSITIVE
        return self.tell(recipient, _HANDED, cause, now, code, receipted=True)

    def on_receipt_window_over(self, recipient: Recipient, now: float) -> tuple[Callback, ...]:
        """Return who is told that nothing came: no receipt, none that was clear, or not even the answer owed."""
        code, receipted = recipient.code or RECEIPT_EXPIRED, recipient.code >= 0
        return self.tell(recipient, _HANDED, Cause.RECEIPT_WINDOW_OVER, now, abs(code), receipted=receipted)

    def tell(
        self, recipient: Recipient, state: State, cause: Cause, now: float, code: int = 0, *, receipted: bool = False
    ) -> tuple[Callback, ...]:
        """Return the callbacks of a transition, as the application asked for them; a terminal one always.

        An event of an unknown application goes to the application of the sender's number; where there is none, nobody
        is told (Callbacks, section 7). A terminal one of an unknown account stays with its application, because nodes
        of which the file is newer may know it.
        """
        events = follow(state, cause).events
        if not events:
            return ()
        message = recipient.message
        told = self._told(message)
        unknown = message.application if told is None and self.directory.account(message.account) is None else ""
        callbacks = []
        for kind in events:
            wanted = told is not None and told[0].wants(told[1], kind, message.kind)
            if wanted or kind in TERMINAL:
                if message.text:
                    message = msgspec.structs.replace(message, text="")
                callbacks.append(
                    Callback(
                        message=message,
                        n=recipient.n,
                        kind=kind,
                        application=told[1].id if told and wanted else unknown,
                        number=recipient.number,
                        at=now,
                        expires_at=now + CALLBACK_WINDOW,
                        code=code if kind is FAILED else 0,
                        receipted=receipted,
                        carrier=recipient.carrier or None,
                        due_at=now,
                    )
                )
        return tuple(callbacks)

    def _told(self, message: Message) -> tuple[Account, Application] | None:
        """Return the application that is told of a message's events, if it has somewhere to be told."""
        account = self.directory.account(message.account)
        if account is None:
            return None
        application = account.applications.get(message.application)
        if application is None:
            number = account.numbers.get(message.sender)
            application = account.applications.get(number.application or "") if number else None
        if application is None or application.outbound_url is None:
            return None
        return account, application

    def join(self, parts: Sequence[Part]) -> Inbound:
        """Return the message of these parts of one carrier, which are in order; some may be missing."""
        return self.joins[parts[0].carrier](parts)

    def on_inbound(self, inbound: Inbound, now: float) -> tuple[Callback, ...]:
        """Return one message-received for each of our numbers among the recipients (Callbacks, section 4)."""
        callbacks = []
        named = set()  # accounts with a message that has the name of their files
        for number in dict.fromkeys(inbound.told or inbound.to):
            ours = self.directory.number(number)
            if ours is None or ours.application is None:
                continue
            application = self.directory.application(ours.account, ours.application)
            if application is None or application.inbound_url is None:
                continue
            kept = inbound.kept.get(ours.account)
            first = kept is not None and ours.account not in named
            named.add(ours.account)
            message = Message(
                account=ours.account,
                id=kept.id if kept is not None and first else str(self._new_uuid()),
                direction=IN,
                kind=inbound.kind,
                application=application.id,
                created_at=int(now * 1000) / 1000,
                sender=inbound.sender,
                to=inbound.to,
                text=inbound.text,
                length=len(inbound.text),
                media=inbound.media if kept is None else (*inbound.media, *kept.media),
                tag=inbound.note,
                priority=None,
                expires_at=None,
                segment_count=inbound.segment_count if inbound.kind is SMS else 1,
            )
            callbacks.append(
                Callback(
                    message=message,
                    n=0,
                    kind=RECEIVED,
                    application=application.id,
                    number=number,
                    at=now,
                    expires_at=now + CALLBACK_WINDOW,
                    carrier=inbound.carrier,
                    due_at=now,
                )
            )
        return tuple(callbacks)
