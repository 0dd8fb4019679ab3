"""What a node's dispatch holds in memory: submissions that wait for a carrier, in the order in which they may go.

Rule: no clock, no store, no carrier; only order. Within a line (one account, or one limited number of it) ``high`` goes
before ``default``, and each is first in, first out. Between lines the carrier's room goes round, so that one account's
backlog does not hold up another's next message.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from passband.domain.report import Submission

QUANTUM = 32  # submissions that one line may send before it is the next one's turn


class LineKey(msgspec.Struct, frozen=True, gc=False):
    """A line: an account, and where it has a limit, what is counted against that limit."""

    account: str
    kind: str = ""
    number: str = ""


class Line:
    """The waiting submissions of one line."""

    __slots__ = ("default", "high", "key", "paced", "turning")

    def __init__(self, key: LineKey, paced: bool) -> None:
        self.key = key
        self.paced = paced
        self.turning = False
        self.high: deque[Submission] = deque()
        self.default: deque[Submission] = deque()

    def __len__(self) -> int:
        return len(self.high) + len(self.default)

    def pop(self) -> Submission:
        return (self.high or self.default).popleft()

    @property
    def first(self) -> Submission:
        return (self.high or self.default)[0]

    def take(self, segments: int) -> list[Submission]:
        """Take what may go first, up to so many segments, and at least one submission."""
        taken = [self.pop()]
        room = segments - taken[0].cost
        while len(self) and self.first.cost <= room:
            taken.append(self.pop())
            room -= taken[-1].cost
        return taken


class Waiting:
    """All lines of one carrier, and the turn that they take."""

    def __init__(self) -> None:
        self._lines: dict[LineKey, Line] = {}
        self._turn: deque[Line] = deque()
        self._wanting: deque[Line] = deque()  # paced lines that may ask for the right to go
        self._paid: deque[Submission] = deque()  # what has its right to go
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: LineKey, paced: bool, submission: Submission) -> None:
        """Put a submission at the end of its line."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(key, paced)
        (line.high if submission.recipients[0].high else line.default).append(submission)
        self._count += 1
        if not line.turning:
            line.turning = True
            (self._wanting if line.paced else self._turn).append(line)

    def next(self, room: int) -> list[Submission]:
        """Take submissions for at most ``room`` segments, the paid ones first, then line by line.

        The last one may need more than what is left of the room.
        """
        taken: list[Submission] = []
        while self._paid and room > 0:
            submission = self._paid.popleft()
            room -= submission.cost
            taken.append(submission)
        while self._turn and room > 0:
            line = self._turn.popleft()
            quantum = QUANTUM
            while room > 0 and quantum and len(line):
                submission = line.pop()
                room -= submission.cost
                quantum -= 1
                taken.append(submission)
            self._again(line, self._turn)
        self._count -= len(taken)
        return taken

    def take_all(self) -> list[Submission]:
        """Take everything but what is just being paid for."""
        return self._take(lambda submission: True)

    def take_overdue(self, before: float) -> list[Submission]:
        """Take what was accepted before an instant, as far as it stands first in its line."""
        return self._take(lambda submission: submission.recipients[0].message.created_at < before)

    def _take(self, wanted: Callable[[Submission], bool]) -> list[Submission]:
        queues = [self._paid, *(queue for line in self._lines.values() for queue in (line.high, line.default))]
        taken = []
        for queue in queues:
            while queue and wanted(queue[0]):
                taken.append(queue.popleft())
        self._count -= len(taken)
        return taken

    def wanting(self) -> Line | None:
        """Return the next paced line that may ask for the right to go; it asks no more until ``paid``."""
        while self._wanting:
            line = self._wanting.popleft()
            if len(line):
                return line
            self._again(line, self._wanting)  # emptied since it was put here
        return None

    def paid(self, line: Line, submissions: Iterable[Submission]) -> None:
        """Let these go, taken from ``line`` before; the line may ask again."""
        self._paid.extend(submissions)
        self._again(line, self._wanting)

    def _again(self, line: Line, where: deque[Line]) -> None:
        if len(line):
            where.append(line)
        else:
            line.turning = False
            del self._lines[line.key]
