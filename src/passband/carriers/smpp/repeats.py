"""Inbound messages that come again: which of them are repeats, because the answer to the first may not have arrived?

SMPP gives an inbound message no identifier, and two equal texts a minute apart are two messages; one is a repeat only
if there is a reason to think that the peer misses our answer to the first: its session has ended, or it took long.
"""

from collections import deque
from itertools import islice

from passband.carriers.smpp.connection import Connection
from passband.smpp.pdu import Pdu

LATE_SECONDS = 5.0  # an answer that took longer may have come too late for the peer
MOST_EQUAL = 100  # messages in storing that a new one is compared with: a flood of equal ones must cost little
DOUBT_SECONDS = 60.0  # a session that ended so soon after an answer may not have brought it across

Arrival = tuple[Connection, Pdu, float]  # over which connection a message came, as what, and when


class Answers:
    """The answers to inbound messages, over all binds of one node: those that are owed, and those of the last minute.

    While a message is being stored, its repeats are known here. Once it is, the store keeps the doubt whether our
    answer arrived, for all nodes, and has such doubts by itself of a node that has ended.
    """

    def __init__(self) -> None:
        self._storing: dict[str, list[list[Arrival]]] = {}  # by digest: of each message, all the times that it came
        self._answered: deque[tuple[float, Connection, str]] = deque()

    def is_repeat(self, digest: str, connection: Connection, pdu: Pdu, now: float) -> bool:
        """Note a message that has come; tell whether it is one that is being stored. It is answered with that one."""
        storing = self._storing.setdefault(digest, [])
        for arrivals in islice(storing, MOST_EQUAL):
            last, _, at = arrivals[-1]
            if last.closed is not None or now - at > LATE_SECONDS:
                arrivals.append((connection, pdu, now))
                return True
        storing.append([(connection, pdu, now)])
        return False

    def stored(self, digest: str, pdu: Pdu) -> list[Arrival]:
        """Return all the times that a message came, ``pdu`` first: its storing is over, well or not."""
        storing = self._storing[digest]
        arrivals = next(arrivals for arrivals in storing if arrivals[0][1] is pdu)
        storing.remove(arrivals)
        if not storing:
            del self._storing[digest]
        return arrivals

    def is_doubtful(self, digest: str, connection: Connection, received_at: float, now: float) -> bool:
        """Note an answer to a message that is stored; tell whether it is in doubt already that it arrives."""
        if connection.closed is not None or now - received_at > LATE_SECONDS:
            return True
        while self._answered and self._answered[0][0] < now - DOUBT_SECONDS:
            self._answered.popleft()
        self._answered.append((now, connection, digest))
        return False

    def ended(self, connection: Connection, now: float) -> list[str]:
        """Return the messages whose answers may be lost because their connection has ended."""
        lost = [digest for at, of, digest in self._answered if of is connection and at >= now - DOUBT_SECONDS]
        self._answered = deque(entry for entry in self._answered if entry[1] is not connection)
        return lost
