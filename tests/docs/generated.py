"""The parts of the documentation that are made of the program's own tables, and what it can do today.

    python tests/docs/generated.py        writes them anew; the tests compare

Each lies between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a file below ``docs/``, or in the README.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from passband.admin.faults import SORTS
from passband.admin.metrics import CARRIER_COUNTERS, COUNTERS, GAUGES, LINK_COUNTERS, REFUSALS, STORE_COUNTERS
from passband.admin.rates import SERIES
from passband.cli import main
from passband.config import CARRIER_TYPES
from passband.domain.error_codes import ERROR_CODES
from passband.domain.status import TRANSITIONS, State

DOCS = Path(__file__).parents[2] / "docs"

SERVED = (
    ("POST", "/messages", "create a message", ""),
    ("GET", "/messages", "search", "extension; finds what is still alive, or as long as history is kept"),
    ("GET", "/media", "list the account's files", ""),
    ("GET", "/media/{mediaId}", "download", ""),
    ("PUT", "/media/{mediaId}", "upload", ""),
    ("DELETE", "/media/{mediaId}", "delete", ""),
)
NOT_SERVED = (
    ("POST", "/messages/multiChannel", "messages with alternatives", "not yet"),
    ("POST", "/api/v1/oauth2/token", "Bearer tokens", "not yet"),
    ("GET", "/api/accounts/{accountId}/applications", "the XML interface to applications and numbers", "not yet"),
)


def states() -> Iterator[str]:
    """The states of a recipient, as a diagram and as a table."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.QUEUED}: 202"
    for (state, cause), transition in TRANSITIONS.items():
        yield f"    {state} --> {transition.state}: {_words(cause.name)}"
    for state in State:
        if state.terminal:
            yield f"    {state} --> [*]"
    yield "```"
    yield ""
    yield "| from | cause | to | events, those of them that are wanted |"
    yield "| --- | --- | --- | --- |"
    for (state, cause), transition in TRANSITIONS.items():
        events = ", ".join(f"`{event}`" for event in transition.events)
        yield f"| {state} | {_words(cause.name)} | {transition.state} | {events} |"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def metrics() -> Iterator[str]:
    """All metrics, as a node's ``/metrics`` names them."""
    yield "| metric | labels | meaning |"
    yield "| --- | --- | --- |"
    for name, counted in COUNTERS.items():
        labels = ", ".join(f"`{label}`" for label in counted.labels)
        yield f"| `passband_{name}_total` | {labels} | {counted.help} |"
    for name, text in STORE_COUNTERS.items():
        yield f"| `passband_store_{name}_total` | | {text} |"
    for name, text in LINK_COUNTERS.items():
        yield f"| `passband_link_{name}_total` | `carrier`, `link` | {text} |"
    for name, text in CARRIER_COUNTERS.items():
        yield f"| `passband_carrier_{name}_total` | `carrier` | {text} |"
    yield f"| `passband_carrier_refusals_total` | `carrier`, `status` | {REFUSALS} |"
    for name, text in GAUGES.items():
        labels = ""
        if name.startswith("endpoint"):
            labels = "`account`, `application`, `direction`"
        elif name.startswith(("queue", "handed", "carrier")):
            labels = "`carrier`"
        elif name.startswith("link"):
            labels = "`carrier`, `link`, `error`" if name == "link_error" else "`carrier`, `link`"
        yield f"| `passband_{name}` | {labels} | {text} |"


def error_codes() -> Iterator[str]:
    """The public delivery error codes."""
    yield "| `errorCode` | `description` | meaning | billable |"
    yield "| --- | --- | --- | --- |"
    for code in sorted(ERROR_CODES.values(), key=lambda code: code.code):
        yield f"| {code.code} | `{code.name}` | {code.meaning} | {'yes' if code.billable else 'no'} |"


def commands() -> Iterator[str]:
    """Every command with its help, as it is printed."""
    parent = main.make_context("passband", ["dev"], resilient_parsing=True, terminal_width=100)
    yield from _helps(main, parent)


def _helps(group: click.Group, parent: click.Context) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        context = click.Context(command, parent, info_name=name)
        yield f"## {context.command_path}"
        yield ""
        yield "```text"
        yield from command.get_help(context).splitlines()
        yield "```"
        yield ""
        if isinstance(command, click.Group):
            yield from _helps(command, context)


def served() -> Iterator[str]:
    """What the HTTP API serves, and what it does not serve yet."""
    yield "| method | path | | |"
    yield "| --- | --- | --- | --- |"
    for method, path, what, note in SERVED:
        yield f"| {method} | `/api/v2/users/{{accountId}}{path}` | {what} | {note} |"
    for method, path, what, note in NOT_SERVED:
        whole = path if path.startswith("/api") else f"/api/v2/users/{{accountId}}{path}"
        yield f"| {method} | `{whole}` | {what} | **{note}** |"


def parts() -> Iterator[str]:
    """What of the platform can be used today: asked of the program itself, so that it cannot claim what is not so."""
    console = DOCS.parent / "src" / "passband" / "console" / "static" / "index.html"
    postgres = find_spec("passband.store.postgres") is not None
    yield "| part | |"
    yield "| --- | --- |"
    for what, there in (
        ("messages, search and media of the Messaging v2 API, Basic authentication", True),
        ("the simulated carrier; messages between your own numbers", "simulator" in CARRIER_TYPES),
        ("SQLite, with several processes on one machine", True),
        ("PostgreSQL, with several machines", postgres),
        ("SMPP 3.4 carriers", "smpp" in CARRIER_TYPES),
        ("MM4 carriers", "mm4" in CARRIER_TYPES),
        ("the console: messages, callbacks and handsets in the browser", console.exists()),
        ("`passband smsc`, the simulated carrier as an SMPP server", "smsc" in main.commands),
        *((f"{what} (`{path}`)", False) for _, path, what, _ in NOT_SERVED),
    ):
        yield f"| {what} | {'yes' if there else '**not yet**'} |"


def series() -> Iterator[str]:
    """The series of ``GET /admin/rates``."""
    yield "| series | what | unit |"
    yield "| --- | --- | --- |"
    for name, line in SERIES.items():
        yield f"| `{name}` | {line.help} | {line.unit} |"


def faults() -> Iterator[str]:
    """The sorts of faults that ``POST /admin/faults`` takes."""
    yield "| `fault` | what it does | needs | may have |"
    yield "| --- | --- | --- | --- |"
    for name, sort in SORTS.items():
        needs, may = (", ".join(f"`{field}`" for field in fields) for fields in (sort.needs, sort.may))
        yield f"| `{name}` | {sort.does} | {needs} | {may} |"


PARTS: Mapping[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "states": ("how-it-works.md", states),
    "metrics": ("operating.md", metrics),
    "error codes": ("error-codes.md", error_codes),
    "commands": ("commands.md", commands),
    "served": ("api.md", served),
    "series": ("admin-api.md", series),
    "faults": ("admin-api.md", faults),
    "parts": ("../README.md", parts),
}


def renewed(name: str) -> tuple[Path, str, str]:
    """Return a part's file, its text as it is, and as it should be. Raises ValueError where it has no place there."""
    file, make = PARTS[name]
    path = DOCS / file
    text = path.read_text("utf-8")
    place = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(text):
        raise ValueError(f"{file} has no place for {name}")
    made = "\n".join(make()).rstrip() + "\n"
    return path, text, place.sub(lambda match: f"{match[1]}{made}{match[2]}", text)


if __name__ == "__main__":
    for part in PARTS:
        file, before, after = renewed(part)
        if before != after:
            file.write_text(after, "utf-8")
            sys.stdout.write(f"{file.name}: {part}\n")
