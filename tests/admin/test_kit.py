"""The kit for tests of applications, used as they would."""

import base64
import json
import time
import urllib.request

import pytest

from passband.kit import KitFault
from passband.listen import Catcher
from passband.pytest_plugin import passband as passband
from passband.pytest_plugin import passband_options as passband_options
from passband.testing import Passband

THEIRS = "+14085550142"


def send(passband: Passband, text: str = "Your table is ready", to: str | list[str] = THEIRS) -> str:
    """Do what an application does."""
    body = {"applicationId": passband.application, "from": passband.number, "to": to, "text": text}
    credentials = base64.b64encode(f"{passband.user}:{passband.password}".encode()).decode()
    request = urllib.request.Request(
        f"{passband.base_url}/users/{passband.account}/messages",
        json.dumps(body).encode(),
        {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        id_: str = json.load(response)["id"]
        return id_


def test_what_the_application_sends_can_be_waited_for(passband: Passband) -> None:
    id_ = send(passband)
    send(passband, "another", "+14085550177")
    [message] = passband.wait_for(to=THEIRS)
    assert (message.id, message.text, message.results) == (id_, "Your table is ready", ("delivered",))
    assert [m.text for m in passband.wait_for(2)] == ["Your table is ready", "another"]
    assert passband.sent(text="another")[0].to == ("+14085550177",)


def test_a_group_is_one_message_with_a_result_for_each(passband: Passband) -> None:
    send(passband, "both", [THEIRS, "+19195554720"])
    [message] = passband.wait_for()
    assert (message.to, message.results) == ((THEIRS, "+19195554720"), ("delivered", "failed"))
    assert message.error_codes == (0, 4720)


def test_the_next_message_fails_and_the_one_after_it_does_not(passband: Passband) -> None:
    passband.fail_next(4750)
    send(passband)
    [failed] = passband.wait_for()
    send(passband)
    _, fine = passband.wait_for(2)
    assert (failed.error_codes, fine.error_codes) == ((4750,), (0,))
    assert [told.event["errorCode"] for told in passband.wait_for_callbacks("message-failed")] == [4750]


def test_a_reply_reaches_the_application(passband: Passband) -> None:
    passband.receive("STOP", sender=THEIRS)
    [told] = passband.wait_for_callbacks("message-received")
    assert (told.event["message"]["text"], told.event["message"]["from"]) == ("STOP", THEIRS)
    assert told.statuses == (200,)


def test_a_broken_endpoint_is_retried_as_time_passes_until_it_is_mended(passband: Passband) -> None:
    passband.break_endpoint(503)
    passband.receive("hello")
    passband.advance(minutes=2)
    assert passband.callbacks()[0].state == "pending"
    passband.mend()
    passband.advance(minutes=10)
    [told] = passband.wait_for_callbacks()
    assert told.statuses[:2] == (503, 503)
    assert told.statuses[-1] == 200


def test_after_24_hours_an_event_is_given_up(passband: Passband) -> None:
    passband.break_endpoint()
    passband.receive("hello")
    passband.advance(hours=24)
    assert [told.state for told in passband.callbacks()] == ["expired"]


async def test_events_go_to_the_application_wherever_it_listens(passband: Passband) -> None:
    async with Catcher() as catcher:
        passband.callbacks_to(catcher.url)
        passband.receive("hello")
        [event] = await catcher.wait_for(1)
    assert event.message.text == "hello"


def test_what_does_not_come_is_told_with_what_came_instead(passband: Passband) -> None:
    send(passband, "this came")
    passband.wait_for()
    with pytest.raises(AssertionError, match="this came"):
        passband.wait_for(to="+14085550199", seconds=0.01)


def test_what_cannot_be_done_is_told(passband: Passband) -> None:
    with pytest.raises(KitFault, match="not a delivery error code"):
        passband.fail_next(1)


def test_another_one_starts_in_less_than_300_milliseconds(passband: Passband) -> None:
    fastest = 10.0
    for _ in range(3):  # the machine may be busy with something else
        started = time.perf_counter()
        with Passband():
            fastest = min(fastest, time.perf_counter() - started)
    assert fastest < 0.3
