"""Our delivery reports: a message of the peer's has reached its application, as the peer asked to be told.

What a report needs is kept with the message's event, in its ``note``, and goes with it: so any node that hears of the
application's 2xx can report, and nothing of it is left behind. From then on it is in memory only, for as long as it
takes to send it; a node that dies in between leaves the peer without a report, as MM4 allows (MM4, section 7).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import structlog

from passband.carriers.mm4.outgoing import SystemMail
from passband.carriers.mm4.profile import Profile
from passband.clock import Clock
from passband.domain.event import Callback
from passband.mm4.address import Address, parse_address
from passband.mm4.identity import Identifier, mail_id, transaction_id
from passband.mm4.message import DeliveryReportRequest, DeliveryReportResponse, ForwardRequest
from passband.mm4.outcome import Outcome, of_request_status
from passband.mm4.writing import render

log = structlog.get_logger()

RETRIEVED: Final = "Retrieved"
WAITS: Final = (5.0, 60.0, 300.0)  # before a report is sent again that the peer's MMSC could not take
MOST_AWAITED: Final = 10_000
AWAITED_SECONDS: Final = 3600.0


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a request that asks for a report: identifier and version as they came, and where it goes.

    ``sender`` is the handset's address; ``for_handset`` tells that its user asked, and not its MMSC alone.
    """

    message_id: str
    version: str
    sender: str
    system: str
    for_handset: bool


class Awaited(NamedTuple):
    """A report that the peer has not answered: what it is about, the tries before it, since when."""

    callback: Callback
    tries: int
    at: float


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


def note_of(profile: Profile, request: ForwardRequest) -> str | None:
    """Return what to keep of a request for the report that it asks for; None where it gets none."""
    wanted = request.delivery_report or request.originator_rs_delivery_report
    if not (wanted and profile.send_delivery_reports) or request.message_id is None or request.res_to is None:
        return None
    note = Note(request.message_id.raw, request.version, request.sender.raw, request.res_to, request.delivery_report)
    return _encode(note).decode()


class Reports:
    """The delivery reports to one peer."""

    def __init__(self, profile: Profile, clock: Clock, send: Callable[[SystemMail, float], None]) -> None:
        """``send`` sends a mail to the peer's system after so many seconds, and again until the peer has it."""
        self._profile = profile
        self._clock = clock
        self._send = send
        self._awaited: OrderedDict[str, Awaited] = OrderedDict()  # by transaction, the oldest first

    def acknowledged(self, callback: Callback) -> None:
        """Report that an application has taken a message of the peer's, if the peer wants to know."""
        self._report(callback, 0, 0.0)

    def answered(self, response: DeliveryReportResponse) -> None:
        """Take the peer's answer to a report: sent again where it could not take it for the moment."""
        found = None
        if response.transaction_id is not None:
            found = self._awaited.pop(response.transaction_id.folded, None)
        if found is None:
            log.info("a response to no report that is awaited", carrier=self._profile.name, mail=str(response))
            return
        verdict = of_request_status(response.status)
        if verdict.outcome is Outcome.RETRY and found.tries < len(WAITS):
            self._report(found.callback, found.tries + 1, WAITS[found.tries])
        elif verdict.outcome is not Outcome.ACCEPTED:
            log.warning("the peer refuses a report", carrier=self._profile.name, mail=str(response))

    def _report(self, callback: Callback, tries: int, wait: float) -> None:
        if callback.message.tag is None:
            return
        note = _decode(callback.message.tag)
        now = self._clock.now()
        try:
            request = _request(self._profile, callback, note, tries, now)
            octets = render(request)
        except ValueError:
            log.error("a report that no mail can be made of", carrier=self._profile.name, callback=str(callback))
            return
        self._awaited[str(request.transaction_id).casefold()] = Awaited(callback, tries, now)
        self._forget(now)
        self._send(SystemMail(note.system, octets), wait)

    def _forget(self, now: float) -> None:
        while self._awaited:
            oldest = next(iter(self._awaited.values()))
            if len(self._awaited) <= MOST_AWAITED and oldest.at > now - AWAITED_SECONDS:
                return
            self._awaited.popitem(last=False)


def _request(profile: Profile, callback: Callback, note: Note, tries: int, now: float) -> DeliveryReportRequest:
    """Return the report on one recipient. Raises ValueError where it can have no identifier or address."""
    sender = parse_address(note.sender)
    return DeliveryReportRequest(
        transaction_id=transaction_id(callback.message.id, tries + 1),
        message_id=Identifier(note.message_id),
        mail_id=mail_id(callback.message.id, tries + 1, profile.domain),
        system=profile.system_address,
        date=now,
        version=note.version,
        recipient=Address.of_number(callback.number),
        to=(sender,) if sender is not None else (),
        mm_status=RETRIEVED,
        ack_request=True,
        forward_to_originator_ua=note.for_handset,
    )
