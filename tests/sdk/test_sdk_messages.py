"""The official Python client sends and searches on ``passband dev``."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bandwidth
import pytest
from bandwidth.exceptions import (
    ApiException,
    BadRequestException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)

from cli.processes import OURS, THEIRS, Dev
from passband.config.developers import APPLICATION
from sdk.client import ACCOUNT, messages_api
from sdk.endpoint import Endpoint

pytestmark = pytest.mark.slow

FRIEND = "+14085550177"
FAILING = "+19195554720"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def dev(endpoint: Endpoint) -> Iterator[Dev]:
    with Dev("--callback-url", endpoint.url, "--history", "14") as dev:
        yield dev


@pytest.fixture
def api(dev: Dev) -> Iterator[bandwidth.MessagesApi]:
    with messages_api(dev.api) as api:
        yield api


def request(**fields: Any) -> bandwidth.MessageRequest:
    """Return a request as the client writes it; what is not given is that of an ordinary SMS."""
    return bandwidth.MessageRequest.from_dict(
        {"applicationId": APPLICATION, "to": [THEIRS], "from": OURS, "text": "Your table is ready", **fields}
    )


def ended(endpoint: Endpoint, message: Any) -> list[dict[str, Any]]:
    """Return the terminal events of a message, by recipient in its order."""
    told = endpoint.wait_for(len(message.to), lambda event: event["message"]["id"] == message.id)
    return sorted((t.event for t in told), key=lambda event: message.to.index(event["to"]))


def test_a_message_is_accepted_and_delivered(api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
    answer = api.create_message_with_http_info(ACCOUNT, request(tag="booking 4711"))
    assert answer.status_code == 202
    message = answer.data
    assert (message.owner, message.var_from, message.to, message.tag) == (OURS, OURS, [THEIRS], "booking 4711")
    assert (message.text, message.segment_count, message.direction) == ("Your table is ready", 1, "out")
    assert message.application_id == APPLICATION
    assert abs(message.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert message.additional_properties == {}
    [event] = ended(endpoint, message)
    assert (event["type"], event["message"]["tag"], event["message"]["text"]) == (
        "message-delivered",
        "booking 4711",
        "",
    )


def test_priority_and_expiration_come_back(api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
    expiration = "2100-01-01T00:00:00Z"
    message = api.create_message(ACCOUNT, request(priority="high", expiration=expiration))
    assert message.priority == "high"
    assert message.expiration == datetime(2100, 1, 1, tzinfo=UTC)
    [event] = ended(endpoint, message)
    assert event["message"]["priority"] == "high"


def test_a_group_ends_for_each_recipient(api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
    message = api.create_message(ACCOUNT, request(to=[THEIRS, FAILING, FRIEND]))
    assert (message.to, message.segment_count) == ([THEIRS, FAILING, FRIEND], 1)
    events = ended(endpoint, message)
    assert [(e["to"], e["type"]) for e in events] == [
        (THEIRS, "message-delivered"),
        (FAILING, "message-failed"),
        (FRIEND, "message-delivered"),
    ]
    assert {e["message"]["id"] for e in events} == {message.id}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"to": [FAILING]}, 4720, id="the carrier refuses it"),
        pytest.param({"to": ["+12025550"]}, 4303, id="an impossible recipient"),
        pytest.param({"to": [OURS]}, 4401, id="to itself"),
        pytest.param({"from": "+19195550199"}, 4405, id="a sender of nobody"),
        pytest.param({"applicationId": "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4"}, 4452, id="an unknown application"),
    ],
)
def test_what_fails_is_accepted_and_told(
    api: bandwidth.MessagesApi, endpoint: Endpoint, fields: dict[str, Any], code: int
) -> None:
    [event] = ended(endpoint, api.create_message(ACCOUNT, request(**fields)))
    assert (event["type"], event["errorCode"]) == ("message-failed", code)


def test_a_long_text_is_counted_in_segments(api: bandwidth.MessagesApi) -> None:
    assert api.create_message(ACCOUNT, request(text="x" * 161)).segment_count == 2
    assert api.create_message(ACCOUNT, request(text="🍕" * 36)).segment_count == 2


def test_400_has_the_fault_of_every_field(api: bandwidth.MessagesApi) -> None:
    wrong = {"to": ["+1408invalid"], "from": "nobody at all", "text": ""}
    with pytest.raises(BadRequestException) as caught:
        api.create_message(ACCOUNT, request(**wrong))
    error = caught.value.data
    assert (error.type, error.description) == ("request-validation", "Your request could not be accepted")
    assert [fault.field_name for fault in error.field_errors] == ["from", "text", "to"]
    assert error.field_errors[2].description == (
        "'+1408invalid' must be replaced with a valid E164 formatted telephone number"
    )


def test_401_403_and_404_are_what_the_client_expects(dev: Dev, api: bandwidth.MessagesApi) -> None:
    with messages_api(dev.api, password="wrong") as other, pytest.raises(UnauthorizedException) as unauthorized:
        other.create_message(ACCOUNT, request())
    error = unauthorized.value.data
    assert (error.type, error.description) == ("unauthorized", "Authentication Failed")
    with pytest.raises(ForbiddenException) as forbidden:
        api.create_message("5500124", request())
    assert (forbidden.value.data.type, forbidden.value.data.description) == ("forbidden", "Access Denied")
    with messages_api(f"{dev.base}/api/v3") as elsewhere, pytest.raises(NotFoundException) as unknown:
        elsewhere.create_message(ACCOUNT, request())
    assert unknown.value.status == 404


def test_429_tells_that_the_queue_is_full() -> None:
    with Dev("--rate", "0.01") as limited, messages_api(limited.api) as api:  # 9 segments in 15 minutes

        def overfill() -> None:
            for _ in range(12):
                api.create_message(ACCOUNT, request())

        with pytest.raises(ApiException) as caught:
            overfill()
        assert caught.value.status == 429
        error = caught.value.data
        assert error.type == "max-message-queue-size-exceeded"
        assert "The SMS queue for your account is full" in error.description
        assert "The capacity of this queue is 9 messages (15 minutes)." in error.description


def test_the_search_finds_what_is_over_where_there_is_a_history(api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
    message = api.create_message(ACCOUNT, request(to=[THEIRS, FAILING]))
    ended(endpoint, message)
    # The last acknowledgement is recorded a moment after it was given; ask until both recipients are told as over.
    for _ in range(200):
        found = api.list_messages(ACCOUNT, message_id=message.id)
        if {item.message_status for item in found.messages} <= {"DELIVERED", "FAILED", "UNDELIVERED"}:
            break
    assert (found.total_count, found.page_info.additional_properties) == (2, {})
    by_number = {item.destination_tn: item for item in found.messages}
    assert by_number[THEIRS].message_status == "DELIVERED"
    assert (by_number[FAILING].message_status, by_number[FAILING].error_code) == ("FAILED", 4720)
    for item in found.messages:
        assert (item.message_id, item.account_id, item.source_tn) == (message.id, ACCOUNT, OURS)
        assert (item.message_type, item.message_direction, item.recipient_count) == ("mms", "OUTBOUND", 2)
        assert item.receive_time == message.time
        assert item.additional_properties == {}


def test_pages_of_a_search_follow_each_other(api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
    sender_prefix = OURS[:8]
    ids = {api.create_message(ACCOUNT, request()).id for _ in range(5)}
    seen: list[str] = []
    token = None
    while True:
        page = api.list_messages(ACCOUNT, source_tn=sender_prefix, limit=2, sort="receiveTime:desc", page_token=token)
        seen += [item.message_id for item in page.messages]
        token = page.page_info.next_page_token
        if token is None or ids <= set(seen):
            break
    assert ids <= set(seen)


def test_a_search_for_everything_is_refused(api: bandwidth.MessagesApi) -> None:
    with pytest.raises(BadRequestException):
        api.list_messages(ACCOUNT)
