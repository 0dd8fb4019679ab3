"""The nodes of a store as ``passband nodes`` shows them."""

import math
from collections.abc import Mapping
from typing import Any

from passband.store import NodeState
from passband.terminal import columns
from passband.wire import timestamp


def view(node: NodeState) -> dict[str, Any]:
    """Return a node as ``--json`` shows it. ``silentSeconds`` is None once it was given up."""
    given_up = math.isinf(node.silent)
    return {
        "number": node.number,
        "host": node.host,
        "pid": node.pid,
        "started": timestamp(node.started_at),
        "silentSeconds": None if given_up else round(max(node.silent, 0.0), 1),
        "givenUp": given_up,
        "recipients": node.recipients,
        "callbacks": node.callbacks,
        "slots": [{"carrier": carrier, "slot": slot} for carrier, slot in node.slots],
    }


def shown(answer: Mapping[str, Any]) -> list[str]:
    """Return the nodes as a table."""
    rows = [
        (
            str(node["number"]),
            f"{node['host']}, {node['pid']}",
            node["started"],
            "given up" if node["givenUp"] else f"{node['silentSeconds']:.1f} s ago",
            str(node["recipients"]),
            str(node["callbacks"]),
            ", ".join(f"{slot['carrier']} {slot['slot']}" for slot in node["slots"]) or "none",
        )
        for node in answer["nodes"]
    ]
    head = ("node", "machine, process", "started", "heard of", "recipients", "callbacks", "links")
    return columns(head, rows) if rows else ["no nodes are in the store"]
