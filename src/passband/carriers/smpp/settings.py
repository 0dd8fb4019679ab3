"""What can be set for an SMPP carrier, each with its default; most carriers need the first six only.

What a setting means on the wire is the business of ``passband.smpp``; here are its name, its limits and what it is for.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from passband.smpp.error_mapping import Outcome, Retry, Verdict
from passband.smpp.message_id import IdRule
from passband.smpp.outcome import DIALECTS, ReceiptPolicy
from passband.smpp.session import Timers
from passband.smpp.text import Charset, TextStyle

TonNpi = tuple[int, int]

_TLV_OCTETS = {"int1": 1, "int2": 2, "int4": 4}


def shown(host: str, port: int) -> str:
    """Return an address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ExtraTlv(msgspec.Struct, frozen=True, kw_only=True):
    """An optional parameter that this carrier wants with every segment."""

    tag: int
    """The parameter's number, 0 to 65535."""
    kind: Literal["string", "hex", "int1", "int2", "int4"] = "string"
    """How ``value`` is written: text and a NUL, octets in hexadecimal, or an integer of so many octets."""
    value: str | int
    """What it says."""

    def __post_init__(self) -> None:
        if not 0 <= self.tag <= 0xFFFF:
            raise ValueError("tag must be from 0 to 65535")
        self.octets()

    def octets(self) -> bytes:
        """Return the value as it is sent. Raises ValueError where it does not fit its kind."""
        size = _TLV_OCTETS.get(self.kind)
        if size is not None:
            number = int(self.value)
            if not 0 <= number < 1 << 8 * size:
                raise ValueError(f"value must fit {size} octets")
            return number.to_bytes(size, "big")
        text = str(self.value)
        return bytes.fromhex(text) if self.kind == "hex" else text.encode("latin-1") + b"\0"


class StatusOverride(msgspec.Struct, frozen=True, kw_only=True):
    """What one command_status means at this carrier, where that differs from the usual."""

    action: Literal["fail", "throttle", "backoff", "reconnect", "accept"]
    """``fail`` for good, ``throttle`` all of it, ``backoff`` with this message, ``reconnect``, or ``accept`` it."""
    code: int = 9999
    """The delivery error code if the message ends with it."""
    attempts: int = 3
    """How often a message is submitted at most, with ``backoff`` and ``reconnect``."""

    def verdict(self, name: str) -> Verdict:
        """Return the same as a verdict of the tables."""
        outcome, retry = _ACTIONS[self.action]
        counts = retry in (Retry.BACKOFF, Retry.RECONNECT)
        return Verdict(outcome, retry, self.code, name, self.attempts if counts else None)


_ACTIONS = {
    "fail": (Outcome.FAILED, Retry.NONE),
    "throttle": (Outcome.RETRY, Retry.THROTTLE),
    "backoff": (Outcome.RETRY, Retry.BACKOFF),
    "reconnect": (Outcome.RETRY, Retry.RECONNECT),
    "accept": (Outcome.ACCEPTED, Retry.IGNORE),
}


class ReceiptState(msgspec.Struct, frozen=True, kw_only=True):
    """What a word in this carrier's receipts means, where it is not one of the usual words."""

    outcome: Literal["delivered", "failed", "pending"]
    """What became of the segment."""
    code: int = 9999
    """The delivery error code of a failure."""


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One SMPP carrier. Times are in seconds, rates in segments per second."""

    name: str
    """What this carrier is called, here and in events."""
    host: str
    """Where its SMSC listens."""
    port: int = 2775
    """The port there."""
    system_id: str
    """The user name of the bind, at most 15 characters."""
    password: str = ""
    """The password of the bind, at most 8 characters."""
    tls: bool = False
    """Encrypt from the first octet; the server's certificate is always checked."""

    other_hosts: tuple[str, ...] = ()
    """Further addresses, ``host:port``, of the same SMSC: the next one is tried after each failure."""
    tls_ca_file: str | None = None
    """The certificates to trust in place of the machine's own; the way to accept a self-signed one."""
    tls_server_name: str | None = None
    """The name that the certificate must have, where it is not that of the host."""
    long_password: bool = False
    """Allow a password of more than 8 characters, which some carriers give out."""
    system_type: str = ""
    """Leave empty unless the carrier says otherwise."""
    interface_version: int = 0x34
    """The version of SMPP that the bind announces: 3.4."""
    address_range: str = ""
    """The addresses of the bind; leave empty unless the carrier says otherwise."""
    bind_type: Literal["transceiver", "transmitter+receiver"] = "transceiver"
    """One connection for both directions, or one for each."""
    binds: int = 1
    """How many such binds to hold at once, over all nodes; carriers limit them."""

    window: int = 10
    """How many segments may be unanswered on each bind; carriers allow 1 to 100, and some more."""
    rate: float | None = 10.0
    """How many segments per second all binds together may send; None: no limit."""
    on_unacked: Literal["resubmit", "fail"] = "resubmit"
    """What becomes of a segment whose answer was lost: submit it once more, or fail with 5630."""

    connect_timeout: float = 10.0
    """For the connection, TLS included."""
    bind_timeout: float = 30.0
    """For the answer to the bind."""
    enquire_link: float = 30.0
    """Ask whether the carrier lives after so long a silence; carriers want 15 to 60."""
    enquire_link_timeout: float = 10.0
    """For the answer; two misses end the bind."""
    response_timeout: float = 60.0
    """For the answer to a segment; then the carrier is suspected to be dead."""
    write_timeout: float = 30.0
    """How long the carrier may leave unread what it is sent."""
    pdu_timeout: float = 10.0
    """For the rest of a PDU once it has begun to arrive."""
    unbind_timeout: float = 5.0
    """For the answer to our unbind; then the connection is closed anyway."""
    drain_timeout: float = 10.0
    """How long leaving takes at most when Passband stops: for answers to segments, and a fifth of it for the unbind."""
    reconnect_min: float = 0.0
    """The least time between any two connections of one node, whichever its bind, that some carriers ask for."""
    max_pdu: int = 70_000
    """Octets of the longest PDU that is read."""

    international: TonNpi = (1, 1)
    """TON and NPI of a sender in E.164 form."""
    short_code: TonNpi = (3, 0)
    """TON and NPI of a short code; carriers also want (0, 1), (6, 0), (2, 1) or (3, 9)."""
    alphanumeric: TonNpi = (5, 0)
    """TON and NPI of an alphanumeric sender."""
    destination: TonNpi = (1, 1)
    """TON and NPI of a recipient in E.164 form."""
    plus_sign: bool = False
    """Keep the ``+`` of E.164 numbers."""
    national: bool = False
    """Send +1 recipients as ten digits with TON 2."""

    service_type: str = ""
    """Leave empty unless the carrier wants ``CMT`` or a billing code."""
    esm_mode: Literal[0, 3] = 0
    """The message mode in esm_class: 0 the SMSC's default, 3 store and forward."""
    registered_delivery: int = 0x01
    """What to ask receipts for: 0x01 success and failure, 0x11 and what comes before."""
    receipts: Literal["all", "last", "first", "one"] = "all"
    """Of a longer message: a receipt for each segment, for its last or first only, or any one of them decides."""
    single_receipt: bool = True
    """With ``all``: when the receipt window is over, one delivered segment is enough if none failed."""
    delivered_on: Literal["receipt", "submit"] = "receipt"
    """``submit`` for a carrier that sends no receipts: a message is delivered when the carrier takes it."""
    receipt_window: float = 7200.0
    """How long receipts are awaited; then the message fails with 9902, or with 9999 where one said UNKNOWN."""
    acceptd_final: bool = False
    """ACCEPTD is this carrier's last word, and means delivered."""
    unknown_final: bool = False
    """UNKNOWN is this carrier's last word, and means failed; else 9999 waits until the receipt window is over."""
    expired_code: int = 4794
    """The delivery error code of EXPIRED."""
    receipt_pattern: str | None = None
    """A regular expression with groups named id, stat and err, for receipts in a form of their own."""
    receipt_states: Mapping[str, ReceiptState] = {}
    """Words of this carrier's receipts, in capitals, and what they mean."""
    err_dialect: str | None = None
    """Whose numbers the ``err`` of receipts holds; None: they say nothing."""
    status_overrides: Mapping[int, StatusOverride] = {}
    """What command_status values mean here, where that differs from the usual."""
    id_rule: IdRule = IdRule.AUTO
    """How message ids of receipts are compared with those of the answers."""

    default_charset: Charset = "gsm7"
    """What data_coding 0 is here. Wrong if @ arrives as ¡, £ as B, _ as §, $ as ¤."""
    gsm_data_coding: int = 0
    """The data_coding of text in the default alphabet."""
    gsm_packed: bool = False
    """Pack septets into octets (rare)."""
    ucs2_allowed: bool = True
    """False refuses texts that are not GSM 7-bit."""
    concat: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    """How longer texts are sent: by a header in the text, by parameters beside it, or whole in one PDU."""
    max_segments: int = 255
    """Longer messages fail with 4350 before anything is sent."""
    more_messages: bool = False
    """Announce with each segment but the last that another one follows."""
    send_validity: bool = False
    """Tell the carrier when a message expires."""
    extra_tlvs: tuple[ExtraTlv, ...] = ()
    """Parameters that are sent with every segment."""
    user_message_reference: bool = False
    """Send a number of our own with every segment, for a carrier whose receipts repeat it, or name nothing."""
    mo_concat_timeout: float = 600.0
    """How long the missing parts of an inbound message are waited for after its last part."""

    def __repr__(self) -> str:
        """Without the password: settings end up in logs."""
        return f"SmppSettings({self.name}: {self.system_id}@{shown(self.host, self.port)})"

    def __post_init__(self) -> None:
        """Refuse what cannot be run, with every fault in one ValueError."""
        faults = [fault for wrong, fault in self._faults() if wrong]
        if faults:
            raise ValueError("; ".join(faults))

    def _faults(self) -> list[tuple[bool, str]]:
        longest = 255 if self.long_password else 8
        return [
            (len(self.system_id) > 15, "system_id may have 15 characters"),
            (len(self.password) > longest, f"password may have {longest} characters (see long_password)"),
            (len(self.system_type) > 12, "system_type may have 12 characters"),
            (len(self.address_range) > 40, "address_range may have 40 characters"),
            (len(self.service_type) > 5, "service_type may have 5 characters"),
            (self.binds < 1, "binds must be at least 1"),
            (self.window < 1, "window must be at least 1"),
            (self.rate is not None and self.rate <= 0, "rate must be more than 0"),
            (not 1 <= self.max_segments <= 255, "max_segments must be from 1 to 255"),
            (self.max_pdu < 4096, "max_pdu must be at least 4096"),
            (self.err_dialect not in (None, *DIALECTS), f"err_dialect must be one of {', '.join(sorted(DIALECTS))}"),
            (self._bad_pattern(), "receipt_pattern must be a regular expression with the groups id and stat"),
        ]

    def _bad_pattern(self) -> bool:
        if self.receipt_pattern is None:
            return False
        try:
            groups = re.compile(self.receipt_pattern).groupindex
        except re.error:
            return True
        return not {"id", "stat"} <= groups.keys()

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """Every address, the first first."""
        others = (other.rpartition(":") for other in self.other_hosts)
        return ((self.host, self.port), *((host.strip("[]"), int(port)) for host, _, port in others))

    @property
    def timers(self) -> Timers:
        """The times of one session."""
        return Timers(
            session_init=self.bind_timeout,
            enquire_link=self.enquire_link,
            enquire_link_response=self.enquire_link_timeout,
            response=self.response_timeout,
            pdu_read=self.pdu_timeout,
            unbind_response=self.unbind_timeout,
        )

    @property
    def text_style(self) -> TextStyle:
        """How text becomes octets."""
        return TextStyle(self.default_charset, self.gsm_data_coding, self.gsm_packed, self.ucs2_allowed)

    @property
    def receipt_policy(self) -> ReceiptPolicy:
        """How receipts are to be understood."""
        return ReceiptPolicy(
            self.acceptd_final,
            self.unknown_final,
            self.expired_code,
            self.err_dialect,
            {
                word: Verdict(
                    Outcome(state.outcome),
                    Retry.WAIT if state.outcome == "pending" else Retry.NONE,
                    state.code if state.outcome == "failed" else None,
                    word,
                )
                for word, state in self.receipt_states.items()
            },
        )

    @property
    def overrides(self) -> Mapping[int, Verdict]:
        """The profile's own words on statuses."""
        return {
            status: override.verdict(f"status 0x{status:08X}") for status, override in self.status_overrides.items()
        }
