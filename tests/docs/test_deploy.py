"""What ``deploy/`` ships fits this version: its configuration loads, and its parts name each other rightly."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click import Group
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passband.cli import main
from passband.config import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return ``compose.yaml`` with its variables at their defaults, as nobody has set them."""
    text = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", (DEPLOY / "compose.yaml").read_text())
    assert "$" not in text, "a variable without a default"
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.fixture(scope="module")
def settings(compose: dict[str, Any]) -> Settings:
    return load(DEPLOY / "passband.toml", compose["services"]["node-1"]["environment"])


# ── the compose file ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_nodes_of_compose_use_its_database(settings: Settings, compose: dict[str, Any]) -> None:
    database, node = compose["services"]["database"]["environment"], compose["services"]["node-1"]["environment"]
    url = urlsplit(settings.store.url)
    assert (url.hostname, url.username, url.path) == (
        "database",
        database["POSTGRES_USER"],
        f"/{database['POSTGRES_DB']}",
    )
    assert node["PGPASSWORD"] == database["POSTGRES_PASSWORD"]


def test_the_nodes_of_compose_know_where_callbacks_go(settings: Settings, compose: dict[str, Any]) -> None:
    (application,) = settings.accounts[0].applications
    known = [host.split(":")[0] for host in compose["services"]["node-1"]["extra_hosts"]]
    assert urlsplit(application.callback_url).hostname in known


def test_compose_mounts_files_that_are_there_and_proxies_to_its_own_nodes(compose: dict[str, Any]) -> None:
    files = [v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", ()) if v.startswith("./")]
    assert all((DEPLOY / file).is_file() for file in files)
    assert (DEPLOY / compose["services"]["node-1"]["build"]["context"] / "deploy/Dockerfile").is_file()
    backends = [
        line.split()[1] for line in (DEPLOY / "haproxy.cfg").read_text().splitlines() if line.startswith("  server")
    ]
    assert backends == [name for name in compose["services"] if name.startswith("node-")]


def test_what_a_container_keeps_lies_in_a_volume(settings: Settings, compose: dict[str, Any]) -> None:
    places = [volume.split(":")[1] for volume in compose["services"]["node-1"]["volumes"]]
    assert any(settings.media.url.startswith(f"file:{place}/") for place in places)
    assert f"\nVOLUME {settings.media.url.removeprefix('file:').rpartition('/')[0]}\n" in DOCKERFILE


# ── the image ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_image_has_every_extra_and_each_in_a_tested_version() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(re.findall(r"extras\['(\w+)'\]", DOCKERFILE)) == set(extras)
    pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
    pinned = {canonicalize_name(pin.partition("==")[0]) for pin in pins if "==" in pin}
    needed = [*PROJECT["dependencies"], *(one for some in extras.values() for one in some)]
    assert {canonicalize_name(Requirement(one).name) for one in needed} <= pinned


def test_the_image_is_built_from_files_that_are_sent_to_the_builder() -> None:
    copied = [
        name
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_starts_a_command_and_asks_where_the_admin_api_is(settings: Settings) -> None:
    assert isinstance(main, Group)
    (program,), (command,) = (re.findall(rf'^{word} \["(\w+)"\]$', DOCKERFILE, re.M) for word in ("ENTRYPOINT", "CMD"))
    assert program in PROJECT["scripts"]
    assert command in main.commands
    ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", DOCKERFILE)}
    assert ports == {settings.admin.listen.port}, "the health check, and where commands in the container ask"
    assert f"check port {settings.admin.listen.port} " in (DEPLOY / "haproxy.cfg").read_text()


# ── the unit ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "passband.service").read_text()
    assert "ExecStart=/opt/passband/bin/passband serve --config" in text
    unit = tmp_path / "passband.service"
    unit.write_text(text.replace("/opt/passband/bin/passband", "/bin/true"))
    if verify := shutil.which("systemd-analyze"):  # a machine without systemd has no use for the unit either
        found = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False)
        assert "passband.service" not in found.stderr, found.stderr
