"""Appointment reminders: a patient is texted, and answers YES or NO.

A Flask application that uses the official client. It asks when an appointment is made, keeps what the patient answered,
and knows when a text could not be delivered, so that somebody can call instead. How it is tested, without sending
anything to anybody: test_reminders.py, beside this.

Try it by hand, in two terminals:

    passband dev --callback-url http://127.0.0.1:5000/events
    flask --app "reminders:create_app('http://127.0.0.1:8080/api/v2')" run
"""

import itertools
from typing import Any

import bandwidth
from flask import Flask, Response, jsonify, request

ACCOUNT = "5500123"
APPLICATION = "b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74"
OUR_NUMBER = "+19195550117"


def create_app(base_url: str, user: str = "demo", password: str = "demo") -> Flask:  # noqa: S107  (of `passband dev`)
    """Return the application; ``base_url`` is where messages are sent, and the only thing that a test changes."""
    app = Flask(__name__)
    client = bandwidth.ApiClient(
        bandwidth.Configuration(host=base_url, ignore_operation_servers=True, username=user, password=password)
    )
    messages = bandwidth.MessagesApi(client)
    appointments: dict[str, dict[str, Any]] = {}  # a real application has a database
    known: set[tuple[str, str, str]] = set()
    numbers = itertools.count(1)

    def text(to: str, words: str, tag: str = "") -> None:
        """Send a message. It is stored then, not delivered: what becomes of it, an event tells."""
        messages.create_message(
            ACCOUNT,
            bandwidth.MessageRequest.from_dict(
                {"applicationId": APPLICATION, "from": OUR_NUMBER, "to": [to], "text": words, "tag": tag}
            ),
        )

    @app.post("/appointments")
    def make_appointment() -> tuple[Response, int]:
        wanted = request.get_json()
        appointment = {"id": str(next(numbers)), "state": "asked", **wanted}
        appointments[appointment["id"]] = appointment
        text(
            appointment["patient"],
            f"Your appointment is on {appointment['day']} at {appointment['time']}. Reply YES or NO.",
            tag=appointment["id"],  # comes back in every event about this message
        )
        return jsonify(appointment), 201

    @app.get("/appointments/<id_>")
    def show_appointment(id_: str) -> Response:
        return jsonify(appointments[id_])

    @app.post("/events")
    def take_event() -> tuple[str, int]:
        for event in request.get_json():
            # The same event may come twice: when our answer to the first was lost, nobody knows that we had it.
            key = (event["message"]["id"], event["type"], event["to"])
            if key in known:
                continue
            known.add(key)
            if event["type"] == "message-received":
                answer(event["message"]["from"], event["message"]["text"])
            elif event["type"] == "message-failed" and event["message"]["tag"]:
                appointments[event["message"]["tag"]].update(state="call them", why=event["description"])
        return "", 204

    def answer(patient: str, words: str) -> None:
        """Deal with what a patient wrote."""
        theirs = [one for one in appointments.values() if one["patient"] == patient]
        if not theirs:
            text(patient, "We do not know your number. Please call us.")
        elif words.strip().upper() == "YES":
            theirs[-1]["state"] = "confirmed"
            text(patient, f"Thank you. See you on {theirs[-1]['day']}.")
        elif words.strip().upper() == "NO":
            theirs[-1]["state"] = "cancelled"
            text(patient, "Your appointment is cancelled.")
        else:
            text(patient, "Please reply YES or NO.")

    return app
