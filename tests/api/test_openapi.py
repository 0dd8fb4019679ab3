"""The OpenAPI document against the running program: whatever it describes is answered as it says."""

import asyncio
import threading
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.service import ACCOUNT, CREDENTIALS, Service
from api.test_search_messages import found
from passband.domain.account import User

DOCUMENT = yaml.safe_load((resources.files("passband.api") / "openapi.yaml").read_text())
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Run a service in a thread of its own, because these tests' client blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> Service:
        service = Service(None, None, (User("demo", "secret"),))
        service.found = [found(n) for n in range(3)]
        await service.listener.start()
        return service

    service = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    yield f"http://127.0.0.1:{service.listener.port}/api/v2"
    asyncio.run_coroutine_threadsafe(service.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_a_documented_one(case: Any, address: str) -> None:
    case.path_parameters["accountId"] = ACCOUNT
    # What the document cannot say: one filter at least, a time in the future; and unknown parameters are ignored.
    excluded = [positive_data_acceptance, *([negative_data_rejection] if case.method == "GET" else [])]
    case.call_and_validate(address, headers={"Authorization": CREDENTIALS}, excluded_checks=excluded)
