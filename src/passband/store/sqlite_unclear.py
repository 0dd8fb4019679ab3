"""Receipts that decide nothing: what their recipients fail with if nothing better comes. They are few."""

from collections.abc import Sequence

import apsw

from passband.domain.report import Inbound, Unclear
from passband.store.rows import Row
from passband.store.sqlite_nodes import Q


def note(connection: apsw.Connection, receipts: Sequence[Unclear]) -> list[Inbound]:
    """Keep the code of each with the recipient that it means; return the messages that some are instead.

    One that matches nothing is not kept for later: as an early receipt it would take the place of a better one.
    """
    messages = []
    for receipt in receipts:
        recipient = _meant(connection, receipt)
        if recipient is not None:
            connection.execute(Q["note_unclear"], (receipt.code, *recipient))
        elif receipt.otherwise is not None:
            messages.append(receipt.otherwise)
    return messages


def _meant(connection: apsw.Connection, receipt: Unclear) -> Row | None:
    """Return the key of the recipient that is meant, found as by any receipt (``Steps._receipt``)."""

    def named(statement: str, ref: str) -> list[Row]:
        return connection.execute(Q[statement], (receipt.carrier, ref, receipt.number)).fetchall()

    for ref in receipt.refs:
        for row in named("handed_by_ref", ref):
            return row[1:4]
    for ref in receipt.refs:
        for row in named("segment_by_ref", ref):
            return row[:3]
    if receipt.pair:
        known = {*named("handed_by_pair", receipt.pair), *named("segments_by_pair", receipt.pair)}
        if len(known) == 1:
            return known.pop()
    return None
