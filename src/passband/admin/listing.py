"""The calls of the admin API that list what is configured: numbers, and applications with where their events go."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import answer, number
from passband.admin.panel import Panel
from passband.admin.provisioning import APPLICATION, NUMBER
from passband.domain.account import Account, Application, Number

View = dict[str, Any]

MOST = 10_000


async def numbers(panel: Panel, request: Request) -> Response:
    """Answer with our numbers; ``total`` counts those of the account that is asked for, or of all."""
    accounts = _accounts(panel, request)
    listed = (number_view(panel, own) for account in accounts for own in account.numbers.values())
    removed = _removed(panel, request, NUMBER, "number")
    return _page(request, "numbers", sum(len(account.numbers) for account in accounts), listed, removed)


async def applications(panel: Panel, request: Request) -> Response:
    """Answer with the applications, in the same way."""
    accounts = _accounts(panel, request)
    listed = (
        application_view(panel, account.id, application)
        for account in accounts
        for application in account.applications.values()
    )
    removed = _removed(panel, request, APPLICATION, "id")
    return _page(request, "applications", sum(len(account.applications) for account in accounts), listed, removed)


def number_view(panel: Panel, own: Number) -> View:
    """Return one of our numbers as JSON."""
    return {
        "number": own.number,
        "account": own.account,
        "application": own.application,
        "carrier": own.carrier,
        "rate": own.rate,
        "enabled": own.enabled,
        "setBy": _set_by(panel, own.account, NUMBER, own.number),
    }


def application_view(panel: Panel, account: str, application: Application) -> View:
    """Return an application as JSON, without its credentials; ``requested`` is None where it wants the default."""
    return {
        "id": application.id,
        "account": account,
        "name": application.name,
        "inboundUrl": application.inbound_url,
        "outboundUrl": application.outbound_url,
        "requested": None if application.requested is None else sorted(application.requested),
        "setBy": _set_by(panel, account, APPLICATION, application.id),
    }


def _set_by(panel: Panel, account: str, kind: str, name: str) -> str:
    return "admin" if panel.provisioning.is_set(account, kind, name) else "file"


def _removed(panel: Panel, request: Request, kind: str, key: str) -> list[View]:
    """Return what the file has and the admin API has taken away."""
    wanted = request.query_params.get("account", "")
    gone = panel.provisioning.removed(kind)
    return [{key: name, "account": account} for account, name in gone if wanted in ("", account)][:MOST]


def _accounts(panel: Panel, request: Request) -> list[Account]:
    wanted = request.query_params.get("account", "")
    return [account for account in panel.rules.directory.accounts.values() if wanted in ("", account.id)]


def _page(request: Request, name: str, total: int, listed: Iterable[View], removed: list[View]) -> Response:
    page = list(islice(listed, number(request, "limit", 200, MOST)))
    return answer({"total": total, name: page, "removed": removed})
