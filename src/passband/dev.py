"""The developers' edition: one node on the loopback, and what one needs to know to use it."""

import json
import shlex
import shutil
import socket
from pathlib import Path

from rich.console import Console
from rich.table import Table

from passband import __version__
from passband.config import Settings, SmppSettings
from passband.service import Node
from passband.workers import run_node


async def run_dev(settings: Settings, *, temporary: bool, as_json: bool = False) -> int:
    """Run the developers' edition until SIGTERM or SIGINT; return the exit status. Temporary data go with it.

    Once it accepts messages it says on standard output what one needs to know; with ``as_json`` as one JSON document in
    one line, for programs.
    """
    say = _describe if as_json else _welcome
    try:
        return await run_node(settings, developers=True, started=lambda node: say(settings, node))
    finally:
        if temporary:
            shutil.rmtree(_folder(settings), ignore_errors=True)


def inbox_url(port: int) -> str:
    """Return the address of the endpoint that the developers' edition has itself."""
    return f"http://127.0.0.1:{port}/inbox"


def free_port() -> int:
    """Return a port of the loopback that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _callbacks_to(url: str | None) -> str:
    if url is not None and url.endswith("/inbox"):
        return f"{url} (see the console; or give --callback-url)"
    return url or "nowhere; give --callback-url, and see `passband listen`"


def _smpp(settings: Settings) -> str | None:
    carriers = [carrier for carrier in settings.carriers if isinstance(carrier, SmppSettings)]
    return f"{carriers[0].host}:{carriers[0].port} as {carriers[0].system_id}" if carriers else None


def _folder(settings: Settings) -> Path:
    return Path(settings.store.url.removeprefix("sqlite:")).parent


def _base(node: Node) -> str:
    host, port = node.addresses[0]
    return f"http://{host}:{port}"


def _describe(settings: Settings, node: Node) -> None:
    account = settings.accounts[0]
    application = account.applications[0]
    base = _base(node)
    known = {
        "version": __version__,
        "baseUrl": f"{base}/api/v2",
        "account": account.id,
        "user": account.users[0].name,
        "password": str(account.users[0].password),
        "application": application.id,
        "numbers": [number.number for number in account.numbers],
        "callbackUrl": application.callback_url,
        "console": f"{base}/",
        "data": str(_folder(settings)),
    }
    print(json.dumps(known), flush=True)


def _welcome(settings: Settings, node: Node) -> None:
    """Print base URL, credentials, application, numbers, and a command that works when pasted."""
    console = Console(highlight=False, soft_wrap=True)
    account = settings.accounts[0]
    user = account.users[0]
    application = account.applications[0]
    base = _base(node)
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("base URL", f"{base}/api/v2"),
        ("account", account.id),
        ("user, password", f"{user.name}, {user.password!s}"),
        ("application", application.id),
        ("numbers", ", ".join(number.number for number in account.numbers)),
        ("callbacks to", _callbacks_to(application.callback_url)),
        *((("carrier", smpp),) if (smpp := _smpp(settings)) else ()),
        ("console", f"{base}/"),
        ("documentation", f"{base}/docs"),
        ("data", str(_folder(settings))),
    ):
        table.add_row(f"[dim]{name}[/dim]", value)
    console.print(f"[bold]Passband {__version__}[/bold], developers' edition")
    console.print(table)
    body = {
        "to": ["+14085550142"],
        "from": account.numbers[0].number,
        "text": "Your table is ready",
        "applicationId": application.id,
        "tag": "booking 4711",
    }
    path = f"{base}/api/v2/users/{account.id}/messages"
    console.print("\nSend a message:\n")
    console.out(
        f"  curl -i -u {shlex.quote(f'{user.name}:{user.password}')} -H 'Content-Type: application/json' \\\n"
        f"    -d {shlex.quote(json.dumps(body))} \\\n    {path}\n",
        highlight=False,
    )
    console.print("[dim]Ctrl-C ends.[/dim]")
