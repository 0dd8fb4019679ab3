"""The public delivery error codes: why a message failed, in the number and the name that its event carries.

Only codes that may be emitted are here. A code's ``name`` is wire text, the ``description`` of message-failed, and
is written as published, oddities included ("rout", "address-address"). The friendly label and the meaning are ours, for
people who look at a console.

The digits tell whose fault it was: 4 the client's, 5 the service's, 9 unclear; then, of a 4, 7 the carrier's word, of
a 5, 6 the carrier's fault. The category says the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from passband.domain.errors import OwnFault


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A delivery error code.

    ``category`` is who found fault with whom: client-bandwidth (refused by the platform), client-carrier (refused by
    the carrier), service-bandwidth (the platform failed), service-carrier (the carrier failed) or ambiguous.
    """

    code: int
    name: str
    friendly: str
    meaning: str
    category: str
    billable: bool


class UnknownErrorCode(OwnFault):
    """The number is not a delivery error code that may be emitted."""


# Category → code, name, friendly label, meaning. Unformatted, so that a code stays one entry of two or three lines.
# fmt: off
_TABLE: Mapping[str, tuple[tuple[int, str, str, str], ...]] = {
    "client-bandwidth": (
        (4001, "service-not-allowed", "Not allowed",
         "Catch-all refusal for a client-side reason that has no 4xxx code of its own: missing permission, wrong "
         "format, or a service the account does not have."),
        (4301, "malformed-invalid-encoding", "Bad encoding",
         "The text holds characters or an encoding that cannot be carried to the destination."),
        (4302, "malformed-invalid-from-number", "Bad from number",
         "The sending number cannot exist or be routed, for instance it has the wrong count of digits."),
        (4303, "malformed-invalid-to-number", "Bad to number",
         "The destination number cannot exist or be routed, for instance it has the wrong count of digits."),
        (4350, "malformed-for-destination", "Bad for destination",
         "The message was accepted, then turned out to be malformed when it was about to be sent; usually the "
         "destination is at fault."),
        (4360, "message-not-sent-expiration-date-passed", "Expired",
         "The `expiration` of the request passed while the message was still queued."),
        (4401, "rejected-routing-error", "Routing loop",
         "The platform cannot route the message, above all when source and destination are the same number or the "
         "route leads back to itself."),
        (4403, "rejected-forbidden-from-number", "From not allowed",
         "The sending number may not send: not ours, not on the account, not enabled for messaging, disconnected, "
         "or impossible."),
        (4404, "rejected-forbidden-to-number", "To not allowed",
         "The destination may not receive messages: inactive, not enabled, or impossible."),
        (4405, "rejected-unallocated-from-number", "From unallocated",
         "The sending number is unknown as an active, message-enabled number."),
        (4406, "rejected-unallocated-to-number", "To unallocated",
         "The destination is a well-formed number that no carrier holds."),
        (4407, "rejected-account-not-defined-from-number", "From not on account",
         "The sending number is not tied to the account that sent the request."),
        (4408, "rejected-account-not-defined-to-number", "To not on account",
         "A destination that should be one of our own numbers has no account."),
        (4409, "rejected-invalid-from-profile", "No MMS profile",
         "No usable destination profile; mostly a destination that cannot take MMS."),
        (4410, "media-unavailable", "Media not fetched",
         "A media URL could not be downloaded."),
        (4411, "rejected-message-size-limit-exceeded", "Media too large",
         "Attachments together are larger than allowed."),
        (4412, "media-content-invalid", "Media type refused",
         "The content type of an attachment is missing, unreadable or not supported."),
        (4420, "rejected-carrier-does-not-exist", "No such carrier",
         "The upstream carrier named for the message is not configured."),
        (4421, "rejected-forbidden-no-destination", "No route",
         "The account has no permission or route to this destination."),
        (4431, "rejected-forbidden-shortcode", "Short code not allowed",
         "The account may not use short codes."),
        (4432, "rejected-forbidden-country", "Country not allowed",
         "The account is not enabled for the destination country or zone, or the country is out of reach for MMS."),
        (4433, "rejected-forbidden-tollfree", "Toll-free not allowed",
         "The account may not send from toll-free numbers."),
        (4434, "rejected-forbidden-tollfree-for-recipient", "Toll-free recipient not allowed",
         "The toll-free recipient cannot be messaged."),
        (4435, "forbidden-too-many-recipients", "Too many recipients",
         "The group has more than ten recipients."),
        (4451, "rejected-wrong-user-id", "Unknown user",
         "The user (account) id is not valid."),
        (4452, "rejected-wrong-application-id", "Unknown application",
         "The application id is unknown or not on this account."),
        (4470, "rejected-spam-detected", "Spam (Bandwidth)",
         "The platform's own spam filter blocked the message."),
        (4475, "destination-rejected-due-to-user-opt-out", "Opted out (Bandwidth)",
         "The recipient has opted out of this sender and the platform itself knew it."),
        (4476, "blocked-unregistered", "Unregistered",
         "US long code that is not on a registered 10DLC campaign."),
        (4481, "rejected-from-number-in-blacklist", "From blocked",
         "The sending number is on a block list."),
        (4482, "rejected-to-number-in-blacklist", "To blocked",
         "The destination is on a block list."),
        (4492, "reject-emergency", "Emergency number",
         "Messages to emergency numbers are not allowed."),
        (4493, "rejected-unauthorized", "Unauthorized",
         "The sender is not authorised to send from this account."),
    ),
    "client-carrier": (
        (4700, "invalid-service-type", "Carrier: wrong service",
         "The carrier or handset does not support this kind of message."),
        (4701, "destination-service-unavailable", "Carrier: unreachable",
         "The destination cannot be reached and its SMS service is unavailable."),
        (4702, "destination-subscriber-unavailable", "Carrier: subscriber away",
         "The subscriber is temporarily away: phone off, barred, busy, memory full, or stored for a later try."),
        (4710, "media-unavailable", "Carrier: media not fetched",
         "The downstream side could not obtain the media."),
        (4711, "rejected-message-size-limit-exceeded", "Carrier: media too large",
         "The attachment is too large for the downstream side."),
        (4712, "media-content-invalid", "Carrier: media type refused",
         "The downstream side or handset does not support the media type."),
        (4720, "invalid-destination-address", "Carrier: bad destination",
         "The carrier says the destination is invalid: outside the numbering plan, a landline, or a user who "
         "blocks toll-free and short-code traffic."),
        (4721, "destination-tn-deactivated", "Carrier: deactivated number",
         "The destination number is on a deactivation list."),
        (4730, "no-route-to-destination-carrier", "Carrier: no route",
         "The carrier has no route, no roaming route or no SS7 route to the destination."),
        (4735, "too-many-recipients", "Carrier: too many recipients",
         "The downstream side takes fewer recipients than the message has."),
        (4740, "invalid-source-address-address", "Carrier: bad source",
         "The carrier does not accept the sending number: not in the plan, disabled, unauthorised or of an "
         "unsupported kind."),
        (4750, "destination-rejected-message", "Carrier: refused",
         "The carrier refused the message and gave no reason."),
        (4751, "destination-rejected-message-size-invalid", "Carrier: bad length",
         "The message is too long, or of a length the carrier does not take."),
        (4752, "destination-rejected-malformed", "Carrier: malformed",
         "The carrier found the message malformed: blank, bad value or length, missing or unknown TLV, bad data "
         "coding, bad number of destinations, XML error."),
        (4753, "destination-rejected-handset", "Carrier: handset refused",
         "The handset refused the message."),
        (4754, "unsupported-channel", "Carrier: channel unsupported",
         "The recipient does not support the channel used, for instance RCS."),
        (4770, "destination-spam-detected", "Carrier: spam",
         "The carrier blocked the message as spam because of content or the sender's history."),
        (4771, "rejected-shortened-url", "Carrier: short link",
         "A shared link shortener in the text caused the refusal."),
        (4772, "rejected-tn-blocked", "Carrier: blocked party",
         "Sender or recipient is blocked on the downstream platform."),
        (4773, "inactive-campaign", "Carrier: campaign inactive",
         "The 10DLC campaign of the sending number is not active for this destination."),
        (4774, "provisioning-issue", "Carrier: provisioning",
         "The number is wrongly or incompletely provisioned in the industry databases."),
        (4775, "destination-rejected-due-to-user-opt-out", "Carrier: opted out",
         "The recipient opted out of messages from this sender."),
        (4780, "volume-violation-tmo", "Carrier: daily volume",
         "T-Mobile: the brand passed its daily 10DLC volume. Before 2022-06: person-to-person rate exceeded, any "
         "carrier."),
        (4781, "volume-violation-att", "Carrier: rate",
         "AT&T: the campaign passed its rate, or AT&T throttled for another reason."),
        (4785, "volumetric-violation", "Carrier: volume",
         "A carrier's allowed volume was exceeded; wait and send again."),
        (4790, "destination-rejected-sc-not-allowed", "Short code refused",
         "The operator does not let this short code reach this destination."),
        (4791, "destination-rejected-campaign-not-allowed", "Short code campaign refused",
         "The operator does not allow this short code campaign."),
        (4792, "destination-rejected-sc-not-provisioned", "Short code not provisioned",
         "The short code is not set up at this operator."),
        (4793, "destination-rejected-sc-expired", "Short code expired",
         "The short code's term at this operator has ended."),
        (4794, "destination-rejected-expired", "Carrier: expired",
         "The message expired on the carrier's side."),
        (4795, "tfn-not-verified", "Toll-free unverified",
         "The sending toll-free number is not verified, or sent spam while unverified."),
    ),
    "service-bandwidth": (
        (5100, "temporary-app-error", "Platform error",
         "A temporary fault in the platform stopped the message."),
        (5101, "temporary-app-shutdown", "Platform stopping",
         "The platform component was shutting down and did not take the message."),
        (5106, "impossible-to-route", "Retries failed",
         "All attempts to route or deliver failed."),
        (5111, "temporary-app-connection-closed", "Connection gone",
         "The message belonged to a connection that no longer exists."),
        (5201, "temporary-rout-error-retries-exceeded", "Retries expired",
         "The platform gave the message up after its retries ran out."),
        (5211, "temporary-app-error-app-busy", "Platform busy",
         "The platform component was too busy to take the message."),
        (5220, "temporary-store-error", "Not stored",
         "The message could not be written to the store."),
        (5231, "discarded-concatenation-timeout", "Parts missing",
         "Not all parts of a multi-part message arrived in time."),
        (5500, "message-send-failed", "Send failed",
         "General failure while sending, reported for the destination carrier."),
        (5501, "message-send-failed", "No destination",
         "Sending failed because no destination was available."),
        (5999, "unknown-error", "Unknown (Bandwidth)",
         "The platform core reported an error it could not name."),
    ),
    "service-carrier": (
        (5600, "destination-carrier-queue-full", "Carrier: queue full",
         "The carrier cannot take more: congestion, full queue, throttling."),
        (5610, "submit-sm-or-submit-multi-failed", "Carrier: submission failed",
         "Submitting or cancelling failed inside the carrier's system."),
        (5620, "destination-app-error", "Carrier: application error",
         "General application error at the carrier."),
        (5630, "message-not-acknowledged", "Carrier: no answer",
         "The carrier did not acknowledge the submission."),
        (5650, "destination-failed", "Carrier: failed",
         "The carrier failed to reach the operator or handset."),
    ),
    "ambiguous": (
        (9902, "delivery-receipt-expired", "No receipt",
         "No delivery receipt came in time. The message may or may not have arrived."),
        (9999, "unknown-error", "Unknown (carrier)",
         "The carrier's answer has no mapping."),
    ),
}
# fmt: on

# What a carrier reported has been carried, and what is ambiguous may have been; of the platform's own refusals only
# spam is billed.
_BILLABLE_CATEGORIES = frozenset({"client-carrier", "service-carrier", "ambiguous"})
_BILLABLE_REFUSALS = frozenset({4470})

ERROR_CODES: Mapping[int, ErrorCode] = MappingProxyType(
    {
        code: ErrorCode(
            code, name, friendly, meaning, category, category in _BILLABLE_CATEGORIES or code in _BILLABLE_REFUSALS
        )
        for category, rows in _TABLE.items()
        for code, name, friendly, meaning in rows
    }
)
"""Every code that may be emitted, by its number."""


def name_of(code: int) -> str:
    """The name that goes with a code, as the event's ``description``.

    Raises:
        UnknownErrorCode: the code may not be emitted.
    """
    try:
        return ERROR_CODES[code].name
    except KeyError:
        raise UnknownErrorCode(f"{code} is not a delivery error code that may be emitted") from None
