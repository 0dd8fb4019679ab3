"""What ``deploy/`` ships fits this version: its configuration loads, and its parts name each other rightly."""

import shutil
import subprocess
from pathlib import Path

import yaml

from passband.config import load

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_configuration_of_the_containers_loads() -> None:
    settings = load(
        DEPLOY / "passband.toml", {"DESK_PASSWORD": "demo", "PASSBAND_STORE__URL": "postgresql://db/passband"}
    )
    assert settings.store.url == "postgresql://db/passband"
    assert settings.admin.listen.port == 8081, "the proxy and the image ask /readyz there"


def test_compose_mounts_files_that_are_there_and_proxies_to_its_own_nodes() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    files = [v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", ()) if v.startswith("./")]
    assert all((DEPLOY / file).is_file() for file in files)
    assert (DEPLOY / compose["services"]["node-1"]["build"]["context"] / "deploy/Dockerfile").is_file()
    backends = [
        line.split()[1] for line in (DEPLOY / "haproxy.cfg").read_text().splitlines() if line.startswith("  server")
    ]
    assert backends == [name for name in compose["services"] if name.startswith("node-")]


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "passband.service").read_text()
    assert "ExecStart=/opt/passband/bin/passband serve --config" in text
    unit = tmp_path / "passband.service"
    unit.write_text(text.replace("/opt/passband/bin/passband", "/bin/true"))
    if verify := shutil.which("systemd-analyze"):  # a machine without systemd has no use for the unit either
        found = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False)
        assert "passband.service" not in found.stderr, found.stderr
