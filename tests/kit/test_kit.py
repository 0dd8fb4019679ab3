"""The kit for tests of applications, used as they would."""

import threading
import time
from pathlib import Path

import pytest
import structlog

from kit.application import THEIRS, send
from passband.listen import Catcher
from passband.testing import PICTURE, File, KitFault, Passband


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


def test_what_cannot_be_done_is_told(passband: Passband) -> None:
    with pytest.raises(KitFault, match="not a delivery error code"):
        passband.fail_next(1)


def test_another_one_starts_in_less_than_300_milliseconds(passband: Passband) -> None:
    fastest = 10.0
    for _ in range(20):  # the machine may be busy with something else
        started = time.perf_counter()
        with Passband():
            fastest = min(fastest, time.perf_counter() - started)
        if fastest < 0.3:
            break
    assert fastest < 0.3


def test_messages_are_chosen_by_recipient_text_and_tag(passband: Passband) -> None:
    send(passband, "Your table is ready", tag="booking 4711")
    send(passband, "Your room is ready", to="+14085550177", tag="booking 4712")
    passband.wait_for(2, text="is ready")
    assert [m.text for m in passband.sent(tag="booking 4711")] == ["Your table is ready"]
    assert [m.tag for m in passband.sent(text="room", to="+14085550177")] == ["booking 4712"]
    assert passband.sent(text="room", to=THEIRS) == []


def test_a_handset_sends_pictures_from_memory_from_the_disk_and_by_address(passband: Passband, tmp_path: Path) -> None:
    (tmp_path / "menu.png").write_bytes(PICTURE.octets)
    passband.receive("look", media=[PICTURE, tmp_path / "menu.png", "https://example.com/cat.gif"])
    passband.receive("a card", media=[File("me.vcf", "text/vcard", b"BEGIN:VCARD")])
    first, second = passband.wait_for_callbacks("message-received", 2)
    names = sorted(url.rpartition("/")[2] for url in first.event["message"]["media"])
    assert names == ["cat.gif", "menu.png", "picture.png"]
    assert second.event["message"]["media"][0].endswith("/me.vcf")


def test_a_handset_sends_to_a_group(passband: Passband) -> None:
    passband.receive("all of you", to=[passband.number, "+14085550177"])
    [told] = passband.wait_for_callbacks("message-received")
    assert told.event["message"]["to"] == [passband.number, "+14085550177"]


def test_status_events_may_go_elsewhere_than_what_comes_in() -> None:
    with Passband() as second, Passband() as first:
        with Passband(callback_url=f"{first.url}/inbox", status_url=f"{second.url}/inbox") as passband:
            passband.receive("hello")
            send(passband)
            passband.settle()
        received = [len(one.ask("GET", "/admin/inbox")["received"]) for one in (first, second)]
    assert received == [1, 1]


def test_nothing_is_on_its_way_once_all_has_settled(passband: Passband) -> None:
    passband.break_endpoint(times=1)
    send(passband)
    passband.settle()
    [message], [told] = passband.sent(), passband.callbacks()
    assert (message.delivered, told.state, told.statuses) == (True, "pending", (503,))
    assert told.due


def test_what_waits_for_the_carrier_has_not_settled(passband: Passband) -> None:
    passband.fault("link-down")
    send(passband)
    with pytest.raises(AssertionError, match=r"1 on the way still after 0.01 s"):
        passband.settle(seconds=0.01)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        pytest.param({"numbers": ["12"]}, r"numbers\[0\].number: must be a number", id="no number"),
        pytest.param({"numbers": []}, "needs one at least", id="no numbers"),
        pytest.param({"callback_url": "ftp://there"}, "must be an absolute http or https URL", id="no URL"),
        pytest.param({"status_url": "there"}, "must be an absolute http or https URL", id="no URL for status events"),
    ],
)
def test_what_it_cannot_be_started_with_is_told(options: dict[str, object], fault: str) -> None:
    with pytest.raises(KitFault, match=fault):
        Passband(**options).__enter__()  # type: ignore[arg-type]


def test_a_port_that_is_taken_is_told_and_free_again_afterwards() -> None:
    with Passband() as passband:
        port = int(passband.url.rpartition(":")[2])
        with pytest.raises(KitFault, match="address already in use"):
            Passband(port=port).__enter__()
    with Passband(port=port) as again:
        assert again.url == f"http://127.0.0.1:{port}"


def test_outside_its_block_it_says_that_it_is_not_running() -> None:
    passband = Passband()
    with passband, pytest.raises(KitFault, match="is running already"):
        passband.__enter__()
    with pytest.raises(KitFault, match="is not running"):
        passband.sent()
    with passband:
        passband.receive("it can be started again")


def test_nothing_is_left_of_it() -> None:
    threads = set(threading.enumerate())
    with Passband() as passband:
        folder = passband._running._folder
        assert folder.exists()
    assert not folder.exists()
    assert set(threading.enumerate()) <= threads
    assert not structlog.is_configured(), "how an application logs is its own affair"


def test_two_of_them_know_nothing_of_each_other() -> None:
    with Passband() as one, Passband() as other:
        one.receive("for one")
        other.receive("for the other")
        one.settle()
        other.settle()
        assert [[told.text for told in p.callbacks()] for p in (one, other)] == [["for one"], ["for the other"]]
