"""Every documented error body, caused for real and compared to the octet."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.service import PATH, Reply, Service, new_message
from passband.domain.errors import QueueFull, SearchRateExceeded

ENTRIES = json.loads((Path(__file__).parent / "data" / "http-errors.json").read_text())

Cause = Callable[[Service], Awaitable[Reply]]


def posting(**fields: Any) -> Cause:
    return lambda service: service.post(new_message(**fields))


def asking(query: str) -> Cause:
    return lambda service: service.request("GET", f"{PATH}?{query}")


def failing(error: Exception, cause: Cause) -> Cause:
    def run(service: Service) -> Awaitable[Reply]:
        service.error = error
        return cause(service)

    return run


CAUSES: dict[str, Cause] = {
    "bad-json": lambda service: service.post(b"{"),
    "from-missing": posting(from_=...),
    "to-missing": posting(to=[]),
    "text-missing": posting(text=""),
    "number-invalid": posting(to=["+1invalid"]),
    "several": posting(from_=..., text=..., to=...),
    "application-missing": posting(applicationId=None),
    "to-too-many": posting(to=[f"+1408555{n:04}" for n in range(11)]),
    "text-too-long": posting(text="x" * 2049),
    "media-invalid": posting(media=["not media"]),
    "tag-too-long": posting(tag="x" * 1025),
    "priority-invalid": posting(priority="urgent"),
    "expiration-invalid": posting(expiration="2020-01-01T00:00:00Z"),
    "search-no-filter": asking("limit=5&nosuch=1"),
    "search-bad-param": asking("fromDateTime=2026-03-01T00:00:00Z"),
    "unauthorized": lambda service: service.post(new_message(), Authorization=""),
    "forbidden": lambda service: service.post(new_message(), "/api/v2/users/9999999/messages"),
    "unknown-path": lambda service: service.post(new_message(), PATH + "/nosuch"),
    "method-not-allowed": lambda service: service.request("PUT"),
    "unsupported-content-type": lambda service: service.post(new_message(), Content_Type="text/plain; charset=UTF-8"),
    "queue-full": failing(QueueFull("sms", 1, 900), posting()),
    "search-rate": failing(SearchRateExceeded(), asking("messageId=x")),
    "internal": failing(RuntimeError("disk on fire"), posting()),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])
async def test_an_error_is_answered_as_documented(service: Service, entry: dict[str, Any]) -> None:
    reply = await CAUSES[entry["id"]](service)
    assert reply.status == entry["status"]
    assert reply.headers["content-type"] == entry["content_type"]
    assert reply.body.decode() == json.dumps(entry["body"], separators=(",", ":"))
    for name, value in entry.get("headers", {}).items():
        assert reply.headers[name.lower()] == value
    assert service.accepted == []
