"""The commands that list what a running Passband has, ``numbers`` and ``apps``, and below each those that change it."""

import click
from click.core import ParameterSource

from passband.cli import changing, options

MOST = 10_000  # what the admin API lists at once

_account = click.option("--account", default="", help="Only those of this account.")


@click.group(invoke_without_command=True)
@_account
@options.admin_url
@options.as_json
@click.pass_context
def numbers(context: click.Context, account: str, url: str, as_json: bool) -> None:
    """List the numbers of a running Passband, or change them.

    Each with its account, the application that takes its inbound messages, its carrier and its own rate.

    \b
    Examples:
      passband numbers
      passband numbers --json | jq -r '.numbers[].number'
      passband numbers add +19195550119
    """
    from passband.remote import Admin, shown

    if _goes_on(context):
        return
    answer = Admin(url).ask("GET", "/admin/numbers", {"limit": str(MOST), "account": account})
    options.print_answer(answer, shown.numbers, as_json=as_json)


@click.group(invoke_without_command=True)
@_account
@options.admin_url
@options.as_json
@click.pass_context
def apps(context: click.Context, account: str, url: str, as_json: bool) -> None:
    """List the applications of a running Passband, and where their events go, or change them.

    \b
    Examples:
      passband apps
      passband apps --account 5500123 --json
      passband apps add survey --callback-url https://survey.example.net/events
    """
    from passband.remote import Admin, shown

    if _goes_on(context):
        return
    answer = Admin(url).ask("GET", "/admin/applications", {"limit": str(MOST), "account": account})
    options.print_answer(answer, shown.applications, as_json=as_json)


def _goes_on(context: click.Context) -> bool:
    """Tell whether a command follows. Options before it would be lost, so they are refused."""
    if context.invoked_subcommand is None:
        return False
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
        raise click.UsageError(f"Options come after {context.invoked_subcommand}")
    return True


for _group, _commands in (
    (numbers, (changing.add_number, changing.remove_number)),
    (apps, (changing.add_application, changing.remove_application)),
):
    for _command in _commands:
        _group.add_command(_command)
