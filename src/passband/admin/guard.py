"""Who may speak to the admin API from within a browser: its own pages, and nobody else's.

It listens on the loopback without credentials, where every page that a developer visits could reach it: by a form or a
script of another origin, or by a name that its owner lets lead to 127.0.0.1 (DNS rebinding). Programs other than
browsers send no Origin and no Sec-Fetch-Site, and are not asked.
"""

import ipaddress
from urllib.parse import urlsplit

from passband.api.asgi import JSON, App, Receive, Scope, Send, answer, header

_REFUSAL = b'{"description":"a page of another site may not use this address"}'


class Guard:
    """Lets requests through to an application. With ``local_names_only`` a browser must name this machine as localhost
    or by its address; an operator's own name for it is his business."""

    def __init__(self, app: App, *, local_names_only: bool) -> None:
        self._app = app
        self._local_names_only = local_names_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may(scope):
            await answer(send, 403, (JSON,), _REFUSAL)
            return
        await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
        if origin is None and site is None:
            return True
        host = (header(scope, b"host") or b"").decode("latin-1")
        if self._local_names_only and not _is_local(host):
            return False
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
            return False
        navigates = scope["method"] in ("GET", "HEAD") and header(scope, b"sec-fetch-mode") == b"navigate"
        return site in (None, b"same-origin", b"none") or navigates


def _is_local(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
