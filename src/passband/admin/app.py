"""The admin API: health, readiness, metrics, and inbound messages from handsets of the simulated carrier."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from passband.admin.metrics import Metrics
from passband.domain.errors import StoreUnavailable
from passband.domain.message import Kind
from passband.domain.number import is_recipient, is_sender
from passband.domain.report import Inbound
from passband.domain.segments import count

MOST_OCTETS = 1024 * 1024


class NewInbound(msgspec.Struct, rename={"sender": "from"}):
    """The body of ``POST /admin/inbound``: a message that somebody sends to one of our numbers."""

    sender: str
    to: str | list[str]
    text: str = ""
    media: list[str] = []


def create_admin(
    *, ready: Callable[[], bool], metrics: Metrics, inbound: Callable[[Inbound], Awaitable[None]] | None
) -> Starlette:
    """Return the admin API. ``inbound`` keeps a message from a handset; None where there is no simulated carrier."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(request: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    async def show_metrics(request: Request) -> Response:
        return Response(await metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def receive(request: Request) -> Response:
        if inbound is None:
            return _problem(404, "inbound messages can be played only where a simulated carrier is configured")
        try:
            new = msgspec.json.decode(await request.body(), type=NewInbound)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _problem(400, f"the body must be a JSON object with from, to and text: {error}")
        to = (new.to,) if isinstance(new.to, str) else tuple(dict.fromkeys(new.to))
        wrong = [n for n in to if not is_recipient(n)] + ([] if is_sender(new.sender) else [new.sender])
        if wrong or not to:
            return _problem(400, f"not a telephone number: {', '.join(map(repr, wrong)) or 'to is empty'}")
        kind = Kind.MMS if new.media or len(to) > 1 else Kind.SMS
        message = Inbound(
            carrier="simulator",
            sender=new.sender,
            to=to,
            text=new.text,
            kind=kind,
            segment_count=count(new.text) if kind is Kind.SMS else 1,
            media=tuple(new.media),
        )
        try:
            await inbound(message)
        except StoreUnavailable as error:
            return _problem(503, str(error))
        return JSONResponse({"segmentCount": message.segment_count}, 202)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            Route("/admin/inbound", receive, methods=["POST"]),
        ]
    )


def _problem(status: int, description: str) -> Response:
    return JSONResponse({"description": description}, status)
