"""From a URL to a store."""

from pathlib import Path

from passband.domain.rules import Rules
from passband.store import Births, Store
from passband.store.sqlite import SqliteStore


def open_store(url: str, rules: Rules, births: Births, *, history_days: int) -> Store:
    """Return the store of a URL, not opened yet: ``sqlite:PATH`` is a file on a local disk."""
    return SqliteStore(Path(url.removeprefix("sqlite:")), rules, births, history_days=history_days)
