"""A carrier that names nothing, and the whole program: no ids in its answers, none in its receipts."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.processes import APPLICATION, OURS, Listen, Serve, Smsc, ask, configuration

pytestmark = pytest.mark.slow

LONG = "Your table is ready. " * 20  # three segments
FAILING = 4720  # by the last four digits of a number

# What a receipt is found by, and the numbers that the carrier is sent to which is found so.
BY_NUMBERS, BY_REFERENCE = "+1408555", "+1303555"
NUMBERS = ("0142", "0143", "0144", str(FAILING))

_CARRIERS = """
[[carriers]]
name = "{name}"
type = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "{name}"
rate = 0
err_dialect = "platform4"
user_message_reference = {referring}
[[routes]]
to = "{to}"
carrier = "{name}"
"""


def _configured(folder: Path, smsc: Smsc, url: str) -> Path:
    path = configuration(folder, url=url)
    port = smsc.address.rpartition(":")[2]
    for name, to, referring in (("numbers", BY_NUMBERS, "false"), ("reference", BY_REFERENCE, "true")):
        carrier = _CARRIERS.format(name=name, to=to, port=port, referring=referring)
        path.write_text(path.read_text("utf-8") + carrier, "utf-8")
    return path


def _sent(serve: Serve, to: Sequence[str], text: str) -> dict[str, str]:
    """Send a message to each number; return the numbers by identifier."""
    credentials = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}
    sent = {}
    for number in to:
        message = {"applicationId": APPLICATION, "from": OURS, "to": [number], "text": text}
        answer = ask(f"{serve.api}/users/5500123/messages", message, headers=credentials)
        assert answer.status == 202, answer
        sent[answer.json["id"]] = number
    return sent


def _ends(listen: Listen) -> list[tuple[str, str, int | None]]:
    """What was told at the end of each message: its identifier, delivered or failed, and the code."""
    events: list[Any] = [event for line in listen.lines if line[:1] in "[{" for event in _list(json.loads(line))]
    return [
        (event["message"]["id"], event["type"], event.get("errorCode"))
        for event in events
        if event["type"] in ("message-delivered", "message-failed")
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_message_ends_once_and_rightly_though_the_carrier_names_nothing(tmp_path: Path) -> None:
    with Smsc("--ids", "none-reference") as smsc, Listen("--json") as listen:
        with Serve(_configured(tmp_path, smsc, listen.url)) as serve:
            sent: dict[str, str] = {}
            # The receipts come after the answers, then before them, to the very numbers of before.
            for receipt_delay, response_delay in ((0.05, 0.0), (0.0, 0.05)):
                ask(f"{smsc.control}/settings", {"receipt_delay": receipt_delay, "response_delay": response_delay})
                for text in ("hello", LONG):
                    sent |= _sent(serve, [BY_NUMBERS + number for number in NUMBERS], text)
                    sent |= _sent(serve, [BY_REFERENCE + number for number in NUMBERS for _ in range(3)], text)
                    listen.line('"message-(delivered|failed)"', len(sent))
            counters = ask(f"{smsc.control}/counters").json
            metrics = ask(f"{serve.admin}/metrics").body
        # The program has ended: nothing more comes.
        ends = _ends(listen)
    assert {id_ for id_, _, _ in ends} == set(sent)
    assert len(ends) == len(sent) == 64
    for id_, kind, code in ends:
        failing = sent[id_].endswith(str(FAILING))
        assert (kind, code) == (("message-failed", FAILING) if failing else ("message-delivered", None)), sent[id_]
    assert counters["receipts_without_id"] == counters["receipts"] == 2 * 16 * (1 + 3)
    for carrier, segments in (("numbers", 32), ("reference", 96)):
        for name in ("submitted", "answered", "received"):
            assert f'passband_link_{name}_total{{carrier="{carrier}",link="0"}} {segments}.0' in metrics
        assert f'passband_carrier_nameless_receipts_total{{carrier="{carrier}"}} {segments}.0' in metrics
    assert "passband_link_error{" not in metrics
