"""What makes a mail unreadable as MM4, so that a relay can choose its answer without looking at any text."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from passband.domain.errors import PeerFault

if TYPE_CHECKING:
    from passband.mm4.message import ForwardRequest


class Reason(enum.Enum):
    """Why a mail could not be read."""

    NOT_MM4 = "not MM4"
    """No X-Mms-Message-Type, or one that nobody knows: SMTP 554."""

    TOO_LARGE = "too large"
    """One of this codec's limits was passed: octets, headers, parts, nesting."""

    MALFORMED = "malformed"
    """The headers or the MIME structure allow no reading."""


class UnreadableMm4(PeerFault):
    """A mail from a peer cannot be read as an MM4 message.

    ``request`` holds the headers of a forward.REQ whose body was the trouble, without text and parts, so that it can
    still be answered with Error-message-format-corrupt; else None.
    """

    def __init__(self, reason: Reason, detail: str, request: ForwardRequest | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.request = request
