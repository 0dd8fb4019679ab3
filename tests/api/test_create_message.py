"""POST …/messages over a real connection: what is accepted, and what comes back."""

from typing import Any

import pytest

from api.service import ACCOUNT, NOW, PATH, Service, new_message
from passband.domain.errors import QueueFull, StoreUnavailable
from passband.domain.message import Priority

SAME_PATHS = [
    PATH,
    PATH + "/",
    f"/users/{ACCOUNT}/messages",
    f"/users/{ACCOUNT}/messages/",
    "/api/v2/users/%35500123/messages",
    PATH + "?whatever=1",
    "http://passband.test" + PATH,
]
OTHER_PATHS = [
    PATH + "//",
    PATH + "/nosuch",
    PATH + "/multiChannel",
    PATH.replace("messages", "Messages"),
    f"/api/v2/users/{ACCOUNT}",
    f"/api/v2/users/{ACCOUNT}/",
    f"/api/v2/users/{ACCOUNT}/media",
    "/api/v2/Users/5500123/messages",
    "/api/v2/users/",
    "/v2/users/5500123/messages",
    "/",
    "/docs/nosuch",
]
SAME_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON ;charset=x;a=b",
    "application/json;",
]
OTHER_TYPES = [
    ("text/plain; charset=UTF-8", "text/plain;charset=UTF-8"),
    ("text/plain ;  charset=utf-8 ; a=b", "text/plain;charset=utf-8;a=b"),
    ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
    ("application/jsonp", "application/jsonp"),
    ("", ""),
]


async def test_a_message_is_answered_with_the_documented_202(service: Service) -> None:
    reply = await service.post(new_message(tag="booking 4711", priority="high"))
    assert reply.status == 202
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "location" not in reply.headers
    id_ = reply.json["id"]
    assert id_.startswith(str(round(NOW * 1000)))
    assert reply.body.decode() == (
        f'{{"id":"{id_}","owner":"+19195550117","applicationId":"7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21",'
        '"time":"2026-03-09T08:15:42.317Z","segmentCount":1,"direction":"out","to":["+14085550142"],'
        '"from":"+19195550117","text":"Your table is ready","tag":"booking 4711","priority":"high"}'
    )
    assert service.accepted[0].priority is Priority.HIGH


@pytest.mark.parametrize("path", SAME_PATHS)
async def test_the_endpoint_has_several_addresses(service: Service, path: str) -> None:
    assert (await service.post(new_message(), path)).status == 202


@pytest.mark.parametrize("path", OTHER_PATHS)
async def test_any_other_path_is_unknown(service: Service, path: str) -> None:
    reply = await service.post(new_message(), path)
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/json;charset=UTF-8"
    assert reply.body.decode() == (
        '{"timestamp":"2026-03-09T08:15:42.317+0000","status":404,"error":"Not Found","message":"Not Found",'
        f'"path":"{path}"}}'
    )


@pytest.mark.parametrize("content_type", SAME_TYPES)
async def test_json_is_taken_with_any_parameters(service: Service, content_type: str) -> None:
    assert (await service.post(new_message(), Content_Type=content_type)).status == 202


@pytest.mark.parametrize(("content_type", "named"), OTHER_TYPES)
async def test_any_other_content_type_is_named_and_refused(service: Service, content_type: str, named: str) -> None:
    reply = await service.post(new_message(), Content_Type=content_type)
    assert reply.status == 415
    assert reply.json == {
        "type": "unsupported-content-type",
        "description": f"Content type '{named}' not supported. Please use 'application/json'",
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_any_other_method_is_refused_and_told_which_are_not(service: Service, method: str) -> None:
    reply = await service.request(method)
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, POST"
    if method != "HEAD":
        description = f"Method '{method}' not supported for this resource."
        assert reply.json == {"type": "method-not-allowed", "description": description}


FULL = [
    (QueueFull("sms", 1, 900), "SMS", "60", "900", "15"),
    (QueueFull("mms", 0.5, 450), "MMS", "30", "450", "15"),
    (QueueFull("sms", 5000, 4_500_000), "SMS", "300000", "4500000", "15"),
    (QueueFull("sms", 0.01, 36), "SMS", "0.6", "36", "60"),
]


@pytest.mark.parametrize(("error", "kind", "rate", "capacity", "minutes"), FULL)
async def test_a_full_queue_is_described_in_numbers(
    service: Service, error: QueueFull, kind: str, rate: str, capacity: str, minutes: str
) -> None:
    service.error = error
    reply = await service.post(new_message())
    assert reply.status == 429
    assert reply.json == {
        "type": "max-message-queue-size-exceeded",
        "description": f"The {kind} queue for your account is full and cannot accept more messages right now. "
        f"Your allowed rate is {rate} messages per minute. The capacity of this queue is {capacity} messages "
        f"({minutes} minutes). Reduce your message sending rate, or contact support to increase your allowed rate.",
    }


@pytest.mark.parametrize(("error", "status"), [(StoreUnavailable(), 503), (RuntimeError("disk on fire"), 500)])
async def test_a_fault_of_ours_tells_nothing_about_itself(service: Service, error: Exception, status: int) -> None:
    service.error = error
    reply = await service.post(new_message())
    assert reply.status == status
    assert reply.headers.get("retry-after") == ("1" if status == 503 else None)
    assert reply.body == (
        b'{"type":"internal-server-error","description":"Internal server error. No further information available"}'
    )


async def test_a_body_of_more_than_a_mebibyte_is_refused_unread(service: Service) -> None:
    reply = await service.post(b"{" + b" " * 1024 * 1024)
    assert reply.status == 400
    assert reply.body == b'{"type":"request-validation","description":"Your request could not be accepted"}'
    assert reply.headers["connection"] == "close"


async def test_a_body_in_chunks_is_taken(service: Service) -> None:
    wire = await service.connect()
    await wire.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZGVtbzpzZWNyZXQ=\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n{   }\r\n0\r\nTrailer: z\r\n\r\n" % PATH.encode()
    )
    assert [fault["fieldName"] for fault in (await wire.reply()).json["fieldErrors"]] == [
        "from",
        "text",
        "to",
        "applicationId",
    ]


ORDER: list[tuple[str, str, str, dict[str, str], Any, int]] = [
    ("nobody learns that the path is unknown", "PUT", PATH + "/x", {"Authorization": ""}, b"{", 401),
    (
        "nobody learns that the account is unknown",
        "POST",
        "/users/9/messages",
        {"Authorization": "Basic eDp5"},
        b"{",
        401,
    ),
    ("another account before its path", "PUT", "/users/5500999/x", {"Content-Type": "text/plain"}, b"{", 403),
    ("path before method", "PUT", PATH + "/x", {"Content-Type": "text/plain"}, b"{", 404),
    ("method before content type", "PUT", PATH, {"Content-Type": "text/plain"}, b"{", 405),
    ("content type before body", "POST", PATH, {"Content-Type": "text/plain"}, b"{", 415),
    ("body before queue", "POST", PATH, {}, b"{", 400),
]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"), [case[1:] for case in ORDER], ids=[case[0] for case in ORDER]
)
async def test_the_checks_are_made_in_the_documented_order(
    service: Service, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    service.error = QueueFull("sms", 1, 900)
    assert (await service.request(method, path, headers, body)).status == status
