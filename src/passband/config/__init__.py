"""Settings: one frozen tree, from ``passband.default.toml``, the operator's file and the environment.

Each layer replaces single settings of the one before it. ``settings`` has the tree, ``values`` what a single setting
may be, ``layers`` where settings come from; ``reading`` and ``checks`` find what is wrong: everything, before anything
is refused.
"""

from collections.abc import Mapping
from pathlib import Path

from passband.config.developers import dev_settings
from passband.config.layers import defaults, merge, override, read_file
from passband.config.reading import build
from passband.config.settings import (
    CARRIER_TYPES,
    CarrierSettings,
    Mm4Settings,
    Settings,
    SimulatorSettings,
    SmppSettings,
)
from passband.config.values import Address

__all__ = [
    "CARRIER_TYPES",
    "Address",
    "CarrierSettings",
    "Mm4Settings",
    "Settings",
    "SimulatorSettings",
    "SmppSettings",
    "dev_settings",
    "load",
]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a file and the environment; without a file, those of the environment alone.

    Files that settings name are looked up, relative ones from the folder of ``path`` (without it: the working folder).
    Raises ConfigurationError with all faults.
    """
    folder = path.absolute().parent if path else Path.cwd()
    tree = merge(defaults(), read_file(path)) if path else defaults()
    faults = override(tree, environ)
    return build(tree, folder, environ, faults)
