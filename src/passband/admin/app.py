"""The admin API: health, metrics, and everything that the console shows and does, as JSON.

``GET /admin`` lists it; the list is made of the table below, as are the routes. It asks for no credentials and listens
on the loopback unless told otherwise. What a browser sends from another site's page is refused (``guard``).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from passband.admin import acting, changing, listing, playing, showing
from passband.admin.answers import problem
from passband.admin.guard import Guard
from passband.admin.metrics import Metrics
from passband.admin.panel import Panel
from passband.admin.provisioning import NotThere, Taken
from passband.admin.streaming import LiveStream
from passband.api.asgi import App
from passband.domain.errors import RequestFault, StoreUnavailable
from passband.wire import MAX_BODY_OCTETS

Handler = Callable[[Panel, Request], Awaitable[Response]]


class Entry(NamedTuple):
    """One call of the admin API; ``developers`` ones exist in the developers' edition only."""

    method: str
    path: str
    does: str
    handler: Handler
    developers: bool = False


ENTRIES = (
    Entry("GET", "/admin/state", "which edition this is, its time and its numbers", showing.state),
    Entry("GET", "/admin/numbers", "our numbers; ?account= ?limit=", listing.numbers),
    Entry("GET", "/admin/applications", "applications, and where their events go; ?account= ?limit=",
          listing.applications),
    Entry("PUT", "/admin/accounts/{account}/applications/{id}", "set an application, as a whole: the settings of the "
          "configuration file but its id", changing.put_application),
    Entry("DELETE", "/admin/accounts/{account}/applications/{id}", "take an application away; ?leave=file: only what "
          "was set over the file", changing.remove_application),
    Entry("PUT", "/admin/accounts/{account}/numbers/{number}", "set a number, as a whole: the settings of the "
          "configuration file but the number", changing.put_number),
    Entry("DELETE", "/admin/accounts/{account}/numbers/{number}", "take a number away; ?leave=file: only what was set "
          "over the file", changing.remove_number),
    Entry("GET", "/admin/messages", "messages on their way, newest first; ?number= ?id= ?tag= ?state=queued|sending|"
          "handed|callback-pending|done|in-flight|over|delivered|failed ?direction=in|out ?limit=; ?wait= seconds "
          "for ?count= of them", showing.messages),
    Entry("DELETE", "/admin/messages", "forget the messages and callbacks that are shown; what is on its way goes on",
          acting.forget_messages, developers=True),
    Entry("GET", "/admin/messages/{id}", "every state that a message's recipients went through, and their callbacks",
          showing.message),
    Entry("GET", "/admin/callbacks", "endpoints with their health; callbacks with their last attempt and when the next "
          "is due; ?state=pending|acknowledged|expired ?type= ?id= ?limit= ?wait= ?count=", showing.callbacks),
    Entry("GET", "/admin/callbacks/{account}/{id}/{n}/{slot}", "one callback: all attempts, exact body and headers",
          showing.callback),
    Entry("POST", "/admin/callbacks/{account}/{id}/{n}/{slot}/retry", "try one callback now", acting.retry_callback),
    Entry("POST", "/admin/callbacks/{account}/{application}/{direction}/retry", "try what waits for an endpoint now; "
          "direction is in or out", acting.retry),
    Entry("GET", "/admin/rates", "numbers of the last hour, links and endpoints; ?step=1 (a second a point) or 60, "
          "?last= points at most", showing.rates),
    Entry("GET", "/admin/segments", "encoding, segments and cuts of ?text=", showing.segments),
    Entry("POST", "/admin/segments", 'the same of {"text"}, for long ones', showing.segments),
    Entry("POST", "/admin/inbound", 'a message from a handset to our numbers: {"from", "to", "text", "media": [URL or '
          '{"name", "contentType", "base64"}]}; where a simulated carrier is configured',
          playing.inbound),
    Entry("GET", "/admin/handsets", "handsets and what is on them; ?handset=", playing.handsets, developers=True),
    Entry("DELETE", "/admin/handsets", "empty all handsets", playing.forget_handsets, developers=True),
    Entry("GET", "/admin/handsets/media/{number}/{index}", "a picture on a handset", playing.picture, developers=True),
    Entry("GET", "/admin/inbox", "the callbacks that the inbox received; ?wait= ?count=", playing.inbox,
          developers=True),
    Entry("DELETE", "/admin/inbox", "empty the inbox", playing.forget_inbox, developers=True),
    Entry("POST", "/inbox", "the inbox: an endpoint that answers 200 to every callback", playing.take, developers=True),
    Entry("GET", "/admin/faults", "faults in force, and the sorts that there are", acting.faults, developers=True),
    Entry("POST", "/admin/faults", 'a fault: {"fault", "number", "prefix", "account", "url", "code", "seconds", '
          '"status", "rate", "times"}', acting.add_fault, developers=True),
    Entry("DELETE", "/admin/faults", "take back all faults", acting.remove_faults, developers=True),
    Entry("DELETE", "/admin/faults/{id}", "take back one fault", acting.remove_faults, developers=True),
    Entry("GET", "/admin/clock", "the node's time, and how far it was moved", showing.state, developers=True),
    Entry("POST", "/admin/clock", 'let time pass: {"advance": seconds}', acting.advance, developers=True),
)  # fmt: skip
STATUSES: Mapping[type[RequestFault], int] = {NotThere: 404, Taken: 409}  # of what is not simply wrong
# A message of a handset with files of 3,932,160 octets, which base64 makes 5,242,880, and its text.
INBOUND_OCTETS = 6 * 1024 * 1024
LIVE = "server-sent events: message, callback, rates, bubble, faults, inbox, clock; ?topics= ?after=; Last-Event-ID"


def body_limit(raw_path: bytes) -> int:
    """Return how many octets a body may have at a path. The listener asks when one is larger than usual."""
    return INBOUND_OCTETS if raw_path == b"/admin/inbound" else MAX_BODY_OCTETS


def create_admin(*, ready: Callable[[], bool], metrics: Metrics, panel: Panel, more: Sequence[Route] = ()) -> App:
    """Return the admin API. ``more`` are further routes: the console's pages."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(request: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    async def show_metrics(request: Request) -> Response:
        return Response(await metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def index(request: Request) -> Response:
        here = [entry for entry in ENTRIES if panel.developers or not entry.developers]
        listed = [{"method": entry.method, "path": entry.path, "does": entry.does} for entry in here]
        return JSONResponse([*listed, {"method": "GET", "path": "/admin/live", "does": LIVE}])

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = problem(error.status_code, error.detail)
        response.headers.update(error.headers or {})
        return response

    app = Starlette(
        exception_handlers={HTTPException: refuse},
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            Route("/admin", index),
            Route("/admin/live", LiveStream(panel.live)),
            *(Route(entry.path, _endpoint(entry, panel), methods=[entry.method]) for entry in ENTRIES),
            *more,
        ],
    )
    return Guard(app, local_names_only=panel.developers)


def _endpoint(entry: Entry, panel: Panel) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if entry.developers and not panel.developers:
            return problem(404, "this is there in the developers' edition only")
        try:
            return await entry.handler(panel, request)
        except RequestFault as error:
            return problem(STATUSES.get(type(error), 400), str(error))
        except StoreUnavailable as error:
            return problem(503, str(error))

    return answer
