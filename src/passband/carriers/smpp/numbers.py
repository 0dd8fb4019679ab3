"""Numbers on the wire: type of number, numbering plan and digits ⇄ numbers as the platform writes them.

Source: SMPP 3.4 §5.2.5 and §5.2.6; what peers send in place of it.
"""

import hashlib
from collections.abc import Callable

from passband.carriers.smpp.settings import SmppSettings
from passband.domain.report import PAIR

INTERNATIONAL, NATIONAL, ALPHANUMERIC = 1, 2, 5
_MOST_KEPT = 4096  # senders
_SHORTEST_OWN = 7  # digits of an own number that may be followed by others

Address = tuple[int, int, str]


class Numbers:
    """The number forms of one carrier."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._digits_from = 0 if settings.plus_sign else 1
        self._destination = settings.destination
        self._national = settings.national
        self._senders: dict[str, Address] = {}

    def source(self, number: str) -> Address:
        """Return a sender as (ton, npi, address)."""
        address = self._senders.get(number)
        if address is None:
            if len(self._senders) >= _MOST_KEPT:
                self._senders.clear()
            address = self._senders[number] = self._source(number)
        return address

    def _source(self, number: str) -> Address:
        if number.startswith("+"):
            return (*self._settings.international, number[self._digits_from :])
        if number.isdecimal():
            return (*self._settings.short_code, number)
        return (*self._settings.alphanumeric, number[:11])

    def destination(self, number: str) -> Address:
        """Return a recipient as (ton, npi, address)."""
        if number[0] != "+":
            return (*self._settings.short_code, number)
        if self._national and number.startswith("+1"):
            return NATIONAL, self._destination[1], number[2:]
        return (*self._destination, number[self._digits_from :])


def pair_ref(sender: str, number: str) -> str:
    """Return what stands for the identifier of a segment that has none: its two numbers, which it does not tell."""
    return PAIR + hashlib.blake2b(f"{sender}\n{number}".encode(), digest_size=12).hexdigest()


def reference_ref(sender: str, number: str, reference: int) -> str:
    """Return the same of a segment that was sent with a user_message_reference, which makes it one of many."""
    said = f"{sender}\n{number}\n{reference}"
    return "#" + hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def own_number(ton: int, address: str, is_ours: Callable[[str], bool]) -> str:
    """Return the number of ours that an inbound message is for.

    Peers send it in full with any TON, and some put digits of their own behind it: where it begins with a number of
    ours it is that one.
    """
    number = platform_number(ton, address)
    if is_ours(number):
        return number
    digits = address.replace(" ", "").removeprefix("+")
    if digits.isdecimal():
        for end in range(len(digits), _SHORTEST_OWN - 1, -1):
            if is_ours("+" + digits[:end]):
                return "+" + digits[:end]
    return number


def platform_number(ton: int, address: str) -> str:
    """Return a number that came in as the platform writes it.

    What has a letter is a name and stays. Digits with TON 1 get a ``+``, with TON 0 and 2 those of North America too;
    3 to 8 digits are a short code. Many peers send TON 0 with a full international number, which is longer than both.
    """
    if ton == INTERNATIONAL and address.isdecimal() and address[0] != "0":
        return "+" + address
    digits = address.replace(" ", "")
    if digits.startswith("+") and digits[1:].isdecimal():
        return digits
    if not digits.isdecimal() or ton == ALPHANUMERIC:
        return address.strip()
    if ton == INTERNATIONAL:
        return "+" + digits.removeprefix("00")
    if len(digits) <= 8:
        return digits
    if ton in (0, NATIONAL) and len(digits) == 10:
        return "+1" + digits
    if ton in (0, INTERNATIONAL) and digits.startswith("00"):
        return "+" + digits[2:]
    return "+" + digits if ton == 0 or (ton == NATIONAL and len(digits) == 11 and digits[0] == "1") else digits
