"""How the admin API reads bodies and answers."""

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.domain.errors import RequestFault

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body must be the JSON object that is described by GET /admin: {error}") from error


def number(request: Request, name: str, default: int, most: int) -> int:
    """Return a number of the query, from 1 to ``most``. Raises BadRequest."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} must be a number from 1 to {most}")
    return int(text)
