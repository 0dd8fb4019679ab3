"""Files of inbound MMS, through a whole node: from our own numbers, and from handsets of the simulated carrier."""

import base64
import uuid
from typing import Any

from mms.world import (
    ACCOUNT,
    APPLICATION,
    OTHER_ACCOUNT,
    OTHER_APPLICATION,
    OTHERS,
    OURS,
    PHONE,
    PNG,
    PUBLIC,
    SECOND,
    File,
    World,
)
from passband.media import MAX_OCTETS

SMIL = b"<smil/>"


def a_file(name: str, content_type: str, octets: bytes) -> dict[str, str]:
    return {"name": name, "contentType": content_type, "base64": base64.b64encode(octets).decode()}


async def received(mms: World, count: int) -> list[dict[str, Any]]:
    return await mms.application.told(count, type="message-received")


async def test_an_mms_between_two_of_our_numbers_is_copied_to_its_receiver(mms: World) -> None:
    url = await mms.upload("menu.png")
    id_ = await mms.send(OTHERS, media=[url])
    assert (await mms.fate(id_))["message"]["media"] == [url]
    [event] = await received(mms, 1)
    message = event["message"]
    assert message["applicationId"] == OTHER_APPLICATION
    assert message["text"] == "Look"
    assert message["media"] == [f"{PUBLIC}/api/v2/users/{OTHER_ACCOUNT}/media/{message['id']}/0/menu.png"]
    assert uuid.UUID(message["id"]).version == 4
    assert await mms.get(message["media"][0], OTHER_ACCOUNT) == (200, "image/png", PNG)
    assert (await mms.get(message["media"][0], ACCOUNT))[0] == 403
    assert (await mms.get(url, OTHER_ACCOUNT))[0] == 403


async def test_the_copy_survives_the_original(mms: World) -> None:
    mms.application.files["/files/it.gif"] = File(b"GIF89a", "image/gif")
    await mms.send(SECOND, media=[f"{mms.application.base}/files/it.gif"])
    [event] = await received(mms, 1)
    del mms.application.files["/files/it.gif"]
    assert await mms.get(event["message"]["media"][0]) == (200, "image/gif", b"GIF89a")


async def test_a_group_has_one_event_for_each_of_our_numbers_and_the_files_once_for_each_account(mms: World) -> None:
    url = await mms.upload("menu.png")
    id_ = await mms.send(SECOND, OTHERS, PHONE, media=[url])
    delivered = await mms.application.told(3, id=id_)
    assert {event["to"] for event in delivered} == {SECOND, OTHERS, PHONE}
    events = {event["to"]: event["message"] for event in await received(mms, 2)}
    assert {number: m["applicationId"] for number, m in events.items()} == {
        SECOND: APPLICATION,
        OTHERS: OTHER_APPLICATION,
    }
    assert all(m["owner"] == number and m["to"] == [SECOND, OTHERS, PHONE] for number, m in events.items())
    assert events[SECOND]["id"] != events[OTHERS]["id"]
    for number, account in ((SECOND, ACCOUNT), (OTHERS, OTHER_ACCOUNT)):
        assert await mms.get(events[number]["media"][0], account) == (200, "image/png", PNG)


async def test_a_handset_sends_files_to_a_group(mms: World) -> None:
    files = [a_file("0.smil", "application/smil", SMIL), a_file("IMG 1.PNG", "image/png", PNG)]
    assert await mms.handset(**{"from": PHONE}, to=[OURS, SECOND, OTHERS], text="Look", media=files) == 202
    events = {event["to"]: event["message"] for event in await received(mms, 3)}
    assert len({message["id"] for message in events.values()}) == 3
    # Both numbers of one account list the same files; they are called after the first of them.
    assert events[OURS]["media"] == events[SECOND]["media"]
    base = f"{PUBLIC}/api/v2/users/{ACCOUNT}/media/{events[OURS]['id']}"
    assert events[OURS]["media"] == [f"{base}/0/0.smil", f"{base}/1/IMG_1.PNG"]
    for number, account in ((OURS, ACCOUNT), (OTHERS, OTHER_ACCOUNT)):
        smil, picture = events[number]["media"]
        assert await mms.get(smil, account) == (200, "application/smil", SMIL)
        assert await mms.get(picture, account) == (200, "image/png", PNG)
    for account, count in ((ACCOUNT, 2), (OTHER_ACCOUNT, 2)):
        assert len(await mms.node.media.list(account, "", 100, mms.clock.now())) == count


async def test_a_handset_sends_a_picture_of_the_largest_size(mms: World) -> None:
    picture = bytes(range(256)) * (MAX_OCTETS // 256)
    assert await mms.handset(**{"from": PHONE}, to=OURS, media=[a_file("a.png", "image/png", picture)]) == 202
    [event] = await received(mms, 1)
    assert await mms.get(event["message"]["media"][0]) == (200, "image/png", picture)
    assert await mms.handset(**{"from": PHONE}, to=OURS, text="x" * 7_000_000) == 400


async def test_plain_text_of_a_handset_is_text_and_no_file(mms: World) -> None:
    files = [a_file("t.txt", "text/plain; charset=utf-8", "café".encode()), a_file("a.png", "image/png", PNG)]
    assert await mms.handset(**{"from": PHONE}, to=OURS, text="Look", media=files) == 202
    [event] = await received(mms, 1)
    assert event["message"]["text"] == "Look\ncafé"
    assert [url.rpartition("/media/")[2].partition("/")[2] for url in event["message"]["media"]] == ["1/a.png"]


async def test_urls_of_a_handset_are_listed_as_they_are(mms: World) -> None:
    assert await mms.handset(**{"from": PHONE}, to=OURS, media=["https://cdn.example.org/a.png"]) == 202
    [event] = await received(mms, 1)
    assert event["message"]["media"] == ["https://cdn.example.org/a.png"]


async def test_what_is_no_file_is_refused(mms: World) -> None:
    for file in (
        {"name": "a.png", "contentType": "image/png", "base64": "?"},
        {"name": "a.png", "contentType": "picture", "base64": ""},
        {"name": "a.png"},
    ):
        assert await mms.handset(**{"from": PHONE}, to=OURS, media=[file]) == 400


async def test_files_are_gone_after_48_hours(mms: World) -> None:
    await mms.handset(**{"from": PHONE}, to=OURS, media=[a_file("a.png", "image/png", PNG)])
    [event] = await received(mms, 1)
    [url] = event["message"]["media"]
    mms.clock.advance(48 * 3600 - 60)
    assert (await mms.get(url))[0] == 200
    mms.clock.advance(61)
    assert (await mms.get(url))[0] == 404
