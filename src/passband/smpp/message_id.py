"""Whose receipt is it? The message ids of carriers, and how a receipt's id finds the segment it belongs to.

What a store finds a segment by is one key, indexed within the carrier: ``stored_key`` of the id that submit_sm_resp
gave; the id itself is kept beside it, as it came (SMPP, section 9). What it looks for with a receipt are its at most
three ``keys``, the likeliest first. Every way in which ids match ends in an equal key: one that matches exactly has the
same canonical form, and one whose base was changed is changed back before it is looked up. Whichever it is, the
receipt's source must be the segment's destination, and of several segments the newest counts: ids come again after
years or a reboot, so the key is never unique.

Typical causes of all this: hexadecimal in the response and zero-padded decimal in the receipt, or the reverse.
"""

from collections.abc import Mapping
from enum import StrEnum

_HEXADECIMAL = "0123456789ABCDEFabcdef"
_MOST_DECIMAL, _MOST_HEXADECIMAL = 20, 16  # digits of an id that is read in the other base


def _is_hexadecimal(text: str) -> bool:
    return text != "" and not text.strip(_HEXADECIMAL)  # a quarter of what a regular expression costs


def _is_short_decimal(text: str) -> bool:
    return len(text) <= _MOST_DECIMAL and text.isdecimal() and text.isascii()


class IdRule(StrEnum):
    """Which matches a carrier's profile allows; the last two say what the response's ids are written in."""

    AUTO = "auto"
    EXACT = "exact"
    RESPONSE_HEXADECIMAL = "resp-hex"
    RESPONSE_DECIMAL = "resp-decimal"


# See ``domain.message`` for why members have names of their own.
_ONLY_EXACT, _FROM_HEXADECIMAL, _FROM_DECIMAL = IdRule.EXACT, IdRule.RESPONSE_HEXADECIMAL, IdRule.RESPONSE_DECIMAL


def canonical(message_id: str) -> str:
    """The key of an id: upper case, and without leading zeros if it is nothing but hexadecimal digits.

    An id with a dash or another letter keeps its zeros: it is no number.
    """
    if _is_hexadecimal(message_id):
        return message_id.upper().lstrip("0") or "0"
    return message_id.upper()


def keys(receipt_id: str, rule: IdRule = IdRule.AUTO) -> tuple[str, ...]:
    """The keys under which the segment of a receipt may be found, the likeliest first; no two are the same.

    They are the id's canonical form; what it is in hexadecimal, should it be decimal; and the reverse. Under the rule
    EXACT the id itself is the only one.
    """
    if rule is _ONLY_EXACT:
        return (receipt_id,)
    if not _is_hexadecimal(receipt_id):
        return (receipt_id.upper(),)
    first = receipt_id.upper().lstrip("0") or "0"
    found: tuple[str, ...] = (first,)
    if rule is not _FROM_DECIMAL and _is_short_decimal(receipt_id):
        key = f"{int(receipt_id):X}"
        if key != first:
            found = (first, key)
    if rule is not _FROM_HEXADECIMAL and len(receipt_id) <= _MOST_HEXADECIMAL:
        key = str(int(receipt_id, 16))
        if key not in found:
            found += (key,)
    return found


def stored_key(message_id: str, rule: IdRule = IdRule.AUTO) -> str:
    """The key under which a response's id is kept beside the id itself, so that ``keys`` finds it."""
    return message_id if rule is _ONLY_EXACT else canonical(message_id)


class Reading(StrEnum):
    """How the id of a receipt is read where it finds its segment."""

    AS_GIVEN = "as given"
    FROM_DECIMAL = "from decimal"
    FROM_HEXADECIMAL = "from hexadecimal"


_READ_AS_GIVEN, _READ_FROM_DECIMAL, _READ_FROM_HEXADECIMAL = Reading  # as above


def reading_of(refs: tuple[str, ...], place: int) -> Reading | None:
    """Return how the first of a receipt's ``keys`` must be read to give the one at this place.

    None where it cannot: that one comes of another id, or is no id at all.
    """
    first, ref = refs[0], refs[place]
    if ref == first:
        return _READ_AS_GIVEN
    if _is_short_decimal(first) and ref == f"{int(first):X}":
        return _READ_FROM_DECIMAL
    if len(first) <= _MOST_HEXADECIMAL and _is_hexadecimal(first) and ref == str(int(first, 16)):
        return _READ_FROM_HEXADECIMAL
    return None


class SteadyReading:
    """The reading by which one carrier's receipts match, as far as it has been the same for long."""

    STEADY = 20  # matches in a row

    def __init__(self) -> None:
        self.known: Reading | None = None
        self._last: Reading | None = None
        self._in_a_row = 0
        self._strayed = False  # another reading has been told of since this one is known
        self._told = False  # and it is the one in a row now

    def take(self, counts: Mapping[Reading, int]) -> tuple[Reading, Reading] | None:
        """Take the matches of one batch; return the reading before and now if there is a change to be told.

        It is told at the first match by another reading, and once only, however often that comes and goes; but again
        once another one has become steady. What is mixed within a batch is in no order, so none of it is in a row.
        """
        if not counts:
            return None
        before, told = self.known, None
        now = max(counts, key=lambda reading: reading is not before)
        if now is not self._last:
            self._last, self._in_a_row, self._told = now, 0, False
        self._in_a_row = self._in_a_row + counts[now] if len(counts) == 1 else 0
        steady = self._in_a_row >= self.STEADY
        if before is not None and now is not before and not self._told and (steady or not self._strayed):
            self._told = self._strayed = True
            told = before, now
        if steady and now is not before:
            self.known = now
            self._strayed = False
        return told
