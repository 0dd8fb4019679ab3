"""The quick ways say what the slow ways say, or stand aside."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passband.smpp import outcome, receipt
from passband.smpp.codec import Decoder
from passband.smpp.message_id import IdRule, canonical, keys, stored_key
from passband.smpp.pdu import DeliverSm, ReceiptSm, UnwritablePdu
from passband.smpp.session import Session, SessionMisuse
from passband.smpp.session_states import Role

VECTORS = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())
POLICIES = [
    outcome.DEFAULT_POLICY,
    outcome.ReceiptPolicy(acceptd_final=True, unknown_final=True, expired_code=4780, dialect="platform4"),
]

words = st.sampled_from(["DELIVRD", "UNDELIV", "EXPIRED", "REJECTD", "ACCEPTD", "ENROUTE", "UNKNOWN", "delivrd", ""])
texts = st.builds(
    "id:{} sub:{} dlvrd:{} submit date:{} done date:{} stat:{} err:{}{}".format,
    st.text("0123456789abcdefABCDEF-g", max_size=12),
    *[st.text("019x ", max_size=4) for _ in range(4)],
    words,
    st.text("0123456789A ", max_size=5),
    st.sampled_from(["", " text:", " Text:Hello stat:X", " text", "\0", " err:9"]),
)


def both(pdu: DeliverSm, trailer: bytes = b"") -> tuple[Any, Any]:
    """The same octets, read quickly and slowly."""
    octets = pdu.encode() + trailer
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    (quick,), (slow,) = Decoder(receipts=True).feed(octets), Decoder().feed(octets)
    return quick, slow


def assert_same(quick: Any, slow: Any) -> None:
    assert isinstance(slow, DeliverSm)
    if not isinstance(quick, ReceiptSm):
        assert quick == slow
        return
    said = receipt.read(slow)
    assert said is not None
    assert receipt.read(quick) == said
    assert (quick.sequence_number, quick.source_addr_ton) == (slow.sequence_number, slow.source_addr_ton)
    for policy in POLICIES:
        assert outcome.Judge(policy).usual(quick) == outcome.receipt_verdict(said, policy)


@given(texts, st.integers(0, 255), st.sampled_from([b"", b"\0", b"\x04\x27\0\1\5", b"\x04\x27\0"]))
def test_a_receipt_read_quickly_says_the_same(said: str, esm_class: int, trailer: bytes) -> None:
    for esm in {4, esm_class}:
        pdu = DeliverSm(9, source_addr_ton=1, source_addr="12025550187", esm_class=esm, short_message=said.encode())
        assert_same(*both(pdu, trailer))


@pytest.mark.parametrize("row", VECTORS["receipt_texts"]["rows"], ids=lambda row: str(row["id"]))
def test_every_form_of_receipt_says_the_same(row: Any) -> None:
    said = row["raw"].encode("latin-1", "replace")[:254]
    assert_same(*both(DeliverSm(9, source_addr="12025550187", esm_class=4, short_message=said)))


def test_the_usual_receipt_is_read_quickly() -> None:
    said = b"id:1A2B sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000 text:Hello"
    quick, _ = both(DeliverSm(9, source_addr="12025550187", esm_class=4, short_message=said))
    assert isinstance(quick, ReceiptSm)
    assert (quick.id, quick.stat, quick.err) == ("1A2B", "DELIVRD", "000")
    assert str(quick).startswith("deliver_sm #9 source_addr='12025550187' id='1A2B'")
    with pytest.raises(UnwritablePdu):
        quick.encode()


def test_a_judge_forgets_before_it_remembers_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "_MOST_KNOWN", 3)
    judge = outcome.Judge()
    for number in range(20):
        verdict = judge.usual(ReceiptSm(1, state=b"UNDELIV err:%d" % number))
        assert verdict.outcome == "failed"


@given(st.text("0123456789abcdefABCDEFxyz-", max_size=24), st.sampled_from(list(IdRule)))
def test_keys_are_by_their_definition(receipt_id: str, rule: IdRule) -> None:
    if rule is IdRule.EXACT:
        assert keys(receipt_id, rule) == (receipt_id,)
        assert stored_key(receipt_id, rule) == receipt_id
        return
    ways = [canonical(receipt_id)]
    if receipt_id.isdecimal() and len(receipt_id) <= 20 and rule is not IdRule.RESPONSE_DECIMAL:
        ways.append(f"{int(receipt_id):X}")
    if re.fullmatch("[0-9A-Fa-f]{1,16}", receipt_id) and rule is not IdRule.RESPONSE_HEXADECIMAL:
        ways.append(str(int(receipt_id, 16)))
    assert keys(receipt_id, rule) == tuple(dict.fromkeys(ways))
    assert stored_key(receipt_id, rule) == canonical(receipt_id)


def test_a_client_delivers_nothing() -> None:
    with pytest.raises(SessionMisuse):
        Session(Role.CLIENT, 0.0).deliver(DeliverSm().body(), 0.0)
