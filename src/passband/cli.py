"""The commands. Each gathers its options and calls the module that does the work, which is imported only then.

Exit status: 0 done; 1 it could not be done; 2 the command line or the configuration is wrong.
"""

import os
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from passband import __version__
from passband.config import developers
from passband.domain.errors import ConfigurationError, OwnFault

if TYPE_CHECKING:
    from passband.config import Settings

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="PASSBAND_CONFIG",
    help="The configuration file; see `passband serve --help`.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="passband")
def main() -> None:
    """A messaging platform to run yourself.

    Applications post messages over the Messaging v2 HTTP API; Passband queues them, hands them to carriers, and tells
    the applications what became of them by HTTP callbacks.

    \b
    Begin with:
      passband dev                          everything on one port, for developers
      passband send --to +14085550142 --text hello
    """


def _fail(message: str, status: int) -> NoReturn:
    click.secho(f"passband: {message}", fg="red", err=True)
    sys.exit(status)


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run the program's one coroutine on uvloop, and exit with what it returns."""
    import uvloop

    try:
        sys.exit(uvloop.run(work))
    except ConfigurationError as error:
        _faults(error)
    except (OwnFault, OSError) as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _faults(error: ConfigurationError) -> NoReturn:
    for fault in error.faults:
        click.secho(f"  {fault}", fg="red", err=True)
    count = len(error.faults)
    _fail(f"the configuration has {count} fault{'s' if count != 1 else ''}; nothing was started", 2)


def _load(config: Path | None) -> "Settings":
    from passband.config import load

    try:
        return load(config, os.environ)
    except ConfigurationError as error:
        _faults(error)


@main.command()
@click.option("--port", default=8080, show_default=True, help="Port on the loopback; 0 takes any free one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the data, kept.  [default: a temporary one]",
)
@click.option("--account", default=developers.ACCOUNT, show_default=True, help="Id of the account.")
@click.option("--user", default=developers.USER, show_default=True, help="User name of the API.")
@click.option("--password", default=developers.PASSWORD, show_default=True, help="Password of the API.")
@click.option("--application", default=developers.APPLICATION, help="Id of the application (UUID).")
@click.option(
    "--number",
    "numbers",
    multiple=True,
    default=developers.NUMBERS,
    show_default=True,
    help="One of the account's numbers; repeatable.",
)
@click.option("--callback-url", help="Where inbound messages and status events are posted.")
@click.option(
    "--history",
    default=0,
    show_default=True,
    type=click.IntRange(0, 14),
    help="Days for which finished messages can be searched.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Segments per second of the account.  [default: no limit]",
)
def dev(
    port: int, data: Path | None, account: str, user: str, password: str, application: str, numbers: tuple[str, ...],
    callback_url: str | None, history: int, rate: float | None,
) -> None:  # fmt: skip
    """Everything on one port of the loopback, for developers.

    One account, ready to use, and a simulated carrier: +1NPA555CCCC fails where CCCC is a delivery error code
    (+19195554720 fails with 4720), +1NPA5559902 never gets its receipt, everything else is delivered.

    \b
    Example, in two terminals:
      passband listen
      passband dev --callback-url http://127.0.0.1:8090/
    """
    from passband.dev import run_dev

    try:
        settings = developers.dev_settings(
            data or Path(tempfile.mkdtemp(prefix="passband-")),
            port=port,
            account=account,
            user=user,
            password=password,
            application=application,
            numbers=numbers,
            callback_url=callback_url,
            history_days=history,
            rate=rate,
        )
    except ConfigurationError as error:
        _faults(error)
    _run(run_dev(settings, temporary=data is None))


@main.command()
@CONFIG
@click.option("--workers", type=click.IntRange(1, 64), help="Processes on this machine; overrides the file.")
@click.option("--worker", hidden=True, help="Which of several processes this one is; 1/4 is the second of four.")
def serve(config: Path | None, workers: int | None, worker: str | None) -> None:
    """Run the platform.

    \b
    Examples:
      passband serve --config passband.toml
      PASSBAND_SERVER__LISTEN=0.0.0.0:8080 passband serve --config passband.toml --workers 2

    SIGTERM stops accepting, finishes what is in flight (10 s) and exits with 0. Several workers share the address of
    the HTTP API; the admin API of each has a port of its own, counted up from the configured one.
    """
    from passband.workers import run_node, run_workers

    settings = _load(config)
    if worker:
        place, _, count = worker.partition("/")
        _run(run_node(settings, worker=int(place), workers=int(count)))
    several = workers or settings.workers
    _run(run_node(settings) if several == 1 else run_workers(settings, config, several))


@main.command()
@CONFIG
def check(config: Path | None) -> None:
    """Is this configuration right, and can everything be reached?

    Reports every fault at once, with its path in the file. Exit status 2 if the configuration is wrong, 1 if something
    cannot be reached.
    """
    from passband.check import run_check

    _run(run_check(_load(config), click.echo))


@main.command()
@click.option("--to", required=True, multiple=True, help="Recipient, E.164; repeat for a group.")
@click.option("--text", default="", help="Text of the message.")
@click.option("--from", "sender", default=developers.NUMBERS[0], show_default=True, help="Sender.")
@click.option("--media", multiple=True, help="URL of a file; repeatable; makes it an MMS.")
@click.option("--tag", help="Comes back in every event.")
@click.option("--priority", type=click.Choice(["default", "high"]), help="high goes first.")
@click.option("--expiration", help="RFC 3339 instant after which it is not sent any more.")
@click.option("--application", default=developers.APPLICATION, help="Id of the application (UUID).")
@click.option("--url", default="http://127.0.0.1:8080/api/v2", show_default=True, help="Base of the API.")
@click.option("--account", default=developers.ACCOUNT, show_default=True)
@click.option("--user", default=developers.USER, show_default=True)
@click.option("--password", default=developers.PASSWORD, show_default=True)
@click.option("--wait", is_flag=True, help="Wait for the end of the message.")
@click.option("--wait-seconds", default=60.0, show_default=True, help="How long to wait at most.")
def send(to: tuple[str, ...], media: tuple[str, ...], **options: Any) -> None:
    """Send a message; the defaults fit `passband dev`.

    \b
    Examples:
      passband send --to +14085550142 --text hello --wait
      passband send --to +14085550142 --to +14085550177 --text "a group"
    """
    from passband.send import SendOptions
    from passband.send import send as run_send

    sys.exit(run_send(SendOptions(to=to, media=media, **options)))


@main.command()
@click.option("--port", default=8090, show_default=True, help="Port; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--fail", type=int, help="Answer every callback with this status.")
@click.option("--fail-first", default=0, help="Fail only so many, then answer 200.")
@click.option("--delay", default=0.0, help="Seconds to wait before each answer.")
@click.option("--json", "as_json", is_flag=True, help="Print events as they came, one a line.")
@click.option("--auth", help="Ask for these credentials, user:password.")
def listen(
    host: str, port: int, fail: int | None, fail_first: int, delay: float, as_json: bool, auth: str | None
) -> None:
    """Receive callbacks and print them, one line per event.

    \b
    Examples:
      passband listen
      passband listen --fail-first 3      a broken endpoint that recovers
      passband listen --delay 15          one that answers too late
    """
    from passband.listen import ListenOptions, serve

    try:
        options = ListenOptions(host, port, fail, fail_first, delay, as_json, auth, colour=sys.stdout.isatty())
    except ValueError as error:
        _fail(str(error), 2)

    def ready(listening: int) -> None:
        click.secho(f"listening on http://{host}:{listening}/  (Ctrl-C ends)", dim=True, err=True)

    async def work() -> int:
        await serve(options, click.echo, ready)
        return 0

    _run(work())


@main.command()
@click.option("--messages", default=30_000, show_default=True, help="Messages in each part.")
@click.option("--connections", default=64, show_default=True, help="Connections that post at once.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(messages: int, connections: int, as_json: bool) -> None:
    """The whole path under load on this machine, as a table.

    Starts a node with the simulated carrier on a temporary SQLite file, an application that posts and its endpoint that
    answers 200, all on this machine; everything durable.
    """
    from passband.bench import run_bench

    _run(run_bench(messages, connections, as_json=as_json))
