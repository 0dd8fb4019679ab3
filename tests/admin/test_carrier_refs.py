"""What the carrier calls a segment is shown as it gave it: that is what one quotes to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from admin.running import OURS, THEIRS, Running
from carriers.smpp_pair import running_smsc
from passband.config import developers
from passband.config.developers import SmppPeer
from passband.smpp.pdu import DeliverSm
from passband.smsc import Smsc
from passband.smsc.deliveries import MessageIds
from passband.smsc.options import IdFormat

LONG = "Your table is ready. " * 20


class Padded(MessageIds):
    """Identifiers from 00ab12 on; in receipts, which the tests send, they are decimal."""

    def __init__(self) -> None:
        super().__init__(Random(1))
        self._next = 0xAB11

    def next(self, form: IdFormat) -> tuple[str, str]:
        self._next += 1
        return f"{self._next:06x}", ""


@asynccontextmanager
async def both(folder: Path, edition: str) -> AsyncIterator[tuple[Smsc, Running]]:
    async with running_smsc(receipts=False) as (smsc, port):
        smsc._ids = Padded()
        async with Running.started(folder, edition=edition, smpp=SmppPeer(f"127.0.0.1:{port}", "passband")) as running:
            yield smsc, running


def receipt(id_: str) -> bytes:
    said = f"id:{id_} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000 text:"
    return DeliverSm(
        source_addr_ton=1, source_addr=THEIRS[1:], dest_addr_ton=1, destination_addr=OURS[1:],
        esm_class=4, short_message=said.encode(),
    ).body()  # fmt: skip


async def test_a_message_that_is_followed_tells_what_its_carrier_calls_it(tmp_path: Path) -> None:
    async with both(tmp_path, "developers") as (smsc, dev):
        (message,) = await dev.followed(await dev.send(LONG), "handed")
        assert (message["history"][-1]["state"], message["history"][-1]["detail"]) == (
            "handed",
            "as 00ab12, 00ab13, 00ab14",
        )
        smsc.deliver("passband", [receipt(str(number)) for number in (0xAB12, 0xAB13, 0xAB14)])
        smsc.wake()
        (message,) = await dev.followed(message["id"])
        assert message["result"] == "delivered"


@pytest.mark.parametrize(
    ("text", "waiting", "last"),
    [
        pytest.param("hello", [{"segment": None, "ref": "00ab12"}], [], id="one segment"),
        pytest.param(
            LONG,
            [{"segment": place, "ref": ref} for place, ref in enumerate(("00ab12", "00ab13", "00ab14"), 1)],
            [{"segment": 2, "ref": "00ab13"}, {"segment": 3, "ref": "00ab14"}],
            id="three",
        ),
    ],
)
async def test_in_production_too_it_is_found_in_the_store_until_the_receipt_comes(
    text: str, waiting: list[dict[str, object]], last: list[dict[str, object]], tmp_path: Path
) -> None:
    async with both(tmp_path, "production") as (smsc, production):
        id_ = await production.send(text)
        async with asyncio.timeout(5):  # nobody looks so far, so that nothing is followed
            while not await production.node.store.carrier_refs(developers.ACCOUNT, id_):
                await asyncio.sleep(0.005)
        path = f"/admin/messages?id={id_}"
        (stored,) = (await production.get(path))["stored"]
        assert (stored["status"], stored["carrier_refs"]) == ("SENDING", waiting)
        assert (await production.get(f"/admin/messages/{id_}"))["stored"] == [stored]
        smsc.deliver("passband", [receipt(str(0xAB12))])
        smsc.wake()
        if last:
            await production.until(path, lambda a: a["stored"][0]["carrier_refs"] == last)
        else:  # production has no inbox that would acknowledge its event
            await production.followed(id_, "callback-pending")
