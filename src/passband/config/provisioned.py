"""A single application or number as it is set while the platform runs: the settings of the file, judged as there.

Rule: what is set while it runs is one for all nodes, so a secret is given itself; which variable or file of a machine
holds it (``…_env``, ``…_file``) can be said in the file alone.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from passband.config.checks import check_application, check_number
from passband.config.reading import Reader
from passband.config.settings import ApplicationSettings, NumberSettings, Table
from passband.domain.account import Application, Number
from passband.domain.errors import ConfigurationError

Fields = Mapping[str, Any]
Read = TypeVar("Read", bound=Table)


class Known(NamedTuple):
    """What a number may refer to: the applications of its account, by identifier, and the carriers, by name."""

    applications: Collection[str]
    carriers: Collection[str]


def read_application(fields: Fields) -> Application:
    """Return the application of these settings, ``id`` among them. Raises ConfigurationError with every fault."""
    settings, faults = _read(ApplicationSettings, fields)
    _demand([*faults, *check_application("", settings)])
    return settings.value()


def read_number(fields: Fields, account: str, known: Known | None = None) -> Number:
    """Return the number of these settings, ``number`` among them. Raises ConfigurationError with every fault.

    Without ``known`` nothing is said about what it refers to.
    """
    settings, faults = _read(NumberSettings, fields)
    if known is not None:
        what = f"application of account {account!r}"
        faults += check_number("", settings, what, known.applications, known.carriers)
    _demand(faults)
    return settings.value(account)


def _read(struct: type[Read], fields: Fields) -> tuple[Read, list[str]]:
    reader = Reader(Path(), {}, secrets_from_elsewhere=False)
    read: Read = reader.table(struct, dict(fields), ())
    return read, reader.faults


def _demand(faults: list[str]) -> None:
    if faults:
        raise ConfigurationError([fault.removeprefix(".") for fault in faults])
