"""What a peer sends us, through the real server process: messages, responses, reports, and what is none of them."""

import asyncio
import base64
import os
import signal
import smtplib
import subprocess
from pathlib import Path
from typing import Any

import aiosmtplib
import msgspec
import pytest
import trustme

from carriers.collector import an_mms
from carriers.mm4_peer import (
    DOMAIN,
    FRIEND,
    OURS,
    PEER_DOMAIN,
    PHONE,
    PROFILE,
    SECOND,
    SYSTEM,
    Link,
    a_peer,
    linked,
)
from passband.carriers.mm4.outgoing import forward_request
from passband.carriers.mm4.profile import DeliveredOn, Tls
from passband.domain.message import Kind
from passband.domain.report import Accepted, Answer, Deciding, Deferred, Outcome, Receipt, Rejected, Submission
from passband.mm4.message import ForwardRequest, ForwardResponse, Response
from passband.testing import FakeClock
from real_parts import command

pytestmark = pytest.mark.slow  # the server is a process, which has to start and to end

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
TYPED = f"/TYPE=PLMN@{DOMAIN}"


def a_mail(headers: str, body: str = "") -> bytes:
    return f"{headers.strip()}\n\n{body}".replace("\n", "\r\n").encode()


def a_message(*, ids: str = "44", ack: str = "Yes", to: str = OURS, more: str = "", body: str | None = None) -> bytes:
    content = """--=_b
Content-Type: application/smil; name=x.smil

<smil/>
--=_b
Content-Type: text/plain; charset=utf-8

Look
--=_b
Content-Type: image/gif; name="dot.gif"
Content-Transfer-Encoding: base64

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--=_b
Content-Type: text/plain

at this
--=_b--
"""
    return a_mail(
        f"""
From: {PHONE}/TYPE=PLMN
To: {to}/TYPE=PLMN, {FRIEND}/TYPE=PLMN
X-Mms-3GPP-MMS-Version: 5.3.0
X-Mms-Message-Type: MM4_forward.REQ
X-Mms-Transaction-Id: "{ids}"
X-Mms-Message-Id: "{ids}@{PEER_DOMAIN}"
X-Mms-Ack-Request: {ack}
X-Mms-Originator-System: system@{PEER_DOMAIN}
MIME-Version: 1.0
Content-Type: multipart/related; boundary="=_b"
{more}""",
        content if body is None else body,
    )


async def test_a_message_is_stored_and_then_answered(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(a_message(), OURS + TYPED)).startswith("250")
        [inbound] = link.collector.inbound
        await peer.until(1)
    assert (inbound.carrier, inbound.sender, inbound.to, inbound.told) == ("mmsc", PHONE, (OURS, FRIEND), (OURS,))
    assert (inbound.text, inbound.kind, inbound.media) == ("Look\nat this", Kind.MMS, ())
    assert [(a.index, a.name, a.content_type) for a in inbound.attachments] == [
        (0, "0.smil", "application/smil"),
        (2, "dot.gif", "image/gif"),
    ]
    assert inbound.attachments[1].octets == GIF
    [received] = peer.received
    assert (received.sender, received.recipients) == (SYSTEM, (f"system@{PEER_DOMAIN}",))
    response = received.message
    assert isinstance(response, ForwardResponse)
    assert (response.status, response.version) == ("Ok", "5.3.0")
    assert response.transaction_id is not None
    assert response.transaction_id.raw == '"44"'


async def test_a_peer_is_not_answered_before_the_commit(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.collector.open.clear()
        posted = asyncio.create_task(link.post(a_message(), OURS + TYPED))
        await link.collector.until(lambda: link.collector.hanging == 1)
        done, _ = await asyncio.wait([posted], timeout=0.05)
        assert not done
        link.collector.open.set()
        assert (await posted).startswith("250")


async def test_a_peer_comes_again_when_the_store_is_out_of_order(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        link.collector.failures = 1
        assert (await link.post(a_message(), OURS + TYPED)).startswith("451")
        assert not peer.received
        assert (await link.post(a_message(), OURS + TYPED)).startswith("250")
        await peer.until(1)
        assert len(link.collector.inbound) == 1


async def test_a_repeat_has_the_same_reference_and_is_answered_again(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        for to in ((OURS, SECOND), (SECOND, OURS), (OURS,)):
            await link.post(a_message(), *(number + TYPED for number in to))
        await link.post(a_message(ids="45"), OURS + TYPED)
        await peer.until(4)
    first, repeat, other_recipients, other = (inbound.ref for inbound in link.collector.inbound)
    assert first == repeat
    assert len({first, other_recipients, other}) == 3


async def test_nobody_is_answered_who_does_not_want_it(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        await link.post(a_message(ack="No"), OURS + TYPED)
        assert link.collector.inbound
    assert not peer.received


async def test_a_response_that_the_peer_does_not_take_now_comes_later(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        peer.script["MAIL"].append("451 later")
        await link.post(a_message(), OURS + TYPED)
        while not peer.received:
            clock.advance(1)
            await asyncio.sleep(0.01)
        assert isinstance(peer.received[0].message, ForwardResponse)


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "a number that is not ours": (a_message(), f"+14085550142{TYPED}", "550 5.1.1"),
    "another domain": (a_message(), f"{OURS}/TYPE=PLMN@elsewhere.example", "550 5.7.1"),
    "no domain": (a_message(), f"{OURS}/TYPE=PLMN", "550 5.7.1"),
    "no MM4": (a_mail("From: a@b.example\nSubject: hello", "hello"), SYSTEM, "554 5.6.0"),
    "nothing": (b"\r\n", SYSTEM, "554 5.6.0"),
    "a message that goes round": (a_message(more="X-Mms-Forward-Counter: 11\n"), OURS + TYPED, "554 5.4.6"),
    "too large": (a_message(body=f"{'x' * 76}\n" * 30_000), OURS + TYPED, "552"),
    "unreadable, and no answer wanted": (a_message(ack="No", body="no boundary"), OURS + TYPED, "554 5.6.0"),
}


@pytest.mark.parametrize(("octets", "to", "reply"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_peer_is_refused(octets: bytes, to: str, reply: str, clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(octets, to)).startswith(reply)
        assert (await link.post(a_message(), OURS + TYPED)).startswith("250"), "and goes on"
        assert len(link.collector.inbound) == 1


ANSWERED: dict[str, tuple[bytes, str, str]] = {
    "unreadable MIME": (a_message(body="no boundary"), OURS + TYPED, "Error-message-format-corrupt"),
    "to nobody of ours": (a_message(), SYSTEM, "Error-sending-address-unresolved"),
    "more parts than anybody sends": (
        a_message(body="--=_b\nContent-Type: image/gif\n\nx\n" * 300 + "--=_b--\n"),
        OURS + TYPED,
        "Error-content-not-accepted",
    ),
}


@pytest.mark.parametrize(("octets", "to", "status"), ANSWERED.values(), ids=ANSWERED.keys())
async def test_a_message_is_refused_by_a_response(octets: bytes, to: str, status: str, clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(octets, to)).startswith("250")
        await peer.until(1)
        assert not link.collector.inbound
    response = peer.received[0].message
    assert isinstance(response, Response)
    assert response.status == status


# ── what became of ours ──────────────────────────────────────────────────────────────────────────────────────────────


def a_transaction(mode: DeliveredOn, attempts: int = 0) -> str:
    recipients = tuple(msgspec.structs.replace(r, attempts=attempts) for r in an_mms(PHONE).recipients)
    request: ForwardRequest = forward_request(PROFILE, Submission(recipients), mode)
    return str(request.transaction_id)


def a_response(transaction: str, status: str, more: str = "") -> bytes:
    return a_mail(
        f"""
Sender: system@{PEER_DOMAIN}
To: {SYSTEM}
X-Mms-3GPP-MMS-Version: 6.10.0
X-Mms-Message-Type: MM4_forward.RES
X-Mms-Transaction-ID: "{transaction}"
X-Mms-Message-ID: "c0ffee-1"
X-Mms-Request-Status-Code: {status}
{more}"""
    )


RES, REPORT = DeliveredOn.FORWARD_RES, DeliveredOn.REPORT
RESPONSES: dict[str, tuple[DeliveredOn, int, str, Outcome]] = {
    "Ok": (RES, 0, "Ok", Accepted((), None)),
    "Ok, in quotes": (RES, 0, '"ok"', Accepted((), None)),
    "Ok, where reports are awaited": (
        REPORT,
        0,
        "Ok",
        Accepted(("c0ffee-1",), 7200.0, Deciding.FIRST, given=('"c0ffee-1"',)),
    ),
    "transient": (RES, 0, "Error-transient-failure", Deferred(5620, 5.0, 3)),
    "transient, again": (RES, 1, "Error-network-problem", Deferred(5600, 15.0, 3)),
    "for good": (RES, 0, "Error-service-denied", Rejected(4750)),
    "a word that nobody knows": (RES, 0, "Perhaps", Rejected(9999)),
}


@pytest.mark.parametrize(("mode", "attempts", "status", "outcome"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response(mode: DeliveredOn, attempts: int, status: str, outcome: Outcome, clock: FakeClock) -> None:
    transaction = a_transaction(mode, attempts)
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(a_response(transaction.upper(), status))).startswith("250")
    assert [answer for report in link.collector.reports for answer in report.answers] == [
        Answer("mmsc", transaction, outcome)
    ]
    assert not peer.received


async def test_a_response_speaks_of_some_recipients(clock: FakeClock) -> None:
    transaction = a_transaction(RES)
    more = f"X-Mms-Request-Recipients: {PHONE}/TYPE=PLMN, 4085550177/TYPE=PLMN\n"
    async with a_peer() as peer, linked(peer.port, clock) as link:
        await link.post(a_response(transaction, "Error-service-denied", more))
    [answer] = link.collector.reports[0].answers
    assert answer.numbers == (PHONE, FRIEND)


def a_report(status: str, *, kind: str = "MM4_Delivery_report.REQ", ack: str = "Yes") -> bytes:
    return a_mail(
        f"""
From: {PHONE}/TYPE=PLMN@{PEER_DOMAIN}
To: {OURS}/TYPE=PLMN
Sender: system@{PEER_DOMAIN}
X-Mms-3GPP-MMS-Version: 5.3.0
X-Mms-Message-Type: {kind}
X-Mms-Transaction-Id: "dr-1"
X-Mms-Message-Id: "<ABC@{DOMAIN}>"
X-Mms-Ack-Request: {ack}
{status}
"""
    )


def a_receipt(code: int) -> list[Receipt]:
    return [Receipt("mmsc", (f"abc@{DOMAIN}",), PHONE, code)]


REPORTS: dict[str, tuple[bytes, list[Receipt]]] = {
    "retrieved": (a_report("X-Mms-MM-Status-Code: Retrieved"), a_receipt(0)),
    "expired": (a_report("X-Mms-MM-Status-Code: Expired"), a_receipt(4794)),
    "rejected": (
        a_report("X-Mms-MM-Status-Code: Rejected\nX-Mms-MM-Status-Extension: Rejection-By-MMS-Recipient"),
        a_receipt(4753),
    ),
    "deferred": (a_report("X-Mms-MM-Status-Code: Deferred"), []),
    "a word that nobody knows": (a_report("X-Mms-MM-Status-Code: Perhaps"), []),
    "read": (a_report("X-Mms-Read-Status: Read", kind="MM4_read_reply_report.REQ"), []),
}


@pytest.mark.parametrize(("octets", "receipts"), REPORTS.values(), ids=REPORTS.keys())
async def test_a_report_that_says(octets: bytes, receipts: list[Receipt], clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(octets)).startswith("250")
        assert link.collector.receipts == receipts
        await peer.until(1)
    response = peer.received[0].message
    assert isinstance(response, Response)
    assert response.status == "Ok"
    assert str(response.transaction_id) == "dr-1"


# ── who may come in, and how ─────────────────────────────────────────────────────────────────────────────────────────


async def test_an_address_that_is_not_the_peers_is_not_even_greeted(clock: FakeClock) -> None:
    async with a_peer() as peer, linked(peer.port, clock, allow=()) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert (await reader.read()).startswith(b"554 ")
        writer.close()


async def test_a_peer_logs_in_under_tls_from_any_address(clock: FakeClock, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    changes: dict[str, Any] = {
        "allow": (),
        "listen_user": "carrier",
        "listen_password": "secret",
        "listen_certificate": chain,
        "listen_key": key,
    }
    async with a_peer() as peer, linked(peer.port, clock, **changes) as link:
        for password, code in (("wrong", 535), ("secret", 250)):
            client = aiosmtplib.SMTP(
                hostname="127.0.0.1", port=link.port, start_tls=True, cert_bundle=str(ca), timeout=10
            )
            await client.connect()
            try:
                await client.login("carrier", password)
                await client.mail(f"system@{PEER_DOMAIN}")
                await client.rcpt(OURS + TYPED)
                assert (await client.data(a_message())).code == code
            except aiosmtplib.SMTPResponseException as error:
                assert error.code == code  # noqa: PT017 - the same check for both
            finally:
                client.close()
        assert len(link.collector.inbound) == 1
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        await reader.readline()
        writer.write(f"EHLO x\r\nMAIL FROM:<a@{PEER_DOMAIN}>\r\nQUIT\r\n".encode())
        assert b"\n530 " in await reader.read()
        writer.close()


async def test_the_carrier_logs_in_there_under_tls_too(clock: FakeClock, tmp_path: Path) -> None:
    """Two carriers of ours, each other's peers: one sends a message, the other answers it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key, ca = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    changes: dict[str, Any] = {"listen_user": "us", "listen_password": "secret", "domain": PEER_DOMAIN}
    async with a_peer() as peer, linked(peer.port, clock, listen_certificate=chain, listen_key=key, **changes) as there:
        login: dict[str, Any] = {"user": "us", "password": "secret", "tls": Tls.STARTTLS, "tls_ca_file": ca}
        async with linked(there.port, clock, peer_domain=PEER_DOMAIN, **login) as here:
            here.carrier.submit([an_mms(OURS)])
            await here.collector.until(lambda: bool(here.collector.outcomes))
            assert isinstance(here.collector.outcomes[0][1], Accepted)
        async with linked(there.port, clock, **login | {"password": "wrong"}) as here:
            here.carrier.submit([an_mms(OURS)])
            await here.collector.until(lambda: bool(here.collector.outcomes))
            assert here.collector.outcomes[0][1] == Deferred(5501, 300.0)
        async with linked(there.port, clock, **login | {"tls_ca_file": None}) as here:
            here.carrier.submit([an_mms(OURS)])
            await here.collector.until(lambda: bool(here.collector.outcomes))
            assert here.collector.outcomes[0][1] == Deferred(5501, 5.0)
        assert len(there.collector.inbound) == 1


async def test_the_server_says_what_mm4_asks_of_it(clock: FakeClock) -> None:
    def talk(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            code, answer = client.ehlo()
            assert code == 250
            assert {b"SIZE 2000000", b"PIPELINING", b"8BITMIME"} <= set(answer.split(b"\n"))
            assert client.verify(OURS)[0] == 252
            assert client.noop()[0] == 250
            assert client.docmd("MAIL", f"FROM:<a@{PEER_DOMAIN}> SIZE=2000001")[0] == 552
            assert client.docmd("RSET")[0] == 250

    async with a_peer() as peer, linked(peer.port, clock) as link:
        await asyncio.to_thread(talk, link.port)


async def test_the_server_is_started_again_when_it_dies(clock: FakeClock) -> None:
    def children() -> list[int]:
        text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
        return [pid for pid in map(int, text.split()) if b"mm4.server" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(a_message(), OURS + TYPED)).startswith("250")
        [child] = children()
        os.kill(child, signal.SIGKILL)
        while child in children():
            await asyncio.sleep(0.01)
        # The listening socket is the node's: this connection waits in its queue for the next process.
        assert (await link.post(a_message(), OURS + TYPED)).startswith("250")
    assert not children()


LONG = base64.b64encode(bytes(range(256)) * 2000).decode()  # 683 kB without a line end


LINES: dict[str, tuple[str, bytes]] = {
    "base64 in one line": (LONG, bytes(range(256)) * 2000),
    "lines of 1001 octets": (
        "\n".join(LONG[at : at + 999] for at in range(0, len(LONG), 999)),
        bytes(range(256)) * 2000,
    ),
    "lines that begin with dots": ("\n".join(("." + "x" * 2000, "..", "." * 1500)), b""),
}


@pytest.mark.parametrize(("body", "octets"), LINES.values(), ids=LINES.keys())
async def test_lines_of_any_length_are_read(body: str, octets: bytes, clock: FakeClock) -> None:
    encoding = "base64" if octets else "7bit"
    content = f"--=_b\nContent-Type: image/gif\nContent-Transfer-Encoding: {encoding}\n\n{body}\n--=_b--"
    async with a_peer() as peer, linked(peer.port, clock) as link:
        assert (await link.post(a_message(body=content), OURS + TYPED)).startswith("250")
        [inbound] = link.collector.inbound
    assert inbound.attachments[0].octets == (octets or body.replace("\n", "\r\n").encode())


async def test_a_line_without_end_takes_no_memory(clock: FakeClock) -> None:
    def memory() -> int:
        [child] = [
            pid
            for pid in map(int, Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
            if b"mm4.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        status = Path(f"/proc/{child}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    async with a_peer() as peer, linked(peer.port, clock) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(f"EHLO x\r\nMAIL FROM:<a@{PEER_DOMAIN}>\r\nRCPT TO:<{OURS}{TYPED}>\r\nDATA\r\n".encode())
        while not (await reader.readline()).startswith(b"354"):
            pass
        before = memory()
        for _ in range(30):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
        writer.write(b"\r\n.\r\nNOOP\r\n")
        assert (await reader.readline()).startswith(b"552 ")
        assert (await reader.readline()).startswith(b"250 ")
        assert memory() - before < 10_000_000  # the mail may have 2 MB
        writer.close()
        assert not link.collector.inbound


ENDS = {
    "LF . LF": b"\n.\n",
    "LF . CR LF": b"\n.\r\n",
    "CR LF . LF": b"\r\n.\n",
    "CR . CR": b"\r.\r",
    "NUL": b"\r\n.\0\r\n",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_no_other_end_of_data_smuggles_a_mail_in(end: bytes, clock: FakeClock) -> None:
    smuggled = a_message(ids="45").replace(b"\r\n.\r\n", b"")
    commands = f"MAIL FROM:<a@{PEER_DOMAIN}>\r\nRCPT TO:<{SECOND}{TYPED}>\r\nDATA\r\n".encode()
    async with a_peer() as peer, linked(peer.port, clock) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(f"EHLO x\r\nMAIL FROM:<a@{PEER_DOMAIN}>\r\nRCPT TO:<{OURS}{TYPED}>\r\nDATA\r\n".encode())
        while not (await reader.readline()).startswith(b"354"):
            pass
        writer.write(a_message(ack="No") + end + commands + smuggled + b"\r\n.\r\nQUIT\r\n")
        assert (await reader.readline()).startswith(b"250 ")
        assert (await reader.readline()).startswith(b"221 ")
        writer.close()
        assert [inbound.told for inbound in link.collector.inbound] == [(OURS,)]


async def swaks(link: Link, octets: bytes, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Send a mail with Debian's swaks, an SMTP client that we did not write; it takes a "+" for an option."""
    data = tmp_path / "mail"
    data.write_bytes(octets)
    return await asyncio.to_thread(
        subprocess.run,
        [
            command("swaks"),
            *("--server", "127.0.0.1", "--port", str(link.port), "--suppress-data"),
            *("--from", f"system@{PEER_DOMAIN}", "--to", OURS.lstrip("+") + TYPED, "--data", f"@{data}", *arguments),
        ],
        capture_output=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("arguments", [(), ("--pipeline",), ("--protocol", "SMTP")], ids=["ESMTP", "pipelined", "HELO"])
async def test_a_client_that_we_did_not_write(arguments: tuple[str, ...], clock: FakeClock, tmp_path: Path) -> None:
    command("swaks")
    async with a_peer() as peer, linked(peer.port, clock) as link:
        sent = await swaks(link, a_message(), tmp_path, *arguments)
        assert sent.returncode == 0, sent.stdout.decode()
        [inbound] = link.collector.inbound
        assert [a.octets for a in inbound.attachments][1] == GIF
        refused = await swaks(link, a_message(), tmp_path, "--to", PHONE.lstrip("+") + TYPED)
        assert b"550 5.1.1" in refused.stdout
