import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from system.play import Play

MakePlay = Callable[..., Play]


@pytest.fixture
def seed() -> int:
    """What everything random is drawn from; pytest prints it when a test fails."""
    given = os.environ.get("PASSBAND_SOAK_SEED")
    drawn = int(given) if given else random.SystemRandom().randrange(1_000_000)
    print(f"PASSBAND_SOAK_SEED={drawn}")
    return drawn


@pytest.fixture
def make_play(tmp_path: Path, seed: int) -> MakePlay:
    """Make a play in a folder below the test's own; ``offset`` tells several of one test apart."""

    def make(folder: str = "play", offset: int = 0, **options: Any) -> Play:
        return Play(tmp_path / folder, seed + offset, **options)

    return make
