"""The tree of settings. Section and key names are those of the file, and stable.

``passband.default.toml`` explains every setting. It also holds the defaults of what exists once, so the Structs of
those sections have none; tables that may be repeated are not in it, and their defaults are here.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from passband.config.values import (
    BaseUrl,
    File,
    Flag,
    HttpUrl,
    Identifier,
    Level,
    Listen,
    LogFormat,
    MediaUrl,
    Name,
    Password,
    PasswordOrHash,
    PhoneNumber,
    Prefix,
    Rate,
    StoreUrl,
    Text,
    UserName,
    number,
    one_of,
    whole,
)
from passband.domain.account import Account, Application, BasicCredentials, Directory, Number, User
from passband.domain.event import EventKind
from passband.domain.message import Kind
from passband.domain.routing import Route

WEEK = 7 * 86_400


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class TlsSettings(Table, frozen=True, kw_only=True):
    certificate: File
    key: File


class ServerSettings(Table, frozen=True, kw_only=True):
    listen: Listen
    public_url: BaseUrl | None = None
    tls: TlsSettings | None = None

    @property
    def base_url(self) -> str:
        """The address under which applications reach this installation, without a slash at its end."""
        scheme = "https" if self.tls else "http"
        return (self.public_url or f"{scheme}://{self.listen}").rstrip("/")


class AdminSettings(Table, frozen=True, kw_only=True):
    listen: Listen


class StoreSettings(Table, frozen=True, kw_only=True):
    url: StoreUrl


class MediaSettings(Table, frozen=True, kw_only=True):
    url: MediaUrl
    max_octets: Annotated[int, whole("octets", 1, 100_000_000)]


class CallbackSettings(Table, frozen=True, kw_only=True):
    timeout: Annotated[float, number("seconds", 0.1, 300)]
    schedule: tuple[Annotated[float, number("seconds", 0.1, 86_400)], ...]
    allow_private_networks: Flag
    per_endpoint_concurrency: Annotated[int, whole("requests", 1, 256)]


class HistorySettings(Table, frozen=True, kw_only=True):
    days: Annotated[int, whole("days", 0, 14)]


class QueueSettings(Table, frozen=True, kw_only=True):
    retry_window: Annotated[float, number("seconds", 1, WEEK)]
    recipients_in_memory: Annotated[int, whole("recipients", 1_000, 1_000_000)]
    callbacks_in_memory: Annotated[int, whole("callbacks", 1_000, 1_000_000)]


class LogSettings(Table, frozen=True, kw_only=True):
    level: Annotated[Level, one_of(Level)]
    format: Annotated[LogFormat, one_of(LogFormat)]


class CarrierSettings(Table, frozen=True, kw_only=True):
    """What every carrier has; the rest depends on its type."""

    name: Name
    receipt_window: Annotated[float, number("seconds", 1, WEEK)] = 7200.0


class SimulatorSettings(CarrierSettings, frozen=True, kw_only=True):
    delay: Annotated[float, number("seconds", 0, 86_400)] = 0.1
    rate: Rate | None = None
    receipts: Flag = True


CARRIER_TYPES: Mapping[str, type[CarrierSettings]] = {
    "simulator": SimulatorSettings,
}


class RouteSettings(Table, frozen=True, kw_only=True):
    carrier: Name
    to: Prefix = ""
    type: Annotated[Kind, one_of(Kind)] | None = None
    account: Identifier | None = None


class UserSettings(Table, frozen=True, kw_only=True):
    name: UserName
    password: PasswordOrHash


class CredentialSettings(Table, frozen=True, kw_only=True):
    user: UserName
    password: Password

    def value(self) -> BasicCredentials:
        return BasicCredentials(self.user, str(self.password))


# message-received cannot be asked for: it cannot be switched off (Callbacks, section 7).
_REQUESTABLE = [kind for kind in EventKind if kind is not EventKind.RECEIVED]


class ApplicationSettings(Table, frozen=True, kw_only=True):
    id: Identifier
    name: Text = ""
    inbound_url: HttpUrl | None = None
    outbound_url: HttpUrl | None = None
    callback_url: HttpUrl | None = None
    inbound_credentials: CredentialSettings | None = None
    outbound_credentials: CredentialSettings | None = None
    callback_credentials: CredentialSettings | None = None
    requested: tuple[Annotated[EventKind, one_of(_REQUESTABLE)], ...] | None = None
    preemptive_auth: Flag = False
    omit_default_priority: Flag = False

    def value(self) -> Application:
        inbound = self.callback_credentials or self.inbound_credentials
        outbound = self.callback_credentials or self.outbound_credentials
        return Application(
            id=self.id,
            name=self.name,
            inbound_url=self.callback_url or self.inbound_url,
            outbound_url=self.callback_url or self.outbound_url,
            inbound_credentials=inbound.value() if inbound else None,
            outbound_credentials=outbound.value() if outbound else None,
            requested=None if self.requested is None else frozenset(self.requested),
            preemptive_auth=self.preemptive_auth,
            omit_default_priority=self.omit_default_priority,
        )


class NumberSettings(Table, frozen=True, kw_only=True):
    number: PhoneNumber
    application: Identifier | None = None
    carrier: Name | None = None
    rate: Rate | None = None
    enabled: Flag = True


class AccountSettings(Table, frozen=True, kw_only=True):
    id: Identifier
    users: tuple[UserSettings, ...] = ()
    rate: Rate | None = None
    # Four hours are the most that the API's own documentation knows (Semantics, section 7).
    queue_seconds: Annotated[float, number("seconds", 1, 4 * 3600)] = 900.0
    mms_receipts: Flag = False
    applications: tuple[ApplicationSettings, ...] = ()
    numbers: tuple[NumberSettings, ...] = ()

    def value(self) -> Account:
        return Account(
            id=self.id,
            users=tuple(User(user.name, str(user.password)) for user in self.users),
            applications={application.id: application.value() for application in self.applications},
            numbers={
                own.number: Number(own.number, self.id, own.application, own.carrier, own.rate, own.enabled)
                for own in self.numbers
            },
            rate=self.rate,
            queue_seconds=self.queue_seconds,
            mms_receipts=self.mms_receipts,
        )


class Settings(Table, frozen=True, kw_only=True):
    """Everything that an operator can set."""

    workers: Annotated[int, whole("processes", 1, 64)]
    server: ServerSettings
    admin: AdminSettings
    store: StoreSettings
    media: MediaSettings
    callbacks: CallbackSettings
    history: HistorySettings
    queue: QueueSettings
    log: LogSettings
    carriers: tuple[CarrierSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    accounts: tuple[AccountSettings, ...] = ()

    def directory(self) -> Directory:
        """Return the accounts as the path of a message looks them up."""
        return Directory(account.value() for account in self.accounts)

    def routing(self) -> tuple[Route, ...]:
        """Return the routes in their order."""
        return tuple(Route(route.carrier, route.to, route.type, route.account) for route in self.routes)
