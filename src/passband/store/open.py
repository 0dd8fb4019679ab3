"""Which engine a store's URL means."""

from pathlib import Path

from passband.domain.errors import ConfigurationError
from passband.domain.rules import Rules
from passband.store import Births, Store


def open_store(url: str, rules: Rules, births: Births, *, history_days: int = 0) -> Store:
    """Return the store of ``sqlite:PATH`` or ``postgresql://…``; it is used once its ``open`` has returned.

    Raises ConfigurationError if the URL means neither, or the driver is not installed.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from passband.store.sqlite import SqliteStore

        return SqliteStore(Path(rest), rules, births, history_days=history_days)
    if scheme in ("postgresql", "postgres"):
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise ConfigurationError([f"store.url: {scheme} needs the extra passband[postgres] ({error})"]) from error
        from passband.store.postgres import PostgresStore

        return PostgresStore(url, rules, births, history_days=history_days)
    raise ConfigurationError(["store.url: it begins with neither sqlite: nor postgresql://"])
