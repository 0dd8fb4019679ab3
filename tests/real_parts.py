"""Real parts of which a test needs one and the machine may have none: a command, a browser, a mail server.

Rule: a test runs with the real part or not at all. On a developer's machine it is skipped, and says what is missing;
in CI (the variable CI is set) it fails, so that nothing goes unproven because nobody saw that it was skipped. What CI
installs is in ``.ci/run``.
"""

import os
import shutil
from typing import NoReturn

import pytest


def missing(part: str) -> NoReturn:
    """Skip the test that needs ``part``; in CI let it fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{part} is missing; .ci/run should install it", pytrace=False)
    pytest.skip(f"{part} is missing on this machine, so this is NOT proven here")


def command(name: str) -> str:
    """Return the path of a command of the system."""
    return shutil.which(name) or missing(f"the command {name}")
