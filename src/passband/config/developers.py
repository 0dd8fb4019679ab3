"""The settings of the developers' edition: everything on one port of the loopback, nothing to write first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from passband.config.layers import defaults, merge
from passband.config.reading import build
from passband.config.settings import Settings

ACCOUNT = "5500123"
USER = "demo"
PASSWORD = "demo"  # noqa: S105  the one that is printed at the start, on the loopback
# The same at every start, so that what an application has configured once stays right.
APPLICATION = "b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74"
NUMBERS = ("+19195550117",)


class SmppPeer(NamedTuple):
    """The SMSC of the developers' edition: ``host:port``, and the user name and password of the bind."""

    address: str
    system_id: str
    password: str = ""


def dev_settings(
    data: Path,
    *,
    port: int = 8080,
    account: str = ACCOUNT,
    user: str = USER,
    password: str = PASSWORD,
    application: str = APPLICATION,
    numbers: Sequence[str] = NUMBERS,
    callback_url: str | None = None,
    history_days: int = 0,
    rate: float | None = None,
    smpp: SmppPeer | None = None,
) -> Settings:
    """Return the settings of ``passband dev``: one account, its application and numbers, one carrier.

    Store and media are in ``data``; the admin pages share the server's address; callbacks may go to private networks.
    ``callback_url`` takes inbound messages and status events, None: nobody is told. ``rate`` is the account's, in
    segments per second. The carrier is ``smpp``, None: a simulated one. Raises ConfigurationError with all faults.
    """
    listen = f"127.0.0.1:{port}"
    folder = data.absolute()
    one: dict[str, Any] = {
        "id": account,
        "users": [{"name": user, "password": password}],
        "applications": [{"id": application, "name": "Developers' edition"}],
        "numbers": [{"number": number, "application": application} for number in numbers],
    }
    if callback_url is not None:
        one["applications"][0]["callback_url"] = callback_url
    if rate is not None:
        one["rate"] = rate
    carrier: dict[str, Any] = {"name": "simulator", "type": "simulator"}
    if smpp is not None:
        host, _, port_there = smpp.address.rpartition(":")
        carrier = {"name": "smpp", "type": "smpp", "host": host, "system_id": smpp.system_id}
        carrier["port"] = int(port_there) if port_there.isdecimal() else port_there
        if smpp.password:
            carrier["password"] = smpp.password
    flags = {
        "server": {"listen": listen},
        "admin": {"listen": listen},
        "store": {"url": f"sqlite:{folder / 'passband.db'}"},
        "media": {"url": f"file:{folder / 'media'}"},
        "callbacks": {"allow_private_networks": True},
        "history": {"days": history_days},
        "log": {"format": "console"},
        "carriers": [carrier],
        "accounts": [one],
    }
    return build(merge(defaults(), flags), folder, {})
