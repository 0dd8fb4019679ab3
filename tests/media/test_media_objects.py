"""The object store: what it does when what it needs is not there."""

import socket
import sys

import pytest

from media.endpoint import point_to
from media.tables import ACCOUNT
from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.media import MediaStore, once, open_media

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


def test_without_the_extra_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "passband.media.objects", raising=False)
    with pytest.raises(ConfigurationError, match=r"passband\[s3\]"):
        open_media("s3://media/prefix")
