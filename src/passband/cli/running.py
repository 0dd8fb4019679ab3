"""The commands that run the platform: ``dev`` and ``serve``."""

import tempfile
from pathlib import Path

import click

from passband.cli import ending, options
from passband.config import developers


@click.command()
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
@options.as_json
def dev(
    port: int, data: Path | None, account: str, user: str, password: str, application: str, numbers: tuple[str, ...],
    callback_url: str | None, history: int, rate: float | None, smpp: str | None, smpp_system_id: str,
    smpp_password: str, as_json: bool,
) -> None:  # fmt: skip
    """Everything on one port of the loopback, for developers.

    One account, ready to use, and a simulated carrier: +1NPA555CCCC fails where CCCC is a delivery error code
    (+19195554720 fails with 4720), +1NPA5559902 never gets its receipt, everything else is delivered.

    \b
    Example, in two terminals:
      passband listen
      passband dev --callback-url http://127.0.0.1:8090/
    Another, for a program that waits for the line:
      passband dev --port 0 --json
    """
    from passband.dev import free_port, inbox_url, run_dev

    port = port or free_port()
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
    ending.run(run_dev(settings, temporary=data is None, as_json=as_json))


@click.command()
@options.config
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

    settings = ending.load(config)
    if worker:
        place, _, count = worker.partition("/")
        ending.run(run_node(settings, worker=int(place), workers=int(count)))
    several = workers or settings.workers
    ending.run(run_node(settings) if several == 1 else run_workers(settings, config, several))
