"""The simulated SMSC and clients that are not ours: smpp34 (Rust) and smpplib (Python)."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import smpp34
import smpplib.client
import smpplib.exceptions
import smpplib.gsm
import trustme

from passband.clock import SystemClock
from passband.smsc import Smsc, SmscOptions

TEXTS = {"gsm": "Hello @ 5€", "ucs2": "Ваш стол готов", "long": "Your table is ready. " * 20}


@asynccontextmanager
async def smsc(**options: Any) -> AsyncIterator[tuple[Smsc, int]]:
    server = Smsc(
        SmscOptions(**{"port": 0, "ledger": True, "receipt_delay": 0.0, "password": "s3cret08", **options}),
        SystemClock(),
    )
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop()


async def until(smsc: Smsc, counter: str, count: int) -> None:
    async with asyncio.timeout(30):
        while smsc.counters[counter] < count:
            await asyncio.sleep(0.002)


# ── smpp34 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def delivery(bound: smpp34.Smsc) -> smpp34.DeliverSmEvent:
    event = await bound.next()
    assert isinstance(event, smpp34.DeliverSmEvent)
    return event


async def test_a_native_client_submits_and_gets_receipts_and_messages() -> None:
    async with smsc() as (server, port):
        client = smpp34.Client("127.0.0.1", port, "native", "s3cret08")
        bound = await client.connect()
        answer = await bound.submit_sm("14085550142", b"hello", source_addr="12025550143", registered_delivery=1)
        assert answer.is_success
        receipt = await delivery(bound)
        assert receipt.esm_class == 4
        assert f"id:{answer.message_id} " in receipt.short_message.decode()
        assert b"stat:DELIVRD" in receipt.short_message
        assert (receipt.source_addr, receipt.destination_addr) == ("14085550142", "12025550143")
        server.inbound("+14085550142", "+12025550143", "Привет")
        message = await delivery(bound)
        assert message.short_message == "Привет".encode("utf-16-be")
        assert message.data_coding == 8
        await until(server, "acknowledged", 2)
        await bound.unbind()
        await client.stop()


async def test_a_native_client_is_refused_with_a_wrong_password() -> None:
    async with smsc() as (server, port):
        client = smpp34.Client("127.0.0.1", port, "native", "wrong", connect_timeout_ms=100)
        with pytest.raises(smpp34.SmppError):
            await client.connect()
        assert server.counters["bind_refusals"] >= 1
        await client.stop()


async def test_a_native_client_is_throttled_and_told_of_failures() -> None:
    async with smsc(errors={0x58: 1.0}) as (server, port):
        client = smpp34.Client("127.0.0.1", port, "native", "s3cret08")
        bound = await client.connect()
        answer = await bound.submit_sm("14085550142", b"hello", source_addr="12025550143")
        assert answer.command_status == 0x58
        server.options.errors = {}
        await bound.submit_sm("19195554720", b"hello", source_addr="12025550143", registered_delivery=1)
        assert b"stat:UNDELIV err:4720" in (await delivery(bound)).short_message
        await bound.unbind()
        await client.stop()


# ── smpplib ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Lib:
    """smpplib's client, which blocks, in a thread of its own."""

    def __init__(self, port: int, count: int, text: str, context: ssl.SSLContext | None = None) -> None:
        self.port, self.count, self.text, self.context = port, count, text, context
        self.ids: list[str] = []
        self.received: list[str] = []
        self.inbound_wanted = 0

    def run(self) -> None:
        client = smpplib.client.Client(
            "127.0.0.1", self.port, timeout=5, allow_unknown_opt_params=True, ssl_context=self.context
        )
        done = threading.Event()

        def sent(pdu: Any, **_: Any) -> None:
            self.ids.append(pdu.message_id.decode())

        def received(pdu: Any, **_: Any) -> int:
            self.received.append(pdu.short_message.decode("latin-1"))
            if len(self.received) == self.count + self.inbound_wanted:
                done.set()
            return 0

        client.set_message_sent_handler(sent)
        client.set_message_received_handler(received)
        client.connect()
        client.bind_transceiver(system_id="smpplib", password="s3cret08")
        parts, coding, esm_class = smpplib.gsm.make_parts(self.text)
        for part in parts:
            client.send_message(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr="12025550143",
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr="14085550142",
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=True,
            )
        while len(self.ids) < self.count or not done.is_set():
            client.read_once()
        client.unbind()
        client.disconnect()


@pytest.mark.parametrize(("case", "segments"), [("gsm", 1), ("ucs2", 1), ("long", 3)])
async def test_a_python_client_submits_and_gets_receipts(case: str, segments: int) -> None:
    async with smsc() as (server, port):
        lib = Lib(port, segments, TEXTS[case])
        await asyncio.wait_for(asyncio.to_thread(lib.run), 30)
        assert [taken.message_id for taken in server.ledger] == lib.ids
        assert {said.split()[0].removeprefix("id:") for said in lib.received} == set(lib.ids)
        assert server.counters["acknowledged"] == segments


async def test_a_python_client_over_tls(tmp_path: Path) -> None:
    authority, certificate = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # smpplib does not tell it
    authority.configure_trust(context)
    async with smsc(tls_certificate=str(certificate)) as (server, port):
        lib = Lib(port, 3, TEXTS["long"], context)
        await asyncio.wait_for(asyncio.to_thread(lib.run), 10)
        assert [taken.message_id for taken in server.ledger] == lib.ids
        assert server.counters["acknowledged"] == 3


async def test_a_python_client_gets_messages() -> None:
    async with smsc() as (server, port):
        lib = Lib(port, 1, "hello")
        lib.inbound_wanted = 1
        work = asyncio.create_task(asyncio.to_thread(lib.run))
        await until(server, "accepted", 1)
        server.inbound("+14085550142", "+12025550143", "On my way")
        await asyncio.wait_for(work, 30)
        assert "On my way" in lib.received
