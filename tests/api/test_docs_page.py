"""The documentation that the API serves about itself."""

from importlib import resources

import pytest
import yaml

from api.service import Service
from passband.api.docs import render

FILES = resources.files("passband.api")


def test_the_page_is_made_of_the_document() -> None:
    expected = render(yaml.safe_load((FILES / "openapi.yaml").read_text()))
    assert (FILES / "docs.html").read_text() == expected, (
        "run: python -m passband.api.docs > src/passband/api/docs.html"
    )


@pytest.mark.parametrize(("path", "begins"), [("/docs", b"<!doctype html>"), ("/openapi.yaml", b"openapi: 3")])
async def test_the_documentation_is_open_to_everyone(service: Service, path: str, begins: bytes) -> None:
    reply = await service.request("GET", path, {"Authorization": ""})
    assert reply.status == 200
    assert reply.body.startswith(begins)
    assert (await service.request("GET", path + "/", {"Authorization": ""})).body == reply.body
    assert (await service.request("HEAD", path)).headers["content-length"] == str(len(reply.body))
    refused = await service.request("POST", path)
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_the_page_loads_nothing_and_runs_nothing(service: Service) -> None:
    reply = await service.request("GET", "/docs")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "script" not in reply.headers["content-security-policy"]
    for loaded in (b"<script", b"<link", b"<img", b"src=", b"http://", b"//cdn", b"@import", b"url("):
        assert loaded not in reply.body.replace(b"(http", b"")


def test_every_schema_and_status_has_its_place_on_the_page() -> None:
    document = yaml.safe_load((FILES / "openapi.yaml").read_text())
    page = (FILES / "docs.html").read_text()
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            assert f'id="{name}"' in page
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict):
                _, heading, section = page.partition(f"<code>{method.upper()} /api/v2{path}</code>")
                assert heading
                assert all(f"<h4>{status}</h4>" in section.partition("<h2>")[0] for status in operation["responses"])
