"""The files of an MMS on their way out, through a whole node: from our own media, and from an application's server."""

import asyncio
import gzip
from pathlib import Path
from urllib.parse import unquote

import pytest

from mms.world import (
    FRIEND,
    OTHER_ACCOUNT,
    OURS,
    PHONE,
    PNG,
    PUBLIC,
    TOLL_FREE,
    File,
    World,
    credentials,
    world,
)

MIB = 1024 * 1024


async def test_an_uploaded_picture_reaches_the_phone(mms: World) -> None:
    url = await mms.upload("menu.png")
    event = await mms.fate(await mms.send(PHONE, media=[url]))
    assert (event["type"], event["description"]) == ("message-delivered", "Message delivered to carrier")
    assert event["message"]["media"] == [url]
    [submission] = mms.submitted
    assert [(a.name, a.content_type, a.octets) for a in submission.attachments] == [("menu.png", "image/png", PNG)]


async def test_files_of_an_application_come_at_once_and_in_their_order(mms: World) -> None:
    application = mms.application
    names = [f"{n}.png" for n in range(10)]
    for n, name in enumerate(names):
        application.files[f"/files/{name}"] = File(bytes([n]) * 100)
    event = await mms.fate(await mms.send(PHONE, media=[f"{application.base}/files/{name}" for name in names]))
    assert event["type"] == "message-delivered"
    [submission] = mms.submitted
    assert [a.name for a in submission.attachments] == names
    assert [a.octets for a in submission.attachments] == [bytes([n]) * 100 for n in range(10)]
    assert sorted(application.asked) == sorted(application.files)


NAMES = {
    "the last segment of the path": ("/files/a/b/menu.png", None, "menu.png"),
    "what the server says": ("/files/x", 'attachment; filename="today.png"', "today.png"),
    "without quotes": ("/files/x", "attachment; filename=today.png", "today.png"),
    "RFC 5987 before the plain one": ("/files/x", "inline; filename=a.png; filename*=UTF-8''caf%C3%A9.png", "cafe.png"),
    "raw UTF-8": ("/files/x", 'attachment; filename="café.png"', "cafe.png"),
    "never a path": ("/files/x", 'attachment; filename="../../etc/passwd.png"', "passwd.png"),
    "percent-encoded": ("/files/my%20menu.png", None, "my_menu.png"),
    "an extension of the type": ("/files/picture", None, "picture.png"),
    "no name at all": ("/files/", None, "media0.png"),
}


@pytest.mark.parametrize(("path", "disposition", "name"), NAMES.values(), ids=NAMES.keys())
async def test_a_file_is_called(path: str, disposition: str | None, name: str, mms: World) -> None:
    mms.application.files[unquote(path)] = File(disposition=disposition)
    await mms.fate(await mms.send(PHONE, media=[mms.application.base + path]))
    assert [a.name for a in mms.submitted[0].attachments] == [name]


FAILURES = {
    "a file that is not there": (File(status=404), 4410),
    "a file that is not for everybody": (File(status=403), 4410),
    "a file over the limit": (File(bytes(3_932_161)), 4411),
    "a type that is not taken": (File(content_type="application/x-msdownload"), 4412),
    "a type that says nothing": (File(content_type="application/octet-stream"), 4412),
    "no type": (File(content_type=None), 4412),
    "a type with parameters that is taken": (File(content_type="Image/PNG; charset=binary"), 0),
    "a file of exactly the limit": (File(bytes(3_932_160)), 0),
    "an empty file": (File(b""), 0),
}


@pytest.mark.parametrize(("file", "code"), FAILURES.values(), ids=FAILURES.keys())
async def test_a_foreign_file_ends_with(file: File, code: int, mms: World) -> None:
    mms.application.files["/files/it"] = file
    event = await mms.fate(await mms.send(PHONE, media=[f"{mms.application.base}/files/it"]))
    assert event.get("errorCode", 0) == code
    assert len(mms.submitted) == (0 if code else 1)
    assert mms.node.attachments.turns.held_octets == 0


OWN = {
    "a name that nothing has": ("nothing.png", 4410),
    "a name that can have nothing": ("a/../b.png", 4410),
    "percent-encoded": ("men%75.png", 0),
    "with a query": ("menu.png?x=1", 0),
}


@pytest.mark.parametrize(("name", "code"), OWN.values(), ids=OWN.keys())
async def test_our_own_media_end_with(name: str, code: int, mms: World) -> None:
    await mms.upload("menu.png")
    event = await mms.fate(await mms.send(PHONE, media=[mms.media(name)]))
    assert event.get("errorCode", 0) == code


async def test_media_of_another_account_are_not_to_be_had(mms: World) -> None:
    url = await mms.upload("menu.png", account=OTHER_ACCOUNT)
    event = await mms.fate(await mms.send(PHONE, media=[url]))
    assert event["errorCode"] == 4410
    assert not mms.submitted


async def test_our_own_media_have_a_type_that_is_not_taken(mms: World) -> None:
    url = await mms.upload("setup.exe", content_type="application/x-msdownload")
    assert (await mms.fate(await mms.send(PHONE, media=[url])))["errorCode"] == 4412


async def test_the_address_without_the_prefix_is_ours_too(mms: World) -> None:
    url = await mms.upload("menu.png")
    event = await mms.fate(await mms.send(PHONE, media=[url.replace("/api/v2", "")]))
    assert event["type"] == "message-delivered"


async def test_files_that_are_too_large_together(mms: World) -> None:
    urls = [await mms.upload(f"{n}.png", bytes(MIB)) for n in range(4)]
    assert (await mms.fate(await mms.send(PHONE, media=urls)))["errorCode"] == 4411
    assert (await mms.fate(await mms.send(PHONE, media=urls[:3])))["type"] == "message-delivered"


async def test_nothing_is_unpacked(mms: World) -> None:
    bomb = gzip.compress(bytes(50_000_000), 1)  # more than any message may have; packed, 220 kB
    mms.application.files["/files/a.png"] = File(bomb, encoding="gzip")
    mms.application.files["/files/a.zip"] = File(bomb, "application/zip")
    await mms.fate(await mms.send(PHONE, media=[f"{mms.application.base}/files/{name}" for name in ("a.png", "a.zip")]))
    assert [a.octets for a in mms.submitted[0].attachments] == [bomb, bomb]


async def test_a_toll_free_number_sends_less(mms: World) -> None:
    large, small = (
        await mms.upload("large.png", bytes(525 * 1024 + 1)),
        await mms.upload("small.png", bytes(525 * 1024)),
    )
    assert (await mms.fate(await mms.send(PHONE, media=[large], sender=TOLL_FREE)))["errorCode"] == 4411
    assert (await mms.fate(await mms.send(PHONE, media=[small], sender=TOLL_FREE)))["type"] == "message-delivered"


async def test_more_than_ten_files_are_too_many(mms: World) -> None:
    url = await mms.upload("menu.png")
    assert (await mms.fate(await mms.send(PHONE, media=[url] * 11)))["errorCode"] == 4411


async def test_a_server_that_fails_is_asked_again(mms: World) -> None:
    mms.application.files["/files/it"] = File(status=503, failures=2)
    id_ = await mms.send(PHONE, media=[f"{mms.application.base}/files/it"])
    for tries in (1, 2):
        await mms.application.until(lambda tries=tries: len(mms.application.asked) == tries)  # type: ignore[misc]
        while len(mms.application.asked) == tries:
            mms.clock.advance(5)
            await mms.application.told(0)
            await _a_moment()
    assert (await mms.fate(id_))["type"] == "message-delivered"
    assert len(mms.application.asked) == 3


async def test_a_server_that_goes_on_failing_is_given_up_within_a_minute(mms: World) -> None:
    mms.application.files["/files/it"] = File(status=503)
    started = mms.clock.now()
    id_ = await mms.send(PHONE, media=[f"{mms.application.base}/files/it"])
    while not mms.application.events:
        mms.clock.advance(1)
        await _a_moment()
    assert (await mms.fate(id_))["errorCode"] == 4410
    assert len(mms.application.asked) == 4
    assert mms.clock.now() - started < 60


async def test_no_text_message_waits_for_files(mms: World) -> None:
    simulator = mms.node.carriers["simulator"]
    simulator.limit(1000)  # type: ignore[attr-defined]  # with little room
    for n in range(120):
        await mms.send(PHONE, media=[f"{mms.application.base}/files/hang{n}"])
    id_ = await mms.send(PHONE, text="quick")
    assert (await mms.fate(id_))["type"] == "message-delivered"


async def test_one_accounts_hanging_files_hold_up_nobody_else(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"media_in_memory": 16 * MIB}) as mms:
        hanging = [f"{mms.application.base}/files/hang{n}" for n in range(20)]
        for url in hanging:
            await mms.send(PHONE, media=[url])
        await mms.application.until(lambda: bool(mms.application.asked))
        turns = mms.node.attachments.turns
        assert turns.held_octets <= 16 * MIB // 4
        # Another account's message finds its quarter of the budget free.
        body = {
            "applicationId": "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4",
            "to": [FRIEND],
            "from": "+19195550119",
            "media": [f"{mms.application.base}/files/quick.png"],
        }
        url = f"{mms.base}/api/v2/users/{OTHER_ACCOUNT}/messages"
        async with mms.session.post(url, json=body, headers=credentials(OTHER_ACCOUNT)) as answer:
            assert answer.status == 202
            id_ = (await answer.json())["id"]
        assert (await mms.fate(id_))["type"] == "message-delivered"
        mms.application.hanging.set()
        delivered = await mms.application.told(21, type="message-delivered")
        assert len({event["message"]["id"] for event in delivered}) == 21
        assert turns.held_octets == 0


async def test_a_group_with_an_impossible_number(mms: World) -> None:
    url = await mms.upload("menu.png")
    id_ = await mms.send(PHONE, "+1408555", FRIEND, media=[url])
    events = await mms.application.told(3, id=id_)
    assert {event["to"]: (event["type"], event.get("errorCode")) for event in events} == {
        PHONE: ("message-delivered", None),
        "+1408555": ("message-failed", 4303),
        FRIEND: ("message-delivered", None),
    }
    [submission] = mms.submitted
    assert [r.number for r in submission.recipients] == [PHONE, FRIEND]
    assert [a.octets for a in submission.attachments] == [PNG]


async def test_a_file_that_cannot_be_had_fails_every_recipient_of_a_group(mms: World) -> None:
    id_ = await mms.send(PHONE, FRIEND, media=[f"{PUBLIC}/api/v2/users/5500123/media/nothing"])
    events = await mms.application.told(2, id=id_, errorCode=4410)
    assert {event["to"] for event in events} == {PHONE, FRIEND}


async def test_an_mms_leaves_the_queue_before_its_files_come(tmp_path: Path) -> None:
    async with world(tmp_path) as mms:
        account = mms.node.settings.accounts[0]
        assert OURS in {number.number for number in account.numbers}
        await mms.send(PHONE, media=[f"{mms.application.base}/files/hang"])
        await mms.application.until(lambda: bool(mms.application.asked))
        assert not mms.application.events


async def test_a_node_that_stops_leaves_an_mms_to_the_next_one(tmp_path: Path) -> None:
    async with world(tmp_path) as mms:
        await mms.send(PHONE, media=[f"{mms.application.base}/files/hang"])
        await mms.application.until(lambda: bool(mms.application.asked))
    assert not mms.application.events
    async with world(tmp_path) as mms:
        # The server has moved to another port; what the message names is gone.
        event = await _first_event(mms)
        assert event["errorCode"] == 4410


async def _first_event(mms: World) -> dict[str, object]:
    while not mms.application.events:
        mms.clock.advance(1)
        await _a_moment()
    return mms.application.events[0]


async def _a_moment() -> None:
    """Let other tasks and sockets have their turn."""
    await asyncio.sleep(0.01)
