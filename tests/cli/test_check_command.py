"""``passband check``: is this configuration right, and can everything be reached?"""

import json
from pathlib import Path

import pytest

from cli.processes import Listen, Serve, configuration, reserved_port, run
from ports import free_port

pytestmark = pytest.mark.slow


def test_everything_can_be_reached(tmp_path: Path) -> None:
    with Listen() as listen:
        ended = run("check", "--config", str(configuration(tmp_path, url=listen.url)))
    assert ended.status == 0
    assert f"✓ endpoint {listen.url}" in ended.out
    assert "✓ store sqlite:" in ended.out
    assert ended.out.endswith("everything can be reached\n")


def test_what_cannot_be_reached_is_told_and_exits_with_1(tmp_path: Path) -> None:
    with reserved_port() as nobody:
        url = f"http://127.0.0.1:{nobody}/"
        ended = run("check", "--config", str(configuration(tmp_path, url=url)))
    assert ended.status == 1
    assert f"✗ endpoint {url}" in ended.out
    assert "4 of 5 can be reached" in ended.out


def test_a_folder_for_media_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Listen() as listen:
        config = str(configuration(tmp_path, url=listen.url))
        assert f"✓ media file:{tmp_path}/media\n" in run("check", "--config", config).out
        ended = run("check", "--config", config, PASSBAND_MEDIA__URL=f"file:{tmp_path}/file/media")
    assert ended.status == 1
    assert f"✗ media file:{tmp_path}/file/media: " in ended.out
    assert not (tmp_path / "media").exists()


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    config = str(configuration(tmp_path))
    with reserved_port() as nobody:
        for url in (f"postgresql://me:secret@127.0.0.1:{nobody}/", f"postgresql://127.0.0.1:{nobody}/?password=secret"):
            ended = run("check", "--config", config, PASSBAND_STORE__URL=url)
            assert ended.status == 1
            assert f"127.0.0.1:{nobody}" in ended.out
            assert "cannot use the database" in ended.out
            assert "secret" not in ended.out + ended.err


def test_programs_are_told_what_can_be_reached(tmp_path: Path) -> None:
    with reserved_port() as nobody:
        url = f"http://127.0.0.1:{nobody}/"
        ended = run("check", "--json", "--config", str(configuration(tmp_path, url=url)))
    said = json.loads(ended.out)
    assert (ended.status, said["reachable"], said["faults"]) == (1, False, [])
    faults = {one["what"]: one["fault"] for one in said["checked"]}
    assert faults.pop(f"endpoint {url}")
    addresses = {"server on 127.0.0.1:0", "admin on 127.0.0.1:0"}
    assert set(faults) == {f"store sqlite:{tmp_path}/passband.db", f"media file:{tmp_path}/media", *addresses}
    assert set(faults.values()) == {None}


def test_programs_are_told_what_is_wrong_with_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "passband.toml"
    config.write_text("workers = 0\n")
    ended = run("check", "--json", "--config", str(config))
    said = json.loads(ended.out)
    assert (ended.status, said["reachable"], said["checked"]) == (2, None, [])
    (fault,) = said["faults"]
    assert fault.startswith("workers: ")


def test_an_address_that_both_apis_share_is_tried_once(tmp_path: Path) -> None:
    with Listen() as listen:
        port = free_port()
        ended = run("check", "--config", str(configuration(tmp_path, port=port, admin=port, url=listen.url)))
    assert ended.status == 0
    assert ended.out.count(f"127.0.0.1:{port}\n") == 1


def test_a_platform_that_runs_already_has_its_address(tmp_path: Path) -> None:
    with Listen() as listen, Serve(configuration(tmp_path, url=listen.url)) as serve:
        port = int(serve.api.split(":")[2].removesuffix("/api/v2"))
        ended = run("check", "--config", str(configuration(tmp_path, port=port, url=listen.url)))
    assert ended.status == 1
    assert f"✗ server on 127.0.0.1:{port}" in ended.out


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    ended = run("check", "--config", str(config), PASSBAND_STORE__URL="sqlite:none/passband.db")
    assert ended.status == 1
    assert "none does not exist" in ended.out.replace("/passband.db", "")
    assert not (tmp_path / "none").exists()


def test_a_wrong_configuration_exits_with_2(tmp_path: Path) -> None:
    config = tmp_path / "passband.toml"
    config.write_text("workers = 0\n")
    ended = run("check", "--config", str(config))
    assert ended.status == 2
    assert "  workers: " in ended.err
    assert "the configuration has 1 fault; nothing was started" in ended.err
