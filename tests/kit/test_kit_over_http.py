"""What tests in other languages ask of the admin API: to wait within a request, and to begin anew."""

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from kit.application import THEIRS, send
from passband.testing import KitFault, Passband


def ask(passband: Passband, path: str, **query: object) -> Any:
    return passband.ask("GET", f"{path}?{urlencode(query)}")


def test_one_request_waits_for_messages_that_are_over(passband: Passband) -> None:
    answers: list[Any] = []
    query = {"number": THEIRS, "direction": "out", "state": "over", "count": 2, "wait": 10}
    waiting = threading.Thread(target=lambda: answers.append(ask(passband, "/admin/messages", **query)))
    waiting.start()
    send(passband, "the first")
    send(passband, "another one", "+14085550177")
    send(passband, "the second")
    waiting.join()
    assert [one["text"] for one in answers[0]["messages"]] == ["the second", "the first"]
    assert {one["result"] for one in answers[0]["messages"]} == {"delivered"}


def test_one_request_waits_for_callbacks_of_a_type_that_were_answered(passband: Passband) -> None:
    passband.break_endpoint(times=1)
    passband.receive("hello")
    passband.settle()
    query = {"type": "message-received", "state": "acknowledged"}
    assert ask(passband, "/admin/callbacks", **query, wait=0.01)["callbacks"] == []
    assert ask(passband, "/admin/callbacks", type="message-failed")["callbacks"] == []
    passband.advance(minutes=1)
    [told] = ask(passband, "/admin/callbacks", **query, wait=10)["callbacks"]
    assert told["attemptCount"] == 2


def test_one_request_waits_for_what_the_inbox_receives(passband: Passband) -> None:
    send(passband)
    [received] = ask(passband, "/admin/inbox", wait=10)["received"]
    assert [event["type"] for event in json.loads(received["body"])] == ["message-delivered"]


def test_time_that_is_up_is_answered_with_what_is_there(passband: Passband) -> None:
    passband.receive("hello")
    assert len(ask(passband, "/admin/messages", count=2, wait=0.02)["messages"]) == 1


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon", ""])
def test_a_wait_that_is_none_is_refused(passband: Passband, wait: str) -> None:
    with pytest.raises(KitFault, match="wait must be from 0 to 60 seconds"):
        passband.ask("GET", f"/admin/inbox?wait={quote(wait)}")


def test_who_waits_does_not_hold_up_the_end() -> None:
    with Passband() as passband:
        host = passband.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("GET", "/admin/inbox?wait=60")
        passband.ask("GET", "/admin/inbox")  # by now the other one waits
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert connection.getresponse().status == 200
    connection.close()


def test_a_test_can_begin_anew_with_the_same_passband(passband: Passband) -> None:
    send(passband)
    passband.fail_next()
    passband.settle()
    for forgotten in ("messages", "inbox", "handsets", "faults"):
        passband.ask("DELETE", f"/admin/{forgotten}")
    assert (passband.sent(), passband.callbacks()) == ([], [])
    assert ask(passband, "/admin/inbox")["received"] == []
    send(passband, "anew")
    assert [(m.text, m.delivered) for m in passband.wait_for()] == [("anew", True)]
