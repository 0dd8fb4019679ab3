"""Receipts that decide nothing, over TCP: what a message comes to when its receipt window is over."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from carriers.smpp_node import SENDER, running_node
from carriers.smpp_pair import running_smsc
from passband.carriers.smpp import ReceiptState
from passband.smpp import tlv
from passband.smpp.pdu import DeliverSm
from passband.testing import FakeClock

FAR = "+14085550142"
WINDOW = 7200.0
LONG = "Your table is ready. " * 20
USUAL = "id:{} sub:001 dlvrd:000 submit date:2603140159 done date:2603140200 stat:{} err:000 text:"
DELIVERED, UNKNOWN, EXPIRED = ("message-delivered", 0), ("message-failed", 9999), ("message-failed", 9902)


def a_receipt(id_: str, stat: str, **fields: Any) -> bytes:
    said = {"esm_class": 4, "short_message": USUAL.format(id_, stat).encode(), **fields}
    return DeliverSm(
        source_addr_ton=1, source_addr=FAR[1:], dest_addr_ton=1, destination_addr=SENDER[1:], **said
    ).body()


Said = list[tuple[int, str, dict[str, Any]]]
CASES: dict[str, tuple[str, Said, dict[str, Any], tuple[str, int]]] = {
    # the text, its receipts (each its segment, its word, and what else), the carrier's settings, what it comes to
    "silence": ("hi", [], {}, EXPIRED),
    "UNKNOWN": ("hi", [(0, "UNKNOWN", {})], {}, UNKNOWN),
    "the state 7 in a parameter": ("hi", [(0, "ENROUTE", {"tlvs": {tlv.MESSAGE_STATE: b"\7"}})], {}, UNKNOWN),
    "UNKNOWN, several times": ("hi", [(0, "UNKNOWN", {})] * 3, {}, UNKNOWN),
    "a word that nobody knows": ("hi", [(0, "WHATEVER", {})], {}, UNKNOWN),
    "UNKNOWN, where only the text says that it is a receipt": ("hi", [(0, "UNKNOWN", {"esm_class": 0})], {}, UNKNOWN),
    "an unknown word, the same": ("hi", [(0, "WHATEVER", {"esm_class": 0})], {}, UNKNOWN),
    "UNKNOWN, then on its way": ("hi", [(0, "UNKNOWN", {}), (0, "ENROUTE", {})], {}, UNKNOWN),
    "on its way": ("hi", [(0, "ENROUTE", {}), (0, "ACCEPTD", {})], {}, EXPIRED),
    "UNKNOWN, then delivered": ("hi", [(0, "UNKNOWN", {}), (0, "DELIVRD", {})], {}, DELIVERED),
    "UNKNOWN, then failed": ("hi", [(0, "UNKNOWN", {}), (0, "EXPIRED", {})], {}, ("message-failed", 4794)),
    "delivered, then UNKNOWN": ("hi", [(0, "DELIVRD", {}), (0, "UNKNOWN", {})], {}, DELIVERED),
    "an intermediate notification": ("hi", [(0, "UNKNOWN", {"esm_class": 0x20})], {}, EXPIRED),
    "what the carrier calls on its way": (
        "hi",
        [(0, "UNKNOWN", {})],
        {"receipt_states": {"UNKNOWN": ReceiptState(outcome="pending")}},
        EXPIRED,
    ),
    "one of three segments": (LONG, [(0, "DELIVRD", {}), (1, "UNKNOWN", {}), (2, "DELIVRD", {})], {}, DELIVERED),
    "one of three segments, where all are needed": (
        LONG,
        [(0, "DELIVRD", {}), (1, "UNKNOWN", {}), (2, "DELIVRD", {})],
        {"single_receipt": False},
        UNKNOWN,
    ),
    "the only word on three segments": (LONG, [(2, "UNKNOWN", {})], {}, UNKNOWN),
    "the first word on three segments": (
        LONG,
        [(0, "UNKNOWN", {}), (2, "DELIVRD", {})],
        {"receipts": "one"},
        DELIVERED,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_when_the_receipt_window_is_over_a_message_comes_to(case: str, tmp_path: Path) -> None:
    text, said, changes, event = CASES[case]
    clock = FakeClock()
    async with (
        running_smsc(receipts=False) as (smsc, port),
        running_node(tmp_path / "passband.db", port, clock, **changes) as node,
    ):
        (message,) = await node.send(1, text, FAR)
        async with asyncio.timeout(30):
            while not (refs := await node.store.carrier_refs(message.account, message.id)):
                await asyncio.sleep(0.002)
            for number, (segment, stat, fields) in enumerate(said, 1):
                smsc.deliver("passband", [a_receipt(refs[segment].ref, stat, **fields)])
                smsc.wake()
                while smsc.counters["acknowledged"] < number:
                    await asyncio.sleep(0.002)
        clock.advance(WINDOW - 1)
        assert await node.store.expire(clock.now()) == 0
        clock.advance(2)
        await node.store.expire(clock.now())
        assert node.events() == {message.id: [event]}
