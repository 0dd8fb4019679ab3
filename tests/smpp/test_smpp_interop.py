"""The platform against SMSCs that are not ours: smpp34's server (Rust) and the npm package smpp (JavaScript).

Both ends are real processes. An SMSC is a program that tells in lines of JSON what its library hears.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trustme

import real_parts
from carriers.smpp_pair import settings
from cli.processes import APPLICATION, OURS, THEIRS, Command, Serve, ask, configuration
from passband.carriers.smpp import SmppCarrier
from passband.clock import SystemClock
from ports import free_port
from sdk.endpoint import Endpoint

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PASSWORD = "s3cret08"  # which the npm SMSC wants
AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}
TEXTS = {
    # text: how many segments, and their data_coding
    "Hello @ 5€ [ok] _$": (1, 0),
    "Ваш стол готов": (1, 8),
    "Your table is ready. " * 20: (3, 0),
    "Ваш стол готов. " * 10: (3, 8),
}
INBOUND = [
    # text, data_coding, header; the last two are one message, its end first
    ("On my way", 0, ""),
    ("Привет ☕", 8, ""),
    (", at last", 0, "050003070202"),
    ("At the door", 0, "050003070201"),
]
_CARRIER = """[[carriers]]
name = "theirs"
type = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "passband"
password = "{password}"
tls = true
tls_ca_file = "{authority}"
rate = 0
"""


class Smsc(Command):
    """One of these programs, once it listens; all speak TLS with the same certificate."""

    def __init__(self, certificate: Path, program: str, *arguments: str, **environment: str) -> None:
        super().__init__(*arguments, program=(program,), **environment)
        self.certificate = certificate

    @property
    def authority(self) -> Path:
        return self.certificate.with_name("authority.pem")

    @property
    def port(self) -> int:
        return int(self.line(r'"event": ?"listening", ?"port": ?(\d+)')[1])

    def wait_for(self, event: str, count: int = 1) -> None:
        """Return once this has happened so often."""
        self.line(f'"event": ?"{event}"', count)

    def tell(self, **command: Any) -> None:
        self.write(json.dumps(command))

    def submits(self) -> list[dict[str, Any]]:
        """Every segment, as the other library understood it; smpp34 hands them over in no particular order."""
        events = [json.loads(line) for line in self.lines]
        return sorted((event for event in events if event["event"] == "submit"), key=lambda submit: str(submit["udh"]))


@pytest.fixture(scope="session")
def node_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed by npm."""
    real_parts.command("node")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(HERE / "node" / "package.json", folder)
    install = [real_parts.command("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    if subprocess.run(install, cwd=folder, capture_output=True, timeout=120, check=False).returncode:
        real_parts.missing("the npm package smpp")
    return folder / "node_modules" / "smpp"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate with its key, and its authority beside it."""
    authority, certificate = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return certificate


@pytest.fixture
def native_smsc(certificate: Path) -> Iterator[Smsc]:
    program = str(HERE / "native_smsc.py")
    with Smsc(certificate, sys.executable, program, str(free_port()), str(certificate)) as smsc:
        yield smsc


@pytest.fixture
def npm_smsc(certificate: Path, node_module: Path) -> Iterator[Smsc]:
    environment = {"SMPP_MODULE": str(node_module), "SMPP_TLS": str(certificate)}
    with Smsc(certificate, "node", str(HERE / "node" / "smsc.js"), **environment) as smsc:
        yield smsc


def sending_to(smsc: Smsc, folder: Path, url: str) -> Path:
    """Write a configuration whose only carrier is this SMSC."""
    path = configuration(folder, url=url)
    before, simulator, after = path.read_text("utf-8").partition(
        '[[carriers]]\nname = "simulator"\ntype = "simulator"\n'
    )
    assert simulator
    carrier = _CARRIER.format(port=smsc.port, password=PASSWORD, authority=smsc.authority)
    path.write_text(before + carrier + after, "utf-8")
    return path


def send(platform: Serve, text: str) -> None:
    body = {"applicationId": APPLICATION, "from": OURS, "to": [THEIRS], "text": text, "tag": text[:10]}
    assert ask(f"{platform.api}/users/5500123/messages", body, headers=AUTHORIZATION).status == 202


def of_type(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["type"] == kind


@pytest.mark.parametrize("name", ["native_smsc", "npm_smsc"])
def test_the_platform_and_an_smsc_of_others_understand_each_other(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    smsc: Smsc = request.getfixturevalue(name)
    with Endpoint() as application, Serve(sending_to(smsc, tmp_path, application.url)) as platform:
        smsc.wait_for("bound")

        # Texts, over TLS, and their receipts
        for text in TEXTS:
            send(platform, text)
        application.wait_for(len(TEXTS), of_type("message-delivered"))
        submits = smsc.submits()
        for text, (segments, coding) in TEXTS.items():
            pieces = [s["text"] for s in submits if s["coding"] == coding and bool(s["udh"]) == (segments > 1)]
            assert ("".join(pieces), len(pieces)) == (text, segments)
        assert {(submit["from"], submit["to"]) for submit in submits} == {(OURS[1:], THEIRS[1:])}
        receipts = len(submits)
        smsc.line('"event": ?"acknowledged", ?"status": ?0', receipts)

        # Messages from handsets
        for place, (text, coding, header) in enumerate(INBOUND, 1):
            smsc.tell(**{"from": THEIRS[1:], "to": OURS[1:], "text": text, "coding": coding, "udh": header})
            smsc.line('"event": ?"acknowledged", ?"status": ?0', receipts + place)
        received = [told.event["message"] for told in application.wait_for(3, of_type("message-received"))]
        assert [message["text"] for message in received] == ["On my way", "Привет ☕", "At the door, at last"]
        assert {message["from"] for message in received} == {THEIRS}

        # It asks for less, and unbinds in the pause: the platform is back, and sends what waited
        smsc.tell(throttle=1)
        send(platform, "in the end")
        smsc.wait_for("throttled")
        smsc.tell(unbind=True)
        smsc.wait_for("bound", 2)
        application.wait_for(len(TEXTS) + 1, of_type("message-delivered"))
        assert [told.event["type"] for told in application.told].count("message-failed") == 0
        metrics = ask(f"{platform.admin}/metrics").body
        assert 'passband_carrier_throttled_total{carrier="theirs"} 1.0' in metrics

        # The platform unbinds
        gone = sum('"unbound"' in line for line in smsc.lines)
        assert platform.end() == 0
        smsc.wait_for("unbound", gone + 1)


async def test_the_npm_package_refuses_us_and_we_refuse_it(npm_smsc: Smsc) -> None:
    """smpp34's server refuses nobody; the certificate is that of the relay before it."""
    wrong = settings(npm_smsc.port, password="wrong", tls=True, tls_ca_file=str(npm_smsc.authority))
    (fault,) = await SmppCarrier(wrong, SystemClock(), Random(1)).check()
    assert fault.endswith("ESME_RINVPASWD (0x0E)")
    (fault,) = await SmppCarrier(settings(npm_smsc.port, tls=True), SystemClock(), Random(1)).check()
    assert "CERTIFICATE_VERIFY_FAILED" in fault
