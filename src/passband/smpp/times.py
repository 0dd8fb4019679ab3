"""The times of SMPP: 16 characters, absolute or relative, and the dates that receipts carry.

Source: SMPP 3.4 §7.1.1: ``YYMMDDhhmmsstnnp``, t tenths of a second, nn quarter-hours of difference from UTC, p ``+``
(local time is ahead), ``-`` (behind) or ``R`` (the digits are a duration).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from passband.domain.errors import PeerFault

LEAST_VALIDITY: Final = 60.0
"""Seconds: a validity_period nearer than this is refused as already past by some carriers."""

_digits = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9])([0-9]{2})([+\-R])").fullmatch


class UnreadableTime(PeerFault):
    """A field that should hold a time holds something else."""


def read(text: str) -> datetime | timedelta | None:
    """An absolute time as an aware datetime, a relative one as a timedelta, None for the empty field.

    In a relative time a year counts 365 days and a month 30. Two digits of a year are of this century.

    Raises:
        UnreadableTime: the text has not the form, or names a moment that does not exist.
    """
    if not text:
        return None
    found = _digits(text)
    if found is None:
        raise UnreadableTime(f"not a time: {text[:17]!r}")
    years, months, days, hours, minutes, seconds, tenths, quarters = map(int, found.groups()[:-1])
    if found[9] == "R":
        return timedelta(days=365 * years + 30 * months + days, hours=hours, minutes=minutes, seconds=seconds)
    if quarters > 48:
        raise UnreadableTime(f"{quarters} quarter-hours from UTC: {text!r}")
    away = timedelta(minutes=15 * quarters)
    zone = timezone(-away if found[9] == "-" else away)
    try:
        return datetime(2000 + years, months, days, hours, minutes, seconds, 100_000 * tenths, tzinfo=zone)
    except ValueError as error:
        raise UnreadableTime(f"no such moment: {text!r}") from error


def absolute(at: float) -> str:
    """An instant (seconds since the epoch) as an absolute time in UTC, cut to tenths of a second."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%y%m%d%H%M%S}{moment.microsecond // 100_000}00+"


def relative(seconds: int) -> str:
    """A duration of less than 100 days as a relative time."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def validity(expires_at: float, now: float) -> str:
    """The validity_period of a message that expires at an instant: absolute, and never nearer than 60 s ahead."""
    return absolute(max(expires_at, now + LEAST_VALIDITY))


_RECEIPT_DATES = {10: ("%y%m%d%H%M",), 12: ("%y%m%d%H%M%S", "%Y%m%d%H%M"), 14: ("%Y%m%d%H%M%S",)}


def receipt_date(digits: str, now: float) -> datetime | None:
    """The date in a receipt's text, for people only: its time zone is unknown and taken to be UTC.

    12 digits are YYMMDDhhmmss or YYYYMMDDhhmm: the reading that exists and is nearer to ``now``. None if there is none.
    """
    if not (digits.isascii() and digits.isdecimal()):
        return None
    readings = []
    for form in _RECEIPT_DATES.get(len(digits), ()):
        try:
            readings.append(datetime.strptime(digits, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    return min(readings, key=lambda moment: abs(moment.timestamp() - now), default=None)
