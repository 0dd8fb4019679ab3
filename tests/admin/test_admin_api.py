"""What the console and other programs ask of a running node."""

import base64
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest

from admin.running import OTHERS, OURS, THEIRS, Running
from passband.admin.app import ENTRIES
from passband.admin.metrics import Held
from passband.admin.rates import Latency, Rates
from passband.config import developers
from passband.counts import Counts

ENDPOINT = f"/admin/callbacks/{developers.ACCOUNT}/{developers.APPLICATION}"


def states(message: dict[str, Any]) -> list[str]:
    return [step["state"] for step in message["history"]]


async def test_every_call_is_listed(dev: Running) -> None:
    listed = await dev.get("/admin")
    assert [(one["method"], one["path"]) for one in listed[:-1]] == [(entry.method, entry.path) for entry in ENTRIES]
    assert all(one["does"] for one in listed)


async def test_a_message_is_followed_from_the_post_to_the_acknowledged_callback(dev: Running) -> None:
    id_ = await dev.send(tag="booking 4711")
    (message,) = await dev.followed(id_)
    assert states(message) == ["queued", "sending", "handed", "delivered", "done"]
    assert (message["from"], message["to"], message["tag"], message["result"]) == (
        OURS,
        THEIRS,
        "booking 4711",
        "delivered",
    )
    (told,) = message["callbacks"]
    assert (told["type"], told["state"], told["attemptCount"]) == ("message-delivered", "acknowledged", 1)
    whole = await dev.get(f"/admin/callbacks/{told['key']}")
    assert whole["attempts"][0]["status"] == 200
    received = (await dev.get("/admin/inbox"))["received"]
    assert [one.lower() for one in whole["headers"]] == [one.lower() for one in received[0]["headers"]]
    assert [one["body"] for one in received] == [whole["body"]]
    assert (await dev.get(f"/admin/messages/{id_}"))["recipients"][0]["callbacks"][0]["body"] == whole["body"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("number=5550142", ["one"], id="number"),
        pytest.param("tag=two", ["two"], id="tag"),
        pytest.param("state=failed", ["three"], id="result"),
        pytest.param("state=done", ["three", "two", "one"], id="state, newest first"),
        pytest.param("state=in-flight", [], id="nothing is in flight"),
        pytest.param("state=done&limit=1", ["three"], id="limit"),
    ],
)
async def test_messages_are_found(dev: Running, query: str, found: list[str]) -> None:
    for to, tag in ((THEIRS, "one"), (OTHERS, "two"), ("+19195554720", "three")):
        await dev.followed(await dev.send(to=to, tag=tag))
    assert [one["tag"] for one in (await dev.get(f"/admin/messages?{query}"))["messages"]] == found


async def test_what_arrives_shows_on_the_handset_and_what_fails_does_not(dev: Running) -> None:
    id_ = await dev.send("hello")
    await dev.followed(id_)
    await dev.followed(await dev.send("never", to="+19195554720"))
    (handset,) = (await dev.get("/admin/handsets"))["handsets"]
    (bubble,) = handset["bubbles"]
    assert (handset["handset"], bubble["text"], bubble["messageId"], bubble["direction"]) == (
        THEIRS,
        "hello",
        id_,
        "out",
    )


async def test_a_reply_with_a_picture_reaches_the_application_and_shows_on_both_sides(dev: Running) -> None:
    picture = {"name": "a/b ü.png", "contentType": "image/png", "data": base64.b64encode(b"\x89PNG picture").decode()}
    await dev.receive("look", attachments=[picture])
    inbox = await dev.until("/admin/inbox", lambda answer: answer["received"])
    assert '"message-received"' in inbox["received"][0]["body"]
    (handset,) = (await dev.get("/admin/handsets"))["handsets"]
    async with dev.session.get(dev.base + handset["bubbles"][0]["media"][0]) as response:
        assert await response.read() == b"\x89PNG picture"
        assert response.content_type == "image/png"
        assert "sandbox" in response.headers["content-security-policy"]
    credentials = {"Authorization": f"Basic {base64.b64encode(b'demo:demo').decode()}"}
    async with dev.session.get(handset["bubbles"][0]["mediaUrls"][0], headers=credentials) as response:
        assert await response.read() == b"\x89PNG picture"


async def test_what_is_no_picture_is_for_download_only(dev: Running) -> None:
    page = {"name": "x.html", "contentType": "text/html", "data": base64.b64encode(b"<script>").decode()}
    await dev.receive("", attachments=[page])
    (handset,) = (await dev.get("/admin/handsets"))["handsets"]
    async with dev.session.get(dev.base + handset["bubbles"][0]["media"][0]) as response:
        assert (response.content_type, response.headers["content-disposition"]) == (
            "application/octet-stream",
            "attachment",
        )


async def test_a_group_is_on_all_its_handsets(dev: Running) -> None:
    await dev.followed(await dev.send("both of you", to=[THEIRS, OTHERS]))
    await dev.receive("lovely", to=[OURS, THEIRS], sender=OTHERS)
    handsets = {one["handset"]: one["bubbles"] for one in (await dev.get("/admin/handsets"))["handsets"]}
    for number, other in ((THEIRS, OTHERS), (OTHERS, THEIRS)):
        assert [bubble["text"] for bubble in handsets[number]] == ["both of you", "lovely"]
        assert {tuple(sorted(bubble["others"])) for bubble in handsets[number]} == {tuple(sorted((OURS, other)))}


async def test_24_hours_of_retries_pass_in_a_moment_and_then_the_callback_expires(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "endpoint-status", "status": 503})
    await dev.receive()
    await dev.until("/admin/callbacks", lambda answer: answer["callbacks"] and answer["callbacks"][0]["attemptCount"])
    moved = await dev.post("/admin/clock", {"advance": 86_400})
    assert moved["offset"] == 86_400
    (told,) = (await dev.get("/admin/callbacks"))["callbacks"]
    assert told["state"] == "expired"
    assert told["attemptCount"] > 40
    assert (await dev.get("/admin/messages?state=done"))["messages"][0]["history"][-1]["detail"] == (
        "message-received expired untold"
    )


async def test_who_gets_no_receipt_fails_when_its_window_is_over(dev: Running) -> None:
    id_ = await dev.send(to="+19195559902")
    await dev.followed(id_, "handed")
    await dev.post("/admin/clock", {"advance": 7200})
    (message,) = await dev.followed(id_)
    assert (message["result"], message["errorCode"]) == ("failed", 9902)


async def test_what_waits_is_tried_now(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "endpoint-refuse", "times": 1})
    await dev.receive()
    await dev.until("/admin/callbacks?state=pending", lambda a: a["callbacks"] and a["callbacks"][0]["due"])
    await dev.ask("POST", f"{ENDPOINT}/in/retry", status=202)
    (told,) = (await dev.until("/admin/callbacks", lambda a: a["callbacks"][0]["state"] != "pending"))["callbacks"]
    assert (told["state"], told["attemptCount"]) == ("acknowledged", 2)
    endpoints = {one["direction"]: one for one in (await dev.get("/admin/callbacks"))["endpoints"]}
    assert endpoints["in"]["last"]["status"] == 200
    assert endpoints["out"]["last"] is None


async def test_one_callback_is_tried_now_and_the_others_wait_on(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "endpoint-refuse", "times": 2})
    for text in ("one", "two"):
        await dev.receive(text)
    waiting = await dev.until(
        "/admin/callbacks?state=pending", lambda a: [one["attemptCount"] for one in a["callbacks"]] == [1, 1]
    )
    other, chosen = waiting["callbacks"]
    await dev.ask("POST", f"/admin/callbacks/{chosen['key']}/retry", status=202)
    answer = await dev.until("/admin/callbacks", lambda a: any(c["state"] != "pending" for c in a["callbacks"]))
    states = {one["key"]: (one["state"], one["attemptCount"]) for one in answer["callbacks"]}
    assert states == {chosen["key"]: ("acknowledged", 2), other["key"]: ("pending", 1)}
    over = await dev.ask("POST", f"/admin/callbacks/{chosen['key']}/retry", status=404)
    assert over == {"description": "no such callback waits: it is over, or there never was one"}


async def test_at_a_failing_endpoint_the_chosen_callback_is_the_probe(dev: Running) -> None:
    fault = await dev.post("/admin/faults", {"fault": "endpoint-refuse"})
    for text in ("one", "two", "three"):
        await dev.receive(text)
    path = "/admin/callbacks?state=pending"
    await dev.until(path, lambda a: [one["attemptCount"] for one in a["callbacks"]] == [1, 1, 1])
    assert (await dev.get(path))["endpoints"][0]["failing"]
    newest = (await dev.get(path))["callbacks"][0]["key"]
    await dev.ask("POST", f"/admin/callbacks/{newest}/retry", status=202)
    found = await dev.until(path, lambda a: sum(one["attemptCount"] for one in a["callbacks"]) == 4)
    assert {one["key"] for one in found["callbacks"] if one["attemptCount"] == 2} == {newest}
    await dev.ask("DELETE", f"/admin/faults/{fault['id']}")
    await dev.ask("POST", f"/admin/callbacks/{newest}/retry", status=202)
    recovered = await dev.until("/admin/callbacks", lambda a: all(c["state"] != "pending" for c in a["callbacks"]))
    assert [one["state"] for one in recovered["callbacks"]] == ["acknowledged"] * 3


async def test_segments_are_explained(dev: Running) -> None:
    cut = await dev.get("/admin/segments?text=Men%C3%BC%20%E2%80%93%2045%20%E2%82%AC")
    assert (cut["encoding"], cut["segmentCount"]) == ("ucs2", 1)
    assert [(one["codePoint"], one["name"], one["places"]) for one in cut["forcing"]] == [("U+2013", "EN DASH", [5])]
    long = await dev.post("/admin/segments", {"text": "€" * 100})
    assert (long["encoding"], long["segmentCount"], long["units"]) == ("gsm7", 2, 200)
    assert long["double"][0]["count"] == 100
    assert "".join(part["text"] for part in long["segments"]) == "€" * 100


async def test_what_is_counted_before_the_first_sample_is_in_it(dev: Running) -> None:
    node = dev.node
    rates = Rates(node.panel.live, Counts({("accepted", "sms"): 1}), node.store, lambda: Held(0, 0, [], {}), time.time)
    rates.sample()
    rates.sample()
    series = {one["name"]: one["values"] for one in rates.view(1)["series"]}
    assert series["accepted"] == [1, 0]


async def test_the_last_hour_is_told_in_numbers(dev: Running) -> None:
    await dev.followed(await dev.send())
    dev.node.panel.rates.sample()
    rates = await dev.get("/admin/rates?step=1")
    series = {one["name"]: one["values"] for one in rates["series"]}
    assert sum(series["accepted"]) == sum(series["acknowledged"]) == 1
    assert 0 < max(filter(None, series["storedInP50"])) <= max(filter(None, series["storedInP99"]))
    assert [one["carrier"] for one in rates["links"]] == ["on-net", "simulator"]
    assert {one["direction"] for one in rates["endpoints"]} == {"in", "out"}
    minutes = {one["name"]: one["values"] for one in (await dev.get("/admin/rates"))["series"]}
    assert len(minutes["accepted"]) == 1
    dev.node.panel.rates.sample()
    last = await dev.get("/admin/rates?step=1&last=1")
    assert {one["name"]: one["values"] for one in last["series"]}["handedInP95"] == [None]


@pytest.mark.parametrize(
    ("milliseconds", "percentiles"),
    [
        pytest.param([5], [5, 5, 5], id="one"),
        pytest.param(range(1, 101), [50, 95, 99], id="a hundred"),
        pytest.param([1] * 99 + [1000], [1, 1, 1], id="one of a hundred is slow"),
        pytest.param([1] * 90 + [80] * 9 + [1000], [1, 80, 80], id="ten of a hundred are slow"),
    ],
)
def test_percentiles_are_those_of_the_samples_since_the_last(
    milliseconds: Sequence[int], percentiles: list[float]
) -> None:
    latency = Latency()
    for sample in milliseconds:
        latency.sample(sample / 1000)
    assert latency.take() == percentiles
    assert all(map(math.isnan, latency.take()))


async def test_the_stations_count_all_that_is_followed_whatever_is_searched_for(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "drop-receipt", "times": 1})
    await dev.followed(await dev.send(), "handed")
    await dev.followed(await dev.send(tag="another"))
    assert (await dev.get("/admin/messages?tag=another&limit=1"))["counts"] == {"handed": 1, "done": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        pytest.param("POST", "/admin/inbound", {"from": "+1x", "to": OURS}, 400, "not a telephone number", id="sender"),
        pytest.param("POST", "/admin/inbound", {"to": OURS}, 400, "`from`", id="no sender"),
        pytest.param("POST", "/admin/inbound", {"from": THEIRS, "to": []}, 400, "to is empty", id="nobody"),
        pytest.param("POST", "/admin/inbound", {"from": THEIRS, "to": THEIRS, "attachments": [
            {"name": "a", "contentType": "image/png", "data": ""}]}, 400, "none of these numbers is", id="not ours"),
        pytest.param("POST", "/admin/inbound", {"from": THEIRS, "to": OURS, "attachments": [
            {"name": "a", "contentType": "image/png", "data": "!"}]}, 400, "not base64", id="not base64"),
        pytest.param("POST", "/admin/inbound", {"from": THEIRS, "to": OURS, "attachments": [
            {"name": "a", "contentType": "image/png", "data": "é"}]}, 400, "not base64", id="not even ASCII"),
        pytest.param("POST", "/admin/inbound", {"from": THEIRS, "to": OURS, "txt": "x"}, 400, "`txt`", id="misspelt"),
        pytest.param("POST", "/admin/inbound", [], 400, "must be the JSON object", id="not an object"),
        pytest.param("POST", "/admin/clock", {"advance": "60"}, 400, "`$.advance`", id="seconds as a string"),
        pytest.param("POST", "/admin/segments", {"text": 1}, 400, "`$.text`", id="a text that is a number"),
        pytest.param("POST", "/admin/segments", {"text": "x" * 10_001}, 400, "10000 characters", id="a long text"),
        pytest.param("POST", "/admin/callbacks/a/b/0/9/retry", None, 400, "slot", id="no such slot to retry"),
        pytest.param("POST", "/admin/callbacks/a/b/0/2/retry", None, 404, "no such callback", id="nothing to retry"),
        pytest.param("GET", "/admin/messages?state=lost", None, 400, "one of queued, sending", id="no such state"),
        pytest.param("GET", "/admin/callbacks?type=sent", None, 400, "one of message-", id="no such event"),
        pytest.param("GET", "/admin/nothing", None, 404, "Not Found", id="no such call"),
        pytest.param("PUT", "/admin/faults", None, 405, "Method Not Allowed", id="no such method"),
        pytest.param("POST", "/admin/clock", {"advance": -1}, 400, "time does not go back", id="back in time"),
        pytest.param("POST", "/admin/clock", {"advance": 1e300}, 400, "at most", id="the end of time"),
        pytest.param("POST", "/admin/faults", {"fault": "flood"}, 400, "must be one of", id="no such fault"),
        pytest.param("POST", "/admin/faults", {"fault": "fail"}, 400, "code: fail needs it", id="a field is missing"),
        pytest.param("POST", "/admin/faults", {"fault": "fail", "code": 1}, 400, "not a delivery error", id="code"),
        pytest.param("POST", "/admin/faults", {"fault": "link-down", "rate": 1}, 400, "does not go with", id="a field"),
        pytest.param("DELETE", "/admin/faults/f9", None, 404, "no such fault", id="no such fault to delete"),
        pytest.param("POST", f"{ENDPOINT}/up/retry", None, 404, "no such endpoint", id="no such direction"),
        pytest.param("POST", "/admin/callbacks/a/b/in/retry", None, 404, "no such endpoint", id="no such endpoint"),
        pytest.param("GET", "/admin/messages/none", None, 404, "no such message", id="no such message"),
        pytest.param("GET", "/admin/callbacks/a/b/0/x", None, 400, "slot", id="slot"),
        pytest.param("GET", "/admin/callbacks/a/b/0/2", None, 404, "no such callback", id="no such callback"),
        pytest.param("GET", "/admin/messages?limit=0", None, 400, "limit must be", id="limit"),
        pytest.param("GET", "/admin/rates?step=7", None, 400, "step must be", id="step"),
        pytest.param("GET", "/admin/handsets/media/1/0", None, 404, "no such picture", id="no such picture"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_told(
    dev: Running, method: str, path: str, body: Any, status: int, says: str
) -> None:
    assert says in (await dev.ask(method, path, body, status=status))["description"]
