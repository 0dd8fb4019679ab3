"""What the SMPP work of one message costs here, and in two other codecs: python benchmarks/smpp_codec.py

One message is a submit_sm written, its submit_sm_resp read, the deliver_sm with its receipt read and understood, and
the deliver_sm_resp written. Rivals are timed in turns, so that a busy machine slows all of them alike, and the best
turn counts. smpplib is pure Python. smpp34 is a codec in Rust; it has no class for submit_sm_resp, and none that writes
deliver_sm_resp. Neither parses receipts: for them the least regular expression that finds the id and the state is run.
"""

import argparse
import itertools
import re
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import smpp34
from rich.console import Console
from rich.table import Table
from smpplib import gsm, smpp
from smpplib.client import SimpleSequenceGenerator

from passband.smpp import outcome, text
from passband.smpp.codec import Decoder, decode
from passband.smpp.pdu import HEADER, BindTransceiver, DeliverSm, DeliverSmResp, ReceiptSm, SubmitSm, SubmitSmResp
from passband.smpp.session import Session
from passband.smpp.session_events import BindRequested, Received
from passband.smpp.session_states import Role
from passband.smpp.template import SubmitTemplate

TEXT = "Your parcel arrives today between 14:00 and 16:00. Track it: example.com/t/4711"
OCTETS = TEXT.encode("ascii")  # no character of it differs between ASCII and GSM 7-bit
SOURCE = "12025550143"
DELIVER = DeliverSm(
    sequence_number=9,
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr="12025550187",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr=SOURCE,
    esm_class=4,
    short_message=b"id:1A2B3C4D sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000 "
    b"text:Your parcel arrives",
).encode()
RESPONSE = SubmitSmResp(7, 0, "1A2B3C4D").encode()

numbers = itertools.cycle([f"1202555{number:04}" for number in range(1000)])
template = SubmitTemplate(SubmitSm(registered_delivery=1))
decoder = Decoder()
receipt_decoder = Decoder(receipts=True)
judge = outcome.Judge()


def bound_session() -> Session:
    """A client with a window that no benchmark fills."""
    client, server = Session(Role.CLIENT, 0.0, window=10**9, receipts=True), Session(Role.SERVER, 0.0)
    client.bind(BindTransceiver(), 0.0)
    (event,) = server.receive_data(client.data_to_send(), 0.0)
    assert isinstance(event, BindRequested)
    server.accept_bind(event.pdu, "SMSC", 0.0)
    client.receive_data(server.data_to_send(), 0.0)
    return client


session = bound_session()


def our_submit(octets: bytes = OCTETS) -> bytes:
    """With the header that a session would put before it."""
    body = template.body((1, 1, SOURCE), (1, 1, next(numbers)), octets)
    return HEADER.pack(16 + len(body), 4, 0, 7) + body


def our_submit_pdu() -> bytes:
    """The same from a value, without a template."""
    return SubmitSm(
        sequence_number=7,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=SOURCE,
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=next(numbers),
        registered_delivery=1,
        short_message=OCTETS,
    ).encode()


def our_text_submit() -> bytes:
    """From text."""
    _, (octets,) = text.encode_segments(TEXT)
    return our_submit(octets)


def our_response() -> object:
    """Through the decoder of a stream."""
    (pdu,) = decoder.feed(RESPONSE)
    assert type(pdu) is SubmitSmResp
    return pdu.message_id


def our_deliver() -> DeliverSm:
    """Through the decoder of a stream."""
    (pdu,) = decoder.feed(DELIVER)
    assert type(pdu) is DeliverSm
    return pdu


def our_receipt() -> object:
    """Read, parsed and judged."""
    (pdu,) = receipt_decoder.feed(DELIVER)
    assert type(pdu) is ReceiptSm
    return pdu.id, judge.usual(pdu)


def our_acknowledgement() -> bytes:
    """As a session writes it."""
    session.respond_deliver(9)
    return session.data_to_send()


def our_session() -> object:
    """The same message through a session: sequence numbers, window, states, events."""
    _, (octets,) = text.encode_segments(TEXT)
    sequence = session.submit(template.body((1, 1, SOURCE), (1, 1, next(numbers)), octets), 1.0)
    session.receive_data(RESPONSE[:12] + sequence.to_bytes(4, "big") + RESPONSE[16:], 1.0)
    (event,) = session.receive_data(DELIVER, 1.0)
    assert type(event) is Received
    assert type(event.pdu) is ReceiptSm
    session.respond_deliver(event.pdu.sequence_number)
    return judge.usual(event.pdu), session.data_to_send()


least_receipt = re.compile(r"id:(\S+) .*stat:(\S+) err:(\S+)").match


def parsed(octets: bytes) -> tuple[str, ...]:
    """What the users of the other codecs must do themselves."""
    found = least_receipt(octets.decode("latin-1"))
    assert found is not None
    return found.groups()


def native_submit() -> Any:
    """smpp34."""
    return smpp34.SubmitSm(
        SOURCE,
        next(numbers),
        OCTETS,
        source_addr_ton=1,
        source_addr_npi=1,
        dest_addr_ton=1,
        dest_addr_npi=1,
        registered_delivery=1,
        sequence_number=7,
    ).encode()


def native_response() -> Any:
    """smpp34 gives the body as octets."""
    pdu = smpp34.decode(RESPONSE)
    assert type(pdu) is smpp34.RawPdu
    return pdu.body[:-1].decode("latin-1")


def native_deliver() -> Any:
    """With the four fields that a receipt needs; each is made when it is asked for."""
    pdu = smpp34.decode(DELIVER)
    assert type(pdu) is smpp34.DeliverSm
    return pdu.source_addr, pdu.esm_class, pdu.sequence_number, pdu.short_message


def native_receipt() -> Any:
    """smpp34."""
    return parsed(native_deliver()[3])


CLIENT = SimpleNamespace(sequence_generator=SimpleSequenceGenerator(), next_sequence=lambda: 7, sequence=7)


def pure_submit() -> Any:
    """smpplib."""
    return smpp.make_pdu(
        "submit_sm",
        client=CLIENT,
        short_message=OCTETS,
        registered_delivery=True,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=SOURCE,
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=next(numbers),
    ).generate()


def pure_text_submit() -> Any:
    """smpplib, from text."""
    parts, coding, esm_class = gsm.make_parts(TEXT)
    return smpp.make_pdu(
        "submit_sm",
        client=CLIENT,
        short_message=parts[0],
        data_coding=coding,
        esm_class=esm_class,
        registered_delivery=True,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=SOURCE,
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=next(numbers),
    ).generate()


def pure_response() -> Any:
    """smpplib."""
    return smpp.parse_pdu(RESPONSE, client=CLIENT, allow_unknown_opt_params=True).message_id


def pure_deliver() -> Any:
    """smpplib."""
    return smpp.parse_pdu(DELIVER, client=CLIENT, allow_unknown_opt_params=True)


def pure_receipt() -> Any:
    """smpplib."""
    return parsed(pure_deliver().short_message)


def pure_acknowledgement() -> Any:
    """smpplib."""
    return smpp.make_pdu("deliver_sm_resp", client=CLIENT, sequence=9).generate()


Run = Callable[[], object]


def steps(*runs: Run) -> Run:
    """Several as one."""

    def run() -> None:
        for step in runs:
            step()

    return run


WORK: dict[str, tuple[Run, Run | None, Run | None]] = {
    "submit_sm written, from octets": (our_submit, native_submit, pure_submit),
    "the same, without a template": (our_submit_pdu, native_submit, pure_submit),
    "submit_sm written, from text": (our_text_submit, None, pure_text_submit),
    "submit_sm_resp read": (our_response, native_response, pure_response),
    "deliver_sm with a receipt read": (our_deliver, native_deliver, pure_deliver),
    "... and the receipt parsed": (our_receipt, native_receipt, pure_receipt),
    "deliver_sm_resp written": (our_acknowledgement, None, pure_acknowledgement),
    "one message, from octets": (
        steps(our_submit, our_response, our_receipt, our_acknowledgement),
        None,
        steps(pure_submit, pure_response, pure_receipt, pure_acknowledgement),
    ),
    "one message, from text": (
        steps(our_text_submit, our_response, our_receipt, our_acknowledgement),
        None,
        steps(pure_text_submit, pure_response, pure_receipt, pure_acknowledgement),
    ),
    "submit_sm out and receipt in": (
        steps(our_submit, our_receipt),
        steps(native_submit, native_receipt),
        steps(pure_submit, pure_receipt),
    ),
    "one message, through a session": (our_session, None, None),
}


def measure(rivals: Sequence[Run | None], seconds: float, turns: int = 10) -> list[float | None]:
    """The best µs of each, taken in turns, for about so many seconds each."""
    best: list[float | None] = [None for _ in rivals]
    for turn in range(turns + 1):
        for place, run in enumerate(rivals):
            if run is None:
                continue
            count, spent, began = 0, 0.0, time.perf_counter()
            while spent < seconds / turns:
                for _ in range(100):
                    run()
                count += 100
                spent = time.perf_counter() - began
            each = spent / count * 1e6
            so_far = best[place]
            if turn and (so_far is None or each < so_far):  # the first turn warms up
                best[place] = each
    return best


def check() -> None:
    """Nothing is timed before all agree on what they wrote and read."""
    pdus = [decode(run()) for run in (our_submit, our_submit_pdu, our_text_submit, native_submit, pure_submit)]
    assert all(type(pdu) is SubmitSm for pdu in pdus)
    assert {pdu.short_message for pdu in pdus if type(pdu) is SubmitSm} == {OCTETS}
    assert our_response() == native_response() == pure_response().decode() == "1A2B3C4D"
    assert native_receipt() == pure_receipt() == ("1A2B3C4D", "DELIVRD", "000")
    assert our_deliver().short_message == native_deliver()[3] == pure_deliver().short_message
    assert type(decode(our_acknowledgement())) is type(decode(pure_acknowledgement())) is DeliverSmResp


def main() -> None:
    """Measures everything and prints one table."""
    check()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    seconds = parser.parse_args().seconds
    table = Table(title="SMPP codec, microseconds; in brackets, times as long as Passband")
    for heading in ("", "Passband", f"smpp34 {smpp34.__version__} (Rust)", "smpplib (Python)"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, rivals in WORK.items():
        ours, *others = measure(rivals, seconds)
        assert ours is not None
        shown = ["" if other is None else f"{other:.2f} ({other / ours:.1f})" for other in others]
        table.add_row(name, f"{ours:.2f}", *shown)
    Console().print(table)


if __name__ == "__main__":
    main()
