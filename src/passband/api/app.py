"""The whole HTTP API as one ASGI application: which path, which account, which method, in the documented order.

Below ``/users/{accountId}`` credentials come first, whatever the path, so that an anonymous caller learns nothing
(HTTP API, section 1.2). Then 404, 405 and what the endpoint itself finds: 415, 400, 429.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from passband.api.asgi import App, ClientGone, Receive, Scope, Send, answer, header
from passband.api.auth import Authenticator
from passband.api.docs import documentation
from passband.api.messages import Accept, CreateMessage
from passband.api.problems import problem
from passband.api.search import Search, SearchMessages
from passband.domain.account import Account
from passband.domain.errors import MethodNotAllowed, UnknownPath
from passband.wire import MAX_BODY_OCTETS

Handler = Callable[[Account, str, Scope, Receive, Send], Awaitable[None]]


class Resource(NamedTuple):
    """What lies at ``/users/{accountId}/<name>``: a handler for each method.

    ``below`` are those for paths below its name; without any it takes only one slash after it. The handler is given
    what follows the name's slash, as sent. ``body_limit`` is in octets.
    """

    methods: Mapping[str, Handler]
    below: Mapping[str, Handler] | None = None
    body_limit: int = MAX_BODY_OCTETS


# The second form is for clients whose own base address drops the prefix (HTTP API, section 1.1).
_account_path = re.compile(rb"(?:/api/v2)?/users/([^/]+)(?:/([^/]*))?(?:/(.*))?", re.DOTALL).fullmatch


class Place(NamedTuple):
    """What a path names: an account, one of its resources, and what lies below that, as sent."""

    account: str
    name: str
    rest: str


@lru_cache(maxsize=128)  # nearly every request is for the path at which some account creates messages
def _place(raw_path: bytes) -> Place | None:
    """Return what a path below ``/users`` names, None for any other."""
    match = _account_path(raw_path)
    if match is None:
        return None
    account, name, rest = match.groups()
    return Place(_decoded(account), _decoded(name or b""), (rest or b"").decode("ascii"))


class Api:
    """The application. It answers every request and raises for none, but for those of mounted applications."""

    def __init__(
        self,
        authenticator: Authenticator,
        now: Callable[[], float],
        resources: Mapping[str, Resource],
        mounts: Sequence[tuple[str, App]],
        refused: Callable[[int], None],
    ) -> None:
        self._authenticator = authenticator
        self._now = now
        self._resources = resources
        self._mounts = mounts
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path: bytes = scope["raw_path"]
        place = _place(raw_path)
        if place is None:
            mounted = self._mounted(scope)
            if mounted is not None:
                await mounted(scope, receive, send)
                return
        try:
            if place is None:
                raise UnknownPath  # noqa: TRY301 - answered like every other error, below
            await self._serve(place, scope, receive, send)
        except ClientGone:
            pass
        except Exception as error:  # the top: whatever happened, this request is answered and the next one served
            refusal = problem(error, raw_path.decode("ascii", "replace"), self._now())
            self._refused(refusal.status)
            await answer(send, *refusal)

    async def _serve(self, place: Place, scope: Scope, receive: Receive, send: Send) -> None:
        account_id, name, rest = place
        authorization = header(scope, b"authorization")
        account = await self._authenticator.account(authorization, account_id, scope["client"][0])
        resource = self._resources.get(name)
        methods = None if resource is None else resource.below if rest else resource.methods
        if methods is None:
            raise UnknownPath
        handler = methods.get(scope["method"])
        if handler is None:
            raise MethodNotAllowed(scope["method"], tuple(methods))
        await handler(account, rest, scope, receive, send)

    def _mounted(self, scope: Scope) -> App | None:
        """Return the application that this path belongs to, and tell it where it is mounted."""
        path: str = scope["path"]
        for prefix, app in self._mounts:
            if path == prefix or path.startswith(f"{prefix}/"):
                scope["root_path"] = prefix
                return app
        return None

    def body_limit(self, raw_path: bytes) -> int:
        """Return how many octets a body may have there. The listener asks when one is larger than usual."""
        place = _place(raw_path)
        resource = self._resources.get(place.name) if place else None
        return resource.body_limit if resource else MAX_BODY_OCTETS


def _decoded(segment: bytes) -> str:
    return (
        unquote_to_bytes(segment).decode("utf-8", "replace") if b"%" in segment else segment.decode("ascii", "replace")
    )


def create_app(
    *,
    authenticator: Authenticator,
    accept: Accept,
    search: Search,
    now: Callable[[], float],
    public_url: str,
    resources: Mapping[str, Resource] | None = None,
    mounts: Sequence[tuple[str, App]] = (),
    refused: Callable[[int], None] = lambda status: None,
) -> Api:
    """Return the HTTP API.

    ``public_url`` is the address under which clients reach this installation, without ``/api/v2``. ``resources`` lie
    beside ``messages`` below every account, behind its credentials. ``mounts`` are whole applications by the prefix of
    their paths, without credentials of ours; the prefix ``""`` takes whatever nothing else takes.
    ``refused`` is told the status of every error that is answered.
    """
    messages = Resource({"GET": SearchMessages(search, now, public_url), "POST": CreateMessage(accept, now)})
    return Api(
        authenticator,
        now,
        {"messages": messages, **(resources or {})},
        [*documentation(now), *mounts],
        refused,
    )
