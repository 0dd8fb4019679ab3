"""The calls of the admin API that do something to the node."""

import math

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import BadRequest, answer, callback_key, problem, read
from passband.admin.clock import MOST_SECONDS
from passband.admin.faults import SORTS, NewFault
from passband.admin.panel import Panel
from passband.domain.error_codes import ERROR_CODES
from passband.domain.event import Endpoint
from passband.domain.message import Direction


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance: float


async def retry(panel: Panel, request: Request) -> Response:
    path = request.path_params
    known = path["direction"] in list(Direction)
    if not known or not panel.retry(Endpoint(path["account"], path["application"], Direction(path["direction"]))):
        return problem(404, "there is no such endpoint")
    return answer({}, 202)


async def forget_messages(panel: Panel, request: Request) -> Response:
    panel.journal.clear()
    panel.live.publish("messages-forgotten", {})
    return answer({})


async def retry_callback(panel: Panel, request: Request) -> Response:
    if not await panel.hurry(*callback_key(request)):
        return problem(404, "no such callback waits: it is over, or there never was one")
    return answer({}, 202)


async def faults(panel: Panel, request: Request) -> Response:
    assert panel.faults is not None
    sorts = [{"fault": name, "does": sort.does, "needs": sort.needs, "may": sort.may} for name, sort in SORTS.items()]
    codes = [{"code": code, "name": entry.friendly, "meaning": entry.meaning} for code, entry in ERROR_CODES.items()]
    return answer({"live": panel.live.cursor, "faults": panel.faults.view(), "sorts": sorts, "codes": codes})


async def add_fault(panel: Panel, request: Request) -> Response:
    assert panel.faults is not None
    return answer(panel.faults.add(await read(request, NewFault)).view(), 201)


async def remove_faults(panel: Panel, request: Request) -> Response:
    assert panel.faults is not None
    id_ = request.path_params.get("id")
    if not panel.faults.remove(id_) and id_:
        return problem(404, "there is no such fault")
    return answer({})


async def advance(panel: Panel, request: Request) -> Response:
    seconds = (await read(request, Advance)).advance
    if not (math.isfinite(seconds) and 0 < seconds <= MOST_SECONDS):
        raise BadRequest(f"advance must be above 0, at most {MOST_SECONDS:.0f} seconds; time does not go back")
    steps = await panel.advance(seconds)
    return answer({**panel.state(), "steps": steps})
