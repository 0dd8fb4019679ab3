"""Talking to a running Passband's admin API, for the commands that ask it something.

Admin        one call after the other
streaming    the live stream: server-sent events that survive a reconnect
tail         what the stream tells, as one line for each thing that happened
shown        answers as tables
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from passband.asking import TIMEOUT_SECONDS, Answer, Site
from passband.domain.errors import PeerFault

EXAMPLE = "http://127.0.0.1:8080"


class Refused(PeerFault):
    """The platform answered, and would not do it; the text says why."""


class Admin:
    """The admin API at a URL."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """``timeout`` is in seconds. Raises BadUrl.

        The base of the HTTP API will do as well: `passband dev` has both at one address, and prints that one.
        """
        self.site = Site(url.rstrip("/").removesuffix("/api/v2"), {}, example=EXAMPLE, timeout=timeout)

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None) -> Any:
        """Return what is answered, as JSON. Raises Unreachable and Refused."""
        answer = self.site.ask(method, path, query, body)
        self.demand(answer, f"{method} {path}")
        return answer.body

    def demand(self, answer: Answer, asked: str) -> None:
        """Raise Refused for any answer but that of an admin API which did as it was ``asked``."""
        if answer.status == HTTPStatus.NO_CONTENT or (200 <= answer.status < 300 and not isinstance(answer.body, str)):
            return
        said = answer.body.get("description") if isinstance(answer.body, dict) else None
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise Refused("that is more than the admin API takes at once")
        if not isinstance(said, str) or "type" in answer.body:  # with a type, it is the HTTP API that answers
            raise Refused(
                f"there is no admin API at {self.site.url} (it answers {answer.status}); it is where `listen` in "
                "[admin] says, and of `passband dev` where it says that the console is"
            )
        raise Refused(f"{said} ({asked})" if answer.status == HTTPStatus.NOT_FOUND else said)
