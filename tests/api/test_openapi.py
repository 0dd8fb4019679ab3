"""The OpenAPI document against the running program: whatever it describes is answered as it says."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.service import ACCOUNT, CREDENTIALS, NOW, Service
from api.test_search_messages import found
from passband.api.media import media_resource
from passband.domain.account import User
from passband.media import MAX_OCTETS, once
from passband.media.files import FileMedia

DOCUMENT = yaml.safe_load((resources.files("passband.api") / "openapi.yaml").read_text())
schema = schemathesis.openapi.from_dict(DOCUMENT)
messages = schema.include(path="/users/{accountId}/messages")
media = schema.exclude(path="/users/{accountId}/messages")

PUBLIC = "https://messaging.example.net"
THERE = "menu/menu.png"
turn = itertools.count()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a service in a thread of its own, because these tests' client blocks."""
    folder: Path = tmp_path_factory.mktemp("media")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[Service, FileMedia]:
        store = FileMedia(folder)
        await store.put(ACCOUNT, THERE, once(b"PNG"), content_type="image/png", cache_control=None, now=NOW)
        resource = media_resource(store, lambda: NOW, PUBLIC, MAX_OCTETS)
        service = Service(None, None, (User("demo", "secret"),), resources={"media": resource})
        service.found = [found(n) for n in range(3)]
        await service.listener.start()
        return service, store

    async def end() -> None:
        await service.stop()
        await store.close()

    service, store = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    yield f"http://127.0.0.1:{service.listener.port}"
    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests, which costs a third of the time of one for each."""
    with requests.Session() as session:
        session.trust_env = False  # else the environment is searched for proxies at every request
        yield session


@pytest.mark.slow
@messages.parametrize()
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_a_documented_one(case: Any, address: str, session: requests.Session) -> None:
    case.path_parameters["accountId"] = ACCOUNT
    # What the document cannot say: one filter at least, a time in the future; and unknown parameters are ignored.
    excluded = [positive_data_acceptance, *([negative_data_rejection] if case.method == "GET" else [])]
    case.call_and_validate(
        f"{address}/api/v2", headers={"Authorization": CREDENTIALS}, excluded_checks=excluded, session=session
    )


@pytest.mark.slow
@media.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_about_media_is_a_documented_one(case: Any, address: str, session: requests.Session) -> None:
    case.path_parameters["accountId"] = ACCOUNT
    number = next(turn)
    if "mediaId" in case.path_parameters and case.method in ("GET", "HEAD") and number % 2:
        case.path_parameters["mediaId"] = THERE
    base = ("", "/api/v2")[number // 2 % 2]
    # What the document cannot say: which segments no name may have; and any octets are a file.
    excluded = [positive_data_acceptance, negative_data_rejection]
    case.call_and_validate(
        f"{address}{base}", headers={"Authorization": CREDENTIALS}, excluded_checks=excluded, session=session
    )
