"""Which carrier takes which recipient: our own numbers first, then the sender's carrier, then the first rule."""

from collections.abc import Mapping, Sequence

import msgspec

from passband.domain.account import Directory
from passband.domain.message import Kind

ON_NET = "on-net"
NO_ROUTE = 4421
NO_SUCH_CARRIER = 4420


class Route(msgspec.Struct, frozen=True):
    """Recipients that begin with ``prefix`` go to ``carrier``; None for ``kind`` and ``account`` means any."""

    carrier: str
    prefix: str = ""
    kind: Kind | None = None
    account: str | None = None

    def matches(self, account: str, kind: Kind, number: str) -> bool:
        return number.startswith(self.prefix) and self.kind in (None, kind) and self.account in (None, account)


class Router:
    """The routes under one configuration. Without any rule, the first carrier that takes the kind takes everything."""

    def __init__(self, carriers: Mapping[str, frozenset[Kind]], routes: Sequence[Route] = ()) -> None:
        self._carriers = carriers
        self._routes = routes
        # Looked up for every recipient where there are no routes, and the same as long as this router lives.
        self._first: Mapping[Kind, str | int] = {
            kind: next((name for name, kinds in carriers.items() if kind in kinds), NO_ROUTE) for kind in Kind
        }

    def route(self, directory: Directory, account: str, sender: str, kind: Kind, number: str) -> str | int:
        """Return the name of the carrier, or the delivery error code of the refusal."""
        ours = directory.number(number)
        if ours is not None and ours.enabled:
            return ON_NET
        source = directory.number(sender)
        name = source.carrier if source else None
        if name is not None and kind in self._carriers.get(name, frozenset()):
            return name
        if not self._routes:
            return self._first[kind]
        for route in self._routes:
            if route.matches(account, kind, number):
                return route.carrier if kind in self._carriers.get(route.carrier, frozenset()) else NO_SUCH_CARRIER
        return NO_ROUTE
