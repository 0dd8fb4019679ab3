"""Options that several commands have, and what a shell may complete them with."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from passband.config import developers
from passband.domain.errors import PassbandError

ADMIN_URL = "http://127.0.0.1:8080"
LOOK_SECONDS = 1.0  # who presses the tab key waits no longer

config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="PASSBAND_CONFIG",
    help="The configuration file; see `passband serve --help`.",
)

admin_url = click.option(
    "--url",
    default=ADMIN_URL,
    show_default=True,
    envvar="PASSBAND_ADMIN_URL",
    show_envvar=True,
    help="Where the admin API is.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")


def print_json(value: object) -> None:
    """Print one JSON document, on one line."""
    click.echo(json.dumps(value))


def print_answer(answer: Any, lines: Callable[[Any], Sequence[str]], *, as_json: bool) -> None:
    """Print what was answered: as it is, or as lines for people."""
    if as_json:
        print_json(answer)
    else:
        click.echo("\n".join(lines(answer)))


# ── what a shell completes ───────────────────────────────────────────────────────────────────────────────────────────


def _ask(context: click.Context, path: str) -> Any:
    """Return what the running Passband answers, where there is one."""
    from passband.remote import Admin

    return Admin(context.params.get("url") or ADMIN_URL, timeout=LOOK_SECONDS).ask("GET", path)


def _beginning(items: Sequence[tuple[str, str | None]], incomplete: str) -> list[CompletionItem[Any]]:
    return [CompletionItem(value, help=help_) for value, help_ in items if value.startswith(incomplete)]


def our_numbers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete one of our numbers: those of the running Passband, else that of the developers' edition."""
    try:
        found = [(one["number"], None) for one in _ask(context, "/admin/numbers")["numbers"]]
    except PassbandError:
        found = [(number, None) for number in developers.NUMBERS]
    return _beginning(found, incomplete)


def our_applications(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete the identifier of an application, in the same way."""
    try:
        found = [(one["id"], one["name"]) for one in _ask(context, "/admin/applications")["applications"]]
    except PassbandError:
        found = [(developers.APPLICATION, "of the developers' edition")]
    return _beginning(found, incomplete)


def fault_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete the identifier of a fault that is in force."""
    try:
        found = [(one["id"], one["fault"]) for one in _ask(context, "/admin/faults")["faults"]]
    except PassbandError:
        found = []
    return _beginning(found, incomplete)


def fault_sorts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete a sort of fault."""
    from passband.admin.faults import SORTS

    return _beginning([(name, sort.does) for name, sort in SORTS.items()], incomplete)


def error_codes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete a delivery error code."""
    from passband.domain.error_codes import ERROR_CODES

    return _beginning([(str(code), entry.name) for code, entry in sorted(ERROR_CODES.items())], incomplete)


def types(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete what a line of ``passband tail`` may be about."""
    from passband.remote.tail import TYPES

    return _beginning([(name, None) for name in TYPES], incomplete)


def advances(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Complete how far the clock may go."""
    return _beginning([("+1m", "a minute"), ("+1h", "an hour"), ("+24h", "past every retry")], incomplete)
