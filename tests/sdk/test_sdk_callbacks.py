"""Every callback that Passband sends is read by the official client's own models, to the last key."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import bandwidth
import pytest
from bandwidth.models import Callback, InboundCallback, StatusCallback

from cli.processes import APPLICATION, OURS, THEIRS, Serve, ask, configuration
from sdk.client import ACCOUNT, messages_api
from sdk.endpoint import Endpoint, Told

pytestmark = pytest.mark.slow

FRIEND = "+14085550177"
FAILING = "+19195554720"
ALL = 'requested = ["message-sending", "message-sent", "message-delivered", "message-failed"]'


class World:
    """A platform that tells everything, a client of it, and the endpoint that is told."""

    def __init__(self, serve: Serve, api: bandwidth.MessagesApi, endpoint: Endpoint) -> None:
        self._serve = serve
        self._api = api
        self.endpoint = endpoint

    def send(self, **fields: Any) -> str:
        """Send a message as the client does; return its id."""
        body = {"applicationId": APPLICATION, "to": [THEIRS], "from": OURS, "text": "Your table is ready", **fields}
        message = self._api.create_message(ACCOUNT, bandwidth.MessageRequest.from_dict(body))
        id_: str = message.id
        return id_

    def handset(self, **message: object) -> None:
        """Let a handset send a message to a number of ours."""
        answer = ask(f"{self._serve.admin}/admin/inbound", {"from": THEIRS, "to": OURS, **message})
        assert answer.status == 202, answer

    def told_of(self, id_: str, count: int) -> dict[tuple[str, str], Told]:
        """Return the callbacks of a message by type and recipient, once there are so many."""
        told = self.endpoint.wait_for(count, lambda event: event["message"]["id"] == id_)
        return {(one.event["type"], one.event["to"]): one for one in told}

    def received(self, text: str) -> Told:
        """Return the callback of the inbound message with this text."""
        return self.endpoint.wait_for(1, lambda event: event["message"]["text"] == text)[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Endpoint() as endpoint:
        folder: Path = tmp_path_factory.mktemp("sdk")
        config = configuration(folder, url=endpoint.url, application=ALL)
        with Serve(config) as serve, messages_api(serve.api) as api:
            yield World(serve, api, endpoint)


OUTBOUND_KEYS = ["id", "owner", "applicationId", "time", "segmentCount", "direction", "to", "from", "text"]


def read(told: Told) -> Any:
    """Read a callback with the client's models and return it; nothing in it is unknown to them, and no key is null."""
    assert told.headers["Content-Type"] == "application/json; charset=utf-8"
    assert told.headers["User-Agent"] == "BandwidthAPI/v2"
    callback = Callback.from_json(json.dumps(told.event)).actual_instance
    assert isinstance(callback, InboundCallback | StatusCallback)
    assert callback.additional_properties == callback.message.additional_properties == {}
    assert isinstance(callback.time, datetime)
    assert b"null" not in told.body
    assert list(told.event)[:5] == ["time", "type", "to", "description", "message"]
    assert list(told.event["message"])[:9] == OUTBOUND_KEYS
    return callback


def read_status(told: Told) -> StatusCallback:
    """Read a status callback; it also has what the models of 2023 demanded."""
    callback = read(told)
    assert isinstance(callback, StatusCallback)
    message = callback.message
    assert (message.owner, message.var_from, message.direction, message.text) == (OURS, OURS, "out", "")
    assert message.tag is not None
    assert message.priority is not None
    assert (callback.error_code is not None) == (callback.type == "message-failed")
    return callback


def test_an_sms_that_is_delivered(world: World) -> None:
    id_ = world.send(tag="booking 4711", priority="high")
    told = world.told_of(id_, 2)
    assert set(told) == {("message-sent", THEIRS), ("message-delivered", THEIRS)}
    for one in told.values():
        callback = read_status(one)
        assert (callback.message.id, callback.message.to, callback.message.tag) == (id_, [THEIRS], "booking 4711")
        assert (callback.message.priority, callback.message.segment_count) == ("high", 1)
        assert callback.message.media is None
    assert told["message-delivered", THEIRS].event["description"] == "ok"


def test_an_sms_that_fails(world: World) -> None:
    told = world.told_of(world.send(to=[FAILING]), 2)
    failed = read_status(told["message-failed", FAILING])
    assert (failed.error_code, failed.description) == (4720, "invalid-destination-address")
    assert (failed.message.tag, failed.message.priority) == ("", "default")


def test_an_sms_that_a_rule_refuses(world: World) -> None:
    id_ = world.send(to=["+12025550"])
    [failed] = world.told_of(id_, 1).values()
    assert (read_status(failed).error_code, failed.event["description"]) == (4303, "malformed-invalid-to-number")


def test_an_mms_is_sending_sent_and_delivered_with_its_media_unchanged(world: World) -> None:
    media = [f"{world.endpoint.url}/menu.png?table=4#top"]
    told = world.told_of(world.send(media=media, text=""), 3)
    assert {kind for kind, _ in told} == {"message-sending", "message-sent", "message-delivered"}
    for one in told.values():
        assert read_status(one).message.media == media
    assert told["message-sending", THEIRS].event["description"] == "Message is sending to carrier"
    assert told["message-delivered", THEIRS].event["description"] == "Message delivered to carrier"


def test_a_group_ends_once_for_each_recipient(world: World) -> None:
    everyone = [THEIRS, FAILING, FRIEND]
    id_ = world.send(to=everyone)
    ends = {"message-delivered", "message-failed"}
    told = world.endpoint.wait_for(3, lambda event: event["message"]["id"] == id_ and event["type"] in ends)
    assert {one.event["to"]: one.event["type"] for one in told} == {
        THEIRS: "message-delivered",
        FAILING: "message-failed",
        FRIEND: "message-delivered",
    }
    for one in world.told_of(id_, 3).values():
        assert read_status(one).message.to == everyone


def test_an_sms_that_is_received(world: World) -> None:
    world.handset(text="On my way, grüß Gott 🍕")
    told = world.received("On my way, grüß Gott 🍕")
    callback = read(told)
    assert isinstance(callback, InboundCallback)
    message = callback.message
    assert (callback.to, message.owner, message.to, message.var_from) == (OURS, OURS, [OURS], THEIRS)
    assert (message.direction, message.segment_count, message.application_id) == ("in", 1, APPLICATION)
    assert set(told.event["message"]) == set(OUTBOUND_KEYS), "no tag, no priority, no media"
    assert "🍕".encode() in told.body, "written as it is, not escaped"


def test_an_mms_that_is_received(world: World) -> None:
    world.handset(text="Look", media=[f"{world.endpoint.url}/IMG_2041.png"])
    told = world.received("Look")
    callback = read(told)
    assert isinstance(callback, InboundCallback)
    assert callback.message.segment_count == 1
    assert len(callback.message.media) == 1
    assert list(told.event["message"]) == [*OUTBOUND_KEYS, "media"]


def test_a_group_that_is_received_shows_everybody(world: World) -> None:
    world.handset(to=[OURS, FRIEND], text="All of you")
    callback = read(world.received("All of you"))
    assert isinstance(callback, InboundCallback)
    assert (callback.to, callback.message.to) == (OURS, [OURS, FRIEND])
