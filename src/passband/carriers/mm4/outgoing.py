"""A message of ours as a request to the peer, and what its transaction id says when a response echoes it.

The id is made of the message alone: ``{message id}-{mode}{attempt}{digest}``. A request that has to be sent again
because nobody knows whether it arrived has the same id, so that the peer can drop the copy; a further attempt, another
peer or other recipients make another one. The mode is in it so that any node can tell from a response what an
acceptance means, without a word in the store.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from passband.carriers.groups import shown
from passband.carriers.mm4.profile import DeliveredOn, Profile
from passband.domain.message import Recipient
from passband.domain.report import Accepted, Deciding, Submission
from passband.mm4.address import Address, envelope_address
from passband.mm4.headers import mail_date
from passband.mm4.identity import Identifier, mail_id, message_id, transaction_id
from passband.mm4.message import ForwardRequest
from passband.mm4.mime import Part

NOT_ACKNOWLEDGED: Final = 5630
EXPIRY_SECONDS: Final = 24 * 3600.0  # how long the peer may try, from the message's creation
_DIGEST = 10**7
_MODES = (DeliveredOn.SMTP, DeliveredOn.FORWARD_RES, DeliveredOn.REPORT)

_ours = re.compile(r"[a-z0-9.-]{1,40}-(?P<mode>[012])(?P<attempt>[0-9])[0-9]{7}").fullmatch


class SystemMail(NamedTuple):
    """A mail of ours to the peer's system: an answer to a request, or a report."""

    to: str
    octets: bytes


class Transaction(NamedTuple):
    """What one of our transaction ids says: when its recipients are delivered, and how often it was tried before."""

    delivered_on: DeliveredOn
    attempt: int


def read_transaction(identifier: Identifier) -> Transaction | None:
    """Read a transaction id that a response echoes; None where it is none of ours."""
    match = _ours(identifier.folded)
    return Transaction(_MODES[int(match["mode"])], int(match["attempt"])) if match else None


def forward_request(profile: Profile, submission: Submission, mode: DeliveredOn) -> ForwardRequest:
    """Return the request that carries a submission to its peer. Raises ValueError where it can have no identifier.

    It shows the whole group, whoever the peer refuses at RCPT: the same list stands in every request about a message,
    to every peer and in every attempt (MM4, section 8), or one group would be several on the handsets.
    """
    message = submission.recipients[0].message
    sequence = _sequence(profile.name, submission.recipients, mode)
    return ForwardRequest(
        transaction_id=transaction_id(message.id, sequence),
        message_id=message_id(message.id, profile.domain),
        mail_id=mail_id(message.id, sequence, profile.domain),
        system=profile.system_address,
        date=message.created_at,
        sender=Address.of_number(message.sender),
        to=tuple(map(Address.of_number, shown(message))),
        text=message.text,
        parts=tuple(Part(a.index, a.content_type, a.name, a.octets) for a in submission.attachments),
        ack_request=profile.ack_request,
        res_to=profile.system_address,
        expiry=mail_date(message.created_at + EXPIRY_SECONDS),
        delivery_report=profile.delivery_report or mode is DeliveredOn.REPORT,
    )


def _sequence(peer: str, recipients: Sequence[Recipient], mode: DeliveredOn) -> int:
    digest = zlib.crc32(f"{peer} {sorted(r.n for r in recipients)}".encode()) % _DIGEST
    attempt = min(9, max(r.attempts for r in recipients))
    # As a number, a mode of 0 would vanish from the front; but an acceptance by SMTP awaits no response either.
    return (_MODES.index(mode) * 10 + attempt) * _DIGEST + digest


def envelope_of(profile: Profile, submission: Submission) -> tuple[str, dict[str, Recipient]]:
    """Return MAIL FROM, and each recipient by its RCPT TO. Raises ValueError where a number makes no address."""
    sender = envelope_address(submission.recipients[0].message.sender, profile.domain, profile.envelope)
    to = {envelope_address(r.number, profile.peer_domain, profile.envelope): r for r in submission.recipients}
    return sender, to


def taken(profile: Profile, request: ForwardRequest, mode: DeliveredOn) -> Accepted:
    """Return what it means that the peer's SMTP server has taken a request."""
    assert request.transaction_id is not None
    assert request.message_id is not None
    refs = (request.transaction_id.folded, request.message_id.folded)
    if mode is DeliveredOn.SMTP:
        return Accepted(refs, None)
    unanswered = NOT_ACKNOWLEDGED if profile.ack_request else 0
    return Accepted(refs, profile.receipt_window, Deciding.FIRST, unanswered)
