"""Faults on demand: what each of them does to a message, and that nothing is left of it afterwards."""

from typing import Any

import pytest

from admin.running import OTHERS, THEIRS, Running


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param({"fault": "fail", "code": 4720}, "message-failed", id="fails with a code"),
        pytest.param({"fault": "repeat-receipt"}, "message-delivered", id="receipts twice"),
        pytest.param({"fault": "early-receipt"}, "message-delivered", id="receipts before the response"),
        pytest.param({"fault": "delay", "seconds": 0.02}, "message-delivered", id="late"),
        pytest.param({"fault": "late-receipt", "seconds": 0.02}, "message-delivered", id="late receipts"),
        pytest.param({"fault": "slow-carrier", "rate": 1000}, "message-delivered", id="slow carrier"),
    ],
)
async def test_whatever_the_network_does_one_terminal_event_is_told(
    dev: Running, fault: dict[str, Any], told: str
) -> None:
    await dev.post("/admin/faults", fault)
    (message,) = await dev.followed(await dev.send("x" * 200))
    assert [one["type"] for one in message["callbacks"]] == [told]
    assert message["errorCode"] == fault.get("code")


async def test_a_fault_concerns_only_whom_it_names_and_ends_when_it_is_used_up(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "fail", "code": 4750, "number": THEIRS, "times": 1})
    codes = []
    for to in (OTHERS, THEIRS, THEIRS):
        (message,) = await dev.followed(await dev.send(to=to))
        codes.append(message["errorCode"])
    assert codes == [None, 4750, None]
    assert (await dev.get("/admin/faults"))["faults"] == []


@pytest.mark.parametrize(
    ("whom", "concerned"),
    [
        pytest.param({"prefix": "+1408"}, True, id="its prefix"),
        pytest.param({"prefix": "+1919"}, False, id="another prefix"),
        pytest.param({"account": "5500123"}, True, id="its account"),
        pytest.param({"account": "5500124"}, False, id="another account"),
    ],
)
async def test_a_fault_may_concern_a_prefix_or_an_account(dev: Running, whom: dict[str, str], concerned: bool) -> None:
    await dev.post("/admin/faults", {"fault": "fail", "code": 4720, **whom})
    (message,) = await dev.followed(await dev.send())
    assert (message["result"] == "failed") is concerned


async def test_without_a_receipt_a_message_stays_handed(dev: Running) -> None:
    await dev.post("/admin/faults", {"fault": "drop-receipt", "times": 1})
    lost = await dev.send()
    await dev.followed(lost, "handed")
    told = await dev.send()
    await dev.followed(told)
    states = {one["id"]: one["state"] for one in (await dev.get("/admin/messages"))["messages"]}
    assert states == {lost: "handed", told: "done"}


@pytest.mark.parametrize(
    ("fault", "before", "after"),
    [
        pytest.param("late-receipt", ["hello"], ["hello"], id="only the receipt is late"),
        pytest.param("delay", [], ["hello"], id="the message is late"),
    ],
)
async def test_a_minute_late_is_a_minute_of_the_nodes_clock(
    dev: Running, fault: str, before: list[str], after: list[str]
) -> None:
    await dev.post("/admin/faults", {"fault": fault, "seconds": 60, "times": 1})

    async def arrived() -> list[str]:
        return [one["text"] for phone in (await dev.get("/admin/handsets"))["handsets"] for one in phone["bubbles"]]

    id_ = await dev.send("hello")
    await dev.followed(id_, "handed")
    assert await arrived() == before
    await dev.post("/admin/clock", {"advance": 60})
    await dev.followed(id_)
    assert await arrived() == after


async def test_while_the_link_is_down_messages_wait_and_then_go(dev: Running) -> None:
    fault = await dev.post("/admin/faults", {"fault": "link-down"})
    id_ = await dev.send()
    await dev.followed(id_, "queued")
    assert (
        "not running"
        in (await dev.ask("POST", "/admin/inbound", {"from": THEIRS, "to": "+19195550117"}, status=503))["description"]
    )
    await dev.ask("DELETE", f"/admin/faults/{fault['id']}")
    await dev.followed(id_)


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        pytest.param({"fault": "endpoint-status", "status": 418}, [418, 200], id="a status"),
        pytest.param({"fault": "endpoint-refuse"}, ["connect", 200], id="refused"),
        pytest.param({"fault": "endpoint-timeout", "seconds": 0.01}, ["timeout", 200], id="no answer"),
        pytest.param({"fault": "endpoint-slow", "seconds": 0.01}, [200], id="late"),
        pytest.param({"fault": "endpoint-lost-answer"}, ["connect", 200], id="the answer is lost"),
    ],
)
async def test_an_endpoint_misbehaves_once_and_is_told_again(
    dev: Running, fault: dict[str, Any], answers: list[object]
) -> None:
    await dev.post("/admin/faults", {**fault, "times": 1})
    await dev.receive()
    await dev.until("/admin/callbacks", lambda a: a["callbacks"] and a["callbacks"][0]["attemptCount"])
    await dev.post("/admin/clock", {"advance": 10})
    found = await dev.until("/admin/callbacks", lambda a: a["callbacks"][0]["state"] == "acknowledged")
    whole = await dev.get(f"/admin/callbacks/{found['callbacks'][0]['key']}")
    assert [one["error"] or one["status"] for one in whole["attempts"]] == answers
    heard = 2 if fault["fault"] == "endpoint-lost-answer" else 1
    assert len((await dev.get("/admin/inbox"))["received"]) == heard


async def test_when_all_faults_are_taken_back_nothing_of_them_is_on_the_path(dev: Running) -> None:
    node = dev.node
    simulator: Any = node.carriers["simulator"]
    before = (simulator.plan, simulator.rate, node.notify.poster)
    for fault in ({"fault": "fail", "code": 4720}, {"fault": "slow-carrier", "rate": 1}, {"fault": "endpoint-refuse"}):
        await dev.post("/admin/faults", fault)
    assert (simulator.plan, simulator.rate, node.notify.poster) != before
    await dev.ask("DELETE", "/admin/faults")
    assert (simulator.plan, simulator.rate, node.notify.poster) == before
