"""The commands. Each gathers its options and calls the module that does the work, which is imported only then.

Exit status: 0 done; 1 it could not be done; 2 the command line or the configuration is wrong.
"""

import asyncio
import contextlib
import os
import signal
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


async def _until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Run it until SIGTERM or SIGINT."""
    running = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return 0


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
@click.option("--callback-url", help="Where inbound and status events go.  [default: the inbox in the console]")
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
@click.option("--smpp", metavar="HOST:PORT", help="Use this SMSC instead of the simulated carrier.")
@click.option("--smpp-system-id", default="passband", show_default=True, help="User name of the bind there.")
@click.option("--smpp-password", default="", help="Password of the bind there.  [default: none]")
def dev(
    port: int, data: Path | None, account: str, user: str, password: str, application: str, numbers: tuple[str, ...],
    callback_url: str | None, history: int, rate: float | None, smpp: str | None, smpp_system_id: str,
    smpp_password: str,
) -> None:  # fmt: skip
    """Everything on one port of the loopback, for developers.

    One account, ready to use, and a simulated carrier: +1NPA555CCCC fails where CCCC is a delivery error code
    (+19195554720 fails with 4720), +1NPA5559902 never gets its receipt, everything else is delivered.

    \b
    Example, in two terminals:
      passband listen
      passband dev --callback-url http://127.0.0.1:8090/
    """
    from passband.dev import free_port, inbox_url, run_dev

    port = port or free_port()
    try:
        settings = developers.dev_settings(
            data or Path(tempfile.mkdtemp(prefix="passband-")),
            port=port,
            account=account,
            user=user,
            password=password,
            application=application,
            numbers=numbers,
            callback_url=callback_url or inbox_url(port),
            history_days=history,
            rate=rate,
            smpp=developers.SmppPeer(smpp, smpp_system_id, smpp_password) if smpp is not None else None,
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

    _run(_until_signal(serve(options, click.echo, ready)))


@main.command()
@click.option("--port", default=2775, show_default=True, help="Port for SMPP; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--control", type=click.IntRange(0, 65535), help="Port of the HTTP control endpoint.  [default: none]")
@click.option("--system-id", default="", help="The only user name that may bind.  [default: anyone]")
@click.option("--password", default="", help="Its password.  [default: any]")
@click.option("--delay", "receipt_delay", default=0.1, show_default=True, help="Seconds before a receipt is sent.")
@click.option("--no-receipts", is_flag=True, help="Send none.")
@click.option("--order", "receipt_order", type=click.Choice(["in-order", "reversed", "shuffled"]), default="in-order",
              show_default=True, help="Of receipts that are due together.")  # fmt: skip
@click.option("--ids", "id_format", type=click.Choice(["hex", "hex-decimal", "decimal-hex", "padded", "uuid"]),
              default="hex", show_default=True, help="Form of message ids, in answer and receipt.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True),
              help="Refuse with 0x58 what is beyond so many segments per second.")  # fmt: skip
@click.option("--error", "errors", multiple=True, metavar="STATUS=RATIO",
              help="Refuse this part of all segments with this status, as in 0x45=0.01; repeatable.")  # fmt: skip
@click.option("--drop-responses", type=click.FloatRange(0, 1), default=0.0, help="Never answer this part of them.")
@click.option("--response-delay", default=0.0, help="Seconds to wait before each answer.")
@click.option("--disconnect-after", type=click.IntRange(min=1), help="Cut a connection after so many segments.")
@click.option("--seed", type=int, help="Makes what is random the same every time.")
def smsc(control: int | None, no_receipts: bool, errors: tuple[str, ...], **options: Any) -> None:
    """The simulated carrier as an SMPP 3.4 server, for tests.

    Decides by the number as `passband dev` does. Its control endpoint answers GET /counters, and POST /inbound,
    /disconnect and /settings.

    \b
    Example, in two terminals:
      passband smsc --control 2776
      passband dev --smpp 127.0.0.1:2775
      curl -d '{"from": "+14085550142", "to": "+19195550117", "text": "hello"}' http://127.0.0.1:2776/inbound
    """
    from passband.smsc import SmscOptions, serve

    host = options["host"]
    try:
        ratios = {int(status, 0): float(ratio) for status, _, ratio in (error.partition("=") for error in errors)}
    except ValueError:
        _fail("--error must be STATUS=RATIO, as in 0x45=0.01", 2)
    at = None if control is None else (host, control)
    smsc_options = SmscOptions(control=at, receipts=not no_receipts, errors=ratios, **options)

    def ready(port: int, control_port: int | None) -> None:
        there = "" if control_port is None else f", control on http://{host}:{control_port}"
        click.secho(f"SMPP on {host}:{port}{there}  (Ctrl-C ends)", dim=True, err=True)

    _run(_until_signal(serve(smsc_options, ready)))


@main.command()
@click.option("--messages", default=30_000, show_default=True, help="Messages in each part.")
@click.option("--connections", default=64, show_default=True, help="Connections that post at once.")
@click.option("--backlog", default=0, help="Measure the whole path beside so many rows that wait, and without them.")
@click.option("--smpp", is_flag=True, help="Over SMPP to `passband smsc` in a process of its own.")
@click.option("--store", metavar="URL", help="A PostgreSQL to use, in new schemas.  [default: a SQLite file]")
@click.option("--nodes", default=1, show_default=True, type=click.IntRange(1), help="Nodes that share the load.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(
    messages: int, connections: int, backlog: int, smpp: bool, store: str | None, nodes: int, as_json: bool
) -> None:
    """The whole path under load on this machine, as a table.

    Starts a node with the simulated carrier on a temporary SQLite file, an application that posts and its endpoint that
    answers 200, all on this machine; everything durable.

    \b
    Examples:
      passband bench --smpp                    the carrier over TCP
      passband bench --backlog 1000000         beside a million rows that wait
      passband bench --store postgresql://postgres@db/passband --nodes 2
    """
    from passband.bench import run_bench

    _run(run_bench(messages, connections, backlog=backlog, smpp=smpp, store=store, nodes=nodes, as_json=as_json))
