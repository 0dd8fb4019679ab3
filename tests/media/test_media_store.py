"""What both engines do alike."""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.tables import ACCOUNT, ALLOWED, REFUSED
from passband.api.asgi import ClientGone
from passband.media import (
    CHUNK_OCTETS,
    KEPT_SECONDS,
    MAX_OCTETS,
    BadMediaName,
    MediaNotFound,
    MediaStore,
    MediaTooLarge,
    RangeNotSatisfiable,
    once,
)
from passband.mm4.mime import Part

OTHER = "5500999"
MARGIN = 60.0


async def put(store: MediaStore, name: str, octets: bytes, now: float, account: str = ACCOUNT, **more: str) -> int:
    return await store.put(
        account,
        name,
        once(octets),
        content_type=more.get("content_type", "image/png"),
        cache_control=more.get("cache_control"),
        now=now,
    )


async def get(store: MediaStore, name: str, now: float, *span: int | None, account: str = ACCOUNT) -> bytes:
    async with store.open(account, name, now, *span) as file:
        octets = b"".join([chunk async for chunk in file.chunks])
        assert len(octets) == len(file.span)
        return octets


async def names(store: MediaStore, now: float, after: str = "", limit: int = 1000, account: str = ACCOUNT) -> list[str]:
    return [one.name for one in await store.list(account, after, limit, now)]


async def test_what_is_put_comes_back_with_its_metadata(store: MediaStore, now: float) -> None:
    content_type, cache_control = 'image/png; name="m\xfcll.png"', "no-cache"
    assert await put(store, "m", b"bytes", now, content_type=content_type, cache_control=cache_control) == 5
    async with store.open(ACCOUNT, "m", now) as file:
        assert file.span == range(5)
        assert file.media == await store.stat(ACCOUNT, "m", now)
        assert (file.media.name, file.media.octets) == ("m", 5)
        assert (file.media.content_type, file.media.cache_control) == (content_type, cache_control)
        assert abs(file.media.uploaded_at - now) < MARGIN
    await put(store, "m", b"", now)
    assert (await store.stat(ACCOUNT, "m", now)).cache_control is None


@pytest.mark.parametrize("octets", [0, 1, CHUNK_OCTETS - 1, CHUNK_OCTETS, CHUNK_OCTETS + 1, MAX_OCTETS])
async def test_every_size_comes_back_byte_for_byte(store: MediaStore, now: float, octets: int) -> None:
    content = random.Random(octets).randbytes(octets)

    await store.put(ACCOUNT, "m", pieces(content), content_type="a/b", cache_control=None, now=now, limit=MAX_OCTETS)
    assert hashlib.sha256(await get(store, "m", now)).digest() == hashlib.sha256(content).digest()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.binary(max_size=3000), max_size=6),
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/."), min_size=1, max_size=250),
)
async def test_any_bytes_under_any_name_come_back(store: MediaStore, now: float, parts: list[bytes], name: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    await store.put(ACCOUNT, name, chunks(), content_type="a/b", cache_control=None, now=now)
    assert await get(store, name, now) == b"".join(parts)


SPANS = {
    "whole": ((None, None), range(10)),
    "first octet": ((0, 0), range(1)),
    "middle": ((3, 5), range(3, 6)),
    "from": ((7, None), range(7, 10)),
    "last octet": ((9, 9), range(9, 10)),
    "beyond the end": ((8, 99), range(8, 10)),
    "last three": ((None, 3), range(7, 10)),
    "last, more than there are": ((None, 99), range(10)),
}


@pytest.mark.parametrize(("asked", "span"), SPANS.values(), ids=SPANS.keys())
async def test_a_range_comes_back(
    store: MediaStore, now: float, asked: tuple[int | None, int | None], span: range
) -> None:
    await put(store, "m", b"0123456789", now)
    async with store.open(ACCOUNT, "m", now, *asked) as file:
        assert (file.span, file.media.octets) == (span, 10)
        assert b"".join([chunk async for chunk in file.chunks]) == b"0123456789"[span.start : span.stop]


@pytest.mark.parametrize("asked", [(10, None), (10, 11), (99, 99), (None, 0)])
async def test_a_range_beyond_the_end_is_refused_with_the_size(
    store: MediaStore, now: float, asked: tuple[int | None, int | None]
) -> None:
    await put(store, "m", b"0123456789", now)
    with pytest.raises(RangeNotSatisfiable) as caught:
        await get(store, "m", now, *asked)
    assert caught.value.octets == 10


async def test_what_looks_like_an_attack_is_a_name_of_its_own(store: MediaStore, now: float) -> None:
    for name in ALLOWED.values():
        await put(store, name, name.encode(), now)
    for name in ALLOWED.values():
        assert await get(store, name, now) == name.encode()
    assert await names(store, now) == sorted(ALLOWED.values())
    with pytest.raises(MediaNotFound):
        await store.stat(OTHER, "menu.png", now)


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_name_reaches_no_file(store: MediaStore, now: float, name: str) -> None:
    for attempt in (
        put(store, name, b"x", now),
        get(store, name, now),
        store.stat(ACCOUNT, name, now),
        store.delete(ACCOUNT, name),
    ):
        with pytest.raises(BadMediaName):
            await attempt


ACCOUNTS = {"dots": "..", "slash": "../5500123", "NUL": "a\x00", "long": "5" * 5000, "empty": "", "ours": "incoming"}


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS.keys())
async def test_an_account_is_no_path_either(store: MediaStore, now: float, account: str) -> None:
    await put(store, "m", b"theirs", now, account=ACCOUNT)
    await put(store, "m", b"its own", now, account=account)
    assert await get(store, "m", now, account=account) == b"its own"
    assert await get(store, "m", now) == b"theirs"


async def test_a_name_may_be_the_beginning_of_another(store: MediaStore, now: float) -> None:
    for name in ("a/b/c", "a", "a/b"):
        await put(store, name, name.encode(), now)
    await store.delete(ACCOUNT, "a/b")
    assert await names(store, now) == ["a", "a/b/c"]
    assert await get(store, "a/b/c", now) == b"a/b/c"


async def test_accounts_do_not_see_each_other(store: MediaStore, now: float) -> None:
    await put(store, "m", b"mine", now)
    with pytest.raises(MediaNotFound):
        await get(store, "m", now, account=OTHER)
    await store.delete(OTHER, "m")
    assert await names(store, now, account=OTHER) == []
    assert await get(store, "m", now) == b"mine"


async def test_who_reads_the_old_file_goes_on_reading_it(store: MediaStore, now: float) -> None:
    old, new = b"old" * MAX_OCTETS, b"new"
    old = old[:MAX_OCTETS]
    await put(store, "m", old, now)
    async with store.open(ACCOUNT, "m", now) as file:
        read = await anext(file.chunks)
        await put(store, "m", new, now)
        assert await get(store, "m", now) == new
        await store.delete(ACCOUNT, "m")
        read += b"".join([chunk async for chunk in file.chunks])
    assert read == old


@pytest.mark.parametrize("octets", [11, 2 * CHUNK_OCTETS])
async def test_an_upload_over_the_limit_leaves_the_old_file(store: MediaStore, now: float, octets: int) -> None:
    await put(store, "m", b"old", now)
    with pytest.raises(MediaTooLarge):
        await store.put(ACCOUNT, "m", pieces(bytes(octets)), content_type="a/b", cache_control=None, now=now, limit=10)
    assert await get(store, "m", now) == b"old"


async def test_an_upload_at_the_limit_is_kept(store: MediaStore, now: float) -> None:
    await store.put(ACCOUNT, "m", once(bytes(10)), content_type="a/b", cache_control=None, now=now, limit=10)
    assert await get(store, "m", now) == bytes(10)


async def test_a_client_that_goes_away_leaves_the_old_file(store: MediaStore, now: float) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ClientGone

    await put(store, "m", b"old", now)
    for name in ("m", "new"):
        with pytest.raises(ClientGone):
            await store.put(ACCOUNT, name, broken(), content_type="a/b", cache_control=None, now=now)
    assert await names(store, now) == ["m"]
    assert await get(store, "m", now) == b"old"


async def test_a_cancelled_upload_leaves_the_old_file(store: MediaStore, now: float) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"half"
        begun.set()
        await asyncio.Event().wait()

    await put(store, "m", b"old", now)
    upload = store.put(ACCOUNT, "m", endless(), content_type="a/b", cache_control=None, now=now)
    task = asyncio.ensure_future(upload)
    await begun.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await get(store, "m", now) == b"old"


async def test_the_next_chunk_is_asked_for_when_the_last_one_is_stored(store: MediaStore, now: float) -> None:
    asked = []

    async def counted() -> AsyncIterator[bytes]:
        for n in range(3):
            asked.append(n)
            yield bytes(10)

    with pytest.raises(MediaTooLarge):
        await store.put(ACCOUNT, "m", counted(), content_type="a/b", cache_control=None, now=now, limit=15)
    assert asked == [0, 1]


async def test_of_two_uploads_at_once_one_is_kept_whole(store: MediaStore, now: float) -> None:
    contents = [bytes([n]) * 300_000 for n in range(8)]
    await asyncio.gather(*(put(store, "m", content, now) for content in contents))
    assert await get(store, "m", now) in contents


async def test_deleting_what_is_not_there_is_nothing(store: MediaStore, now: float) -> None:
    await store.delete(ACCOUNT, "m")
    await put(store, "m", b"x", now)
    await store.delete(ACCOUNT, "m")
    await store.delete(ACCOUNT, "m")
    for attempt in (get(store, "m", now), store.stat(ACCOUNT, "m", now)):
        with pytest.raises(MediaNotFound):
            await attempt
    assert await names(store, now) == []


async def test_after_48_hours_a_file_is_not_found(store: MediaStore, now: float) -> None:
    await put(store, "m", b"x", now)
    assert await get(store, "m", now + KEPT_SECONDS - MARGIN) == b"x"
    late = now + KEPT_SECONDS + MARGIN
    for attempt in (get(store, "m", late), store.stat(ACCOUNT, "m", late)):
        with pytest.raises(MediaNotFound):
            await attempt
    assert await names(store, late) == []


async def test_expiry_removes_what_is_old_of_all_accounts(store: MediaStore, now: float) -> None:
    for account in (ACCOUNT, OTHER):
        await put(store, "m", b"x", now, account=account)
        await put(store, "l" * 300, b"x", now, account=account)
    assert await store.expire(now + KEPT_SECONDS - MARGIN) == 0
    assert await store.expire(now + KEPT_SECONDS + MARGIN) == 4
    assert await store.expire(now + KEPT_SECONDS + MARGIN) == 0
    with pytest.raises(MediaNotFound):
        await get(store, "m", now)  # not hidden by its age: gone


@pytest.mark.slow
async def test_pages_follow_each_other_in_order_of_name(store: MediaStore, now: float) -> None:
    some = random.Random(1)
    # Long ones share beginnings longer than what a key can order.
    expected = {f"{some.getrandbits(20):x}" for _ in range(6)}
    expected |= {f"{'long/' * 40}{some.getrandbits(20):x}" for _ in range(6)}
    expected |= {f"{'ö' * 60}{some.getrandbits(20):x}" for _ in range(4)} | {"ö" * 60, "ö" * 61}
    await asyncio.gather(*(put(store, name, b"x", now) for name in expected))
    for limit in (1, 4, len(expected), 1000):
        listed: list[str] = []
        while page := await names(store, now, listed[-1] if listed else "", limit):
            assert len(page) <= limit
            listed += page
        assert listed == sorted(expected)


async def test_a_page_begins_after_a_name_that_need_not_be_there(store: MediaStore, now: float) -> None:
    for name in ("a", "c", "c" * 121 + "x", "c" * 121 + "z"):
        await put(store, name, b"x", now)
    assert await names(store, now, "b") == ["c", "c" * 121 + "x", "c" * 121 + "z"]
    assert await names(store, now, "c" * 121 + "y") == ["c" * 121 + "z"]
    assert await names(store, now, "d") == []


async def test_a_listing_tells_sizes(store: MediaStore, now: float) -> None:
    await put(store, "empty", b"", now)
    await put(store, "l" * 1024, bytes(12_345), now)
    assert [(one.name, one.octets) for one in await store.list(ACCOUNT, "", 10, now)] == [
        ("empty", 0),
        ("l" * 1024, 12_345),
    ]


async def test_inbound_parts_lie_below_their_message(store: MediaStore, now: float) -> None:
    message = "1773044142317kq4zt7m2xw6yb3hd"
    parts = [
        Part(0, "application/smil", "0.smil", b"<smil/>"),
        Part(2, "image/jpeg", "IMG_2041.jpg", bytes(MAX_OCTETS + 1)),
    ]
    expected = [f"{message}/0/0.smil", f"{message}/2/IMG_2041.jpg"]
    for _ in range(2):  # a message that arrives again replaces itself
        assert await store.put_parts(ACCOUNT, message, parts, now) == expected
    assert await names(store, now) == expected
    assert (await store.stat(ACCOUNT, f"{message}/2/IMG_2041.jpg", now)).content_type == "image/jpeg"
    assert await get(store, f"{message}/2/IMG_2041.jpg", now) == bytes(MAX_OCTETS + 1)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 100_000):
        yield content[at : at + 100_000]
