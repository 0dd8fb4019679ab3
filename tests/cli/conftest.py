"""Where tests of commands that run in this process send what is logged."""

import sys
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="module", autouse=True)
def _logs_to_standard_error() -> Iterator[None]:
    """Standard output, where structlog writes unless it is told otherwise, is what these tests read."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr), cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()
