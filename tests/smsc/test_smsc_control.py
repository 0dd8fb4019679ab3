"""The simulated SMSC as a person with curl sees it, and what it does wrong when asked to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from passband.smpp import tlv
from passband.smpp.codec import Decoder
from passband.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    Pdu,
    SubmitSm,
    SubmitSmResp,
)
from passband.smsc import SmscOptions, serve
from passband.smsc.options import LIVE


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[int, int]]:
    """Run ``serve``; the ports of SMPP and of the control endpoint."""
    ports: asyncio.Future[tuple[int, int | None]] = asyncio.get_running_loop().create_future()
    chosen = SmscOptions(**{"port": 0, "control": ("127.0.0.1", 0), "receipt_delay": 0.0, "seed": 3, **options})
    task = asyncio.create_task(serve(chosen, lambda port, control: ports.set_result((port, control))))
    try:
        port, control = await ports
        assert control is not None
        yield port, control
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ask(port: int, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    octets = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(octets)}\r\n\r\n".encode() + octets)
    head, _, said = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(said)


class Client:
    """A client that sends what it is told and keeps what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = Decoder()
        self._read: list[Any] = []

    def send(self, *pdus: Pdu) -> None:
        self._writer.write(b"".join(pdu.encode() for pdu in pdus))

    async def next(self) -> Any:
        """The next PDU; None when the connection has ended."""
        async with asyncio.timeout(30):
            while not self._read:
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return None
                self._read += self._decoder.feed(data)
        return self._read.pop(0)

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def bound(port: int) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    client.send(BindTransceiver(1, system_id="test"))
    assert (await client.next()).command_status == 0
    try:
        yield client
    finally:
        client.close()


def submit(sequence: int, number: str = "14085550142") -> SubmitSm:
    return SubmitSm(sequence, source_addr="12025550143", destination_addr=number, registered_delivery=1)


async def test_counters_settings_and_cuts_over_http() -> None:
    async with served() as (port, control), bound(port) as client:
        client.send(submit(2))
        assert type(await client.next()) is SubmitSmResp
        receipt = await client.next()
        client.send(DeliverSmResp(receipt.sequence_number))
        status, counters = await ask(control, "GET", "/counters")
        assert (status, counters["submits"], counters["receipts"], counters["bound"]) == (200, 1, 1, 1)
        status, options = await ask(control, "POST", "/settings", {"errors": {"0x14": 1.0}, "receipts": False})
        assert status == 200
        assert (options["errors"], options["receipts"]) == ({"20": 1.0}, False)
        client.send(submit(3))
        assert (await client.next()).command_status == 0x14
        assert (await ask(control, "POST", "/settings", {"errors": {"88": 1}}))[1]["errors"] == {"88": 1.0}
        assert await ask(control, "POST", "/disconnect", {}) == (200, {"connections": 1})
        assert await client.next() is None


async def test_a_message_from_a_handset_over_http() -> None:
    async with served() as (port, control), bound(port) as client:
        message = {"from": "+14085550142", "to": "+12025550143", "text": "On my way"}
        assert await ask(control, "POST", "/inbound", message) == (200, {"parts": 1})
        pdu = await client.next()
        assert isinstance(pdu, DeliverSm)
        assert (pdu.source_addr, pdu.destination_addr, pdu.short_message) == (
            "14085550142",
            "12025550143",
            b"On my way",
        )


@pytest.mark.parametrize(
    ("method", "path", "raw", "status"),
    [
        ("GET", "/", b"", 404),
        ("POST", "/inbound", b"{", 400),
        ("POST", "/inbound", b'{"to": "x"}', 400),
        ("POST", "/settings", b'{"port": 1}', 400),
        ("POST", "/settings", b'{"rate": "fast"}', 400),
        ("POST", "/settings", b'{"rate": 0}', 400),
        ("POST", "/settings", b'{"drop_responses": 7}', 400),
        ("POST", "/settings", b'{"receipt_delay": -1}', 400),
        ("POST", "/settings", b'{"errors": {"69": 3}}', 400),
        ("POST", "/settings", b'{"errors": {"-4": 1}}', 400),
        ("POST", "/settings", b'{"errors": {"many": 1}}', 400),
        ("POST", "/settings", b'{"errors": [88]}', 400),
        ("POST", "/inbound", b'{"from": "1", "to": "2", "text": "\\u001b"}', 400),
        ("POST", "/inbound", b'{"from": "a\\u0000b", "to": "2", "text": "x"}', 400),
        ("POST", "/inbound", b'{"from": "1", "to": "2", "text": "' + b"x" * 60_000 + b'"}', 400),
    ],
)
async def test_what_it_does_not_understand_it_says(method: str, path: str, raw: bytes, status: int) -> None:
    async with served() as (_, control):
        assert (await ask(control, method, path, raw=raw))[0] == status


def test_only_options_may_be_changed() -> None:
    assert {field.name for field in fields(SmscOptions)} > LIVE


@pytest.mark.parametrize(("order", "expected"), [("in-order", [1, 2, 3]), ("reversed", [3, 2, 1])])
async def test_receipts_come_in_the_order_asked_for(order: str, expected: list[int]) -> None:
    async with served(receipt_order=order, receipt_delay=0.02) as (port, _), bound(port) as client:
        client.send(*[submit(n, f"1408777000{n}") for n in (1, 2, 3)])
        pdus = [await client.next() for _ in range(6)]
        receipts = [int(pdu.source_addr[-1]) for pdu in pdus if isinstance(pdu, DeliverSm)]
        assert receipts == expected


@pytest.mark.parametrize(
    ("form", "answered", "named", "reference"),
    [
        ("none", False, False, None),
        ("none-hex", False, True, None),
        ("none-reference", False, False, b"\1\2"),
        ("hex-none", True, False, None),
        ("hex-reference", True, False, b"\1\2"),
    ],
)
async def test_ids_may_be_missing(form: str, answered: bool, named: bool, reference: bytes | None) -> None:
    async with served(id_format=form) as (port, control), bound(port) as client:
        with_reference = msgspec.structs.replace(submit(2), tlvs={tlv.USER_MESSAGE_REFERENCE: b"\1\2"})
        client.send(with_reference)
        answer, receipt = await client.next(), await client.next()
        assert bool(answer.message_id) == answered
        assert receipt.short_message.startswith(b"id:") == named
        assert b"stat:DELIVRD" in receipt.short_message
        assert receipt.tlvs.get(tlv.USER_MESSAGE_REFERENCE) == reference
        client.send(submit(3))
        assert (await client.next(), (await client.next()).tlvs)[1] == {}, "there was no reference to repeat"
        _, counters = await ask(control, "GET", "/counters")
        assert counters.get("receipts_without_id", 0) == (0 if named else 2)


@pytest.mark.parametrize(
    ("form", "same"), [("hex", True), ("uuid", True), ("hex-decimal", False), ("decimal-hex", False), ("padded", False)]
)
async def test_ids_have_the_form_asked_for(form: str, same: bool) -> None:
    async with served(id_format=form) as (port, _), bound(port) as client:
        client.send(submit(2))
        answer, receipt = await client.next(), await client.next()
        told = receipt.short_message.split()[0].removeprefix(b"id:").decode()
        assert (told == answer.message_id) == same
        if form == "hex-decimal":
            assert int(answer.message_id, 16) == int(told)
            assert len(told) == 10


async def test_what_is_not_acknowledged_is_delivered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passband.smsc.server.AGAIN_SECONDS", 0.01)
    async with served() as (port, _), bound(port) as client:
        client.send(submit(2))
        await client.next()
        first = await client.next()
        client.send(DeliverSmResp(first.sequence_number, 0x64))
        again = await client.next()
        assert again.short_message == first.short_message


@pytest.mark.parametrize("number", ["", "+", "Passband", "1408555014x", "14085550142 "])
async def test_a_destination_that_is_no_number_is_refused(number: str) -> None:
    async with served() as (port, control), bound(port) as client:
        client.send(submit(2, number), submit(3, "+14085550142"))
        assert [(await client.next()).command_status for _ in range(2)] == [0x0B, 0]
        _, counters = await ask(control, "GET", "/counters")
        assert (counters["submits"], counters["refused_0B"], counters["accepted"]) == (2, 1, 1)


async def test_a_data_sm_is_taken_like_a_submit_sm() -> None:
    async with served(ledger=True) as (port, control), bound(port) as client:
        segment = DataSm(2, source_addr="12025550143", destination_addr="14085550142", registered_delivery=1)
        client.send(msgspec.structs.replace(segment, tlvs={tlv.MESSAGE_PAYLOAD: b"hello"}))
        answer, receipt = await client.next(), await client.next()
        assert isinstance(answer, DataSmResp)
        assert receipt.short_message.startswith(f"id:{answer.message_id} ".encode())
        assert (receipt.source_addr, receipt.destination_addr) == ("14085550142", "12025550143")
        expected = [answer.message_id, "12025550143", "14085550142", b"hello".hex()]
        assert await ask(control, "GET", "/ledger") == (200, [expected])
        await ask(control, "POST", "/settings", {"errors": {"0x58": 1}})
        client.send(segment)
        refusal = await client.next()
        assert (type(refusal), refusal.command_status) == (DataSmResp, 0x58)


async def test_a_segment_right_behind_the_bind_is_taken() -> None:
    async with served() as (port, _):
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        client.send(BindTransceiver(1, system_id="test"), submit(2))
        answers = [await client.next() for _ in range(3)]
        assert [type(answer) for answer in answers] == [BindTransceiverResp, SubmitSmResp, DeliverSm]
        assert [answer.command_status for answer in answers] == [0, 0, 0]
        client.close()


async def test_receipts_wait_for_a_bind() -> None:
    async with served(receipt_delay=0.02) as (port, _):
        async with bound(port) as client:
            client.send(submit(2))
            await client.next()
        async with bound(port) as client:
            assert isinstance(await client.next(), DeliverSm)


async def test_it_limits_the_rate() -> None:
    async with served(rate=20.0, receipts=False) as (port, _), bound(port) as client:
        client.send(*[submit(n) for n in range(2, 12)])
        statuses = [(await client.next()).command_status for _ in range(10)]
        assert statuses[:2] == [0, 0]
        assert set(statuses[3:]) == {0x58}


async def test_it_cuts_after_so_many_segments() -> None:
    async with served(disconnect_after=2, cut_mid_pdu=True, receipts=False) as (port, _), bound(port) as client:
        client.send(submit(2), submit(3))
        assert [type(await client.next()) for _ in range(3)] == [SubmitSmResp, SubmitSmResp, type(None)]


async def test_it_hangs() -> None:
    async with served() as (port, control), bound(port) as client:
        await ask(control, "POST", "/settings", {"hang": True})
        client.send(EnquireLink(9))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.next()
