"""The calls of the admin API that show something."""

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import BadRequest, answer, callback_key, choice, number, problem, read
from passband.admin.entries import FLIGHT_STATES, TOLD_STATES
from passband.admin.panel import Panel
from passband.admin.rates import SECONDS
from passband.admin.segments import MOST_CHARACTERS, explain
from passband.admin.waiting import until_there
from passband.domain.event import EventKind
from passband.domain.message import Direction, Kind
from passband.store import CarrierRef, Found


class Text(msgspec.Struct, forbid_unknown_fields=True):
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
    state = choice(request, "state", FLIGHT_STATES)
    direction = choice(request, "direction", list(Direction))
    found = await until_there(
        panel,
        request,
        lambda: panel.journal.find(
            number=wanted,
            id_=id_,
            tag=query.get("tag", ""),
            state=state,
            direction=direction,
            limit=limit,
        ),
    )
    known = {(one["account"], one["id"]) for one in found}
    stored = await panel.search(id_=id_, number=wanted) if id_ or wanted else []
    return answer(
        {
            "live": cursor,
            "messages": found,
            "counts": panel.journal.counts(),
            "stored": await _views(panel, [one for one in stored if (one.account, one.id) not in known]),
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
    return answer({"id": id_, "recipients": [], "stored": await _views(panel, stored)})


async def _views(panel: Panel, found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return what the store found as JSON, with what the carrier calls each segment whose receipt is awaited."""
    views = []
    for one in found:
        refs: Sequence[CarrierRef] = ()
        if one.status == "SENDING" and one.direction is Direction.OUT:
            refs = await panel.store.carrier_refs(one.account, one.id)
        several = one.kind is Kind.SMS and one.segment_count > 1
        named = [
            {"segment": None if ref.segment is None or not several else ref.segment + 1, "ref": ref.ref}
            for ref in refs
            if ref.number == one.destination
        ]
        views.append({**msgspec.structs.asdict(one), "carrier_refs": named})
    return views


async def callbacks(panel: Panel, request: Request) -> Response:
    """Answer with the endpoints, and the callbacks that match all that is asked for, newest first."""
    panel.live.touch()
    state, kind = choice(request, "state", TOLD_STATES), choice(request, "type", list(EventKind))
    id_ = request.query_params.get("id", "")
    limit = number(request, "limit", 200, 10_000)
    cursor = panel.live.cursor

    def look() -> list[dict[str, Any]]:
        found = []
        for told in reversed(panel.journal.told.values()):
            if state in ("", told.state) and kind in ("", told.kind) and id_ in told.callback.message.id:
                found.append(told.view(brief=True))
                if len(found) == limit:
                    break
        return found

    found = await until_there(panel, request, look)
    return answer({"live": cursor, "endpoints": panel.endpoints(), "callbacks": found})


async def callback(panel: Panel, request: Request) -> Response:
    account, id_, n, slot = callback_key(request)
    told = panel.journal.told.get(((account, id_, n), slot))
    return answer(told.view()) if told else problem(404, "no such callback is on its way, or lately was")


async def rates(panel: Panel, request: Request) -> Response:
    panel.live.touch()
    step = number(request, "step", 60, 60)
    if step not in (1, 60):
        raise BadRequest("step must be 1 or 60")
    last = number(request, "last", SECONDS, SECONDS)
    return answer({"live": panel.live.cursor, **panel.rates.view(step, last), "endpoints": panel.endpoints()})


async def segments(panel: Panel, request: Request) -> Response:
    text = (await read(request, Text)).text if request.method == "POST" else request.query_params.get("text", "")
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(f"text must be {MOST_CHARACTERS} characters or less")
    return answer(explain(text))
