"""MM4 through Exim, a mail server that we did not write: ours into it, and what it relays to us, both under TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from carriers.collector import an_mms
from carriers.exim import Exim, an_exim, certificates
from carriers.mm4_peer import DOMAIN, FRIEND, OURS, PEER_DOMAIN, PHONE, SYSTEM, Link, linked, post
from carriers.test_mm4_receiving import GIF, a_message
from passband.carriers.mm4.profile import Tls
from passband.domain.report import Accepted, Attachment, Submission
from passband.mm4.message import ForwardRequest, ForwardResponse
from passband.mm4.reading import parse
from passband.testing import FakeClock
from ports import free_port
from real_parts import command

pytestmark = pytest.mark.slow  # three processes have to start and to end

TYPED = f"/TYPE=PLMN@{DOMAIN}"
# Every octet, lines that begin with dots, and bare line ends.
OCTETS = bytes(range(256)) * 1000 + b"\r\n.\r\n..\n.\r" * 100


class Connected(NamedTuple):
    link: Link
    exim: Exim


@pytest.fixture
async def both(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Connected]:
    async with connected(tmp_path, clock) as found:
        yield found


@asynccontextmanager
async def connected(folder: Path, clock: FakeClock) -> AsyncIterator[Connected]:
    command("exim4")
    certificates(folder)
    port = free_port()
    async with (
        linked(
            port,
            clock,
            tls=Tls.STARTTLS,
            tls_ca_file=folder / "ca.pem",
            listen_certificate=folder / "chain.pem",
            listen_key=folder / "key.pem",
        ) as link,
        an_exim(link.port, port, folder) as exim,
    ):
        yield Connected(link, exim)


async def test_a_group_reaches_it_under_tls_to_the_last_octet(both: Connected) -> None:
    plain = an_mms(PHONE, FRIEND)
    attachment = Attachment("all.png", "image/png", OCTETS)
    both.link.carrier.submit([Submission(plain.recipients, (attachment,))])
    await both.link.collector.until(lambda: bool(both.link.collector.outcomes))
    assert [type(outcome) for _, outcome in both.link.collector.outcomes] == [Accepted, Accepted]
    [octets] = await both.exim.kept(1)
    request = parse(octets)
    assert isinstance(request, ForwardRequest)
    assert [address.value for address in request.to] == [PHONE, FRIEND]
    assert request.text == "hello"
    assert [part.octets for part in request.media] == [OCTETS]
    assert b"(TLS1" in octets.partition(b"\r\n\r\n")[0] or b"(TLS1" in octets.partition(b"\n\n")[0]


async def test_what_it_relays_is_stored_and_answered_through_it(both: Connected) -> None:
    assert (await post(both.exim.port, a_message(), OURS + TYPED)).startswith("250")
    [octets] = await both.exim.kept(1)
    [inbound] = both.link.collector.inbound
    assert (inbound.sender, inbound.to, inbound.told) == (PHONE, (OURS, FRIEND), (OURS,))
    assert inbound.text == "Look\nat this"
    assert inbound.attachments[1].octets == GIF
    response = parse(octets)
    assert isinstance(response, ForwardResponse)
    assert (response.status, str(response.transaction_id), response.system) == ("Ok", "44", SYSTEM)


async def test_it_keeps_what_our_store_cannot_take_and_comes_again(both: Connected) -> None:
    both.link.collector.failures = 1
    assert (await post(both.exim.port, a_message(), OURS + TYPED)).startswith("250")
    await both.link.collector.until(lambda: both.link.collector.refused == 1)
    assert not both.link.collector.inbound
    async with asyncio.timeout(20):
        while not both.link.collector.inbound:
            await both.exim.run_queue()
    await both.exim.kept(1)
    async with asyncio.timeout(20):
        while await both.exim.queued():  # what it has delivered it removes a moment later
            await asyncio.sleep(0.02)
    assert len(both.link.collector.inbound) == 1


async def test_it_tells_the_sender_of_a_number_that_is_not_ours(both: Connected) -> None:
    sender = f"system@{PEER_DOMAIN}"
    assert (await post(both.exim.port, a_message(), PHONE + TYPED, sender=sender)).startswith("250")
    [bounce] = await both.exim.kept(1)
    assert b"550 5.1.1 no such number here" in bounce
    assert not both.link.collector.inbound
