"""How the admin API reads bodies and answers."""

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.domain.errors import RequestFault
from passband.domain.event import SLOTS

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


MOST_DIGITS = 6  # of a recipient's place in its message; there are at most some hundred


class BadRequest(RequestFault):
    """The request cannot be read; the text says why."""


def answer(value: Any, status: int = 200) -> Response:
    return Response(_encode(value), status, {"cache-control": "no-store"}, media_type="application/json")


def problem(status: int, description: str) -> Response:
    return answer({"description": description}, status)


async def read(request: Request, kind: type[T]) -> T:
    """Return the body as a value. Raises BadRequest, naming the field at fault."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body must be the JSON object that is described by GET /admin: {error}") from error


def callback_key(request: Request) -> tuple[str, str, int, int]:
    """Return account, message, recipient's number and slot of the callback that a path names. Raises BadRequest."""
    path = request.path_params
    n, slot = path["n"], path["slot"]
    if not (n.isdecimal() and len(n) <= MOST_DIGITS and slot in map(str, SLOTS.values())):
        raise BadRequest(f"n must be a number, slot one from 0 to {max(SLOTS.values())}")
    return path["account"], path["id"], int(n), int(slot)


def choice(request: Request, name: str, known: Collection[str]) -> str:
    """Return one of the known words of the query, or nothing where it is absent. Raises BadRequest."""
    word = request.query_params.get(name, "")
    if word and word not in known:
        raise BadRequest(f"{name} must be one of {', '.join(known)}")
    return word


def number(request: Request, name: str, default: int, most: int) -> int:
    """Return a number of the query, from 1 to ``most``. Raises BadRequest."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} must be a number from 1 to {most}")
    return int(text)
