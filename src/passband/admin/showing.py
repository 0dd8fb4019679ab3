"""The calls of the admin API that show something."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import BadRequest, answer, number, problem, read
from passband.admin.panel import Panel
from passband.admin.segments import MOST_CHARACTERS, explain
from passband.domain.event import SLOTS


class Text(msgspec.Struct):
    text: str


async def state(panel: Panel, request: Request) -> Response:
    return answer(panel.state())


async def messages(panel: Panel, request: Request) -> Response:
    """``stored`` is what the store finds by identifier or number and this node does not follow: metadata only."""
    panel.live.touch()
    query = request.query_params
    limit = number(request, "limit", 200, 10_000)
    id_, wanted = query.get("id", ""), query.get("number", "")
    cursor = panel.live.cursor
    found = panel.journal.find(
        number=wanted, id_=id_, tag=query.get("tag", ""), state=query.get("state", ""), limit=limit
    )
    known = {(one["account"], one["id"]) for one in found}
    stored = await panel.search(id_=id_, number=wanted) if id_ or wanted else []
    return answer(
        {
            "live": cursor,
            "messages": found,
            "stored": [one for one in stored if (one.account, one.id) not in known],
            "skipped": panel.journal.skipped,
        }
    )


async def message(panel: Panel, request: Request) -> Response:
    panel.live.touch()
    id_ = request.path_params["id"]
    found = [flight for flight in panel.journal.flights.values() if flight.message.id == id_]
    if found:
        views = [{**flight.view(), "callbacks": [told.view() for told in flight.told]} for flight in found]
        return answer({"id": id_, "recipients": views, "stored": []})
    stored = await panel.search(id_=id_)
    if not stored:
        return problem(404, "no such message is on its way, or lately was")
    return answer({"id": id_, "recipients": [], "stored": stored})


async def callbacks(panel: Panel, request: Request) -> Response:
    panel.live.touch()
    wanted, id_ = request.query_params.get("state", ""), request.query_params.get("id", "")
    limit = number(request, "limit", 200, 10_000)
    cursor = panel.live.cursor
    found = []
    for told in reversed(panel.journal.told.values()):
        if (not wanted or told.state == wanted) and id_ in told.callback.message.id:
            found.append(told.view(brief=True))
            if len(found) == limit:
                break
    return answer({"live": cursor, "endpoints": panel.endpoints(), "callbacks": found})


async def callback(panel: Panel, request: Request) -> Response:
    path = request.path_params
    if not (path["n"].isdecimal() and path["slot"].isdecimal()):
        raise BadRequest(f"n must be a number, slot one from 0 to {max(SLOTS.values())}")
    told = panel.journal.told.get(((path["account"], path["id"], int(path["n"])), int(path["slot"])))
    return answer(told.view()) if told else problem(404, "no such callback is on its way, or lately was")


async def rates(panel: Panel, request: Request) -> Response:
    panel.live.touch()
    step = number(request, "step", 60, 60)
    if step not in (1, 60):
        raise BadRequest("step must be 1 or 60")
    return answer({"live": panel.live.cursor, **panel.rates.view(step)})


async def segments(panel: Panel, request: Request) -> Response:
    text = (await read(request, Text)).text if request.method == "POST" else request.query_params.get("text", "")
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(f"text must be {MOST_CHARACTERS} characters or less")
    return answer(explain(text))
