"""Accounts, their applications and numbers: who may send, and who is told.

A ``Directory`` is one consistent picture of all of them. It is never changed: a new one takes its place.
"""

from collections.abc import Iterable, Mapping

import msgspec

from passband.domain.event import SENDING, TERMINAL, EventKind
from passband.domain.message import IN, MMS, Direction, Kind


class BasicCredentials(msgspec.Struct, frozen=True):
    """A user name and a password for an application's endpoint."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"BasicCredentials({self.user!r}, …)"


class User(msgspec.Struct, frozen=True):
    """An API user; ``secret`` is the password, or its hash as ``scrypt:<salt hex>:<hash hex>``."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"User({self.name!r}, …)"


class Application(msgspec.Struct, frozen=True):
    """Where an account's events go, and which of them it wants (Applications, section 3.1).

    ``requested`` lists the outbound kinds wanted; None stands for the default of Callbacks, section 7.
    ``preemptive_auth`` sends credentials unasked; ``omit_default_priority`` leaves ``priority`` out of events of
    requests that had none.
    """

    id: str
    name: str = ""
    inbound_url: str | None = None
    outbound_url: str | None = None
    inbound_credentials: BasicCredentials | None = None
    outbound_credentials: BasicCredentials | None = None
    requested: frozenset[EventKind] | None = None
    preemptive_auth: bool = False
    omit_default_priority: bool = False

    def url(self, direction: Direction) -> str | None:
        return self.inbound_url if direction is IN else self.outbound_url

    def credentials(self, direction: Direction) -> BasicCredentials | None:
        return self.inbound_credentials if direction is IN else self.outbound_credentials


class Number(msgspec.Struct, frozen=True):
    """One of our numbers, short codes or sender ids.

    ``application`` takes its inbound messages; ``carrier`` is its way out (None: by the routes). ``rate`` is its own
    limit in segments per second (None: none beside the account's). ``enabled`` is False where it may not send.
    """

    number: str
    account: str
    application: str | None = None
    carrier: str | None = None
    rate: float | None = None
    enabled: bool = True


class Account(msgspec.Struct, frozen=True):
    """An account: the owner of applications, numbers and messages.

    ``rate`` is in segments per second, for SMS and for MMS each (None: no limit); the queue holds ``queue_seconds`` of
    it. ``mms_receipts`` tells that MMS wait for the carrier's receipt (Semantics, section 3).
    """

    id: str
    users: tuple[User, ...] = ()
    applications: Mapping[str, Application] = {}
    numbers: Mapping[str, Number] = {}
    rate: float | None = None
    queue_seconds: float = 900
    mms_receipts: bool = False

    def wants(self, application: Application, kind: EventKind, message_kind: Kind) -> bool:
        """Tell whether the application is told of outbound events of this kind (Callbacks, section 7)."""
        if application.requested is not None:
            return kind in application.requested
        return kind in TERMINAL or (kind is SENDING and message_kind is MMS and self.mms_receipts)


class Directory:
    """All accounts at one moment, with the look-ups that the path of a message needs."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self.accounts: Mapping[str, Account] = {account.id: account for account in accounts}
        self._numbers = {
            number.number: number for account in self.accounts.values() for number in account.numbers.values()
        }

    def account(self, account: str) -> Account | None:
        return self.accounts.get(account)

    def application(self, account: str, application: str) -> Application | None:
        found = self.accounts.get(account)
        return found.applications.get(application) if found else None

    def number(self, number: str) -> Number | None:
        """Return one of our numbers, whichever account it belongs to."""
        return self._numbers.get(number)
