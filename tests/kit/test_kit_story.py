"""A test that waited in vain is told what did happen: what arrived, what is pending, what came nearest."""

import urllib.error

import pytest

from kit.application import THEIRS, send
from passband.testing import Missed, Passband

OTHERS = "+14085550177"


def missed(passband: Passband, **wanted: str) -> str:
    """Return what a test is told that waits for a message in vain."""
    with pytest.raises(Missed) as caught:
        passband.wait_for(seconds=0.01, **wanted)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        pytest.param(
            {"to": THEIRS, "text": "table"},
            f'"Your tabel is ready" to {THEIRS} from +19195550117, tag booking 4711: delivered\n'
            '  but its text lacks "table"',
            id="another text",
        ),
        pytest.param({"to": "+14085550178", "text": "room"}, f"but it went to {OTHERS}", id="another recipient"),
        pytest.param({"tag": "booking 4713"}, "but its tag is 'booking 4711'", id="another tag"),
        pytest.param(
            {"to": THEIRS, "text": "room", "tag": "booking 4712"},
            f"but it went to {OTHERS} and its tag is 'booking 4711'",
            id="several things",
        ),
    ],
)
def test_the_message_that_came_nearest_is_named_and_what_it_lacks(
    passband: Passband, wanted: dict[str, str], nearest: str
) -> None:
    send(passband, "Your tabel is ready", tag="booking 4711")
    send(passband, "Your room is ready", OTHERS, tag="booking 4711")
    passband.wait_for(2)
    assert nearest in missed(passband, **wanted)


def test_a_message_that_fits_and_is_still_on_its_way_is_named(passband: Passband) -> None:
    passband.fault("drop-receipt", number=THEIRS)
    send(passband)
    passband.ask("GET", "/admin/messages?state=handed&wait=10")
    told = missed(passband, to=THEIRS)
    assert "it fits, but is not over: handed" in told
    assert f"drop-receipt (number {THEIRS}): receipts never come; so far once" in told


def test_where_nothing_was_accepted_the_address_and_the_refusals_are_told(passband: Passband) -> None:
    with pytest.raises(urllib.error.HTTPError):
        send(passband, password="wrong")
    told = missed(passband, to=THEIRS)
    assert f"the application sent: nothing that was accepted at {passband.base_url}" in told
    assert "once with 401: user or password" in told


def test_a_callback_that_was_not_acknowledged_is_told_with_its_answers_and_its_next_try(passband: Passband) -> None:
    passband.callbacks_to(f"{passband.url}/admin/nowhere")
    passband.receive("STOP")
    passband.settle()
    with pytest.raises(Missed) as caught:
        passband.wait_for_callbacks("message-received", seconds=0.01)
    told = str(caught.value)
    assert "1 message-received answered with 2xx: 0 after 0.01 s" in told
    assert 'nearest: message-received "STOP" to +19195550117: pending, answered 404 by' in told
    assert "; next try at " in told


def test_many_answers_are_told_as_the_first_and_the_last(passband: Passband) -> None:
    passband.break_endpoint(503)
    passband.receive("hello")
    passband.advance(hours=2)
    [told] = passband.callbacks()
    assert f"answered 503, 503, … {len(told.statuses) - 3} more …, 503 by" in str(told)


def test_what_nobody_answers_is_told_as_such(passband: Passband) -> None:
    passband.fault("endpoint-refuse", times=1)
    passband.receive("hello")
    passband.settle()
    [told] = passband.callbacks()
    assert "pending, no answer (connect) by" in str(told)


def test_a_message_that_should_not_have_been_sent_is_shown(passband: Passband) -> None:
    send(passband, "unwanted")
    with pytest.raises(Missed, match=f'no message to {THEIRS} was expected, 1 came: "unwanted"'.replace("+", r"\+")):
        passband.assert_nothing_sent(to=THEIRS)
    passband.assert_nothing_sent(to=OTHERS)


def test_the_story_has_what_handsets_sent_and_how_far_the_clock_was_moved(passband: Passband) -> None:
    passband.receive("On my way")
    passband.settle()
    passband.advance(minutes=90)
    story = passband.story()
    assert f'"On my way" to {passband.number} from {THEIRS}' in story
    assert "the clock is 1:30:00 ahead" in story
