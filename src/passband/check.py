"""``passband check``: what a configuration names, can it be reached?"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from passband.carriers.smpp import SmppCarrier
from passband.clock import SystemClock
from passband.config import Settings, SmppSettings
from passband.domain.errors import StoreUnavailable
from passband.domain.event import Callback
from passband.domain.message import Recipient
from passband.domain.rules import Rules
from passband.media import try_media
from passband.service import server_tls
from passband.store.open import try_store

CONNECT_SECONDS = 5.0


async def run_check(settings: Settings, say: Callable[[str], None], *, as_json: bool = False) -> int:
    """Try everything that the settings name and say how it went; return 0 if all of it can be reached, else 1.

    Nothing is sent: the store is opened and closed (nothing is changed in a database), a folder for media is written to
    and left as it was, a bucket is listed, endpoints are connected to, addresses are listened on, SMPP carriers are
    bound to and unbound from; all at the same time, and nothing silent for more than ten seconds. With ``as_json`` it
    says one JSON document. Raises ConfigurationError where the files of ``server.tls`` are no certificate and key.
    """
    if settings.server.tls:
        server_tls(settings.server.tls)
    tries: list[tuple[str, Awaitable[None]]] = [("store " + _shown(settings.store.url), _store(settings))]
    tries.append(("media " + _shown(settings.media.url), try_media(settings.media.url)))
    server, admin = settings.server.listen, settings.admin.listen
    shared = server == admin and server.port  # of port 0, each takes one of its own
    for name, address in (("server", server), *(() if shared else (("admin", admin),))):
        tries.append((f"{name} on {address}", _listen(address.host, address.port)))
    tries += [(f"endpoint {url}", _connect(url)) for url in sorted(_endpoints(settings))]
    tries += [
        (f"carrier {carrier.name}", _bind(carrier))
        for carrier in settings.carriers
        if isinstance(carrier, SmppSettings)
    ]
    # Side by side: whoever is silent is waited for once, however many there are.
    faults = await asyncio.gather(*(_fault(attempt) for _, attempt in tries))
    if as_json:
        checked = [{"what": what, "fault": fault} for (what, _), fault in zip(tries, faults, strict=True)]
        say(json.dumps({"faults": [], "reachable": not any(faults), "checked": checked}))
        return 1 if any(faults) else 0
    for (what, _), fault in zip(tries, faults, strict=True):
        say(f"✓ {what}" if fault is None else f"✗ {what}: {fault}")
    failed = sum(fault is not None for fault in faults)
    say(f"{len(tries) - failed} of {len(tries)} can be reached" if failed else "everything can be reached")
    return 1 if failed else 0


async def _fault(attempt: Awaitable[None]) -> str | None:
    try:
        await attempt
    except (OSError, StoreUnavailable, TimeoutError) as error:
        return str(error) or "no answer"
    return None


class _NoBirths:
    """Takes nothing, because nothing is stored."""

    def room_for_recipients(self, recipients: Sequence[Recipient]) -> Sequence[bool]:
        return [False] * len(recipients)

    def room_for_callbacks(self, callbacks: Sequence[Callback]) -> Sequence[bool]:
        return [False] * len(callbacks)

    def take_recipients(self, recipients: Sequence[Recipient]) -> None: ...

    def take_callbacks(self, callbacks: Sequence[Callback]) -> None: ...


def _shown(url: str) -> str:
    """Return a store's URL without its passwords."""
    parts = urlsplit(url)
    url = url if parts.password is None else url.replace(f":{parts.password}@", ":…@")
    return re.sub(r"(?<=password=)[^&]*", "…", url)


async def _store(settings: Settings) -> None:
    url = settings.store.url
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:")).parent.is_dir():
        raise OSError(f"the folder of {url.removeprefix('sqlite:')} does not exist")
    await try_store(url, Rules(settings.directory()), _NoBirths(), time.time())


async def _bind(settings: SmppSettings) -> None:
    faults = await SmppCarrier(settings.profile(), SystemClock(), Random()).check()  # noqa: S311 - for its waits
    if faults:
        raise OSError("; ".join(faults))


async def _listen(host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    server.close()
    await server.wait_closed()


def _endpoints(settings: Settings) -> set[str]:
    applications = [a.value() for account in settings.accounts for a in account.applications]
    return {url for a in applications for url in (a.inbound_url, a.outbound_url) if url}


async def _connect(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    async with asyncio.timeout(CONNECT_SECONDS):
        _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()
