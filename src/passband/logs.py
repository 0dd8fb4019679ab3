"""Logs: one line an entry, a constant sentence and fields; readable on a terminal, JSON elsewhere if asked for.

Text of messages and passwords are never logged, at no level.
"""

import contextlib
import logging
import sys
from typing import Protocol, TextIO, cast

import structlog


class LogSettings(Protocol):
    """How to log: ``level`` is debug, info, warning or error; ``format`` is console or json."""

    @property
    def level(self) -> str: ...

    @property
    def format(self) -> str: ...


class Unfailing:
    """Writes to a stream as far as it can: a full disk, or a reader that has gone, must not end the one who logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


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
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
