"""How an application that sends and receives texts is tested, from the first test to the nasty ones.

``passband`` is a fixture that comes with the package: a whole messaging platform, made for this test alone in ten
milliseconds, with telephones that you play. Nothing leaves the machine. Run it:

    pip install . pytest flask bandwidth-sdk
    pytest examples/reminders
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from reminders import create_app

from passband.testing import Passband

PATIENT = "+14085550142"


@pytest.fixture
def clinic(passband: Passband) -> FlaskClient:
    """The application: it sends to this Passband, and this Passband tells it what happens."""
    app = create_app(passband.base_url)
    passband.serve(app, callbacks="/events")
    return app.test_client()


def make_appointment(clinic: FlaskClient, patient: str = PATIENT) -> dict[str, Any]:
    answer = clinic.post("/appointments", json={"patient": patient, "day": "Tuesday", "time": "14:30"})
    made: dict[str, Any] = answer.get_json()
    return made


def state_of(clinic: FlaskClient, appointment: dict[str, Any]) -> str:
    state: str = clinic.get(f"/appointments/{appointment['id']}").get_json()["state"]
    return state


# 1. What did we send? `wait_for` returns the messages that arrived on a telephone, or could not.


def test_a_patient_is_asked(passband: Passband, clinic: FlaskClient) -> None:
    make_appointment(clinic)
    [message] = passband.wait_for(to=PATIENT)
    assert message.text.startswith("Your appointment is on Tuesday at 14:30.")
    assert message.segment_count == 1, "each segment costs money"


# 2. What do we do with an answer? `receive` plays the telephone, `settle` waits until nothing is on its way.


@pytest.mark.parametrize(
    ("words", "state", "reply"),
    [
        ("YES", "confirmed", "See you on Tuesday"),
        (" yes ", "confirmed", "See you on Tuesday"),
        ("No", "cancelled", "is cancelled"),
        ("Who is this?", "asked", "reply YES or NO"),
    ],
)
def test_a_patient_answers(passband: Passband, clinic: FlaskClient, words: str, state: str, reply: str) -> None:
    appointment = make_appointment(clinic)
    passband.receive(words, sender=PATIENT)
    passband.settle()
    assert state_of(clinic, appointment) == state
    assert passband.sent(to=PATIENT, text=reply)


def test_a_stranger_confirms_nothing(passband: Passband, clinic: FlaskClient) -> None:
    appointment = make_appointment(clinic)
    passband.receive("YES", sender="+14085550177")
    passband.settle()
    assert state_of(clinic, appointment) == "asked"
    passband.assert_nothing_sent(text="See you")


# 3. What if a text does not arrive? Fail the next one with any delivery error code.


def test_somebody_calls_a_patient_who_cannot_be_reached(passband: Passband, clinic: FlaskClient) -> None:
    passband.fail_next(4720)
    appointment = make_appointment(clinic)
    passband.wait_for_callbacks("message-failed")
    assert state_of(clinic, appointment) == "call them"


def test_a_text_of_which_nothing_is_heard_counts_as_lost_after_some_hours(
    passband: Passband, clinic: FlaskClient
) -> None:
    passband.fault("drop-receipt")
    appointment = make_appointment(clinic)
    passband.advance(hours=3)
    [told] = passband.wait_for_callbacks("message-failed")
    assert told.event["errorCode"] == 9902
    assert state_of(clinic, appointment) == "call them"


# 4. What if we are down? Events are tried again for 24 hours; you need not wait for them.


def test_an_answer_that_came_while_we_were_down_is_not_lost(passband: Passband, clinic: FlaskClient) -> None:
    appointment = make_appointment(clinic)
    passband.wait_for()
    passband.break_endpoint(503)
    passband.receive("YES", sender=PATIENT)
    passband.advance(hours=2)
    assert state_of(clinic, appointment) == "asked"
    passband.mend()
    passband.advance(hours=1)
    assert state_of(clinic, appointment) == "confirmed"


# 5. And if an event comes twice, because our answer to the first was lost?


def test_a_patient_is_not_thanked_twice(passband: Passband, clinic: FlaskClient) -> None:
    make_appointment(clinic)
    passband.wait_for()
    passband.settle()
    passband.fault("endpoint-lost-answer", times=1)
    passband.receive("YES", sender=PATIENT)
    passband.advance(minutes=5)
    [told] = passband.wait_for_callbacks("message-received")
    assert told.statuses == (0, 204), "the first answer was lost, the second arrived"
    assert len(passband.sent(text="Thank you")) == 1
