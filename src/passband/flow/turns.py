"""Whose files are fetched next: MMS that wait, by carrier and account, and the memory that their files may take.

Rule: no I/O, only order and sums. What all messages under way hold together stays within one budget. A message reserves
the most that it may need before its first octet comes, and gives back what it did not need once all is there. Accounts
take turns, and none has more than a quarter of the budget, so that files which hang on one account's servers hold up
that account only.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from passband.domain.message import Message, Recipient
from passband.domain.report import Outcome, Submission

MOST_HELD_OCTETS = 64 * 1024 * 1024
SHARE = 4  # an account has at most this part of the budget


class Reservation:
    """What one submission holds of the budget; ``open`` recipients have no outcome yet."""

    __slots__ = ("account", "octets", "open")

    def __init__(self, account: str, octets: int, recipients: int) -> None:
        self.account = account
        self.octets = octets
        self.open = recipients


class Turn:
    """The messages of one account that wait for their files: those of high priority first, each first in first out."""

    __slots__ = ("account", "default", "high")

    def __init__(self, account: str) -> None:
        self.account = account
        self.high: deque[Submission] = deque()
        self.default: deque[Submission] = deque()

    @property
    def queue(self) -> deque[Submission]:
        return self.high or self.default


class Turns:
    """The MMS of one node that wait for their files, and what those under way hold."""

    def __init__(
        self,
        most: Callable[[str, Message], int],
        *,
        most_held: int = MOST_HELD_OCTETS,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        """``most`` tells of a carrier and a message how many octets its files may have; ``most_held`` is the budget.

        ``released`` is called whenever some of it is free again.
        """
        self._most = most
        self._most_held = most_held
        self._released = released
        self._turns: dict[str, deque[Turn]] = {}  # by carrier
        self._waiting: dict[tuple[str, str], Turn] = {}  # by carrier and account
        self._reserved: dict[tuple[str, str, int], Reservation] = {}  # by account, message and recipient
        self._by_account: dict[str, int] = {}
        self.held_octets = 0

    def add(self, carrier: str, submission: Submission) -> None:
        """Let a message wait for its files."""
        account = submission.recipients[0].message.account
        turn = self._waiting.get((carrier, account))
        if turn is None:
            turn = self._waiting[carrier, account] = Turn(account)
            self._turns.setdefault(carrier, deque()).append(turn)
        (turn.high if submission.recipients[0].high else turn.default).append(submission)

    def is_waiting(self, carrier: str) -> bool:
        """Whether any message for this carrier waits."""
        return bool(self._turns.get(carrier))

    def next(self, carrier: str) -> Submission | None:
        """Take the message whose files may be fetched next; what it may need is reserved."""
        turns = self._turns.setdefault(carrier, deque())
        for _ in range(len(turns)):
            turn = turns[0]
            cost = self._most(carrier, turn.queue[0].recipients[0].message)
            fits = self._fits(turn.account, cost)
            if fits:
                submission = turn.queue.popleft()
            turns.rotate(-1)
            if not turn.queue:
                turns.remove(turn)
                del self._waiting[carrier, turn.account]
            if fits:
                self._reserve(submission, cost)
                return submission
        return None

    def take_overdue(self, carrier: str, before: float) -> list[Submission]:
        """Take what was accepted before an instant, as far as it stands first in its account's line."""
        taken: list[Submission] = []
        turns = self._turns.get(carrier)
        for turn in list(turns or ()):
            for queue in (turn.high, turn.default):
                while queue and queue[0].recipients[0].message.created_at < before:
                    taken.append(queue.popleft())
            if turns is not None and not turn.queue:
                turns.remove(turn)
                del self._waiting[carrier, turn.account]
        return taken

    def _fits(self, account: str, cost: int) -> bool:
        mine = self._by_account.get(account, 0)
        return (not self.held_octets or self.held_octets + cost <= self._most_held) and (
            not mine or mine + cost <= self._most_held // SHARE
        )

    def _reserve(self, submission: Submission, cost: int) -> None:
        message = submission.recipients[0].message
        reservation = Reservation(message.account, 0, len(submission.recipients))
        for recipient in submission.recipients:
            self._close(key_of(recipient))  # of an earlier try, whose lease this node had lost
            self._reserved[key_of(recipient)] = reservation
        self._resize(reservation, cost)

    def _resize(self, reservation: Reservation, octets: int) -> None:
        change = octets - reservation.octets
        reservation.octets = octets
        self.held_octets += change
        left = self._by_account.get(reservation.account, 0) + change
        if left:
            self._by_account[reservation.account] = left
        else:
            self._by_account.pop(reservation.account, None)
        if change < 0:
            self._released()

    def _close(self, key: tuple[str, str, int]) -> None:
        reservation = self._reserved.pop(key, None)
        if reservation is not None:
            reservation.open -= 1
            if not reservation.open:
                self._resize(reservation, 0)

    def shrink(self, submission: Submission, octets: int) -> None:
        """Give back what the files did not need; they are complete."""
        reservation = self._reserved.get(key_of(submission.recipients[0]))
        if reservation is not None:
            self._resize(reservation, octets)

    def release(self, recipients: Iterable[Recipient]) -> None:
        """Give back what these hold: they have their outcome, or go nowhere."""
        if self._reserved:
            for recipient in recipients:
                self._close(key_of(recipient))

    def settled(self, outcomes: Sequence[tuple[Recipient, Outcome]]) -> None:
        """Give back what these hold, now that their outcomes are durable."""
        if self._reserved:
            self.release(recipient for recipient, _ in outcomes)

    def forget(self) -> None:
        """Drop everything that waits; what is under way comes to its end."""
        self._turns.clear()
        self._waiting.clear()


def key_of(recipient: Recipient) -> tuple[str, str, int]:
    return recipient.message.account, recipient.message.id, recipient.n
