"""What is agreed with one MM4 peer."""

import enum
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from passband.mm4.address import EnvelopeForm

Network = IPv4Network | IPv6Network


class Tls(enum.StrEnum):
    """How the connection to a peer is encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    """Plain at first; a peer that does not offer STARTTLS is not talked to, or anybody between could take it away."""
    IMPLICIT = "implicit"


class DeliveredOn(enum.StrEnum):
    """What message-delivered stands for (MM4, section 8). An account with ``mms_receipts`` awaits the report anyway."""

    SMTP = "smtp"
    FORWARD_RES = "forward_res"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One peer, and how to talk to it. Times are in seconds, ``rate`` in messages per second, sizes in octets of mail.

    ``domain`` is ours, ``peer_domain`` the peer's, as envelopes have them. The peer may connect from ``allow``, or
    from anywhere with ``listen_user`` and ``listen_password``. ``content_types`` are those that the peer takes; None:
    all that may be sent. With ``send_delivery_reports`` it gets those that it asks for.
    """

    name: str
    host: str
    port: int
    tls: Tls
    tls_ca_file: Path | None
    user: str | None
    password: str | None = field(repr=False)
    domain: str
    peer_domain: str
    system_address: str
    envelope: EnvelopeForm
    connections: int
    rate: float | None
    max_message_octets: int
    content_types: frozenset[str] | None
    ack_request: bool
    delivery_report: bool
    send_delivery_reports: bool
    mms_delivered_on: DeliveredOn
    receipt_window: float
    listen: tuple[str, int]
    listen_certificate: Path | None
    listen_key: Path | None
    listen_user: str | None
    listen_password: str | None = field(repr=False)
    allow: tuple[Network, ...]
    max_inbound_octets: int
    assume_forward: bool
