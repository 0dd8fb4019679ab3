"""A carrier whose receipts begin to name their messages in another base."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from carriers.smpp_node import SmppNode, running_node
from carriers.smpp_pair import running_smsc
from passband.carriers.smpp.inbound import CHANGED
from passband.clock import SystemClock
from passband.smpp.message_id import IdRule


async def warnings_after(path: Path, *sent: tuple[Any, int], **changes: Any) -> list[dict[str, Any]]:
    """Send so many messages, with ids of each form in turn; return what was said of ids."""
    async with (
        running_smsc(receipt_delay=0.01) as (smsc, port),
        running_node(path / "passband.db", port, SystemClock(), **changes) as node,
    ):
        with structlog.testing.capture_logs() as lines:
            for form, count in sent:
                smsc.options.id_format = form
                await all_delivered(node, count)
    return [dict(line) for line in lines if line["event"] == CHANGED]


async def all_delivered(node: SmppNode, count: int) -> None:
    before = len(node.callbacks)
    await node.send(count)
    await node.until_told(before + count)
    assert {callback.kind for callback in node.callbacks} == {"message-delivered"}


async def test_that_receipts_match_by_another_rule_is_said_once_and_names_the_way_out(tmp_path: Path) -> None:
    (warning,) = await warnings_after(tmp_path, ("hex", 20), ("hex-decimal", 2), ("hex-decimal", 30))
    assert warning == {
        "event": "receipts match by another rule than before; set id_rule in the carrier's settings if it is steady",
        "log_level": "warning",
        "carrier": "carrier",
        "before": "as given",
        "now": "from decimal",
    }


async def test_both_bases_are_told_apart(tmp_path: Path) -> None:
    (warning,) = await warnings_after(tmp_path, ("hex-decimal", 20), ("decimal-hex", 1))
    assert (warning["before"], warning["now"]) == ("from decimal", "from hexadecimal")


@pytest.mark.parametrize(
    ("sent", "changes"),
    [
        ([("hex", 19), ("hex-decimal", 1)], {}),
        ([("hex", 10), ("hex-decimal", 1), ("hex", 19), ("hex-decimal", 19)], {}),
        ([("hex", 25), ("hex-decimal", 25)], {"id_rule": IdRule.RESPONSE_HEXADECIMAL}),
        ([("none", 1), ("hex", 19), ("hex-decimal", 1)], {}),
        ([("hex-reference", 25), ("hex", 25), ("hex-decimal", 25)], {"user_message_reference": True}),
    ],
    ids=["19 of one rule", "never 20 in a row", "it is in the settings", "a pair does not count", "by our numbers"],
)
async def test_nothing_is_said_before_20_in_a_row_or_where_the_settings_say_how(
    sent: list[tuple[Any, int]], changes: dict[str, Any], tmp_path: Path
) -> None:
    assert await warnings_after(tmp_path, *sent, **changes) == []
