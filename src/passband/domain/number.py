"""Phone numbers as the API writes them: E.164 numbers, short codes and alphanumeric senders.

Two questions, asked at different times. *Syntax* is decided before the 202 and a fault is a 400 (HTTP API, section
2.1). *Possibility*, whether a number of that many digits can exist in its country, is decided after it, and a fault is
a failed event (4302 and 4303). Nothing is rewritten: no ``+1`` is added, no punctuation removed.

Neither keeps a cache: is_e164 takes 0.1 µs and is_possible 0.2 (CPython 3.11), which a cache hardly betters, and
numbers are not to be kept.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

# Python's \d takes every digit of Unicode, and $ a line feed after the end: hence [0-9] and fullmatch.
_E164 = r"\+[1-9][0-9]{1,14}"
_SHORT_CODE = r"[1-9][0-9]{2,7}"
# A leading + announces a number, so "+1invalid" is a bad number and no name; blanks at the ends are refused as in
# every number.
_ALPHANUMERIC = r"(?=.{0,10}[A-Za-z])(?![ +])[A-Za-z0-9 +_&-]{1,11}(?<! )"

_e164 = re.compile(_E164).fullmatch
_short_code = re.compile(_SHORT_CODE).fullmatch
_alphanumeric = re.compile(_ALPHANUMERIC).fullmatch
_recipient = re.compile(f"{_E164}|{_SHORT_CODE}").fullmatch
_sender = re.compile(f"{_E164}|{_SHORT_CODE}|{_ALPHANUMERIC}").fullmatch


class Kind(StrEnum):
    """What kind of sender or recipient a number is."""

    LONG_CODE = "long-code"
    TOLL_FREE = "toll-free"
    SHORT_CODE = "short-code"
    ALPHANUMERIC = "alphanumeric"


_TOLL_FREE = frozenset({"+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"})


def is_e164(number: str) -> bool:
    """Whether this is a number in E.164 form: ``+``, then 2 to 15 digits, the first not 0."""
    return _e164(number) is not None


def is_short_code(number: str) -> bool:
    """Whether this is a short code: 3 to 8 digits without ``+``, the first not 0."""
    return _short_code(number) is not None


def is_alphanumeric_sender(number: str) -> bool:
    """Whether this is a sender's name: 1 to 11 of ``A-Z a-z 0-9 space - + _ &``, at least one of them a letter.

    It neither begins nor ends with a blank, nor begins with ``+``.
    """
    return _alphanumeric(number) is not None


def is_recipient(number: str) -> bool:
    """Whether a message can be addressed to this: an E.164 number or a short code."""
    return _recipient(number) is not None


def is_sender(number: str) -> bool:
    """Whether a message can come from this: an E.164 number, a short code or an alphanumeric sender."""
    return _sender(number) is not None


def kind(number: str) -> Kind:
    """The kind of a number that ``is_sender`` accepts. Toll-free numbers are the North American ones."""
    if number.startswith("+"):
        return Kind.TOLL_FREE if number[:5] in _TOLL_FREE else Kind.LONG_CODE
    return Kind.SHORT_CODE if number.isdecimal() else Kind.ALPHANUMERIC


def is_possible(number: str) -> bool:
    """Whether a number that ``is_sender`` accepts could exist, judged by its country and its count of digits.

    For +1: exactly ten digits after it, the area code not beginning with 0 or 1. An unknown country code is impossible.
    Short codes and alphanumeric senders are always possible.
    """
    return not number.startswith("+") or len(number) in _POSSIBLE_LENGTHS.get(number[1:4], ())


# Count of digits after the country calling code (ITU-T E.164, national significant number) → calling codes, from the
# metadata of libphonenumber 9.0.42. Lengths that can be dialled only within an area are left out: an E.164 number
# has its area code.
_NATIONAL_LENGTHS: Mapping[tuple[int, ...], str] = {
    (4, 5): "290",
    (4, 5, 6, 7): "690",
    (4, 5, 6, 7, 8, 9, 10, 11): "352",
    (4, 5, 6, 7, 8, 9, 10, 11, 12): "598",
    (4, 5, 6, 7, 8, 9, 10, 11, 12, 13): "43 49",
    (4, 5, 6, 7, 10): "98",
    (4, 7): "683",
    (5,): "500 682",
    (5, 6): "247",
    (5, 6, 7): "688",
    (5, 6, 7, 8): "386",
    (5, 6, 7, 8, 9, 10): "27 64",
    (5, 6, 7, 8, 9, 10, 11): "31",
    (5, 6, 7, 8, 9, 10, 11, 12): "358 971",
    (5, 6, 7, 8, 9, 10, 12): "61",
    (5, 6, 7, 8, 9, 11): "852",
    (5, 6, 7, 10): "685",
    (5, 6, 8, 9, 10, 11, 12, 13): "82",
    (5, 7): "676 677 678",
    (5, 8): "47 686",
    (6,): "298 299 672 687",
    (6, 7): "597",
    (6, 7, 8, 9): "252 355",
    (6, 7, 8, 9, 10): "48 95 880",
    (6, 7, 8, 9, 10, 11): "375 595",
    (6, 7, 8, 9, 10, 11, 12): "39 381",
    (6, 7, 8, 9, 10, 12): "46",
    (6, 7, 8, 9, 12): "359",
    (6, 7, 8, 10): "53",
    (6, 7, 9): "421",
    (6, 8, 9): "376 689",
    (6, 8, 9, 10, 11, 12, 13): "63",
    (6, 9): "40 508 681",
    (7,): "238 239 246 248 269 291 297 592 673 674 680 691 692",
    (7, 8): "241 599 670 675 853 961 965 975",
    (7, 8, 9): "231 385 967 968",
    (7, 8, 9, 10): "84 243 254 353",
    (7, 8, 9, 10, 11): "886",
    (7, 8, 9, 10, 11, 12): "86 882 972",
    (7, 8, 9, 10, 11, 12, 13): "62",
    (7, 8, 9, 11): "974",
    (7, 8, 10): "230 267 372",
    (7, 8, 10, 11): "507",
    (7, 8, 11): "503",
    (7, 9): "220 245 265 354 423",
    (7, 9, 10): "44 263",
    (7, 10): "960",
    (7, 10, 12, 13): "90",
    (7, 11): "501 679",
    (8,): "45 216 222 223 226 227 228 232 235 236 253 257 266 350 356 357 370 371 373 374 389 505 509 800 808 973 993",
    (8, 9): "32 36 51 213 224 233 237 250 258 264 268 377 382 387 591 962 963",
    (8, 9, 10): "20 60 855 856 964 970 976",
    (8, 9, 10, 11): "55 593",
    (8, 9, 10, 11, 12): "92 383 883",
    (8, 9, 10, 11, 12, 13): "81 91",
    (8, 9, 10, 13): "66",
    (8, 10): "229 378 506 850",
    (8, 10, 11): "57 65 977",
    (8, 11): "502 504",
    (9,): "33 34 93 94 211 212 218 221 240 242 244 249 251 255 256 260 261 262 351 590 594 596 979 992 994 995 998",
    (9, 10): "380 881 966 996",
    (9, 10, 11): "56",
    (9, 10, 11, 12): "420",
    (9, 12): "41 870",
    (10,): "1 52 58 225",
    (10, 11): "54",
    (10, 11, 12): "30 234",
    (10, 14): "7",
    (11,): "888",
    (12,): "878",
}


_REST = {1: [f"{rest:02}" for rest in range(100)], 2: list("0123456789"), 3: [""]}


def _possible_lengths() -> dict[str, frozenset[int]]:
    """The first three digits of an E.164 number → the lengths it may have, ``+`` included.

    No calling code begins another one and none is longer than three digits, so three digits decide; one look-up in a
    thousand entries replaces trying one, two and three digits.
    """
    lengths = {
        f"{code}{rest}": frozenset(1 + len(code) + digits for digits in national)
        for national, codes in _NATIONAL_LENGTHS.items()
        for code in codes.split()
        for rest in _REST[len(code)]
    }
    for area in range(100, 120):  # +1 with an area code that begins with 0 or 1
        del lengths[str(area)]
    return lengths


_POSSIBLE_LENGTHS = _possible_lengths()
