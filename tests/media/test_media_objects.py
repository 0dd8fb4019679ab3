"""The object store: what it does when what it needs is not there."""

import asyncio
import contextlib
import socket
import sys
import time

import pytest

from media.endpoint import point_to
from media.tables import ACCOUNT
from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.media import MediaStore, objects, once, open_media, try_media

NOW = 1_773_044_142.317


async def _put(store: MediaStore) -> None:
    await store.put(ACCOUNT, "m", once(b"x"), content_type="a/b", cache_control=None, now=NOW)


@pytest.mark.slow
async def test_an_object_store_that_does_not_answer_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and nobody listens
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        store = open_media("s3://media/prefix")
        with pytest.raises(StoreUnavailable):
            await _put(store)
        with pytest.raises(StoreUnavailable):
            await store.stat(ACCOUNT, "m", NOW)
        await store.close()


async def test_a_bucket_that_is_not_there_keeps_nothing(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(bucket, monkeypatch)
    store = open_media("s3://nothing/prefix")
    with pytest.raises(StoreUnavailable):
        await _put(store)
    await store.close()


async def test_a_bucket_that_can_be_listed_will_do(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(bucket, monkeypatch)
    store = open_media("s3://media/tried")
    await try_media("s3://media/tried")
    assert await store.list(ACCOUNT, "", 10, time.time()) == []
    await store.close()


async def test_a_bucket_that_is_not_there_will_not_do(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(bucket, monkeypatch)
    with pytest.raises(OSError, match="nothing"):
        await try_media("s3://nothing/prefix")


async def test_an_object_store_that_does_not_take_the_credentials_will_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        point_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", monkeypatch)
        with pytest.raises(OSError, match="403") as refused:
            await try_media("s3://media/prefix")
    assert "secret" not in str(refused.value)


async def test_an_object_store_that_is_silent_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_TRY_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        with pytest.raises(TimeoutError):
            await try_media("s3://media/prefix")


def test_without_the_extra_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "passband.media.objects", raising=False)
    with pytest.raises(ConfigurationError, match=r"passband\[s3\]"):
        open_media("s3://media/prefix")
