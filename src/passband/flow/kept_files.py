"""The files of MMS that may have to be sent again: kept in memory, so that a further attempt need not fetch them.

Rule: no I/O, only order and sums. An application may delete or replace what its message named once the message has left
the queue. What no longer fits, is too old, or went with its node is fetched again; nothing is ever lost by that.
"""

from collections import OrderedDict
from collections.abc import Sequence

from passband.domain.message import Recipient
from passband.domain.report import Accepted, Attachment, Deferred, Outcome, Submission

# The longest wait before a further attempt is 300 s (MM4, section 8), and the peer may take as long to refuse it.
KEPT_SECONDS = 900.0

Key = tuple[str, str, str]  # account, message and carrier


class Files:
    """The files of one submission; ``open`` recipients have no outcome yet, ``again`` tells that one may come again."""

    __slots__ = ("again", "at", "attachments", "octets", "open")

    def __init__(self, submission: Submission) -> None:
        self.attachments = submission.attachments
        self.octets = sum(len(attachment.octets) for attachment in submission.attachments)
        self.open = len(submission.recipients)
        self.again = False
        self.at = 0.0


class KeptFiles:
    """The files of one node's outbound MMS, from their hand-over until they are not needed any more."""

    def __init__(self, most_octets: int) -> None:
        """``most_octets`` is what waits for a further attempt at most; those under way are in nobody's count here."""
        self._most = most_octets
        self._under_way: dict[Key, Files] = {}
        self._kept: OrderedDict[Key, Files] = OrderedDict()  # the oldest first
        self.octets = 0

    def handed_over(self, submission: Submission) -> None:
        """Note that the carrier has these files now."""
        if submission.attachments:
            self._under_way[_key(submission.recipients[0])] = Files(submission)

    def settled(self, outcomes: Sequence[tuple[Recipient, Outcome]], now: float) -> None:
        """Keep the files of those that may come again, now that their outcomes are durable, and drop all others."""
        if not self._under_way:
            return
        for recipient, outcome in outcomes:
            key = _key(recipient)
            files = self._under_way.get(key)
            if files is not None:
                files.open -= 1
                files.again |= _may_come_again(outcome)
                if not files.open:
                    del self._under_way[key]
                    self._keep(key, files, now)

    def take(self, carrier: str, submission: Submission) -> tuple[Attachment, ...] | None:
        """Return a message's files, if they are still here; they are kept no longer."""
        first = submission.recipients[0]
        files = self._kept.pop((first.message.account, first.message.id, carrier), None)
        if files is None:
            return None
        self.octets -= files.octets
        return files.attachments

    def forget(self) -> None:
        """Drop everything: the leases are gone, other nodes have the messages."""
        self._under_way.clear()
        self._kept.clear()
        self.octets = 0

    def _keep(self, key: Key, files: Files, now: float) -> None:
        if not files.again or files.octets > self._most:
            return
        old = self._kept.pop(key, None)
        self.octets += files.octets - (old.octets if old is not None else 0)
        files.at = now
        self._kept[key] = files
        while self.octets > self._most:
            self.octets -= self._kept.popitem(last=False)[1].octets

    def forget_old(self, now: float) -> None:
        """Drop what has waited too long: its message is over, or its further attempt is far away."""
        while self._kept and next(iter(self._kept.values())).at <= now - KEPT_SECONDS:
            self.octets -= self._kept.popitem(last=False)[1].octets


def _key(recipient: Recipient) -> Key:
    return recipient.message.account, recipient.message.id, recipient.carrier


def _may_come_again(outcome: Outcome) -> bool:
    match outcome:
        case Deferred():
            return True
        case Accepted():
            return outcome.unanswered != 0  # its carrier may yet say that it did not take it
        case _:
            return False
