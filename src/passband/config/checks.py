"""What is wrong between settings that are each right: names taken twice, names of nothing.

Settings that could not be read are ``UNSET`` here; what refers to one of them is given the benefit of the doubt.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from passband.carriers.mm4.profile import DeliveredOn
from passband.carriers.smpp.settings import ExtraTlv
from passband.config.settings import (
    AccountSettings,
    ApplicationSettings,
    Mm4Settings,
    NumberSettings,
    Settings,
    SmppSettings,
)
from passband.domain.routing import ON_NET
from passband.smpp import tlv

Named = tuple[str, Any]  # the path of a setting, and its value
_SAR = (tlv.SAR_MSG_REF_NUM, tlv.SAR_TOTAL_SEGMENTS, tlv.SAR_SEGMENT_SEQNUM)


def check(settings: Settings) -> Iterator[str]:
    """Yield every fault as "path: what is wrong"."""
    carriers = [(path, carrier.name) for path, carrier in _each("carriers", settings.carriers)]
    accounts = list(_each("accounts", settings.accounts))
    yield from _taken_twice("name", carriers)
    for path, name in carriers:
        if name == ON_NET:
            yield f"{path}.name: {ON_NET!r} is the name of the way between your own numbers; choose another"
    for path, carrier in _each("carriers", settings.carriers):
        if isinstance(carrier, Mm4Settings):
            yield from _check_mm4(path, carrier)
        elif isinstance(carrier, SmppSettings) and not _holds_unread(carrier):
            yield from _check_smpp(path, carrier)
    carrier_names = _known(settings.carriers, "name")
    account_ids = _known(settings.accounts, "id")
    for path, route in _each("routes", settings.routes):
        yield from _refers(f"{path}.carrier", route.carrier, "carrier", carrier_names)
        yield from _refers(f"{path}.account", route.account, "account", account_ids)
    yield from _taken_twice("id", [(path, account.id) for path, account in accounts])
    numbers: list[Named] = []
    for path, account in accounts:
        yield from _check_account(path, account, carrier_names)
        numbers += [(place, own.number) for place, own in _each(f"{path}.numbers", account.numbers)]
    yield from _taken_twice("number", numbers)
    if not _unread(settings.callbacks) and settings.callbacks.schedule == ():
        yield "callbacks.schedule: must have at least one wait"


def _check_mm4(path: str, carrier: Mm4Settings) -> Iterator[str]:
    for one, other in (
        ("user", "password"),
        ("listen_user", "listen_password"),
        ("listen_certificate", "listen_key"),
    ):
        given = [name for name in (one, other) if getattr(carrier, name) is not None]
        if len(given) == 1:
            yield f"{path}.{given[0]}: needs {other if given == [one] else one}"
    if carrier.allow == () and carrier.listen_user is None:
        yield f"{path}.allow: give the peer's addresses, or listen_user and listen_password; or nothing can come in"
    if carrier.mms_delivered_on is DeliveredOn.FORWARD_RES and carrier.ack_request is False:
        yield f"{path}.mms_delivered_on: forward_res needs ack_request = true"
    if carrier.mms_delivered_on is DeliveredOn.REPORT and carrier.delivery_report is False:
        yield f"{path}.mms_delivered_on: report needs delivery_report = true"


def _check_smpp(path: str, carrier: SmppSettings) -> Iterator[str]:
    if len(carrier.password or "") > 8 and not carrier.long_password:
        yield f"{path}.password: may have 8 characters; with long_password = true, more"
        return
    if not (carrier.password or "").isascii():
        yield f"{path}.password: must be ASCII"
        return
    for name in ("tls_ca_file", "tls_server_name"):
        if getattr(carrier, name) is not None and not carrier.tls:
            yield f"{path}.{name}: needs tls = true; without it nothing is encrypted"
            return
    for place, extra in _each(f"{path}.extra_tlvs", carrier.extra_tlvs):
        try:
            ExtraTlv(tag=extra.tag, kind=extra.kind, value=extra.value)
        except ValueError:
            yield f"{place}.value: does not fit kind {extra.kind!r}"
            return
    yield from _check_smpp_traps(path, carrier)
    try:
        carrier.profile()
    except ValueError as error:
        yield f"{path}: {error}"


def _check_smpp_traps(path: str, carrier: SmppSettings) -> Iterator[str]:
    """Yield what could be sent and would not do what it was set for."""
    if carrier.delivered_on == "receipt" and carrier.registered_delivery & 3 in (0, 2):
        yield (
            f"{path}.registered_delivery: asks for no receipt of what is delivered, and without one every message "
            'fails with 9902; set 1, or delivered_on = "submit"'
        )
    why = {
        tlv.MESSAGE_PAYLOAD: "it is the text",
        **(dict.fromkeys(_SAR, 'concat = "sar"') if carrier.concat == "sar" else {}),
        **({tlv.MORE_MESSAGES_TO_SEND: "more_messages = true"} if carrier.more_messages else {}),
        **({tlv.USER_MESSAGE_REFERENCE: "user_message_reference = true"} if carrier.user_message_reference else {}),
    }
    for place, extra in _each(f"{path}.extra_tlvs", carrier.extra_tlvs):
        if extra.tag in why:
            yield f"{place}.tag: {tlv.name_of(extra.tag)} is written by Passband itself ({why[extra.tag]})"


def _holds_unread(value: Any) -> bool:
    """Whether anything below a table could not be read."""
    if isinstance(value, tuple):
        return any(map(_holds_unread, value))
    if isinstance(value, msgspec.Struct):
        return any(_holds_unread(getattr(value, name)) for name in value.__struct_fields__)
    return _unread(value)


def _check_account(path: str, account: AccountSettings, carriers: Collection[Any]) -> Iterator[str]:
    applications = list(_each(f"{path}.applications", account.applications))
    yield from _taken_twice("name", [(place, user.name) for place, user in _each(f"{path}.users", account.users)])
    yield from _taken_twice("id", [(place, application.id) for place, application in applications])
    for place, application in applications:
        yield from check_application(place, application)
    identifiers = _known(account.applications, "id")
    what = f"application of account {account.id!r}" if not _unread(account.id) else "application of this account"
    for place, own in _each(f"{path}.numbers", account.numbers):
        yield from check_number(place, own, what, identifiers, carriers)


def check_number(
    path: str, own: NumberSettings, what: str, applications: Collection[Any], carriers: Collection[Any]
) -> Iterator[str]:
    """Yield what is wrong with what a number refers to; ``what`` says whose ``applications`` these are."""
    yield from _refers(f"{path}.application", own.application, what, applications)
    yield from _refers(f"{path}.carrier", own.carrier, "carrier", carriers)


def check_application(path: str, application: ApplicationSettings) -> Iterator[str]:
    """Yield what is wrong between the settings of one application."""
    for what in ("url", "credentials"):
        for direction in ("inbound", "outbound"):
            both = (getattr(application, f"callback_{what}"), getattr(application, f"{direction}_{what}"))
            if None not in both:
                yield f"{path}.{direction}_{what}: callback_{what} sets it already; remove one of them"


def _unread(value: object) -> bool:
    return value is UNSET


def _each(path: str, entries: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """The entries of a list that could be read, with their paths."""
    if not _unread(entries):
        for place, entry in enumerate(entries):
            if entry is not UNSET:
                yield f"{path}[{place}]", entry


def _known(entries: Any, key: str) -> Collection[Any]:
    """The names of entries; UNSET is among them where one is not known."""
    if entries is UNSET:
        return {UNSET}
    return {UNSET if entry is UNSET else getattr(entry, key) for entry in entries}


def _taken_twice(key: str, entries: Iterable[Named]) -> Iterator[str]:
    first: dict[str, str] = {}
    for path, name in entries:
        if name is not UNSET and first.setdefault(name, path) != path:
            yield f"{path}.{key}: {name!r} is taken by {first[name]}"


def _refers(path: str, name: Any, what: str, known: Collection[Any]) -> Iterator[str]:
    if name is None or name is UNSET or name in known or UNSET in known:
        return
    near = difflib.get_close_matches(name, known, 1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"there are {', '.join(map(repr, sorted(known)))}" if known else "there is none"
    yield f"{path}: no {what} is called {name!r}; {hint}"
