import json
import socket
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from passband.send import DONE, FAILED, POLL_SECONDS, USAGE, SendOptions, send
from send.api_server import ApiServer, Reply

APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
TO, ALSO = "+14085550142", "+19195554720"
ID = "1773044142317kq4zt7m2xw6yb3hd"
ACCEPTED = Reply(
    202,
    {
        "id": ID,
        "owner": "+19195550117",
        "applicationId": APPLICATION,
        "time": "2026-03-09T08:15:42.317Z",
        "segmentCount": 1,
        "direction": "out",
        "to": [TO],
        "from": "+19195550117",
        "text": "hello",
    },
)


def run(server: ApiServer | None, pauses: list[float] | None = None, **fields: Any) -> tuple[int, str]:
    """Send, and return the exit status and what was printed."""
    out = StringIO()
    url = {} if server is None else {"url": server.url}
    options = SendOptions(**{"to": (TO,), "application": APPLICATION, "text": "hello", **url, **fields})
    waited = [] if pauses is None else pauses
    console = Console(file=out, highlight=False)
    code = send(options, console, waited.append, console)
    return code, out.getvalue()


def test_a_message_is_posted_and_the_answer_shown() -> None:
    with ApiServer(ACCEPTED).running() as server:
        code, printed = run(server)
    assert code == DONE
    assert printed.startswith(f"accepted {ID}  +19195550117 to {TO}  1 segment  2026-03-09T08:15:42.317Z")
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/users/5500123/messages")
    assert asked.headers["authorization"] == "Basic ZGVtbzpkZW1v"
    assert asked.headers["content-type"].startswith("application/json")
    assert asked.body == {"applicationId": APPLICATION, "to": [TO], "from": "+19195550117", "text": "hello"}


def test_every_option_is_part_of_the_request() -> None:
    with ApiServer(ACCEPTED).running() as server:
        code, _ = run(
            server,
            to=(TO, ALSO),
            text="",
            sender="+19195550118",
            media=("https://cdn.example.org/menu.png",),
            tag="booking 4711",
            priority="high",
            expiration="2026-03-09T09:00:00Z",
            account="u-x/y",
        )
    assert code == DONE
    [asked] = server.asked
    assert asked.path == "/api/v2/users/u-x%2Fy/messages"
    assert asked.body == {
        "applicationId": APPLICATION,
        "to": [TO, ALSO],
        "from": "+19195550118",
        "media": ["https://cdn.example.org/menu.png"],
        "tag": "booking 4711",
        "priority": "high",
        "expiration": "2026-03-09T09:00:00Z",
    }


REFUSALS = {
    # label: reply, what must be printed
    "bad number": (
        Reply(
            400,
            {
                "type": "request-validation",
                "description": "Your request could not be accepted",
                "fieldErrors": [
                    {
                        "fieldName": "to",
                        "description": "'+1invalid' must be replaced with a valid E164 formatted telephone number",
                    }
                ],
            },
        ),
        ["nothing was sent", "  to: '+1invalid' must be replaced with a valid E164 formatted telephone number"],
    ),
    "credentials": (
        Reply(401, {"type": "unauthorized", "description": "Authentication Failed"}),
        ["User name or password are wrong", "Authentication Failed"],
    ),
    "account": (Reply(403, {"type": "forbidden", "description": "Access Denied"}), ["account 5500123"]),
    "path": (Reply(404, {"status": 404, "error": "Not Found"}), ["Its base ends in /api/v2"]),
    "queue": (
        Reply(429, {"type": "max-message-queue-size-exceeded", "description": "The SMS queue is full"}),
        ["queue is full; nothing was sent", "The SMS queue is full"],
    ),
    "our fault": (Reply(500, {"type": "internal-server-error", "description": "Internal server error."}), ["500"]),
    "not an API": (Reply(502, "<html>[/bad gateway]</html>"), ["502"]),
    "202 from something else": (Reply(202, "fine"), ["not that of a messaging API"]),
    "a redirect is not followed": (Reply(302, "", {"Location": "http://127.0.0.1:9/"}), ["302"]),
}


@pytest.mark.parametrize(("reply", "told"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_told_in_clear_words(reply: Reply, told: list[str]) -> None:
    with ApiServer(reply).running() as server:
        code, printed = run(server, wait=True)
    assert code == FAILED
    assert len(server.asked) == 1
    for words in told:
        assert words in printed


def test_nobody_listening_is_told_in_clear_words() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        code, printed = run(None, url=f"http://127.0.0.1:{port}/api/v2")
    assert code == FAILED
    assert "nobody listens at http://127.0.0.1" in printed
    assert "start it with `passband dev`" in printed


USAGE_ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "no recipient": ({"to": ()}, "--to"),
    "nothing to send": ({"text": ""}, "--text"),
    "no URL": ({"url": "127.0.0.1:8080"}, "is not a URL like http://127.0.0.1:8080/api/v2"),
    "no host": ({"url": "http:///api/v2"}, "names no host"),
    "no such port": ({"url": "http://127.0.0.1:80800/api/v2"}, "is not a URL like http://127.0.0.1:8080/api/v2"),
}


@pytest.mark.parametrize(("fields", "told"), USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_a_wrong_command_line_sends_nothing(fields: dict[str, Any], told: str) -> None:
    code, printed = run(None, **fields)
    assert code == USAGE
    assert told in printed


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def found(**statuses: str | tuple[str, int]) -> Reply:
    """Return a page of the search: n0="QUEUED", n1=("FAILED", 4720); n0 is TO, n1 is ALSO."""
    items = []
    for name, value in statuses.items():
        status, code = value if isinstance(value, tuple) else (value, 0)
        items.append({"destinationTn": {"n0": TO, "n1": ALSO}[name], "messageStatus": status, "errorCode": code})
    return Reply(200, {"totalCount": len(items), "pageInfo": {}, "messages": items})


LIVES = {
    # label: what the search shows, exit status, statuses and words printed in this order
    "delivered": ([found(n0="QUEUED"), found(n0="SENDING"), found(n0="DELIVERED")], DONE, ["QUEUED", "SENDING", "DEL"]),
    "each state is told once": ([found(n0="SENDING")] * 3 + [found(n0="DELIVERED")], DONE, ["SENDING", "DELIVERED"]),
    "failed": ([found(n0=("FAILED", 4720))], FAILED, ["FAILED", "4720 invalid-destination-address"]),
    "no receipt": ([found(n0="SENDING"), found(n0=("UNDELIVERED", 9902))], FAILED, ["9902 delivery-receipt-expired"]),
    "gone at once": ([found()], DONE, ["over: the application took its last event"]),
    "gone": ([found(n0="SENDING"), found()], DONE, ["SENDING", "over: the application took its last event"]),
    "a code of tomorrow": ([found(n0=("FAILED", 4999))], FAILED, ["4999\n"]),
    "search is busy": ([Reply(429, {}, {"Retry-After": "5"}), Reply(503, {}), found(n0="DELIVERED")], DONE, ["DEL"]),
    "search is refused": ([Reply(403, {"description": "Access Denied"})], FAILED, ["Access Denied"]),
    "a group ends one by one": (
        [found(n0="SENDING", n1="SENDING"), found(n0="SENDING", n1=("FAILED", 4720)), found(n0="DELIVERED")],
        FAILED,
        [f"{TO}  SENDING", f"{ALSO}  SENDING", f"{ALSO}  FAILED", f"{TO}  DELIVERED"],
    ),
    "one of a group is gone": (
        [found(n0="SENDING", n1="SENDING"), found(n0="SENDING"), found(n0="DELIVERED")],
        DONE,
        [f"{TO}  DELIVERED", f"{ALSO}  over"],
    ),
}


@pytest.mark.parametrize(("pages", "code", "told"), LIVES.values(), ids=LIVES.keys())
def test_waiting_tells_what_becomes_of_a_message(pages: list[Reply], code: int, told: list[str]) -> None:
    to = (TO, ALSO) if ALSO in str(pages) else (TO,)
    with ApiServer(ACCEPTED, *pages).running() as server:
        got, printed = run(server, to=to, wait=True)
    assert got == code
    searched = f"/api/v2/users/5500123/messages?messageId={ID}"
    assert searched in {asked.path for asked in server.asked[1:]} <= {searched, f"/admin/messages/{ID}"}
    at = 0
    for words in told:
        at = printed.index(words, at) + len(words)
    assert printed.count("  SENDING") <= len(to)


def test_waiting_ends_when_its_time_is_over() -> None:
    pauses: list[float] = []
    with ApiServer(ACCEPTED, found(n0="SENDING")).running() as server:
        code, printed = run(server, pauses, wait=True, wait_seconds=1.0)
    assert code == FAILED
    assert "Not over after 1 seconds" in printed
    assert pauses == [POLL_SECONDS] * 4


def test_waiting_asks_again_when_it_was_told_to() -> None:
    pauses: list[float] = []
    with ApiServer(ACCEPTED, Reply(429, {}, {"Retry-After": "5"}), found(n0="DELIVERED")).running() as server:
        assert run(server, pauses, wait=True)[0] == DONE
    assert pauses == [5.0]


def printed_json(*replies: Reply, **fields: Any) -> tuple[int, Any]:
    """Send, and return the exit status and the document that was printed on standard output."""
    out = StringIO()
    with ApiServer(*replies).running() as server:
        options = SendOptions(to=(TO, ALSO), application=APPLICATION, text="hello", url=server.url, json=True, **fields)
        code = send(options, Console(file=out), lambda seconds: None, Console(quiet=True))
    return code, json.loads(out.getvalue())


def test_a_program_gets_one_document_with_the_answer_as_it_came() -> None:
    code, document = printed_json(ACCEPTED)
    assert code == DONE
    assert document == {"status": 202, "answer": ACCEPTED.body, "over": None, "recipients": []}


def test_a_refusal_is_the_same_document_to_a_program() -> None:
    refusal = Reply(401, {"type": "unauthorized", "description": "Authentication Failed"})
    code, document = printed_json(refusal)
    assert code == FAILED
    assert document == {"status": 401, "answer": refusal.body, "over": None, "recipients": []}


def test_a_program_is_told_what_became_of_every_recipient() -> None:
    code, document = printed_json(ACCEPTED, found(n0="QUEUED", n1=("UNDELIVERED", 4720)), found(), wait=True)
    assert code == FAILED
    assert document["over"] is True
    assert document["recipients"] == [
        {"to": TO, "status": None, "errorCode": None, "description": None},
        {"to": ALSO, "status": "UNDELIVERED", "errorCode": 4720, "description": "invalid-destination-address"},
    ]


def test_a_program_is_told_that_the_time_is_over() -> None:
    code, document = printed_json(ACCEPTED, found(n0="QUEUED"), wait=True, wait_seconds=1)
    assert code == FAILED
    assert document["over"] is False
    assert document["recipients"][0]["status"] == "QUEUED"


def test_a_password_is_not_in_the_representation() -> None:
    assert "s3cret" not in repr(SendOptions(to=(TO,), application=APPLICATION, password="s3cret"))
