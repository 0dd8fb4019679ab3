"""The settings of the developers' edition: everything on one port of the loopback, nothing to write first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passband.config.layers import defaults, merge
from passband.config.reading import build
from passband.config.settings import Settings

ACCOUNT = "5500123"
USER = "demo"
PASSWORD = "demo"  # noqa: S105  the one that is printed at the start, on the loopback
# The same at every start, so that what an application has configured once stays right.
APPLICATION = "b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74"
NUMBERS = ("+19195550117",)


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
) -> Settings:
    """Return the settings of ``passband dev``: one account, its application and numbers, a simulated carrier.

    Store and media are in ``data``; the admin pages share the server's address; callbacks may go to private networks.
    ``callback_url`` takes inbound messages and status events, None: nobody is told. ``rate`` is the account's, in
    segments per second. Raises ConfigurationError with all faults.
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
    flags = {
        "server": {"listen": listen},
        "admin": {"listen": listen},
        "store": {"url": f"sqlite:{folder / 'passband.db'}"},
        "media": {"url": f"file:{folder / 'media'}"},
        "callbacks": {"allow_private_networks": True},
        "history": {"days": history_days},
        "log": {"format": "console"},
        "carriers": [{"name": "simulator", "type": "simulator"}],
        "accounts": [one],
    }
    return build(merge(defaults(), flags), folder, {})
