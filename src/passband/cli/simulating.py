"""The commands that play the world on this machine: ``smsc``, a carrier, and ``bench``, a load."""

from collections.abc import Mapping
from typing import Any

import click

from passband.cli import ending, options


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=2775, show_default=True,
              help="Port for SMPP; 0 takes any free one.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option("--tls-certificate", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="TLS from the first octet; FILE holds certificate and key (PEM).  [default: no TLS]")  # fmt: skip
@click.option("--control", type=click.IntRange(0, 65535), help="Port of the HTTP control endpoint.  [default: none]")
@click.option("--system-id", default="", help="The only user name that may bind.  [default: anyone]")
@click.option("--password", default="", help="Its password.  [default: any]")
@click.option("--delay", "receipt_delay", type=click.FloatRange(0), default=0.1, show_default=True,
              help="Seconds before a receipt is sent.")  # fmt: skip
@click.option("--no-receipts", is_flag=True, help="Send none.")
@click.option("--order", "receipt_order", type=click.Choice(["in-order", "reversed", "shuffled"]), default="in-order",
              show_default=True, help="Of receipts that are due together.")  # fmt: skip
@click.option("--ids", "id_format", type=click.Choice(["hex", "hex-decimal", "decimal-hex", "padded", "uuid", "none",
              "none-hex", "none-reference", "hex-none", "hex-reference"]), default="hex", show_default=True,
              help="Form of message ids in the answer and, after the dash, in the receipt. none: no id; reference: in "
              "its place the segment's user_message_reference.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True),
              help="Refuse with 0x58 what is beyond so many segments per second.")  # fmt: skip
@click.option("--error", "errors", multiple=True, metavar="STATUS=RATIO",
              help="Refuse this part of all segments with this status, as in 0x45=0.01; repeatable.")  # fmt: skip
@click.option("--drop-responses", type=click.FloatRange(0, 1), default=0.0, help="Never answer this part of them.")
@click.option("--response-delay", type=click.FloatRange(0), default=0.0, help="Seconds to wait before each answer.")
@click.option("--disconnect-after", type=click.IntRange(min=1), help="Cut a connection after so many segments.")
@click.option("--ledger", is_flag=True, help="Keep every segment that it takes, for GET /ledger.")
@click.option("--seed", type=int, help="Makes what is random the same every time.")
@click.option("--json", "as_json", is_flag=True, help="Print the counters at the end as one JSON document.")
def smsc(control: int | None, no_receipts: bool, errors: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """The simulated carrier as an SMPP 3.4 server, for tests.

    Decides by the number as `passband dev` does. Its control endpoint answers GET /counters, and POST /inbound,
    /disconnect and /settings. At the end it prints the counters.

    \b
    Example, in two terminals:
      passband smsc --control 2776
      passband dev --smpp 127.0.0.1:2775
      curl -d '{"from": "+14085550142", "to": "+19195550117", "text": "hello"}' http://127.0.0.1:2776/inbound
    """
    from passband.smsc import SmscOptions, serve

    host = fields["host"]
    try:
        ratios = {int(status, 0): float(ratio) for status, _, ratio in (error.partition("=") for error in errors)}
    except ValueError:
        ending.fail("--error must be STATUS=RATIO, as in 0x45=0.01", ending.USAGE)
    at = None if control is None else (host, control)
    try:
        smsc_options = SmscOptions(control=at, receipts=not no_receipts, errors=ratios, **fields)
        smsc_options.tls_context()
    except (ValueError, OSError) as error:
        ending.fail(str(error), ending.USAGE)

    def ready(port: int, control_port: int | None) -> None:
        there = "" if control_port is None else f", control on http://{host}:{control_port}"
        click.secho(f"SMPP on {host}:{port}{there}  (Ctrl-C ends)", dim=True, err=True)

    def finished(counters: Mapping[str, int]) -> None:
        if as_json:
            options.print_json(counters)
        else:
            click.echo("".join(f"{name} {count}\n" for name, count in counters.items()), nl=False)

    ending.log_warnings()
    ending.run(ending.until_signal(serve(smsc_options, ready, finished=finished)))


@click.command()
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

    ending.log_warnings()
    ending.run(run_bench(messages, connections, backlog=backlog, smpp=smpp, store=store, nodes=nodes, as_json=as_json))
