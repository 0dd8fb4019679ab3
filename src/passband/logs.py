"""Logs: one line an entry, a constant sentence and fields; readable on a terminal, JSON elsewhere if asked for.

Text of messages and passwords are never logged, at no level.
"""

import logging
import sys
from typing import Protocol

import structlog


class LogSettings(Protocol):
    """How to log: ``level`` is debug, info, warning or error; ``format`` is console or json."""

    @property
    def level(self) -> str: ...

    @property
    def format(self) -> str: ...


def set_up_logs(settings: LogSettings) -> None:
    """Set up structlog for this process, writing to standard error."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
