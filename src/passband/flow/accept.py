"""Accept: a request becomes stored recipients, or stored failures; then the 202."""

from collections import OrderedDict
from collections.abc import Callable

from passband.clock import Clock
from passband.counts import Counts
from passband.domain import number as numbers
from passband.domain.account import Account
from passband.domain.event import Callback
from passband.domain.message import MMS, OUT, SMS, IdSource, Message, NewMessage, Recipient
from passband.domain.routing import Router
from passband.domain.rules import Rules
from passband.domain.segments import count, is_encodable
from passband.domain.status import Cause, State
from passband.store import Charge, Store

MOST_MEDIA = 10
EMERGENCY = frozenset({"911", "112", "933"})


class References:
    """Concatenation references: one counter for each pair of sender and recipient, so that two messages in flight
    between them differ (3GPP TS 23.040 §9.2.3.24.1). Only the pairs used last are remembered."""

    def __init__(self, randbits: Callable[[int], int], remembered: int = 10_000) -> None:
        self._randbits = randbits
        self._remembered = remembered
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def next(self, sender: str, number: str) -> int:
        """Return the next reference of a pair, from 0 to 65535."""
        last = self._last.pop((sender, number), None)
        reference = self._randbits(16) if last is None else (last + 1) & 0xFFFF
        self._last[sender, number] = reference
        if len(self._last) > self._remembered:
            self._last.popitem(last=False)
        return reference


class Accept:
    """Takes requests whose syntax is right; what else is wrong with them becomes message-failed (HTTP API, 2.1)."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        router: Router,
        clock: Clock,
        ids: IdSource,
        references: References,
        counts: Counts,
    ) -> None:
        self._store = store
        self._rules = rules
        self._router = router
        self._clock = clock
        self._ids = ids
        self._references = references
        self._counts = counts

    async def __call__(self, account: Account, new: NewMessage) -> Message:
        """Store a request and return its message; it is durable then.

        Raises QueueFull (nothing of it was queued) and StoreUnavailable.
        """
        now = self._clock.now()
        message = self._message(account, new, now)
        code = self._refusal(account, message)
        recipients: list[Recipient] = []
        refused: list[Callback] = []
        cost = message.segment_count if account.rate is not None else 0
        for n, number in enumerate(message.to):
            judged = code or self._judge(account, message, number)
            if isinstance(judged, str):
                reference = self._references.next(message.sender, number) if message.segment_count > 1 else 0
                recipients.append(Recipient(message, n, judged, reference, charge=cost))
            else:
                failed = Recipient(message, n, "")
                refused += self._rules.tell(failed, State.QUEUED, Cause.REFUSED_BY_RULE, now, judged)
        charges: tuple[Charge, ...] = ()
        if account.rate is not None and recipients:
            capacity = account.rate * account.queue_seconds
            charges = (Charge(account.id, message.kind, cost * len(recipients), capacity, account.rate),)
        await self._store.accept(recipients, refused, charges)
        self._counts["accepted", message.kind] += 1
        for callback in refused:
            self._counts["refused", str(callback.code)] += 1
        return message

    def _message(self, account: Account, new: NewMessage, now: float) -> Message:
        kind = MMS if new.media or len(new.to) > 1 else SMS
        id_, created_at = self._ids.next(now)
        return Message(
            account=account.id,
            id=id_,
            direction=OUT,
            kind=kind,
            application=new.application,
            created_at=created_at,
            sender=new.sender,
            to=new.to,
            text=new.text,
            length=len(new.text),
            media=new.media,
            tag=new.tag,
            priority=new.priority,
            expires_at=new.expires_at,
            segment_count=count(new.text) if kind is SMS else 1,
        )

    def _refusal(self, account: Account, message: Message) -> int:
        """Return the code with which the whole message fails, or 0."""
        sender = message.sender
        ours = account.numbers.get(sender)
        if message.application not in account.applications:
            return 4452
        if ours is None:
            if not numbers.is_possible(sender):
                return 4302
            return 4405 if self._rules.directory.number(sender) is None else 4403
        if not ours.enabled:
            return 4403
        if not is_encodable(message.text):
            return 4301
        if message.kind is MMS:
            if len(message.media) > MOST_MEDIA:
                return 4411
            if len(message.to) > 1:
                return _GROUP_REFUSALS.get(numbers.kind(sender), 0)
        return 0

    def _judge(self, account: Account, message: Message, number: str) -> str | int:
        """Return the carrier for one recipient, or the code with which it fails."""
        if number == message.sender:
            return 4401
        if number in EMERGENCY:
            return 4492
        if not numbers.is_possible(number):
            return 4303
        return self._router.route(self._rules.directory, account.id, message.sender, message.kind, number)


# Groups go from long codes only (Semantics, section 4).
_GROUP_REFUSALS = {numbers.Kind.TOLL_FREE: 4433, numbers.Kind.SHORT_CODE: 4431, numbers.Kind.ALPHANUMERIC: 4431}
