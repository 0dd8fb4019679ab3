"""The commands that examine an installation: ``check`` and ``nodes``."""

import time
from pathlib import Path

import click

from passband.cli import ending, options
from passband.domain.errors import ConfigurationError


@click.command()
@options.config
@options.as_json
def check(config: Path | None, as_json: bool) -> None:
    """Is this configuration right, and can everything be reached?

    Reports every fault at once, with its path in the file. Exit status 2 if the configuration is wrong, 1 if something
    cannot be reached.

    \b
    Examples:
      passband check --config passband.toml
      passband check --config passband.toml --json | jq '.checked[] | select(.fault)'
    """
    from passband.check import run_check

    try:
        ending.log_warnings()
        ending.run(run_check(ending.load(config), click.echo, as_json=as_json))
    except ConfigurationError as error:
        if as_json:
            options.print_json({"faults": list(error.faults), "reachable": None, "checked": []})
        raise


@click.command()
@options.config
@click.option("--store", metavar="URL", help="The store itself, as in sqlite:passband.db.  [default: as configured]")
@options.as_json
def nodes(config: Path | None, store: str | None, as_json: bool) -> None:
    """Which nodes share the store, and what each of them holds?

    Read from the store, which every node tells that it lives: so it works from any machine, and above all when a node
    does not answer any more. Changes nothing. A node that was silent for 10 s is given up, and the others take what it
    held.

    \b
    Examples:
      passband nodes --config passband.toml
      passband nodes --store sqlite:/var/lib/passband/passband.db --json
    """
    import asyncio

    from passband.nodes import shown, view
    from passband.store.open import read_nodes

    url = store or ending.load(config).store.url
    found = asyncio.run(read_nodes(url, time.time()))
    options.print_answer({"nodes": [view(node) for node in found]}, shown, as_json=as_json)
