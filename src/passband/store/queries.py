"""Named SQL statements from a file: ``-- name: x`` begins one, the comment lines below describe it."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)


def load(file: str, columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the statements of ``store/sql/<file>`` by name.

    ``{x}`` becomes the column list called x, ``{x?}`` as many placeholders.
    """
    text = (resources.files("passband.store") / "sql" / file).read_text()
    for name, names in columns.items():
        text = text.replace(f"{{{name}}}", ",".join(names)).replace(f"{{{name}?}}", ",".join("?" * len(names)))
    pieces = _NAME.split(text)[1:]
    return {name: body.strip() for name, _, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)}


def migrations(engine: str) -> list[tuple[str, str]]:
    """Return the numbered schema changes of an engine, in order, as (name, SQL)."""
    folder = resources.files("passband.store") / "sql" / engine
    return sorted((file.name.removesuffix(".sql"), file.read_text()) for file in folder.iterdir())
