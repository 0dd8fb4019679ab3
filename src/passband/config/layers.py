"""Where settings come from: the shipped defaults, the operator's file, the environment; each over the one before.

A setting from the environment stays a ``Variable`` until it is read: only its place in the tree tells whether
``5500123`` is an account's name or a number.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from passband.domain.errors import ConfigurationError

Tree = dict[str, Any]

PREFIX = "PASSBAND_"
# Names that are no settings: what the commands read for themselves, and what Kubernetes gives every container beside a
# service called "passband".
_RESERVED = re.compile(
    "PASSBAND_(CONFIG|ADMIN_URL|SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP)(_[A-Z]+)?)"
)


class Variable(NamedTuple):
    """A setting as the environment gives it."""

    name: str
    text: str

    def value(self) -> Any:
        """Return its text as a TOML value, or as it is where it is none."""
        try:
            parsed = tomllib.loads(f"value = {self.text}")
        except ValueError:
            return self.text
        return parsed["value"] if len(parsed) == 1 else self.text


def default_text() -> str:
    """Return the shipped file of defaults, which is also the manual."""
    return (files("passband") / "passband.default.toml").read_text("utf-8")


def defaults() -> Tree:
    """Return a new tree of the shipped defaults."""
    return tomllib.loads(default_text())


def read_file(path: Path) -> Tree:
    """Return what an operator's file says. Raises ConfigurationError where it cannot be read as TOML at all."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}: must be UTF-8, and is not in line {line}"]) from error
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits is a plain one
        raise ConfigurationError([f"{path}: {error}"]) from error


def merge(below: Tree, above: Tree) -> Tree:
    """Return ``below`` with the settings of ``above`` in their places. Lists are replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def override(tree: Tree, environ: Mapping[str, str]) -> list[str]:
    """Put the environment's settings into the tree; return the faults of those that have no place.

    ``PASSBAND_ACCOUNTS__0__RATE`` is ``accounts[0].rate``. A variable that a secret's ``…_env`` names is none of them.
    """
    found = {name: name.removeprefix(PREFIX).lower().split("__") for name in environ if name.startswith(PREFIX)}
    sources = set(_sources(tree)) | {environ[name] for name in found if name.endswith("_ENV")}
    faults = []
    # What is nearer the root comes first, so that PASSBAND_ROUTES does not undo PASSBAND_ROUTES__0__CARRIER.
    for name, steps in sorted(found.items(), key=lambda item: (len(item[1]), _natural(item[1]))):
        if name not in sources and not _RESERVED.fullmatch(name):
            try:
                _put(tree, steps, Variable(name, environ[name]))
            except LookupError as error:
                faults.append(f"{name}: {error.args[0]}")
    return faults


def _natural(steps: list[str]) -> list[tuple[int, str]]:
    return [(int(step) if _is_place(step) else -1, step) for step in steps]


def _is_place(step: str) -> bool:
    return re.fullmatch("[0-9]{1,6}", step) is not None


def _sources(value: object) -> Iterator[str]:
    """The names of variables that hold secrets."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key.endswith("_env") and isinstance(below, str):
                yield below
            yield from _sources(below)
    elif isinstance(value, list):
        for below in value:
            yield from _sources(below)


def _put(tree: Tree, steps: list[str], variable: Variable) -> None:
    """Set the value at the end of the steps. Raises LookupError where they lead nowhere."""
    node: Any = tree
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        above = "".join(f"[{s}]" if _is_place(s) else f".{s}" for s in steps[:depth])[1:]
        place: Any = step
        match node:
            case dict():
                below = node.get(step)
            case list() if not _is_place(step):
                raise LookupError(f"{above} is a list; a place in it, from 0, comes next")
            case list() if int(step) > len(node):
                raise LookupError(f"{above} has {len(node)} entries; the next is {len(node)}")
            case list():
                place = int(step)
                if place == len(node):
                    node.append(None)
                below = node[place]
            case _:
                raise LookupError(f"{above} is a single value; nothing is below it")
        if last:
            node[place] = variable
            return
        if isinstance(below, Variable):
            below = below.value()
        if below is None:
            below = [] if _is_place(steps[depth + 1]) else {}
        node[place] = below
        node = below
