"""What is configured is changed while the platform runs: applications and numbers, over what the file says."""

from pathlib import Path
from typing import Any

import pytest

from admin.running import OURS, THEIRS, Running
from passband import provisioning
from passband.config import developers

ACCOUNT = f"/admin/accounts/{developers.ACCOUNT}"
NEW = "+19195550119"
NUMBERS, APPLICATIONS = f"{ACCOUNT}/numbers", f"{ACCOUNT}/applications"
AN_EVENT = "message-sending, message-sent, message-delivered or message-failed"


async def put(running: Running, path: str, status: int = 201, **fields: Any) -> Any:
    return await running.ask("PUT", path, fields, status=status)


async def remove(running: Running, path: str, status: int = 204) -> Any:
    return await running.ask("DELETE", path, status=status)


async def listed(running: Running, what: str) -> Any:
    return await running.get(f"/admin/{what}")


async def test_a_number_is_there_at_once_and_says_who_has_set_it(production: Running) -> None:
    view = {
        "number": NEW, "account": developers.ACCOUNT, "application": developers.APPLICATION, "carrier": "simulator",
        "rate": 2.0, "enabled": True, "setBy": "admin",
    }  # fmt: skip
    fields: dict[str, Any] = {"application": developers.APPLICATION, "carrier": "simulator", "rate": 2}
    assert await put(production, f"{NUMBERS}/{NEW}", **fields) == view
    answer = await listed(production, "numbers")
    assert [one["setBy"] for one in answer["numbers"]] == ["file", "admin"]
    assert (answer["numbers"][1], answer["total"], answer["removed"]) == (view, 2, [])


async def test_what_is_put_again_is_replaced_as_a_whole(dev: Running) -> None:
    await put(dev, f"{NUMBERS}/{NEW}", rate=2, application=developers.APPLICATION)
    again = await put(dev, f"{NUMBERS}/{NEW}", 200, enabled=False, application=None)
    assert (again["rate"], again["application"], again["enabled"]) == (None, None, False)
    over = await put(dev, f"{NUMBERS}/{OURS}", 200, rate=3)
    assert (over["rate"], over["application"], over["setBy"]) == (3, None, "admin")


async def test_messages_of_what_was_added_are_sent_received_and_told(dev: Running) -> None:
    app = await put(dev, f"{APPLICATIONS}/second", name="Second", callback_url=f"{dev.base}/inbox")
    assert (app["id"], app["inboundUrl"], app["outboundUrl"]) == ("second", f"{dev.base}/inbox", f"{dev.base}/inbox")
    await put(dev, f"{NUMBERS}/{NEW}", application="second")
    id_ = await dev.send(**{"from": NEW, "applicationId": "second"})
    (message,) = await dev.followed(id_)
    assert (message["result"], message["callbacks"][0]["application"]) == ("delivered", "second")
    await dev.receive("yes", to=NEW)
    told = await dev.until("/admin/callbacks?type=message-received&state=acknowledged", lambda a: a["callbacks"])
    assert told["callbacks"][0]["application"] == "second"


async def test_who_is_removed_may_not_send_any_more(dev: Running) -> None:
    await put(dev, f"{NUMBERS}/{NEW}")
    await remove(dev, f"{NUMBERS}/{NEW}")
    await remove(dev, f"{NUMBERS}/{OURS}")
    codes = [(await dev.followed(await dev.send(**{"from": one})))[0]["errorCode"] for one in (NEW, OURS)]
    assert codes == [4405, 4405]
    removed = {"number": OURS, "account": developers.ACCOUNT}
    assert await listed(dev, "numbers") == {"total": 0, "numbers": [], "removed": [removed]}


async def test_the_file_has_its_say_again(dev: Running) -> None:
    await put(dev, f"{NUMBERS}/{OURS}", 200, rate=3)
    await remove(dev, f"{NUMBERS}/{OURS}?leave=file")
    answer = await listed(dev, "numbers")
    assert [(one["rate"], one["setBy"]) for one in answer["numbers"]] == [(None, "file")]
    await remove(dev, f"{NUMBERS}/{OURS}")
    await remove(dev, f"{NUMBERS}/{OURS}?leave=file")
    assert await listed(dev, "numbers") == answer
    told = await remove(dev, f"{NUMBERS}/{OURS}?leave=file", 404)
    assert told["description"] == f"nothing was set over the file for number {OURS!r} of account '5500123'"


async def test_messages_under_way_of_a_removed_application_are_told_to_the_numbers(dev: Running) -> None:
    await put(dev, f"{APPLICATIONS}/second", callback_url=f"{dev.base}/inbox")
    await dev.post("/admin/faults", {"fault": "late-receipt", "seconds": 60})
    id_ = await dev.send(applicationId="second")
    await dev.followed(id_, "handed")
    await remove(dev, f"{APPLICATIONS}/second")
    await dev.post("/admin/clock", {"advance": 60})
    (message,) = await dev.followed(id_)
    assert [told["application"] for told in message["callbacks"]] == [developers.APPLICATION]


async def test_credentials_are_used_and_not_shown(dev: Running) -> None:
    secret = {"user": "desk", "password": "the words of a password"}
    path = f"{APPLICATIONS}/{developers.APPLICATION}"
    fields = {"callback_url": f"{dev.base}/inbox", "callback_credentials": secret, "preemptive_auth": True}
    answer = await put(dev, path, 200, **fields)
    await dev.receive()
    inbox = await dev.until("/admin/inbox", lambda answer: answer["received"])
    assert any(header.lower().startswith("authorization: basic") for header in inbox["received"][0]["headers"])
    secret["password"] = "x\nthe words"
    refused = await put(dev, path, 400, **fields)
    shown = [answer, refused, await listed(dev, "applications"), await dev.get("/admin/callbacks")]
    assert "the words" not in str(shown)


BAD_NUMBERS: list[tuple[str, dict[str, Any], str]] = [
    ("+1-919", {}, "number: must be a number such as +19195550117, a short code or a sender's name, not '+1-919'"),
    (NEW, {"application": "b"}, "application: no application of account '5500123' is called 'b'; there are "
     f"{developers.APPLICATION!r}"),
    (NEW, {"application": 5}, "application: must be up to 100 letters, digits, '.', '_', '~' and '-', not 5"),
    (NEW, {"carrier": "simulatr"}, "carrier: no carrier is called 'simulatr'; did you mean 'simulator'?"),
    (NEW, {"rate": 0}, "rate: must be a number of segments per second from 0.001 to 1,000,000, not 0"),
    (NEW, {"enabled": "yes"}, "enabled: must be true or false, not 'yes'"),
    (NEW, {"rates": 1}, "rates: no such setting; did you mean rate?"),
    (NEW, {"number": OURS}, "number: must be as in the path, or be left out"),
    (NEW, {"enabled": 1, "rate": True}, "rate: must be a number of segments per second from 0.001 to 1,000,000, not "
     "true; enabled: must be true or false, not 1"),
]  # fmt: skip
BAD_APPLICATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("a%20b", {}, "id: must be up to 100 letters, digits, '.', '_', '~' and '-', not 'a b'"),
    ("a", {"name": "\t"}, r"name: must be a text, not '\t'"),
    ("a", {"inbound_url": "ftp://x"}, "inbound_url: must be an absolute http or https URL, not 'ftp://x'"),
    ("a", {"outbound_url": "x"}, "outbound_url: must be an absolute http or https URL, not 'x'"),
    ("a", {"callback_url": "http://u:p@x/"}, "callback_url: must be an absolute http or https URL, not '…'"),
    ("a", {"callback_url": "http://x/", "inbound_url": "http://y/"},
     "inbound_url: callback_url sets it already; remove one of them"),
    ("a", {"requested": ["message-received"]}, f"requested[0]: must be {AN_EVENT}, not 'message-received'"),
    ("a", {"requested": "message-sent"}, "requested: must be a list, not a text"),
    ("a", {"preemptive_auth": 1}, "preemptive_auth: must be true or false, not 1"),
    ("a", {"omit_default_priority": []}, "omit_default_priority: must be true or false, not a list"),
    ("a", {"inbound_credentials": "u:p"}, "inbound_credentials: must be a table, not a text"),
    ("a", {"outbound_credentials": {"user": "a:b", "password": "p"}},
     "outbound_credentials.user: must be a user name without a colon, not 'a:b'"),
    ("a", {"callback_credentials": {"user": "u"}},
     "callback_credentials.password: missing; must be a text without control characters"),
    ("a", {"callback_credentials": {"user": "u", "password_file": "/etc/hostname"}},
     "callback_credentials.password_file: no such setting; did you mean password?; "
     "callback_credentials.password: missing; must be a text without control characters"),
    ("a", {"callback_credentials": {"user": "u", "password_env": "HOME"}},
     "callback_credentials.password_env: no such setting; did you mean password?; "
     "callback_credentials.password: missing; must be a text without control characters"),
]  # fmt: skip


async def test_every_fault_is_told_in_the_words_of_the_configuration_file(production: Running) -> None:
    before = await listed(production, "numbers"), await listed(production, "applications")
    for path, cases in ((NUMBERS, BAD_NUMBERS), (APPLICATIONS, BAD_APPLICATIONS)):
        for name, fields, said in cases:
            assert await put(production, f"{path}/{name}", 400, **fields) == {"description": said}
    for body in (b"", b"[]", b"null", b"nonsense", b'{"a":' + b"[" * 50_000, b'{"rate": 1' + b"0" * 5000 + b"}"):
        async with production.session.put(f"{production.base}{NUMBERS}/{NEW}", data=body) as response:
            assert response.status == 400, body[:20]
    assert (await listed(production, "numbers"), await listed(production, "applications")) == before


async def test_what_is_not_there_and_what_stands_in_the_way(production: Running) -> None:
    no_account = {"description": "there is no account '1'; accounts are set in the configuration file"}
    assert await put(production, f"/admin/accounts/1/numbers/{NEW}", 404) == no_account
    assert await put(production, "/admin/accounts/1/applications/a", 404) == no_account
    assert await remove(production, f"/admin/accounts/1/numbers/{NEW}", 404) == no_account
    assert await remove(production, f"{NUMBERS}/{NEW}", 404) == {
        "description": f"account '5500123' has no number {NEW!r}"
    }
    assert await remove(production, f"{APPLICATIONS}/a", 404) == {
        "description": "account '5500123' has no application 'a'"
    }
    in_use = f"application {developers.APPLICATION!r} has numbers: {OURS}; give them another one first"
    assert await remove(production, f"{APPLICATIONS}/{developers.APPLICATION}", 409) == {"description": in_use}
    asked = await remove(production, f"{NUMBERS}/{OURS}?leave=store", 400)
    assert asked == {"description": "leave must be one of file"}


async def test_another_site_may_not_change_anything(production: Running) -> None:
    headers = {"Origin": "https://evil.example"}
    await production.ask("PUT", f"{NUMBERS}/{NEW}", {}, headers=headers, status=403)
    assert (await listed(production, "numbers"))["total"] == 1


async def test_another_node_accepts_what_one_was_told_and_a_restart_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "LOOK_SECONDS", 0.02)
    async with Running.started(tmp_path) as one, Running.started(tmp_path) as other:
        await put(one, f"{NUMBERS}/{NEW}", application=developers.APPLICATION)
        await other.until("/admin/numbers", lambda answer: answer["total"] == 2)
        (message,) = await other.followed(await other.send(**{"from": NEW}))
        assert (message["to"], message["result"]) == (THEIRS, "delivered")
    async with Running.started(tmp_path) as again:
        assert [one["number"] for one in (await listed(again, "numbers"))["numbers"]] == [OURS, NEW]
