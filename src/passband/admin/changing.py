"""The calls of the admin API that change what is configured, while the platform runs: applications and numbers.

They take the settings of the configuration file, by the same names, and judge them by the same rules. Credentials go in
and never come out again.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import answer, choice, read
from passband.admin.listing import application_view, number_view
from passband.admin.panel import Panel
from passband.admin.provisioning import APPLICATION, NUMBER

LEAVES = ("file",)


async def put_application(panel: Panel, request: Request) -> Response:
    path = request.path_params
    fields = await read(request, dict[str, Any])
    application, is_new = await panel.provisioning.put_application(path["account"], path["id"], fields)
    return answer(application_view(panel, path["account"], application), 201 if is_new else 200)


async def put_number(panel: Panel, request: Request) -> Response:
    path = request.path_params
    fields = await read(request, dict[str, Any])
    number, is_new = await panel.provisioning.put_number(path["account"], path["number"], fields)
    return answer(number_view(panel, number), 201 if is_new else 200)


async def remove_application(panel: Panel, request: Request) -> Response:
    return await _remove(panel, request, APPLICATION, request.path_params["id"])


async def remove_number(panel: Panel, request: Request) -> Response:
    return await _remove(panel, request, NUMBER, request.path_params["number"])


async def _remove(panel: Panel, request: Request, kind: str, name: str) -> Response:
    leave_file = choice(request, "leave", LEAVES) != ""
    await panel.provisioning.remove(request.path_params["account"], kind, name, leave_file=leave_file)
    return Response(status_code=204)
