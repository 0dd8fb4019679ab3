"""``passband serve``: the platform as an operator runs it."""

import base64
import json
import os
import re
import signal
import ssl
import urllib.request
from pathlib import Path

import pytest
import trustme

from cli.processes import (
    APPLICATION,
    OURS,
    SECONDS,
    THEIRS,
    Command,
    Listen,
    Serve,
    ask,
    configuration,
    reserved_port,
    run,
)

pytestmark = pytest.mark.slow


def send(api: str, *, trusted: Path | None = None) -> int:
    """Send one message with ``passband send``; return its exit status. ``trusted`` is a file of certificates."""
    command = ("send", "--url", api, "--application", APPLICATION, "--to", THEIRS, "--text", "hello")
    return (run(*command, SSL_CERT_FILE=str(trusted)) if trusted else run(*command)).status


AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}


def post(api: str) -> int:
    """Send one message as an application does, without a process for it; return the status."""
    body = {"applicationId": APPLICATION, "from": OURS, "to": [THEIRS], "text": "hello"}
    return ask(f"{api}/users/5500123/messages", body, headers=AUTHORIZATION).status


def store(api: str, name: str) -> None:
    """Upload a file."""
    url = f"{api}/users/5500123/media/{name}"
    request = urllib.request.Request(url, b"\x89PNG", AUTHORIZATION, method="PUT")
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert response.status == 204


BROKEN = """
wrokers = 2
[server]
listen = "nowhere"
[history]
days = 15
[[carriers]]
name = "simulator"
type = "pigeon"
[[accounts]]
id = "5500123"
[[accounts.numbers]]
number = "12"
application = "none"
"""


def test_a_broken_configuration_is_told_with_every_fault_and_exits_with_2(tmp_path: Path) -> None:
    config = tmp_path / "passband.toml"
    config.write_text(BROKEN)
    ended = run("serve", "--config", str(config))
    assert ended.status == 2
    for path in (
        "wrokers",
        "server.listen",
        "history.days",
        "carriers[0].type",
        "accounts[0].numbers[0].number",
        "accounts[0].numbers[0].application",
    ):
        assert re.search(rf"^  {re.escape(path)}\b", ended.err, re.MULTILINE), (path, ended.err)
    assert "the configuration has 6 faults; nothing was started" in ended.err
    assert not (tmp_path / "passband.db").exists()


def test_of_port_0_both_apis_take_one_of_their_own(tmp_path: Path) -> None:
    with Serve(configuration(tmp_path, port=0, admin=0)) as serve:
        assert ask(f"{serve.admin}/healthz").status == 200
        assert serve.admin != serve.api.removesuffix("/api/v2")
        assert ask(f"{serve.api.removesuffix('/api/v2')}/healthz").status == 404


def test_links_to_media_name_the_port_that_was_free(tmp_path: Path) -> None:
    with Serve(configuration(tmp_path, port=0)) as serve:
        store(serve.api, "menu.png")
        [file] = ask(f"{serve.api}/users/5500123/media", headers=AUTHORIZATION).json
    assert file["content"] == f"{serve.api}/users/5500123/media/menu.png"


def test_the_address_that_commands_ask_is_no_setting(tmp_path: Path) -> None:
    with Serve(configuration(tmp_path), PASSBAND_ADMIN_URL="http://127.0.0.1:9") as serve:
        assert run("numbers", PASSBAND_ADMIN_URL=serve.admin).out.count("5500123") == 1


def test_a_configuration_that_is_not_there_is_told_and_exits_with_2(tmp_path: Path) -> None:
    ended = run("serve", "--config", str(tmp_path / "none.toml"))
    assert ended.status == 2
    assert "none.toml" in ended.err
    assert "Traceback" not in ended.err


def test_a_port_in_use_is_told_and_exits_with_1(tmp_path: Path) -> None:
    with Listen() as other:
        port = int(re.findall(r"\d+", other.url)[-1])
        ended = run("serve", "--config", str(configuration(tmp_path, port=port)))
    assert ended.status == 1
    told = {entry["event"]: entry for entry in map(json.loads, ended.err.splitlines())}
    assert f"('127.0.0.1', {port})" in told["cannot listen"]["cause"]
    assert "ready" not in told


def test_a_folder_that_cannot_be_written_is_told_and_exits_with_1(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    (tmp_path / "file").touch()
    ended = run("serve", "--config", str(config), PASSBAND_STORE__URL="sqlite:file/passband.db")
    assert ended.status == 1
    assert "file/passband.db" in ended.err
    assert "Traceback" not in ended.err


def test_sigterm_ends_it_with_0_and_the_next_start_goes_on(tmp_path: Path) -> None:
    with Listen("--fail", "503") as broken:
        config = configuration(tmp_path, url=broken.url, callbacks="schedule = [0.5]")
        with Serve(config) as serve:
            assert ask(f"{serve.admin}/readyz").status == 200
            assert post(serve.api) == 202
            broken.line("answered 503")
            assert serve.end() == 0
            assert '"event": "stopping"' in serve.printed
    with Listen() as listen, Serve(configuration(tmp_path, url=listen.url)):
        listen.line("message-delivered")


def test_credentials_are_given_when_the_endpoint_asks_for_them(tmp_path: Path) -> None:
    credentials = 'callback_credentials = { user = "desk", password_env = "DESK" }'
    with Listen("--auth", "desk:pw") as listen:
        config = configuration(tmp_path, url=listen.url, application=credentials)
        with Serve(config, DESK="pw") as serve:
            assert post(serve.api) == 202
            listen.line("without credentials, challenged")
            listen.line("message-delivered")


def test_an_endpoint_that_recovers_is_told_what_it_missed(tmp_path: Path) -> None:
    soon = "schedule = [0.1]"
    with Listen("--fail-first", "2") as listen, Serve(configuration(tmp_path, url=listen.url, callbacks=soon)) as serve:
        assert post(serve.api) == 202
        listen.line("message-delivered .* answered 503", count=2)
        assert not listen.line("message-delivered", count=3).string.endswith("answered 503")


def test_https_is_served_with_the_certificate_of_the_configuration(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for chained in certificate.cert_chain_pems:
        chained.write_to_path(tmp_path / "chain.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = 'tls = { certificate = "chain.pem", key = "key.pem" }'
    with Serve(configuration(tmp_path, server=tls)) as serve:
        https = serve.api.replace("http://", "https://")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert ask(f"{https}/users/5500123/messages", context=context).status == 401
        assert send(https, trusted=tmp_path / "ca.pem") == 0
        assert send(https) == 1, "nobody vouches for the certificate"


def test_files_that_are_no_certificate_are_told_by_check_and_by_serve(tmp_path: Path) -> None:
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).write_text("nothing of the kind")
    config = configuration(tmp_path, server='tls = { certificate = "chain.pem", key = "key.pem" }')
    for command in ("check", "serve"):
        ended = run(command, "--config", str(config))
        assert ended.status == 2, command
        assert "server.tls: certificate and key cannot be used" in ended.err


# ── several workers ──────────────────────────────────────────────────────────────────────────────────────────────────


def children(pid: int) -> set[int]:
    """Return the processes that a process has started and that run (proc(5))."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_a_worker_that_dies_is_started_again_and_the_other_goes_on(tmp_path: Path) -> None:
    with Listen() as listen, reserved_port() as port:
        config = configuration(tmp_path, port=port, url=listen.url)
        with Command("serve", "--config", str(config), "--workers", "2") as serve:
            ready = r'^\{.*"event": "ready".*\}$'
            admins = [f"http://{json.loads(serve.line(ready, n)[0])['listen'][1]}" for n in (1, 2)]
            assert [ask(f"{admin}/readyz").status for admin in admins] == [200, 200]
            victim = min(children(serve.pid))
            os.kill(victim, signal.SIGKILL)
            died = json.loads(serve.line(r'^\{.*"event": "a worker died and is started again".*\}$')[0])
            assert died["status"] == -signal.SIGKILL
            serve.line(ready, 3)
            assert victim not in children(serve.pid)
            assert len(children(serve.pid)) == 2
            api = f"http://127.0.0.1:{port}/api/v2"
            for _ in range(8):  # each over a connection of its own
                assert post(api) == 202
            listen.line("message-delivered", count=8)
            assert serve.end() == 0
        assert serve.printed.count('"event": "stopping"') == 2
