"""What the admin API must not tell, and whom it must not tell anything."""

import asyncio

import pytest

from admin.running import OURS, THEIRS, Running
from passband.admin.app import ENTRIES, Entry

SECRET = "the words of a message"


async def test_in_production_no_text_of_a_message_can_be_seen(production: Running) -> None:
    async with production.session.get(f"{production.base}/admin/live") as stream:
        await stream.content.readline()
        id_ = await production.send(SECRET)
        await production.receive(SECRET)
        (message,) = await production.followed(id_, "callback-pending")
        inbound = await production.until("/admin/messages?state=received", lambda answer: answer["messages"])
        await production.until("/admin/callbacks", lambda a: all(c["attemptCount"] for c in a["callbacks"]))
        everything = [
            await production.get(path)
            for path in (
                "/admin/messages", f"/admin/messages/{id_}", f"/admin/messages/{inbound['messages'][0]['id']}",
                "/admin/callbacks", f"/admin/callbacks/{message['callbacks'][0]['key']}",
                f"/admin/callbacks/{inbound['messages'][0]['callbacks'][0]['key']}", "/admin/rates", "/metrics",
            )
        ]  # fmt: skip
        assert SECRET not in str(everything)
        assert '"text":""' in everything[5]["body"]
        await asyncio.sleep(0.15)  # changes are told after a tenth of a second
        read = b""
        while b"callback" not in read:
            read += await stream.content.readany()
        assert SECRET.encode() not in read


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.developers], ids=lambda e: f"{e.method} {e.path}")
async def test_in_production_nothing_can_be_played(production: Running, entry: Entry) -> None:
    path = entry.path.replace("{id}", "f1").replace("{number}/{index}", "1/0")
    told = await production.ask(entry.method, path, status=404)
    assert told == {"description": "this is there in the developers' edition only"}


async def test_in_production_nothing_is_followed_until_somebody_looks(production: Running) -> None:
    node = production.node

    def hooks() -> list[object]:
        return [node.dispatch.leaving, node.notify.attempted]

    assert hooks() == [None, None]
    await production.get("/admin/messages")
    assert None not in hooks()
    await production.followed(await production.send(), "callback-pending")
    node.panel.live._forget()
    assert hooks() == [None, None]
    assert not node.panel.journal.flights


async def test_credentials_of_an_endpoint_are_not_shown() -> None:
    from passband.admin.entries import _shown

    assert _shown("Authorization: Basic ZGVtbzpkZW1v") == "Authorization: Basic (not shown)"


OWN = "http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 202, id="no browser"),
        pytest.param({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 202, id="its own page"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="another site's page"),
        pytest.param({"Origin": "null"}, 403, id="a page without an origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403, id="another site's form"),
        pytest.param(
            {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}", "Sec-Fetch-Site": "same-origin"},
            403,
            id="a name that leads here (DNS rebinding)",
        ),
        pytest.param({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 202, id="localhost"),
        pytest.param({"Host": "passband:8080"}, 202, id="a program that uses a name"),
    ],
)
async def test_pages_of_others_may_not_use_it(dev: Running, headers: dict[str, str], status: int) -> None:
    port = dev.base.rpartition(":")[2]
    filled = {name: value.replace("{port}", port) for name, value in headers.items()}
    body = {"from": THEIRS, "to": OURS, "text": "x"}
    async with dev.session.post(f"{dev.base}/admin/inbound", json=body, headers=filled) as response:
        assert response.status == status
    arrived = [bubble["text"] for one in (await dev.get("/admin/handsets"))["handsets"] for bubble in one["bubbles"]]
    assert arrived == (["x"] if status == 202 else [])


async def test_another_site_may_not_read_either(dev: Running) -> None:
    await dev.ask(
        "GET", "/admin/handsets", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, status=403
    )
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert "<title>" in await dev.ask("GET", "/", headers=navigation)
