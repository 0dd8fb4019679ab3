"""From a tree of TOML values to ``Settings``, with every fault on the way.

Rule: a fault does not stop the reading. What could not be read is ``UNSET`` in the tree of settings, which never leaves
this package while there is one.
"""

import difflib
import functools
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import UNSET

from passband.config.checks import check
from passband.config.layers import PREFIX, Tree, Variable
from passband.config.settings import CARRIER_TYPES, CarrierSettings, Settings, Table
from passband.config.values import Rule, Secret, Unfit, one_of
from passband.domain.errors import ConfigurationError

Steps = tuple[str | int, ...]

_CARRIER_TYPE = Annotated[str, one_of(CARRIER_TYPES)]


def build(tree: Tree, folder: Path, environ: Mapping[str, str], faults: Iterable[str] = ()) -> Settings:
    """Return the settings of a tree. Raises ConfigurationError with ``faults`` and all that are found here.

    ``folder`` is where relative paths begin; ``environ`` holds the secrets that are named as ``…_env``.
    """
    reader = Reader(folder, environ)
    settings: Settings = reader.table(Settings, tree, ())
    found = [*faults, *reader.faults, *check(settings)]
    if found:
        raise ConfigurationError(found)
    return settings


class Reader:
    """Reads values by the annotations of the tree of settings; gathers faults."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, secrets_from_elsewhere: bool = True) -> None:
        """``secrets_from_elsewhere`` tells whether ``…_env`` and ``…_file`` may say where a secret is."""
        self.faults: list[str] = []
        self._from_elsewhere = secrets_from_elsewhere
        self._folder = folder
        self._environ = environ

    def table(self, struct: type[Table], value: object, steps: Steps) -> Any:
        """Return a table of the file as ``struct``; what is wrong with it is added to ``faults``, and is UNSET here."""
        if not isinstance(value, dict):
            return self._wrong(steps, f"must be a table, not {_kind(value)}", value, shown=False)
        fields = _annotations(struct)
        secrets = {name for name, annotation in fields.items() if self._from_elsewhere and _is_secret(annotation)}
        table: Tree = value
        known = [*fields, *(f"{name}_{source}" for name in secrets for source in ("env", "file"))]
        for key in table:
            if key not in known:
                self._unknown(key, table[key], known, steps)
        read = {}
        for field in msgspec.structs.fields(struct):
            if field.name in secrets:
                table = self._secret_of(field.name, table, steps)
            if field.name in table:
                read[field.name] = self.value(fields[field.name], table[field.name], (*steps, field.name))
            elif field.required:
                self._missing((*steps, field.name), fields[field.name], field.name in secrets)
                read[field.name] = UNSET
        return struct(**read)

    def value(self, annotation: Any, value: object, steps: Steps) -> Any:
        """Return a value as its annotation wants it, at the place ``steps``; UNSET where it is at fault."""
        if value is UNSET:
            return UNSET
        origin = get_origin(annotation)
        if origin is Union or origin is UnionType:
            return self.value(get_args(annotation)[0], value, steps)
        if origin is Annotated:
            return self._leaf(annotation, value, steps)
        if isinstance(value, Variable):
            whole = value
            value = value.value()
            if not isinstance(value, list | dict):
                value = whole  # for the fault's sake, which names it
        if origin is tuple:
            if not isinstance(value, list):
                return self._wrong(steps, f"must be a list, not {_kind(value)}", value, shown=False)
            inner = get_args(annotation)[0]
            return tuple(self.value(inner, entry, (*steps, place)) for place, entry in enumerate(value))
        if annotation is CarrierSettings:
            return self._carrier(value, steps)
        return self.table(annotation, value, steps)

    def _carrier(self, value: object, steps: Steps) -> Any:
        if not isinstance(value, dict):
            return self._wrong(steps, f"must be a table, not {_kind(value)}", value, shown=False)
        rest = dict(value)
        if "type" not in rest:
            self._missing((*steps, "type"), _CARRIER_TYPE, secret=False)
            return UNSET
        kind = self._leaf(_CARRIER_TYPE, rest.pop("type"), (*steps, "type"))
        return UNSET if kind is UNSET else self.table(CARRIER_TYPES[kind], rest, steps)

    def _leaf(self, annotation: Any, value: object, steps: Steps) -> Any:
        kind, rule = get_args(annotation)
        assert isinstance(rule, Rule)
        said = ""
        # A text needs no quotation marks in the environment, so what TOML makes of it is only the first guess.
        for guess in (value.value(), value.text) if isinstance(value, Variable) else (value,):
            try:
                return rule.read(guess, self._folder)
            except Unfit as error:
                said = str(error)
            except ValueError:
                pass
        hidden = issubclass(kind, Secret)
        return self._wrong(steps, said or f"must be {rule.words}", value, shown=not said and not hidden)

    def _secret_of(self, name: str, table: Tree, steps: Steps) -> Tree:
        """Return the table with the secret in its place, wherever it was to be found."""
        given = [key for key in (name, f"{name}_env", f"{name}_file") if key in table]
        if given in ([], [name]):
            return table
        if len(given) > 1:
            self._fault(steps, f"give one of {', '.join(given)}, not {len(given)}")
            return {**table, name: UNSET}
        source, key = table[given[0]], given[0]
        where = (*steps, key)
        text = source.text if isinstance(source, Variable) else source
        if not isinstance(text, str) or not text or "\0" in text:
            self._wrong(where, "must be the name of a variable" if key.endswith("env") else "must be a path", source)
        elif key.endswith("env") and text in self._environ:
            return {**table, name: self._environ[text]}
        elif key.endswith("env"):
            self._fault(where, f"the environment has no {text}")
        else:
            try:
                return {**table, name: (self._folder / text).read_text("utf-8").rstrip("\r\n")}
            except OSError as error:
                self._fault(where, f"{self._folder / text} cannot be read: {error.strerror}")
            except UnicodeDecodeError:
                self._fault(where, f"{self._folder / text} must be UTF-8")
        return {**table, name: UNSET}

    # ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fault(self, steps: Steps, what: str) -> None:
        self.faults.append(f"{path(steps)}: {what}")

    def _wrong(self, steps: Steps, what: str, value: object, *, shown: bool = True) -> Any:
        name = value.name if isinstance(value, Variable) else path(steps)
        self.faults.append(f"{name}: {what}{', not ' + _show(value) if shown else ''}")
        return UNSET

    def _missing(self, steps: Steps, annotation: Any, secret: bool) -> None:
        name = steps[-1]
        if secret:
            self._fault(steps, f"missing; give {name}, {name}_env or {name}_file")
        else:
            self._fault(steps, f"missing; must be {_words(annotation)}")

    def _unknown(self, key: str, value: object, known: list[str], steps: Steps) -> None:
        near = difflib.get_close_matches(key, known, 1)
        variables = list(_variables(value))
        for name in variables:
            parts = name.removeprefix(PREFIX).split("__")
            parts[len(steps)] = near[0].upper() if near else ""
            self.faults.append(_no_such(name, PREFIX + "__".join(parts) if near else "", known))
        if not variables:
            self.faults.append(_no_such(path((*steps, key)), near[0] if near else "", known))


@functools.cache
def _annotations(struct: type[Table]) -> Mapping[str, Any]:
    return typing.get_type_hints(struct, include_extras=True)


def path(steps: Steps) -> str:
    """Return the place of a setting as ``accounts[0].rate``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _no_such(name: str, near: str, known: list[str]) -> str:
    return f"{name}: no such setting; {f'did you mean {near}?' if near else 'there are ' + ', '.join(known)}"


def _is_secret(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        annotation = get_args(annotation)[0]
    return get_origin(annotation) is Annotated and get_args(annotation)[0] is Secret


_KINDS = {list: "a list", dict: "a table", str: "a text", Variable: "a text", bool: "true or false"}


def _kind(value: object) -> str:
    """What a value is, where its content is nobody's business: a list of users may have been written as a text."""
    return _KINDS.get(type(value), "a number" if isinstance(value, int | float) else "a date or time")


def _words(annotation: Any) -> str:
    """What a setting must be; of a list or a table no more than that."""
    if get_origin(annotation) is Annotated:
        return str(get_args(annotation)[1].words)
    return "a list" if get_origin(annotation) is tuple else "a table"


def _show(value: object) -> str:
    """A value as a fault shows it: short, and without the password that a URL may hold."""
    if isinstance(value, Variable):
        value = value.text
    if isinstance(value, list | dict):
        return _kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and "@" in value:
        return "'…'"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def _variables(value: object) -> Iterator[str]:
    """The names of the variables that a part of the tree came from."""
    if isinstance(value, Variable):
        yield value.name
    elif isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _variables(below)
