"""The official Python client, unmodified, uploads, lists, gets and deletes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import bandwidth
import pytest
from bandwidth.exceptions import ApiException

from api.conftest import Start
from api.service import ACCOUNT, NOW
from passband.api.media import media_resource
from passband.media import MAX_OCTETS
from passband.media.files import FileMedia


@pytest.fixture
async def base(start: Start, tmp_path: Path) -> AsyncIterator[str]:
    store = FileMedia(tmp_path / "media")
    resource = media_resource(store, lambda: NOW, "https://messaging.example.net", MAX_OCTETS)
    service = await start(resources={"media": resource})
    yield f"http://127.0.0.1:{service.listener.port}/api/v2"
    await store.close()


def _use(base: str) -> None:
    configuration = bandwidth.Configuration(
        host=base, ignore_operation_servers=True, username="demo", password="secret"
    )
    image = bytes(range(256)) * 5000
    with bandwidth.ApiClient(configuration) as client:
        media = bandwidth.MediaApi(client)
        assert media.list_media(ACCOUNT) == []
        for name in ("menu.png", "a folder/100% größer.png"):
            media.upload_media(ACCOUNT, name, image, _content_type="image/jpeg", cache_control="no-cache")
            answer = media.get_media_with_http_info(ACCOUNT, name)
            assert (answer.status_code, answer.data) == (200, image)
            headers = {header.lower(): value for header, value in answer.headers.items()}
            assert (headers["content-type"], headers["cache-control"]) == ("image/jpeg", "no-cache")
        listed = media.list_media(ACCOUNT)
        assert [one.media_name for one in listed] == ["a folder/100% größer.png", "menu.png"]
        assert [one.content_length for one in listed] == [len(image)] * 2
        for one in listed:
            for _ in range(2):
                assert media.delete_media_with_http_info(ACCOUNT, one.media_name).status_code == 204
        assert media.list_media(ACCOUNT) == []
        with pytest.raises(ApiException) as caught:
            media.get_media(ACCOUNT, "menu.png")
        assert (caught.value.status, caught.value.data.type) == (404, "object-not-found")
        client.rest_client.pool_manager.clear()


@pytest.mark.slow
async def test_the_official_client_works_unmodified(base: str) -> None:
    await asyncio.to_thread(_use, base)
