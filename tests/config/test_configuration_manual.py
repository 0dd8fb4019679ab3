"""``passband.default.toml`` is the manual: every setting has its entry there, and what it says is true."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from passband.config import CARRIER_TYPES, CarrierSettings, Settings, load
from passband.config.layers import default_text
from passband.config.manual import Entry, entries, examples, reference

ROOT = Path(__file__).parents[2]


class Setting(NamedTuple):
    """A setting of the tree; ``nested`` are the keys of a table that is written in one line."""

    section: str
    field: msgspec.structs.FieldInfo
    nested: tuple[str, ...]
    repeated: bool
    kind: str  # of a carrier

    @property
    def name(self) -> str:
        return f"{self.section}.{self.field.name}".removeprefix(".")

    def entry(self, manual: dict[str, Entry]) -> Entry | None:
        """What explains it: for its type of carrier, or for all of them."""
        return manual.get(f"{self.section}.{self.kind}.{self.field.name}") or manual.get(self.name)


# Tables that are written in one line, because they are small.
INLINE = (
    {"server.tls", "accounts.users"}
    | {f"accounts.applications.{direction}_credentials" for direction in ("inbound", "outbound", "callback")}
    | {f"carriers.{name}" for name in ("receipt_states", "status_overrides", "extra_tlvs")}
)


def settings_of(struct: Any, section: str = "", repeated: bool = False, kind: str = "") -> Iterator[Setting]:
    """All settings of the tree, carriers of every type among them."""
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        name = f"{section}.{field.name}".removeprefix(".")
        inner = hints[field.name]
        if get_origin(inner) in (Union, UnionType):
            inner = get_args(inner)[0]
        listed = get_origin(inner) is tuple
        if listed:
            inner = get_args(inner)[0]
        if get_origin(inner) is Annotated:
            yield Setting(section, field, (), repeated, kind)
        elif name in INLINE:
            yield Setting(section, field, inner.__struct_fields__, repeated, kind)
        else:
            for below_kind, below in (CARRIER_TYPES if inner is CarrierSettings else {"": inner}).items():
                yield from settings_of(below, name, repeated or listed, below_kind)


SETTINGS = list(settings_of(Settings))


@pytest.fixture(scope="module")
def manual() -> dict[str, Entry]:
    """The entries of the file by name; of several of one name the first, which explains it.

    Where a type of carrier has an entry of its own, that has the type in its name: ``carriers.smpp.port``.
    """
    found: dict[str, Entry] = {}
    kind = ""
    for entry in entries(default_text()):
        found.setdefault(f"{entry.section}.{entry.key}".strip("."), entry)
        if entry.section == "carriers" and entry.key == "type":
            kind = entry.value.strip('"')
        elif entry.section == "carriers" and entry.key and entry.meaning and kind:
            found.setdefault(f"carriers.{kind}.{entry.key}", entry)
    return found


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.name for setting in SETTINGS])
def test_every_setting_is_explained(setting: Setting, manual: dict[str, Entry]) -> None:
    entry = setting.entry(manual)
    assert entry, f"passband.default.toml lacks {setting.name}"
    assert len(entry.meaning) > 10, f"passband.default.toml does not explain {setting.name}"
    for key in setting.nested:
        assert f"`{key}`" in entry.meaning
        assert f"{key} = " in entry.value or f"{key}_env = " in entry.value


def test_the_file_explains_nothing_that_is_not_there(manual: dict[str, Entry]) -> None:
    named = {name for name, entry in manual.items() if entry.key}
    of_a_kind = {f"{setting.section}.{setting.kind}.{setting.field.name}" for setting in SETTINGS if setting.kind}
    names = {setting.name for setting in SETTINGS} | {"carriers.type"}
    assert names <= named <= names | of_a_kind


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.name for setting in SETTINGS])
def test_every_default_is_what_the_file_says(setting: Setting, manual: dict[str, Entry]) -> None:
    entry = setting.entry(manual)
    assert entry
    if entry.in_force:
        assert not setting.repeated
        assert setting.field.required, "the file is the one place of this default"
    elif setting.field.required:
        assert entry.default is None
    elif setting.field.default is None:
        assert entry.default == "none"
    else:
        assert entry.default is not None
        said = tomllib.loads(f"value = {entry.default}")["value"]
        assert said == (list(setting.field.default) if isinstance(said, list) else setting.field.default)


def test_every_section_is_explained(manual: dict[str, Entry]) -> None:
    assert all(entry.meaning for entry in manual.values() if not entry.key)


def test_every_carrier_type_is_named(manual: dict[str, Entry]) -> None:
    assert all(f"`{name}`" in manual["carriers.type"].meaning for name in CARRIER_TYPES)


def test_the_examples_load_without_faults(tmp_path: Path) -> None:
    path = tmp_path / "passband.toml"
    path.write_text(examples(default_text()), "utf-8")
    (tmp_path / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "tls" / name).touch()
    settings = load(path, {"DESK_PASSWORD": "secret"})
    assert settings.server.tls
    assert len(settings.carriers) == len(CARRIER_TYPES)
    assert len(settings.routes) == len(settings.accounts) == 1
    assert len(settings.accounts[0].applications) == 2
    in_examples = {entry.key for entry in entries(default_text()) if not entry.in_force}
    assert len(in_examples) > 20, "the examples were not taken into force"


def test_the_file_as_it_is_shipped_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "passband.toml"
    path.write_text(default_text(), "utf-8")
    here = {"PASSBAND_STORE__URL": "sqlite:/x", "PASSBAND_MEDIA__URL": "file:/x"}
    assert load(path, here) == load(None, here)


def test_the_reference_is_what_the_file_yields() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert written == reference(), "run: python -m passband.config > docs/configuration.md"
