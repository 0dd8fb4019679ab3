"""The commands that play the world around a running Passband: ``inbound``, ``fault`` and ``clock``."""

import mimetypes
import re
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from passband.cli import options
from passband.domain.number import is_recipient

HANDSET = "+14085550142"
MOST_FILE_OCTETS = 3_932_160  # what the admin API takes at once, before base64 makes it a third longer
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


# ── messages that come in ────────────────────────────────────────────────────────────────────────────────────────────


@click.command()
@click.option("--from", "sender", default=HANDSET, show_default=True, help="The handset that sends it.")
@click.option(
    "--to", multiple=True, shell_complete=options.our_numbers,
    help="Recipient, one of our numbers; repeat for a group.  [default: the first of our numbers]",
)  # fmt: skip
@click.option("--text", default="", help="Text of the message.")
@click.option("--media", multiple=True, metavar="FILE|URL", type=click.Path(),
              help="A picture or another file, sent along; or the URL of one. Repeatable.")  # fmt: skip
@options.admin_url
@options.as_json
def inbound(sender: str, to: tuple[str, ...], text: str, media: tuple[str, ...], url: str, as_json: bool) -> None:
    """Let a message arrive at one of our numbers, as from a handset.

    It is stored when the command ends; its callbacks follow. Needs a simulated carrier, as in `passband dev`.

    \b
    Examples:
      passband inbound --text "On my way"
      passband inbound --from +14085550177 --text look --media terrace.png
      passband inbound --to +19195550117 --to +14085550199 --text "to a group"
    """
    from passband.remote import Admin

    if not (text or media):
        raise click.UsageError("There is nothing to send: --text TEXT, --media FILE, or both")
    files = _files(media)
    admin = Admin(url)
    recipients = list(to) or [one["number"] for one in admin.ask("GET", "/admin/numbers", {"limit": "1"})["numbers"]]
    body = {"from": sender, "to": recipients, "text": text, "media": files}
    answer = {"from": sender, "to": recipients, **admin.ask("POST", "/admin/inbound", body=body)}

    def words(answer: Any) -> list[str]:
        count = answer["segmentCount"]
        kept = [f"  {one}" for one in answer["media"]]
        segments = f"{count} segment{'' if count == 1 else 's'}"
        return [f"stored  {sender} to {', '.join(recipients)}  {segments}", *kept]

    options.print_answer(answer, words, as_json=as_json)


def _files(media: tuple[str, ...]) -> list[Any]:
    """Return what is sent along as the admin API takes it: URLs as they are, files in base64."""
    files: list[Any] = []
    octets = 0
    for one in media:
        if one.startswith(("http://", "https://")):
            files.append(one)
            continue
        path = Path(one)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{one}: {error.strerror}", param_hint="--media") from error
        octets += len(content)
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        files.append({"name": path.name, "contentType": content_type, "base64": b64encode(content).decode()})
    if octets > MOST_FILE_OCTETS:
        raise click.BadParameter(
            f"{octets:,} octets in all; at most {MOST_FILE_OCTETS:,} go at once", param_hint="--media"
        )
    return files


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.group()
def fault() -> None:
    """Let things go wrong: the network, the carrier's link, the applications' endpoints.

    The developers' edition only.

    \b
    Examples:
      passband fault set fail --code 4720 --times 1        the next message fails
      passband fault set endpoint-status --status 503      endpoints answer 503
      passband fault set slow-carrier --rate 1
      passband fault sorts                                 what else there is
      passband fault list                                  what is in force
      passband fault remove --all
    """


@fault.command("list")
@options.admin_url
@options.as_json
def list_faults(url: str, as_json: bool) -> None:
    """List the faults in force, and how often each has happened.

    \b
    Example:
      passband fault list --json
    """
    from passband.remote import Admin, shown

    faults = Admin(url).ask("GET", "/admin/faults")["faults"]
    options.print_answer({"faults": faults}, shown.faults, as_json=as_json)


@fault.command("sorts")
@options.admin_url
@options.as_json
def sorts(url: str, as_json: bool) -> None:
    """List the sorts of faults that there are, and which options each needs and may have.

    \b
    Example:
      passband fault sorts
    """
    from passband.remote import Admin, shown

    options.print_answer({"sorts": Admin(url).ask("GET", "/admin/faults")["sorts"]}, shown.sorts, as_json=as_json)


def _is_number(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_recipient(value):
        raise click.BadParameter(f"{value!r} is not a telephone number like {HANDSET}")
    return value


@fault.command("set")
@click.argument("fault", metavar="SORT", shell_complete=options.fault_sorts)
@click.option("--number", callback=_is_number, help="Only messages to this number.")
@click.option("--prefix", help="Only messages to numbers that begin so.")
@click.option("--account", help="Only messages of this account.")
@click.option("--endpoint", help="Only endpoints whose URL begins so.")
@click.option("--code", type=int, shell_complete=options.error_codes, help="The delivery error code.")
@click.option("--seconds", type=float, help="How much later.")
@click.option("--status", type=int, help="The status that endpoints answer with.")
@click.option("--rate", type=float, help="Segments per second.")
@click.option("--times", type=int, help="How often it happens before it ends.  [default: until it is removed]")
@options.admin_url
@options.as_json
def set_fault(url: str, as_json: bool, endpoint: str | None, **fields: Any) -> None:
    """Put a fault in force; `passband fault sorts` lists the sorts, and which options each of them takes.

    \b
    Examples:
      passband fault set fail --code 4720 --number +14085550142 --times 1
      passband fault set delay --seconds 30 --prefix +1408
      passband fault set endpoint-timeout --endpoint http://127.0.0.1:5000/
      passband fault set link-down
    """
    from passband.remote import Admin, shown

    asked = {name: value for name, value in {**fields, "url": endpoint}.items() if value is not None}
    view = Admin(url).ask("POST", "/admin/faults", body=asked)
    options.print_answer(view, lambda view: [shown.fault(view)], as_json=as_json)


@fault.command("remove")
@click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=options.fault_ids)
@click.option("--all", "everything", is_flag=True, help="Remove all of them.")
@options.admin_url
@options.as_json
def remove_fault(ids: tuple[str, ...], everything: bool, url: str, as_json: bool) -> None:
    """Take faults back.

    \b
    Examples:
      passband fault remove f1 f2
      passband fault remove --all
    """
    from passband.remote import Admin

    if bool(ids) == everything:
        raise click.UsageError("Say which, or --all: `passband fault list` shows their ids")
    admin = Admin(url)
    removed = list(ids) or [one["id"] for one in admin.ask("GET", "/admin/faults")["faults"]]
    if everything:
        admin.ask("DELETE", "/admin/faults")
    for id_ in ids:
        admin.ask("DELETE", f"/admin/faults/{quote(id_, safe='')}")
    options.print_answer(
        {"removed": removed}, lambda _: [f"removed {', '.join(removed) or 'nothing'}"], as_json=as_json
    )


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Span(click.ParamType[float]):
    """A span of time such as +24h, 90s or 1h30m, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\+?((?:\d+(?:\.\d+)?[dhms])+)", value.strip().lower())
        if match is None:
            self.fail(f"{value!r} is not a time to advance by: write +90s, +10m, +24h, +1h30m or +2d", param, ctx)
        return sum(float(count) * SECONDS[unit] for count, unit in re.findall(r"([\d.]+)([dhms])", match[1]))


@click.command()
@click.argument("advance", metavar="[+SPAN]", type=Span(), required=False, shell_complete=options.advances)
@options.admin_url
@options.as_json
def clock(advance: float | None, url: str, as_json: bool) -> None:
    """Show the time of a running Passband, or let time pass: retries, expiry, receipt windows, media follow.

    The developers' edition only. Spans are in seconds, minutes, hours and days: +90s, +10m, +24h, +1h30m, +2d.

    \b
    Examples:
      passband clock
      passband clock +24h        what is not acknowledged by now has expired
    """
    from passband.remote import Admin

    admin = Admin(url)
    if advance is None:
        state = admin.ask("GET", "/admin/clock")
    else:
        state = admin.ask("POST", "/admin/clock", body={"advance": advance})
    answer = {"time": state["time"], "offset": state["offset"], "advanced": advance or 0.0}
    moved = f"  moved by {state['offset']:g} s in all" if state["offset"] else ""
    options.print_answer(answer, lambda answer: [f"{answer['time']}{moved}"], as_json=as_json)
