"""Whose receipt is it? The message ids of carriers, and how a receipt's id finds the segment it belongs to.

What a store keeps for each segment is the id exactly as submit_sm_resp gave it, and one key, indexed within the
carrier: ``canonical`` of it. What it probes for a receipt are the at most three keys of ``probes``, in one query. Every
way in which ids match ends in an equal key: an id that matches exactly has the same canonical form, and one whose base
was changed is changed back before it is looked up. Among the rows found, ``rank`` says which way each one matched:
the smallest wins; between equals the segment whose destination is the receipt's source, then the newest. Ids come
again after years or a reboot, so the key is never unique.

Typical causes of all this: hexadecimal in the response and zero-padded decimal in the receipt, or the reverse.
"""

import re
from enum import StrEnum
from typing import NamedTuple

_is_hexadecimal = re.compile("[0-9A-Fa-f]+").fullmatch
_is_decimal = re.compile("[0-9]{1,20}").fullmatch
_is_short_hexadecimal = re.compile("[0-9A-Fa-f]{1,16}").fullmatch

EXACT, CANONICAL, RECEIPT_DECIMAL, RECEIPT_HEXADECIMAL = range(4)
"""How an id matched, best first; the last two also need the receipt's source to be the segment's destination."""


class IdRule(StrEnum):
    """Which matches a carrier's profile allows; the last two say what the response's ids are written in."""

    AUTO = "auto"
    EXACT = "exact"
    RESPONSE_HEXADECIMAL = "resp-hex"
    RESPONSE_DECIMAL = "resp-decimal"


# See ``domain.message`` for why members have names of their own.
_ONLY_EXACT, _FROM_HEXADECIMAL, _FROM_DECIMAL = IdRule.EXACT, IdRule.RESPONSE_HEXADECIMAL, IdRule.RESPONSE_DECIMAL

_ALLOWED = {
    IdRule.AUTO: frozenset({EXACT, CANONICAL, RECEIPT_DECIMAL, RECEIPT_HEXADECIMAL}),
    IdRule.EXACT: frozenset({EXACT}),
    IdRule.RESPONSE_HEXADECIMAL: frozenset({EXACT, CANONICAL, RECEIPT_DECIMAL}),
    IdRule.RESPONSE_DECIMAL: frozenset({EXACT, CANONICAL, RECEIPT_HEXADECIMAL}),
}


class Probe(NamedTuple):
    """A key to look up, and how a row found under it matches unless its id is exactly the receipt's."""

    key: str
    way: int

    @property
    def needs_destination(self) -> bool:
        """Whether a row counts only if its destination is the receipt's source."""
        return self.way >= RECEIPT_DECIMAL


def canonical(message_id: str) -> str:
    """The key of an id: upper case, and without leading zeros if it is nothing but hexadecimal digits.

    An id with a dash or another letter keeps its zeros: it is no number.
    """
    if _is_hexadecimal(message_id):
        return message_id.upper().lstrip("0") or "0"
    return message_id.upper()


def probes(receipt_id: str, rule: IdRule = IdRule.AUTO) -> tuple[Probe, ...]:
    """The keys under which the segment of a receipt may be found, the likeliest first; no two have the same key."""
    allowed = _ALLOWED[rule]
    found = [Probe(canonical(receipt_id), CANONICAL)]
    if RECEIPT_DECIMAL in allowed and _is_decimal(receipt_id):
        found.append(Probe(f"{int(receipt_id):X}", RECEIPT_DECIMAL))
    if RECEIPT_HEXADECIMAL in allowed and _is_short_hexadecimal(receipt_id):
        found.append(Probe(str(int(receipt_id, 16)), RECEIPT_HEXADECIMAL))
    # A single digit is the same in every base; the stricter way of finding it adds nothing.
    return tuple({probe.key: probe for probe in reversed(found)}.values())[::-1]


def keys(receipt_id: str, rule: IdRule = IdRule.AUTO) -> tuple[str, ...]:
    """The keys of ``probes``, in their order and sooner; under the rule EXACT the id itself is the only one."""
    if rule is _ONLY_EXACT:
        return (receipt_id,)
    first = canonical(receipt_id)
    found: tuple[str, ...] = (first,)
    if rule is not _FROM_DECIMAL and _is_decimal(receipt_id):
        key = f"{int(receipt_id):X}"
        if key != first:
            found = (first, key)
    if rule is not _FROM_HEXADECIMAL and _is_short_hexadecimal(receipt_id):
        key = str(int(receipt_id, 16))
        if key not in found:
            found += (key,)
    return found


def stored_key(message_id: str, rule: IdRule = IdRule.AUTO) -> str:
    """The key under which a response's id is kept, so that ``keys`` finds it."""
    return message_id if rule is _ONLY_EXACT else canonical(message_id)


def rank(receipt_id: str, stored_id: str, rule: IdRule = IdRule.AUTO) -> int | None:
    """How a stored id matches a receipt's (EXACT, CANONICAL, ...), or None if it does not."""
    if receipt_id == stored_id:
        return EXACT
    key = canonical(stored_id)
    way = next((probe.way for probe in probes(receipt_id, rule) if probe.key == key), None)
    return way if way in _ALLOWED[rule] else None
