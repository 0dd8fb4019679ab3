"""The commands about messages and events: ``send``, ``listen`` and ``tail``."""

import sys
from typing import Any

import click

from passband.cli import ending, options
from passband.config import developers


@click.command()
@click.option("--to", required=True, multiple=True, help="Recipient, E.164; repeat for a group.")
@click.option("--text", default="", help="Text of the message.")
@click.option("--from", "sender", default=developers.NUMBERS[0], show_default=True,
              shell_complete=options.our_numbers, help="Sender.")  # fmt: skip
@click.option("--media", multiple=True, help="URL of a file; repeatable; makes it an MMS.")
@click.option("--tag", help="Comes back in every event.")
@click.option("--priority", type=click.Choice(["default", "high"]), help="high goes first.")
@click.option("--expiration", help="RFC 3339 instant after which it is not sent any more.")
@click.option("--application", default=developers.APPLICATION, shell_complete=options.our_applications,
              help="Id of the application (UUID).")  # fmt: skip
@click.option("--url", default="http://127.0.0.1:8080/api/v2", show_default=True, help="Base of the API.")
@click.option("--account", default=developers.ACCOUNT, show_default=True, help="Id of the account.")
@click.option("--user", default=developers.USER, show_default=True, help="User name of the API.")
@click.option("--password", default=developers.PASSWORD, show_default=True, help="Password of the API.")
@click.option("--wait", is_flag=True, help="Wait for the end of the message.")
@click.option("--wait-seconds", default=60.0, show_default=True, help="How long to wait at most.")
@options.as_json
def send(to: tuple[str, ...], media: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """Send a message; the defaults fit `passband dev`.

    With --wait the exit status is 1 where a recipient was not reached, or the end did not come in time.

    \b
    Examples:
      passband send --to +14085550142 --text hello --wait
      passband send --to +14085550142 --to +14085550177 --text "a group"
      passband send --to +14085550142 --text hello --wait --json | jq -r '.recipients[0].status'
    """
    from passband.send import SendOptions
    from passband.send import send as run_send

    sys.exit(run_send(SendOptions(to=to, media=media, json=as_json, **fields)))


@click.command()
@click.option("--port", default=8090, show_default=True, help="Port; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
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
        asked = ListenOptions(host, port, fail, fail_first, delay, as_json, auth, colour=sys.stdout.isatty())
    except ValueError as error:
        ending.fail(str(error), ending.USAGE)

    def ready(listening: int) -> None:
        click.secho(f"listening on http://{host}:{listening}/  (Ctrl-C ends)", dim=True, err=True)

    ending.log_warnings()
    ending.run(ending.until_signal(serve(asked, click.echo, ready)))


def _known_types(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if value:
        from passband.remote.tail import TYPES

        for one in value:
            if one not in TYPES:
                raise click.BadParameter(f"{one!r} is not one of {', '.join(TYPES)}")
    return value


@click.command()
@click.option("--number", "numbers", multiple=True, shell_complete=options.our_numbers,
              help="Only what is from or to a number with this in it; repeatable.")  # fmt: skip
@click.option("--id", "ids", multiple=True, help="Only messages with this in their identifier; repeatable.")
@click.option("--type", "types", multiple=True, callback=_known_types, shell_complete=options.types,
              help="Only lines about this: queued, sending, handed, delivered, failed, received, done, "
              "message-delivered and the other events, clock; repeatable.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Begin with what the node still knows.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many lines.")
@options.admin_url
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line, for programs.")
def tail(
    numbers: tuple[str, ...], ids: tuple[str, ...], types: tuple[str, ...], everything: bool, count: int | None,
    url: str, as_json: bool,
) -> None:  # fmt: skip
    """Follow what happens, live: states that messages come into, attempts at callbacks, the clock.

    A line for each thing that happened, each once. When the stream breaks it reconnects and goes on where it was; what
    it may have missed, as after a restart of the node, is told on standard error. Of the node at the URL only, and in
    production without texts.

    \b
    Examples:
      passband tail
      passband tail --number 5550142 --type delivered --type failed
      passband tail --type message-failed --count 1 --json | jq .errorCode
    """
    import msgspec

    from passband.remote import Admin
    from passband.remote.tail import Line, Wanted, shown
    from passband.remote.tail import tail as run_tail

    colour = sys.stdout.isatty()

    def write(line: Line) -> None:
        click.echo(msgspec.json.encode(line) if as_json else shown(line, colour=colour))

    def ready() -> None:
        click.secho(f"following {url}  (Ctrl-C ends)", dim=True, err=True)

    with ending.ended_by_signal():
        wanted = Wanted(numbers, ids, types)
        run_tail(Admin(url), wanted, write=write, warn=ending.warn, ready=ready, everything=everything, count=count)
