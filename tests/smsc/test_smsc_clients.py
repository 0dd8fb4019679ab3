"""``passband smsc``, a process of its own, and clients that are not ours: smpp34 (Rust) and smpplib (Python).

smpplib speaks TLS here, smpp34 for one segment. Only smpp34 answers an SMSC that unbinds; smpplib leaves that undone.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import smpp34
import smpplib.client
import smpplib.exceptions
import smpplib.gsm
import trustme

from cli.processes import OURS, THEIRS, Smsc, ask

pytestmark = pytest.mark.slow

PASSWORD = "s3cret08"
FAILING = "19195554720"  # invalid-destination-address, by its last four digits
TEXTS = {
    "gsm": ("Hello @ 5€", 1),
    "ucs2": ("Ваш стол готов", 1),
    "long": ("Your table is ready. " * 20, 3),
    "long ucs2": ("Ваш стол готов. " * 10, 3),
}
OPTIONS = ("--password", PASSWORD, "--delay", "0", "--ledger")


@pytest.fixture(scope="module")
def smsc() -> Iterator[Smsc]:
    with Smsc(*OPTIONS) as smsc:
        yield smsc


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def encrypted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smsc]:
    certificate = tmp_path_factory.mktemp("smsc") / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    with Smsc(*OPTIONS, "--tls-certificate", str(certificate)) as smsc:
        yield smsc


@contextlib.contextmanager
def throttling(smsc: Smsc) -> Iterator[None]:
    """Let it refuse every segment meanwhile."""
    assert ask(f"{smsc.control}/settings", {"errors": {"0x58": 1.0}}).status == 200
    try:
        yield
    finally:
        assert ask(f"{smsc.control}/settings", {"errors": {}}).status == 200


def inbound(smsc: Smsc, system_id: str, text: str) -> int:
    """Let a handset send this to a client; return in how many parts it comes."""
    message = {"from": THEIRS, "to": OURS, "text": text, "systemId": system_id}
    parts: int = ask(f"{smsc.control}/inbound", message).json["parts"]
    return parts


def taken(smsc: Smsc, ids: list[str]) -> bytes:
    """Return the octets that it took under these ids, in that order, each without its header."""
    kept = {id_: bytes.fromhex(octets) for id_, _, _, octets in ask(f"{smsc.control}/ledger").json}
    return b"".join(kept[id_][6 if kept[id_].startswith(b"\5\0\3") else 0 :] for id_ in ids)


def acknowledged(smsc: Smsc, count: int) -> bool:
    """Whether so many receipts and messages more than before are acknowledged, as soon as they are."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if int(ask(f"{smsc.control}/counters").json.get("acknowledged", 0)) == count:
            return True
    return False


def octets_of(text: str) -> bytes:
    """Return a text as smpplib encodes it, which is not our codec either."""
    try:
        encoded = smpplib.gsm.gsm_encode(text)
    except UnicodeError:
        encoded = text.encode("utf-16-be")
    assert isinstance(encoded, bytes)
    return encoded


def joined(messages: list[tuple[bytes, int]], coding: int) -> str:
    """Return what handsets said in this coding: octets and esm_class of each deliver_sm, without headers."""
    # smpp34 hands them over in no particular order; the header begins with its place in the message.
    octets = b"".join(content[6 if esm_class == 0x40 else 0 :] for content, esm_class in sorted(messages))
    return octets.decode("utf-16-be") if coding == 8 else octets.decode("ascii")


# ── smpp34 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def native(smsc: Smsc, system_id: str, **options: Any) -> AsyncIterator[smpp34.Smsc]:
    """A client of smpp34, bound as ``system_id``."""
    client = smpp34.Client("127.0.0.1", smsc.port, system_id, PASSWORD, **options)
    try:
        yield await client.connect()
    finally:
        await client.stop()


async def delivery(bound: smpp34.Smsc) -> smpp34.DeliverSmEvent:
    event = await asyncio.wait_for(bound.next(), 30)
    assert isinstance(event, smpp34.DeliverSmEvent)
    return event


async def submit(bound: smpp34.Smsc, text: str, to: str = THEIRS[1:]) -> list[str]:
    """Submit a text, split as smpplib splits it, and return the ids of its segments."""
    parts, coding, esm_class = smpplib.gsm.make_parts(text)
    ids = []
    for part in parts:
        answer = await bound.submit_sm(
            to, part, source_addr=OURS[1:], data_coding=coding, esm_class=esm_class, registered_delivery=1
        )
        assert answer.is_success
        assert answer.message_id
        ids.append(answer.message_id)
    return ids


@pytest.mark.parametrize("case", TEXTS)
async def test_a_native_client_submits_and_gets_receipts_and_messages(case: str, smsc: Smsc) -> None:
    text, segments = TEXTS[case]
    async with native(smsc, case) as bound:
        ids = await submit(bound, text)
        receipts = [await delivery(bound) for _ in ids]
        assert len(ids) == segments
        assert taken(smsc, ids) == octets_of(text)
        assert {receipt.short_message.decode().split()[0] for receipt in receipts} == {f"id:{id_}" for id_ in ids}
        assert {(r.esm_class, r.source_addr, r.destination_addr) for r in receipts} == {(4, THEIRS[1:], OURS[1:])}
        assert all(b"stat:DELIVRD" in receipt.short_message for receipt in receipts)
        said = "On my way. " * 20 if segments > 1 else "On my way"
        said = said.replace("way", "путь") if "ucs2" in case else said
        messages = [await delivery(bound) for _ in range(inbound(smsc, case, said))]
        coding = 8 if "ucs2" in case else 0
        assert {message.data_coding for message in messages} == {coding}
        assert joined([(m.short_message, m.esm_class) for m in messages], coding) == said
        await bound.unbind()


async def test_a_native_client_is_throttled_told_of_failures_and_asked_to_leave(smsc: Smsc) -> None:
    async with native(smsc, "throttled") as bound:
        with throttling(smsc):
            answer = await bound.submit_sm(THEIRS[1:], b"hello", source_addr=OURS[1:])
            assert answer.command_status == 0x58
        await submit(bound, "hello", FAILING)
        assert b"stat:UNDELIV err:4720" in (await delivery(bound)).short_message
        assert ask(f"{smsc.control}/disconnect", {"unbind": True}).json["connections"] >= 1
        assert isinstance(await asyncio.wait_for(bound.next(), 30), smpp34.Disconnected)


async def test_a_native_client_is_refused_with_a_wrong_password(smsc: Smsc) -> None:
    client = smpp34.Client("127.0.0.1", smsc.port, "native", "wrong", connect_timeout_ms=100)
    with pytest.raises(smpp34.SmppError):
        await client.connect()
    assert ask(f"{smsc.control}/counters").json["bind_refusals"] >= 1
    await client.stop()


async def test_a_native_client_over_tls(
    encrypted: Smsc, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with native(encrypted, "tls", tls=True) as bound:
        (id_,) = await submit(bound, "hello")
        assert f"id:{id_} " in (await delivery(bound)).short_message.decode()
        await bound.unbind()


# ── smpplib ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Lib:
    """smpplib's client, which blocks, bound over TLS."""

    def __init__(self, smsc: Smsc, system_id: str, authority: trustme.CA, password: str = PASSWORD) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # smpplib does not tell it
        authority.configure_trust(context)
        self.client = smpplib.client.Client(
            "127.0.0.1", smsc.port, timeout=30, allow_unknown_opt_params=True, ssl_context=context
        )
        self.ids: list[str] = []
        self.received: list[Any] = []
        self.refused: list[int] = []
        self.client.set_message_sent_handler(self._sent)
        self.client.set_message_received_handler(self._received)
        self.client.set_error_pdu_handler(lambda pdu: self.refused.append(pdu.status))
        self._system_id, self._password = system_id, password

    def __enter__(self) -> Self:
        self.client.connect()
        try:
            self.client.bind_transceiver(system_id=self._system_id, password=self._password)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.disconnect()

    def _sent(self, pdu: Any, **_: Any) -> None:
        if not pdu.is_error():
            self.ids.append(pdu.message_id.decode())

    def _received(self, pdu: Any, **_: Any) -> int:
        self.received.append(pdu)
        return 0

    def submit(self, text: str) -> None:
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        places = {"source_addr_ton": 1, "source_addr_npi": 1, "dest_addr_ton": 1, "dest_addr_npi": 1}
        for part in parts:
            self.client.send_message(
                **places,
                source_addr=OURS[1:],
                destination_addr=THEIRS[1:],
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=True,
            )

    def read_until(self, *, ids: int = 0, received: int = 0, refused: int = 0) -> None:
        while len(self.ids) < ids or len(self.received) < received or len(self.refused) < refused:
            self.client.read_once()


def test_a_python_client_over_tls(encrypted: Smsc, authority: trustme.CA) -> None:
    before = ask(f"{encrypted.control}/counters").json.get("acknowledged", 0)
    with Lib(encrypted, "smpplib", authority) as lib:
        for text, _ in TEXTS.values():
            lib.submit(text)
        segments = sum(segments for _, segments in TEXTS.values())
        lib.read_until(ids=segments, received=segments)
        assert taken(encrypted, lib.ids) == b"".join(octets_of(text) for text, _ in TEXTS.values())
        assert {pdu.short_message.decode().split()[0] for pdu in lib.received} == {f"id:{id_}" for id_ in lib.ids}

        said = {0: "On my way. " * 20, 8: "В пути. " * 20}
        parts = [inbound(encrypted, "smpplib", text) for text in said.values()]
        lib.read_until(received=segments + sum(parts))
        assert min(parts) > 1
        for coding, text in said.items():
            messages = [pdu for pdu in lib.received[segments:] if pdu.data_coding == coding]
            assert joined([(pdu.short_message, pdu.esm_class) for pdu in messages], coding) == text
        assert acknowledged(encrypted, before + segments + sum(parts))

        with throttling(encrypted):
            lib.submit("hello")
            lib.read_until(refused=1)
        assert lib.refused == [0x58]
        assert lib.client.unbind().command == "unbind_resp"
    with pytest.raises(smpplib.exceptions.PDUError, match="Invalid Password"), Lib(encrypted, "x", authority, "wrong"):
        pass
