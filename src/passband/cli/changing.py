"""The commands that change what is configured while Passband runs: ``numbers add``, ``apps remove`` and their like."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from passband.cli import options

if TYPE_CHECKING:
    from passband.remote import Admin

MOST = 10_000  # what the admin API lists at once

_account = click.option("--account", help="The account.  [default: the one that there is, or that has it]")
_leave_file = click.option("--leave-file", is_flag=True, help="Only what was set; what the file says holds again.")


@click.command("add")
@click.argument("number")
@_account
@click.option("--application", shell_complete=options.our_applications, help="What takes its inbound messages.")
@click.option("--carrier", help="Its way out.  [default: by the routes]")
@click.option("--rate", type=float, help="Segments per second.  [default: no limit of its own]")
@click.option("--disabled", is_flag=True, help="It may not send.")
@options.admin_url
@options.as_json
def add_number(
    number: str, account: str | None, application: str | None, carrier: str | None, rate: float | None, disabled: bool,
    url: str, as_json: bool,
) -> None:  # fmt: skip
    """Add a number to a running Passband, or set it anew as a whole. Other nodes know it within two seconds.

    \b
    Examples:
      passband numbers add +19195550119 --application b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74
      passband numbers add 24680 --account 5500123 --rate 5
    """
    from passband.remote import Admin, shown

    admin = Admin(url)
    fields = {"application": application, "carrier": carrier, "rate": rate, "enabled": not disabled}
    body = {name: value for name, value in fields.items() if value is not None}
    view = admin.ask("PUT", _path(account or _only_account(admin), "numbers", number), body=body)
    options.print_answer(
        view, lambda view: shown.numbers({"numbers": [view], "total": 1, "removed": []}), as_json=as_json
    )


@click.command("remove")
@click.argument("number", shell_complete=options.our_numbers)
@_account
@_leave_file
@options.admin_url
@options.as_json
def remove_number(number: str, account: str | None, leave_file: bool, url: str, as_json: bool) -> None:
    """Take a number of a running Passband away. Messages that were accepted from it go on their way.

    \b
    Examples:
      passband numbers remove +19195550119
      passband numbers remove +19195550117 --leave-file
    """
    _remove(url, account, "numbers", "number", number, leave_file=leave_file, as_json=as_json)


@click.command("add")
@click.argument("id_", metavar="ID")
@_account
@click.option("--name", help="For people.")
@click.option("--callback-url", help="Where all events go.")
@click.option("--inbound-url", help="Where message-received goes.")
@click.option("--outbound-url", help="Where status events go.")
@click.option("--auth", metavar="USER[:PASSWORD]", help="What the endpoints ask for; without a password, type it in.")
@click.option("--event", "events", multiple=True, metavar="TYPE",
              help="A status event that is sent; repeatable.  [default: delivered and failed]")  # fmt: skip
@options.admin_url
@options.as_json
def add_application(
    id_: str, account: str | None, auth: str | None, events: tuple[str, ...], url: str, as_json: bool, **texts: Any
) -> None:
    """Add an application to a running Passband, or set it anew as a whole. Other nodes know it within two seconds.

    \b
    Examples:
      passband apps add survey --callback-url https://survey.example.net/events --auth survey
      passband apps add survey --inbound-url https://survey.example.net/in --event message-failed
    """
    from passband.remote import Admin, shown

    body: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    if events:
        body["requested"] = list(events)
    if auth is not None:
        body |= _credentials(auth, texts)
    admin = Admin(url)
    view = admin.ask("PUT", _path(account or _only_account(admin), "applications", id_), body=body)
    options.print_answer(
        view, lambda view: shown.applications({"applications": [view], "total": 1, "removed": []}), as_json=as_json
    )


@click.command("remove")
@click.argument("id_", metavar="ID", shell_complete=options.our_applications)
@_account
@_leave_file
@options.admin_url
@options.as_json
def remove_application(id_: str, account: str | None, leave_file: bool, url: str, as_json: bool) -> None:
    """Take an application of a running Passband away. It may not have any numbers any more.

    \b
    Example:
      passband apps remove survey
    """
    _remove(url, account, "applications", "id", id_, leave_file=leave_file, as_json=as_json)


def _credentials(auth: str, urls: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of credentials, for each of the endpoints that are given."""
    given = [name.removesuffix("_url") for name, value in urls.items() if name.endswith("_url") and value is not None]
    if not given:
        raise click.UsageError("--auth is for endpoints: say where events go, as with --callback-url")
    user, colon, password = auth.partition(":")
    if not colon:
        password = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return {f"{endpoint}_credentials": {"user": user, "password": password} for endpoint in given}


def _remove(
    url: str, account: str | None, kind: str, key: str, name: str, *, leave_file: bool, as_json: bool
) -> None:  # fmt: skip
    from passband.remote import Admin

    admin = Admin(url)
    whose = account or _account_of(admin, kind, key, name)
    admin.ask("DELETE", _path(whose, kind, name), {"leave": "file"} if leave_file else None)
    answer = {"removed": name, "account": whose}
    options.print_answer(answer, lambda _: [f"removed {name} of account {whose}"], as_json=as_json)


def _path(account: str, kind: str, name: str) -> str:
    return f"/admin/accounts/{quote(account, safe='')}/{kind}/{quote(name, safe='+')}"


def _only_account(admin: "Admin") -> str:
    """Return the account of all applications and numbers."""
    return _one({one["account"] for kind in ("applications", "numbers") for one in _all(admin, kind)[kind]})


def _account_of(admin: "Admin", kind: str, key: str, name: str) -> str:
    """Return the account that has it, or whose file has it."""
    answer = _all(admin, kind)
    having = {one["account"] for one in (*answer[kind], *answer["removed"]) if one[key] == name}
    return _one(having) if having else _only_account(admin)


def _all(admin: "Admin", kind: str) -> Any:
    return admin.ask("GET", f"/admin/{kind}", {"limit": str(MOST)})


def _one(accounts: set[str]) -> str:
    if len(accounts) == 1:
        return accounts.pop()
    said = f"it could be {', '.join(sorted(accounts))}" if accounts else "it cannot be guessed"
    raise click.UsageError(f"Say which account, with --account: {said}")
