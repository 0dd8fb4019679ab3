"""The commands. Each gathers its options and calls the module that does the work, which is imported only then.

running       dev, serve
examining     check, nodes
messages      send, listen, tail
listing       numbers, apps
changing      add and remove, of both
playing       inbound, fault, clock
simulating    smsc, bench
completing    completion
options       options that several have
ending        exit statuses
"""

import click

from passband import __version__
from passband.cli import completing, ending, examining, listing, messages, playing, running, simulating

COMMANDS: tuple[click.Command, ...] = (
    running.dev,
    running.serve,
    examining.check,
    examining.nodes,
    messages.send,
    messages.listen,
    messages.tail,
    listing.numbers,
    listing.apps,
    playing.inbound,
    playing.fault,
    playing.clock,
    simulating.smsc,
    simulating.bench,
    completing.completion,
)


@click.group(cls=ending.Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="passband")
def main() -> None:
    """A messaging platform to run yourself.

    Applications post messages over the Messaging v2 HTTP API; Passband queues them, hands them to carriers, and tells
    the applications what became of them by HTTP callbacks.

    \b
    Begin with:
      passband dev                          everything on one port, for developers
      passband send --to +14085550142 --text hello
      passband tail                         what becomes of it, live

    Exit status: 0 done; 1 it could not be done; 2 the command line or the configuration is wrong; 130 interrupted.
    """


for command in COMMANDS:
    main.add_command(command)
