"""``passband smsc``: the whole path over SMPP, in real processes."""

import json
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from cli.processes import OURS, SECONDS, THEIRS, Dev, Listen, Smsc, ask, configuration, reserved_port, run
from passband.smpp.pdu import EnquireLink, EnquireLinkResp

pytestmark = pytest.mark.slow

FAILING = "+19195554720"  # invalid-destination-address, by its last four digits


def smpp(smsc: Smsc, system_id: str = "passband", password: str = "") -> list[str]:
    return ["--smpp", smsc.address, "--smpp-system-id", system_id, "--smpp-password", password]


def test_a_message_goes_out_over_smpp_and_its_receipt_becomes_a_callback() -> None:
    with Smsc() as smsc, Listen() as listen, Dev("--callback-url", listen.url, *smpp(smsc)) as dev:
        assert run("send", "--url", dev.api, "--to", THEIRS, "--text", "hello", "--tag", "one").status == 0
        assert listen.line(f"message-delivered .*to .{THEIRS[1:]}").string.endswith("tag one")
        assert run("send", "--url", dev.api, "--to", FAILING, "--text", "hello").status == 0
        assert "4720" in listen.line(f"message-failed .*to .{FAILING[1:]}").string
        until = time.monotonic() + SECONDS
        while (counters := ask(f"{smsc.control}/counters").json)["acknowledged"] < 2 and time.monotonic() < until:
            pass  # the receipt's acknowledgement and the callback go out at once, whichever comes first
        assert (counters["accepted"], counters["acknowledged"], counters["bound"]) == (2, 2, 1)
        metrics = ask(f"{dev.base}/metrics").body
        assert 'passband_link_bound{carrier="smpp",link="0"} 1.0' in metrics


@pytest.mark.parametrize(("text", "parts"), [("hello", 1), ("Zürich ☃ " * 20, 3)], ids=["short", "long"])
def test_a_message_from_a_handset_comes_in_over_smpp_whole(text: str, parts: int) -> None:
    with Smsc() as smsc, Listen("--json") as listen, Dev("--callback-url", listen.url, *smpp(smsc)) as dev:
        assert dev.base
        said = ask(f"{smsc.control}/inbound", {"from": THEIRS, "to": OURS, "text": text, "systemId": "passband"})
        assert said.json == {"parts": parts}
        assert f'"text":"{text}"' in listen.line('"message-received"').string.replace('": "', '":"')


def test_credentials_of_the_bind_are_those_of_the_command_line() -> None:
    with (
        Smsc("--system-id", "us", "--password", "secret") as smsc,
        Listen() as listen,
        Dev("--callback-url", listen.url, *smpp(smsc, "us", "secret")) as dev,
    ):
        assert run("send", "--url", dev.api, "--to", THEIRS, "--text", "hello").status == 0
        listen.line("message-delivered")
        assert f"{smsc.address} as us" in dev.printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "99999"],
        ["--error", "0x45=7"],
        ["--error", "0x1FFFFFFFF=1"],
        ["--delay", "-1"],
        ["--response-delay", "nan"],
        ["--tls-certificate", "/nowhere.pem"],
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_started(arguments: list[str]) -> None:
    ended = run("smsc", "--port", "0", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_a_certificate_that_is_none_is_told_with_its_name(tmp_path: Path) -> None:
    authority, certificate = trustme.CA(), tmp_path / "no key.pem"
    authority.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(certificate)
    ended = run("smsc", "--port", "0", "--tls-certificate", str(certificate))
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"passband: {certificate} holds no certificate with its key: ")


def test_it_speaks_tls_where_it_is_given_a_certificate(tmp_path: Path) -> None:
    authority, certificate, known = trustme.CA(), tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(known)
    with Smsc("--tls-certificate", str(certificate)) as smsc:
        host, _, port = smsc.address.rpartition(":")
        context = ssl.create_default_context(cafile=str(known))
        with (
            socket.create_connection((host, int(port)), timeout=SECONDS) as peer,
            context.wrap_socket(peer, server_hostname=host) as encrypted,
        ):
            encrypted.sendall(EnquireLink(7).encode())
            assert encrypted.recv(16) == EnquireLinkResp(7).encode()


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["words", "JSON"])
def test_at_the_end_the_counters_are_told(arguments: list[str]) -> None:
    with Smsc(*arguments) as smsc:
        host, _, port = smsc.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as peer:
            peer.shutdown(socket.SHUT_WR)
            assert peer.recv(1) == b""
        assert smsc.end(signal.SIGINT) == 0
    told = json.loads(smsc.lines[-1]) if arguments else dict(line.split() for line in smsc.lines[1:])
    assert told["connections"] == (1 if arguments else "1")


def _with_smpp(folder: Path, address: str, system_id: str = "us") -> Path:
    path = configuration(folder)
    host, _, port = address.rpartition(":")
    carrier = f'[[carriers]]\nname = "c"\ntype = "smpp"\nhost = "{host}"\nport = {port}\nsystem_id = "{system_id}"\n'
    path.write_text(path.read_text("utf-8") + carrier, "utf-8")
    return path


def test_check_binds_to_a_carrier_and_unbinds(tmp_path: Path) -> None:
    with Smsc("--system-id", "us") as smsc:
        ended = run("check", "--config", str(_with_smpp(tmp_path, smsc.address)))
        assert "✓ carrier c\n" in ended.out
        assert ask(f"{smsc.control}/counters").json["binds"] == 1
        ended = run("check", "--config", str(_with_smpp(tmp_path, smsc.address, "them")))
        assert ended.status == 1
        assert f"✗ carrier c: {smsc.address}: bind_transceiver: the bind was refused: ESME_RINVSYSID" in ended.out


def test_check_tells_a_carrier_that_is_not_there(tmp_path: Path) -> None:
    with reserved_port() as nobody:
        ended = run("check", "--config", str(_with_smpp(tmp_path, f"127.0.0.1:{nobody}")))
    assert ended.status == 1
    assert f"✗ carrier c: 127.0.0.1:{nobody}: " in ended.out


@pytest.mark.parametrize("error", ["0x45", "x=0.5", "0x45=many"])
def test_a_wrong_ratio_exits_with_2(error: str) -> None:
    ended = run("smsc", "--port", "0", "--error", error)
    assert ended.status == 2
    assert "--error must be STATUS=RATIO" in ended.err
