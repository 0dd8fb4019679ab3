"""Imports only go downwards: this reads the imports of every module, those inside functions too, and proves it.

What is above what is ``LAYERS``. Every exception is named here with its reason, and one that is not needed any more
fails too.
"""

import ast
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "passband"

# From the bottom to the top. A part is a module or a package right below ``passband``; it may import parts of the
# layers below its own, and nothing beside it.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "values and rules": ("domain",),
    "codecs": ("wire", "smpp", "mm4", "counts", "logs", "terminal"),
    "ports": ("store", "carriers", "clock", "media", "fetch", "asking"),
    "verbs": ("flow",),
    "edges": ("api", "admin", "console", "config", "listen", "send", "smsc", "bench"),
    "what is configured": ("provisioning",),
    "composition": ("service",),
    "commands": ("workers", "dev", "check", "nodes", "remote", "kit"),
    "entrance": ("cli", "testing", "pytest_plugin"),
    "program": ("__main__",),
}

# Who may import what lies beside or above it, and why.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("carriers", "clock"): "a carrier's loop rests on the clock that its node hands it; there is nothing else of time",
    ("admin", "api"): "both speak ASGI to the same listener: api.asgi is how",
    ("listen", "api"): "passband listen is an endpoint on our own HTTP listener, not on a second one",
    ("kit", "dev"): "the kit runs the developers' edition within the tests' process",
    ("dev", "workers"): "the developers' edition is one node that runs as any other",
}

# What a verb and an edge may know of a port: the protocol and its values, not what obeys it.
ENGINES = ("store.sqlite", "store.postgres", "carriers.smpp", "carriers.mm4", "carriers.simulator", "carriers.onnet",
           "media.files", "media.objects")  # fmt: skip
WHO_KNOWS_ENGINES: Mapping[str, str] = {
    "service": "it chooses them",
    "store": "it is made of them",
    "carriers": "it is made of them",
    "media": "it is made of them",
    "config": "settings of a carrier are the carrier's own",
    "check": "it asks the carrier whether its peer answers",
    "smsc": "it plays the simulated carrier's plan",
    "admin": "people play on the simulated carrier there: handsets, and failures on demand",
}

# Who sees the settings; everything else is handed the few values that it needs.
WHO_SEES_SETTINGS = {"config", "provisioning", "service", "workers", "dev", "check", "kit", "cli"}

# What does no I/O and tells no time may not even be able to.
PURE = ("domain", "wire", "smpp", "mm4", "counts")
IMPURE_MODULES = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "selectors", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading",
    "time", "urllib",
}  # fmt: skip
THIRD_PARTY_OF_PURE: Mapping[str, set[str]] = {
    "domain": {"msgspec", "phonenumbers"},  # the latter by one function of number.py, off the hot path
    "wire": {"msgspec"},
    "smpp": {"msgspec"},
    "mm4": set(),
    "counts": set(),
}

VERBS = ("accept", "dispatch", "receive", "notify", "expire")

# Where the time of day is read, and why it is not the node's clock.
CLOCK_READERS: Mapping[str, str] = {
    "clock": "it is the clock",
    "api.exchange": "the Date header of HTTP is the machine's, whatever a test does with the node's",
    "admin.rates": "its samples are seconds of the machine, whatever the node's clock was told to show",
    "cli.examining": "a command that reads the store has no node",
    "check": "a command that opens the store and closes it has no node",
    "bench.backlog": "it fills a store before there is a node",
}


class Import(NamedTuple):
    """One import: both modules by their names without ``passband.``, and the name that is imported, if one is."""

    module: str
    target: str
    name: str

    @property
    def part(self) -> str:
        return self.module.partition(".")[0]

    @property
    def target_part(self) -> str:
        return self.target.partition(".")[0]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text("utf-8"), str(path))


MODULES = dict(modules())


def imports(module: str, tree: ast.Module) -> Iterator[Import]:
    """Yield what a module imports, ours as ``passband.…``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively: from passband import … says where it comes from"
            assert node.module
            for alias in node.names:
                yield Import(module, node.module, alias.name)


def own(module: str) -> Iterator[Import]:
    """Yield what a module imports from the package."""
    for found in imports(module, MODULES[module]):
        if found.target == "passband" and found.name in PARTS:
            yield Import(module, found.name, "")
        elif found.target.startswith("passband."):
            target = found.target.removeprefix("passband.")
            if f"{target}.{found.name}" in MODULES:
                yield Import(module, f"{target}.{found.name}", "")
            else:
                yield Import(module, target, found.name)


PARTS = {part: layer for layer, parts in enumerate(LAYERS.values()) for part in parts}
OWN = [found for module in MODULES for found in own(module)]


def test_every_part_has_its_layer() -> None:
    parts = {module.partition(".")[0] for module in MODULES} - {"__init__"}
    assert parts <= set(PARTS), "say in LAYERS where the new part belongs"


def test_imports_only_go_down() -> None:
    wrong = {
        f"{found.module} imports {found.target}"
        for found in OWN
        if found.part != found.target_part
        and PARTS[found.part] <= PARTS[found.target_part]
        and (found.part, found.target_part) not in EXCEPTIONS
    }
    assert not wrong


def test_every_exception_is_still_needed() -> None:
    present = {found.part for found in OWN}
    used = {(found.part, found.target_part) for found in OWN}
    needed = {pair for pair in used if PARTS[pair[0]] <= PARTS[pair[1]]}
    assert {pair for pair in EXCEPTIONS if pair[0] in present} <= needed


def test_verbs_do_not_know_each_other() -> None:
    flow = {f"flow.{verb}" for verb in VERBS}
    assert flow <= set(MODULES)
    assert not [f"{f.module} imports {f.target}" for f in OWN if f.module in flow and f.target in flow - {f.module}]


def test_only_the_composition_knows_which_engines_there_are() -> None:
    wrong = {
        f"{found.module} imports {found.target}"
        for found in OWN
        if found.target.startswith(ENGINES) and found.part not in WHO_KNOWS_ENGINES
    }
    assert not wrong


def test_only_the_composition_sees_the_settings() -> None:
    assert not {f"{f.module} imports {f.target}" for f in OWN if f.target_part == "config"} - {
        f"{f.module} imports {f.target}" for f in OWN if f.part in WHO_SEES_SETTINGS
    }


@pytest.mark.parametrize("part", PURE)
def test_values_rules_and_codecs_do_no_io_and_tell_no_time(part: str) -> None:
    for module, tree in MODULES.items():
        if module.partition(".")[0] == part:
            outside = {f.target.partition(".")[0] for f in imports(module, tree)} - {"passband"}
            impure = {found for found in outside if found in IMPURE_MODULES}
            if any(f.target == "urllib.parse" for f in imports(module, tree)):
                impure.discard("urllib")  # taking URLs apart opens nothing
            assert not impure, module
            assert outside - sys.stdlib_module_names <= THIRD_PARTY_OF_PURE[part], module


def test_only_the_clock_reads_the_time_of_day() -> None:
    readers = set()
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked = (node.value.id, node.attr)
                if asked in {("time", "time"), ("time", "time_ns"), *itertools.product(
                    ("datetime", "date"), ("now", "utcnow", "today")
                )}:  # fmt: skip
                    readers.add(module)
    assert readers == set(CLOCK_READERS)


def test_no_module_is_called_after_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert not [module for module in MODULES if nothing & set(module.split("."))]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_belongs_in_it(module: str) -> None:
    assert ast.get_docstring(MODULES[module]), f"{module} has no docstring"
