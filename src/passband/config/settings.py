"""The tree of settings. Section and key names are those of the file, and stable.

``passband.default.toml`` explains every setting. It also holds the defaults of what exists once, so the Structs of
those sections have none; tables that may be repeated are not in it, and their defaults are here.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Literal, TypeVar, get_args

import msgspec

from passband.carriers.mm4.profile import DeliveredOn, Profile, Tls
from passband.carriers.smpp.settings import ExtraTlv, ReceiptState, StatusOverride
from passband.carriers.smpp.settings import SmppSettings as SmppProfile
from passband.config.values import (
    BaseUrl,
    ContentType,
    Domain,
    ErrorCode,
    File,
    Flag,
    Host,
    HttpUrl,
    Identifier,
    Level,
    Listen,
    LogFormat,
    Mailbox,
    MediaUrl,
    Name,
    Network,
    NumberKind,
    Password,
    PasswordOrHash,
    PhoneNumber,
    Prefix,
    Rate,
    ReceiptPattern,
    StoreUrl,
    Text,
    TonNpi,
    UserName,
    at_most,
    number,
    one_of,
    whole,
)
from passband.domain.account import Account, Application, BasicCredentials, Directory, Number, User
from passband.domain.event import EventKind
from passband.domain.message import Kind
from passband.domain.routing import Route
from passband.mm4.address import EnvelopeForm
from passband.smpp.message_id import IdRule
from passband.smpp.outcome import DIALECTS
from passband.smpp.text import Charset

WEEK = 7 * 86_400

Seconds = Annotated[float, number("seconds", 0.1, 3600)]
Converted = TypeVar("Converted")


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
    media_in_memory: Annotated[int, whole("octets", 16_777_216, 4_294_967_296)]


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


class Mm4Settings(CarrierSettings, frozen=True, kw_only=True):
    host: Domain
    port: Annotated[int, whole("port", 1, 65535)] = 25
    tls: Annotated[Tls, one_of(Tls)] = Tls.NONE
    tls_ca_file: File | None = None
    user: UserName | None = None
    password: Password | None = None
    domain: Domain
    peer_domain: Domain | None = None
    system_address: Mailbox | None = None
    envelope: Annotated[EnvelopeForm, one_of(EnvelopeForm)] = EnvelopeForm.TYPED
    connections: Annotated[int, whole("connections", 1, 50)] = 2
    rate: Rate | None = None
    max_message_octets: Annotated[int, whole("octets", 10_000, 8_388_608)] = 1_048_576
    content_types: tuple[ContentType, ...] | None = None
    ack_request: Flag = True
    delivery_report: Flag = True
    send_delivery_reports: Flag = True
    mms_delivered_on: Annotated[DeliveredOn, one_of(DeliveredOn)] = DeliveredOn.FORWARD_RES
    listen: Listen
    listen_certificate: File | None = None
    listen_key: File | None = None
    listen_user: UserName | None = None
    listen_password: Password | None = None
    allow: tuple[Network, ...] = ()
    max_inbound_octets: Annotated[int, whole("octets", 10_000, 8_388_608)] = 7_340_032
    assume_forward: Flag = False

    def profile(self) -> Profile:
        """Return the same as the carrier takes it, with what follows from other settings."""
        values = {name: getattr(self, name) for name in Profile.__dataclass_fields__}
        types = self.content_types
        return Profile(
            **values
            | {
                "peer_domain": self.peer_domain or self.host,
                "system_address": self.system_address or f"mms-system@{self.domain}",
                "allow": tuple(map(ip_network, self.allow)),
                "content_types": None if types is None else frozenset(types),
            }
        )


class ExtraTlvSettings(Table, frozen=True, kw_only=True):
    tag: Annotated[int, whole("tag", 0, 65535)]
    kind: Annotated[str, one_of(("string", "hex", "int1", "int2", "int4"))] = "string"
    value: Text


class ReceiptStateSettings(Table, frozen=True, kw_only=True):
    word: Annotated[str, at_most(20)]
    outcome: Annotated[str, one_of(("delivered", "failed", "pending"))]
    code: ErrorCode = 9999


_ACTIONS: Mapping[str, Literal["fail", "throttle", "backoff", "reconnect", "accept"]] = {
    "fail": "fail",
    "pause": "throttle",  # the glossary's word and SMPP's
    "backoff": "backoff",
    "reconnect": "reconnect",
    "accept": "accept",
}


class StatusOverrideSettings(Table, frozen=True, kw_only=True):
    status: Annotated[int, whole("status", 1, 0xFFFFFFFF)]
    action: Annotated[str, one_of(_ACTIONS)]
    code: ErrorCode = 9999
    attempts: Annotated[int, whole("attempts", 1, 100)] = 3


class SmppSettings(CarrierSettings, frozen=True, kw_only=True):
    host: Host
    port: Annotated[int, whole("port", 1, 65535)] = 2775
    system_id: Annotated[str, at_most(15)]
    password: Password | None = None
    tls: Flag = False
    other_hosts: tuple[Listen, ...] = ()
    tls_ca_file: File | None = None
    tls_server_name: Domain | None = None
    long_password: Flag = False
    system_type: Annotated[str, at_most(12)] = ""
    interface_version: Annotated[int, whole("version", 0, 255)] = 0x34
    address_range: Annotated[str, at_most(40)] = ""
    bind_type: Annotated[str, one_of(("transceiver", "transmitter+receiver"))] = "transceiver"
    binds: Annotated[int, whole("binds", 1, 100)] = 1
    window: Annotated[int, whole("segments", 1, 10_000)] = 10
    rate: Annotated[float, number("segments per second", 0, 1_000_000)] = 10.0
    on_unacked: Annotated[str, one_of(("resubmit", "fail"))] = "resubmit"
    connect_timeout: Seconds = 10.0
    bind_timeout: Seconds = 30.0
    enquire_link: Seconds = 30.0
    enquire_link_timeout: Seconds = 10.0
    response_timeout: Seconds = 60.0
    write_timeout: Seconds = 30.0
    pdu_timeout: Seconds = 10.0
    unbind_timeout: Seconds = 5.0
    drain_timeout: Seconds = 10.0
    reconnect_min: Annotated[float, number("seconds", 0, 3600)] = 0.0
    international: NumberKind = TonNpi(1, 1)
    short_code: NumberKind = TonNpi(3, 0)
    alphanumeric: NumberKind = TonNpi(5, 0)
    destination: NumberKind = TonNpi(1, 1)
    plus_sign: Flag = False
    national: Flag = False
    service_type: Annotated[str, at_most(5)] = ""
    store_and_forward: Flag = False
    registered_delivery: Annotated[int, whole("flags", 0, 255)] = 1
    receipts: Annotated[str, one_of(("all", "last", "first", "one"))] = "all"
    single_receipt: Flag = True
    delivered_on: Annotated[str, one_of(("receipt", "submit"))] = "receipt"
    acceptd_final: Flag = False
    unknown_final: Flag = False
    expired_code: ErrorCode = 4794
    receipt_pattern: ReceiptPattern | None = None
    receipt_states: tuple[ReceiptStateSettings, ...] = ()
    err_dialect: Annotated[str, one_of(sorted(DIALECTS))] | None = None
    status_overrides: tuple[StatusOverrideSettings, ...] = ()
    id_rule: Annotated[IdRule, one_of(IdRule)] = IdRule.AUTO
    default_charset: Annotated[str, one_of(get_args(Charset))] = "gsm7"
    gsm_data_coding: Annotated[int, whole("data coding", 0, 255)] = 0
    gsm_packed: Flag = False
    ucs2_allowed: Flag = True
    concat: Annotated[str, one_of(("udh8", "udh16", "sar", "payload"))] = "udh8"
    max_segments: Annotated[int, whole("segments", 1, 255)] = 255
    more_messages: Flag = False
    send_validity: Flag = False
    extra_tlvs: tuple[ExtraTlvSettings, ...] = ()
    user_message_reference: Flag = False
    max_pdu: Annotated[int, whole("octets", 4096, 1_000_000)] = 70_000
    mo_concat_timeout: Annotated[float, number("seconds", 1, 86_400)] = 600.0

    def profile(self) -> SmppProfile:
        """Return the same as the carrier takes it. Raises ValueError where settings do not go together."""
        shared = {name: getattr(self, name) for name in self.__struct_fields__ if name in SmppProfile.__struct_fields__}
        return SmppProfile(
            **shared
            | {
                "password": str(self.password or ""),
                "other_hosts": tuple(map(str, self.other_hosts)),
                "tls_ca_file": None if self.tls_ca_file is None else str(self.tls_ca_file),
                "rate": self.rate or None,
                "esm_mode": 3 if self.store_and_forward else 0,
                "receipt_states": {
                    state.word.upper(): _convert(state, ReceiptState, "word") for state in self.receipt_states
                },
                "status_overrides": {
                    override.status: StatusOverride(
                        action=_ACTIONS[override.action], code=override.code, attempts=override.attempts
                    )
                    for override in self.status_overrides
                },
                "extra_tlvs": tuple(_convert(extra, ExtraTlv) for extra in self.extra_tlvs),
            }
        )


def _convert(table: Table, struct: type[Converted], without: str = "") -> Converted:
    fields = msgspec.structs.asdict(table)
    fields.pop(without, None)
    return struct(**fields)


CARRIER_TYPES: Mapping[str, type[CarrierSettings]] = {
    "simulator": SimulatorSettings,
    "smpp": SmppSettings,
    "mm4": Mm4Settings,
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
        """Return the application; what is given for callbacks as a whole goes before what is given for a direction."""
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

    def value(self, account: str) -> Number:
        return Number(self.number, account, self.application, self.carrier, self.rate, self.enabled)


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
        """Return the account with its users, applications and numbers."""
        return Account(
            id=self.id,
            users=tuple(User(user.name, str(user.password)) for user in self.users),
            applications={application.id: application.value() for application in self.applications},
            numbers={own.number: own.value(self.id) for own in self.numbers},
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
