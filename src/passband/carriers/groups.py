"""Who sees whom in a group."""

from passband.domain.message import Message
from passband.domain.number import is_possible


def shown(message: Message) -> tuple[str, ...]:
    """Return the recipients as the receivers see them, without those that failed before they came to a carrier.

    These are the sender itself (4401) and impossible numbers (4303): none of them gets the message, or an event, by
    being shown (Semantics, section 4).
    """
    if len(message.to) == 1:
        return message.to
    return tuple(number for number in message.to if number != message.sender and is_possible(number))
