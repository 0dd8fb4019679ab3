"""Passband's carrier against SMSCs that are not ours: smpp34 (Rust) and the npm package smpp (JavaScript)."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import smpp34
import trustme

from carriers.collector import SENDER, Collector, a_submission
from carriers.smpp_pair import settings
from passband.carriers.smpp import SmppCarrier
from passband.clock import Clock, SystemClock
from passband.domain.report import Accepted
from passband.testing import FakeClock
from ports import free_port

HERE = Path(__file__).parent / "node"
TEXTS = {"gsm": "Hello @ 5€ [ok] _$", "ucs2": "Ваш стол готов", "long": "Your table is ready. " * 20}
SEGMENTS = {"gsm": 1, "ucs2": 1, "long": 3}


@pytest.fixture
def collector() -> Collector:
    return Collector()


@asynccontextmanager
async def running(
    collector: Collector, port: int, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[SmppCarrier]:
    clock = clock or SystemClock()
    carrier = SmppCarrier(settings(port, **changes), clock, Random(1))
    task = asyncio.create_task(carrier.run(collector, collector.wake))
    try:
        yield carrier
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def bound(carrier: SmppCarrier, collector: Collector) -> None:
    await collector.until(lambda: carrier.room(SystemClock().now()) > 0)


# ── smpp34 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class NativeSmsc:
    """smpp34's server: takes everything and sends a receipt for it."""

    def __init__(self) -> None:
        self.submits: list[Any] = []
        self.esme: Any = None
        self.throttle = 0
        self.unbound = asyncio.Event()

    async def run(self, server: Any) -> None:
        ids = 0
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self.esme = event
            elif isinstance(event, smpp34.Unbound):
                self.unbound.set()
            elif self.throttle:
                self.throttle -= 1
                event.reject(0x58)
            else:
                ids += 1
                self.submits.append(event)
                event.accept(f"{ids:08X}")
                said = (
                    f"id:{ids:08x} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000"
                )
                await self.esme.deliver_sm(
                    event.source_addr,
                    said.encode(),
                    source_addr=event.destination_addr,
                    source_addr_ton=1,
                    source_addr_npi=1,
                    dest_addr_ton=1,
                    dest_addr_npi=1,
                    esm_class=4,
                )


@asynccontextmanager
async def native() -> AsyncIterator[tuple[NativeSmsc, int]]:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="native")
    await server.start()
    smsc = NativeSmsc()
    task = asyncio.create_task(smsc.run(server))
    try:
        yield smsc, port
    finally:
        task.cancel()
        await asyncio.wait([task])
        await server.stop()


@pytest.mark.parametrize("case", TEXTS)
async def test_the_native_server_takes_texts_and_its_receipts_arrive(case: str, collector: Collector) -> None:
    async with native() as (smsc, port), running(collector, port) as carrier:
        await bound(carrier, collector)
        carrier.submit([a_submission(text=TEXTS[case], segments=SEGMENTS[case])])
        await collector.until(lambda: len(collector.receipts) == SEGMENTS[case] and len(collector.outcomes) == 1)
    # It hands them over in no particular order; the header begins with its place in the message.
    contents = sorted(event.short_message for event in smsc.submits)
    octets = b"".join(content[6 if case == "long" else 0 :] for content in contents)
    expected = {"gsm": bytes.fromhex("48656C6C6F200020351B65201B3C6F6B1B3E201102"), "long": TEXTS["long"].encode()}
    assert octets == expected.get(case, TEXTS[case].encode("utf-16-be"))
    assert {event.data_coding for event in smsc.submits} == ({8} if case == "ucs2" else {0})
    assert {event.esm_class for event in smsc.submits} == ({0x40} if case == "long" else {0})
    assert {receipt.refs[0] for receipt in collector.receipts} == set(collector.refs)


async def test_the_native_server_delivers_messages_and_sees_us_unbind(collector: Collector) -> None:
    async with native() as (smsc, port):
        async with running(collector, port) as carrier:
            await bound(carrier, collector)
            while smsc.esme is None:
                await asyncio.sleep(0.001)
            answer = await smsc.esme.deliver_sm(SENDER[1:], b"On my way", source_addr="14085550142", source_addr_ton=1)
            assert answer.is_success
        async with asyncio.timeout(30):
            await smsc.unbound.wait()
    # Its addresses have no type of number: ours is known by its length.
    assert [(m.sender, m.to, m.text) for m in collector.inbound] == [("+14085550142", (SENDER,), "On my way")]


async def test_the_native_server_throttles(collector: Collector) -> None:
    clock = FakeClock()
    async with native() as (smsc, port), running(collector, port, clock) as carrier:
        await bound(carrier, collector)
        smsc.throttle = 1
        carrier.submit([a_submission()])
        async with asyncio.timeout(30):
            while not collector.outcomes:
                await asyncio.sleep(0.005)
                clock.advance(0.5)
    assert isinstance(collector.outcomes[0][1], Accepted)
    assert carrier.throttled_count == 1


# ── the npm package smpp ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def node_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed by npm; without npm the tests are skipped, but not where CI asks for them."""
    required = os.environ.get("CI") == "true"
    if shutil.which("node") is None or shutil.which("npm") is None:
        if required:
            pytest.fail("node and npm are needed to prove that the npm package smpp understands us")
        pytest.skip("NOT PROVEN against the npm package smpp: no node, or no npm")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(HERE / "package.json", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        (pytest.fail if required else pytest.skip)(f"NOT PROVEN against the npm package smpp: {done.stderr[-300:]}")
    return folder / "node_modules" / "smpp"


class NodeSmsc:
    """The process of node/smsc.js."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next event that is so."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while True:
                line = await self._process.stdout.readline()
                assert line, "the SMSC has ended"
                self.events.append(json.loads(line))
                if true(self.events[-1]):
                    return self.events[-1]

    def tell(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def submits(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "submit"]


@asynccontextmanager
async def node_smsc(module: Path, certificate: Path | None = None) -> AsyncIterator[tuple[NodeSmsc, int]]:
    environment = {**os.environ, "SMPP_MODULE": str(module), "SMPP_TLS": str(certificate or "")}
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / "smsc.js"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    smsc = NodeSmsc(process)
    try:
        port = (await smsc.until(lambda event: event["event"] == "listening"))["port"]
        yield smsc, port
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("case", TEXTS)
async def test_the_npm_package_reads_our_texts_and_its_receipts_arrive(
    case: str, collector: Collector, node_module: Path
) -> None:
    async with node_smsc(node_module) as (smsc, port), running(collector, port) as carrier:
        await bound(carrier, collector)
        carrier.submit([a_submission(text=TEXTS[case], segments=SEGMENTS[case])])
        for _ in range(SEGMENTS[case]):
            answered = await smsc.until(lambda event: event["event"] == "acknowledged")
            assert answered["status"] == 0
        await collector.until(lambda: len(collector.receipts) == SEGMENTS[case] and len(collector.outcomes) == 1)
        assert "".join(submit["text"] for submit in smsc.submits()) == TEXTS[case]
        assert {(submit["from"], submit["to"]) for submit in smsc.submits()} == {(SENDER[1:], "14085550142")}
    assert {receipt.refs[0] for receipt in collector.receipts} == set(collector.refs)


@pytest.mark.slow
async def test_the_npm_package_delivers_messages_throttles_and_unbinds(collector: Collector, node_module: Path) -> None:
    clock = FakeClock()
    async with node_smsc(node_module) as (smsc, port):
        async with running(collector, port, clock) as carrier:
            await bound(carrier, collector)
            smsc.tell(**{"from": "14085550142", "to": SENDER[1:], "text": "Привет ☕", "coding": 8})
            assert (await smsc.until(lambda event: event["event"] == "acknowledged"))["status"] == 0
            smsc.tell(throttle=1)
            carrier.submit([a_submission()])
            async with asyncio.timeout(30):
                while not collector.outcomes:
                    await asyncio.sleep(0.005)
                    clock.advance(0.5)
            smsc.tell(unbind=True)
            async with asyncio.timeout(30):
                while carrier.links()[0].connections < 2:
                    await asyncio.sleep(0.005)
                    clock.advance(0.5)
            await smsc.until(lambda event: event["event"] == "bound")
        await smsc.until(lambda event: event["event"] == "unbound")
    assert [(m.sender, m.to, m.text) for m in collector.inbound] == [("+14085550142", (SENDER,), "Привет ☕")]
    assert isinstance(collector.outcomes[0][1], Accepted)


@pytest.mark.slow
async def test_the_npm_package_over_tls(tmp_path: Path, collector: Collector, node_module: Path) -> None:
    authority, certificate, known = trustme.CA(), tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(known)
    async with node_smsc(node_module, certificate) as (_, port):
        async with running(collector, port, tls=True, tls_ca_file=str(known)) as carrier:
            await bound(carrier, collector)
            carrier.submit([a_submission()])
            await collector.until(lambda: len(collector.receipts) == 1)
            assert await carrier.check() == []
        stranger = SmppCarrier(settings(port, tls=True), SystemClock(), Random(1))
        (fault,) = await stranger.check()
        assert "CERTIFICATE_VERIFY_FAILED" in fault


@pytest.mark.slow
async def test_the_npm_package_refuses_a_wrong_password(node_module: Path) -> None:
    async with node_smsc(node_module) as (_, port):
        (fault,) = await SmppCarrier(settings(port, password="wrong"), SystemClock(), Random(1)).check()
    assert fault.endswith("ESME_RINVPASWD (0x0E)")
