"""How a command ends: its exit status, and what it says of a fault.

0    done, or ended by the signal that it waited for
1    it could not be done: refused, failed, unreachable, or time is up
2    the command line or the configuration is wrong; nothing was done
130  interrupted (Ctrl-C) before it was done
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from passband.domain.errors import ConfigurationError, PassbandError, RequestFault

if TYPE_CHECKING:
    from passband.config import Settings

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Commands(click.Group):
    """Commands whose faults become exit statuses, whichever of them raised it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever it raises that we know ends with its sentence and its exit status."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            configuration_faults(error)
        except BrokenPipeError:  # whoever read what was printed has gone: click ends quietly
            raise
        except RequestFault as error:
            fail(str(error), USAGE)
        except (PassbandError, OSError) as error:
            fail(str(error))
        except KeyboardInterrupt:
            click.echo(err=True)
            sys.exit(INTERRUPTED)


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Say what is wrong, on standard error, and exit."""
    click.secho(f"passband: {message}", fg="red", err=True)
    sys.exit(status)


def warn(message: str) -> None:
    """Say on standard error what one should know of what goes on."""
    click.secho(f"passband: {message}", fg="yellow", err=True)


def configuration_faults(error: ConfigurationError) -> NoReturn:
    """Say everything that is wrong with a configuration, and exit."""
    for fault in error.faults:
        click.secho(f"  {fault}", fg="red", err=True)
    count = len(error.faults)
    fail(f"the configuration has {count} fault{'s' if count != 1 else ''}; nothing was started", USAGE)


def run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run the program's one coroutine on uvloop, and exit with what it returns."""
    import uvloop

    sys.exit(uvloop.run(work))


class _Warnings(NamedTuple):
    level: str = "warning"
    format: str = "console"


def log_warnings() -> None:
    """Let what is logged go to standard error: standard output is for what the command was asked for."""
    from passband.logs import set_up_logs

    set_up_logs(_Warnings())


async def until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Run it until SIGTERM or SIGINT."""
    running = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return DONE


@contextlib.contextmanager
def ended_by_signal() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the block, which else goes on and on, and the command with 0."""

    def end(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def load(config: Path | None) -> "Settings":
    """Return the settings of a file and the environment. Raises ConfigurationError."""
    from passband.config import load as load_settings

    return load_settings(config, os.environ)
