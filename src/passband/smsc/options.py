"""What the simulated carrier does, and does wrong."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ReceiptOrder = Literal["in-order", "reversed", "shuffled"]
Nameless = Literal["none", "none-hex", "none-reference", "hex-none", "hex-reference"]
IdFormat = Literal["hex", "hex-decimal", "decimal-hex", "padded", "uuid", Nameless]


@dataclass(slots=True, kw_only=True)
class SmscOptions:
    """The options of one simulated carrier; those of its behaviour may be changed while it runs.

    Ratios are from 0 to 1, times in seconds. ``control`` is where the HTTP control endpoint listens (host and port;
    None: nowhere); a port of 0 takes any free one.
    """

    host: str = "127.0.0.1"
    port: int = 2775
    control: tuple[str, int] | None = None
    tls_certificate: str | None = None
    """A file with certificate and key: with it every connection is encrypted."""
    system_id: str = ""
    """The only user name that may bind; empty: anyone."""
    password: str = ""
    seed: int | None = None
    """Makes what is random the same in every run."""
    ledger: bool = False
    """Keep every segment that is accepted, for tests."""

    receipt_delay: float = 0.1
    receipt_order: ReceiptOrder = "in-order"
    """Within what is due at the same time."""
    receipts: bool = True
    receipt_window: int = 1000
    """Receipts and inbound messages that may be unanswered on each bind."""
    id_format: IdFormat = "hex"
    """Of message ids: in the response, and, after the dash, in the receipt.

    ``none`` is no id. ``reference`` is none, and in its place the user_message_reference of the segment, if it had one.
    """

    rate: float | None = None
    """Above so many segments per second they are refused with ESME_RTHROTTLED."""
    errors: Mapping[int, float] = field(default_factory=dict)
    """Which ratio of segments is refused with which command_status."""
    drop_responses: float = 0.0
    """Which ratio of accepted segments is never answered."""
    response_delay: float = 0.0
    shuffle_responses: bool = False
    """Answers that are due at the same time go out in any order."""
    refuse_bind: int = 0
    """Refuse every bind with this command_status."""
    close_after_bind: bool = False
    disconnect_after: int | None = None
    """Cut a connection after it has brought so many segments, their answers included."""
    cut_mid_pdu: bool = False
    """Cut connections in the middle of an answer."""
    hang: bool = False
    """Read, and answer nothing any more."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be: ValueError."""
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}")
        if self.rate == 0:
            raise ValueError("rate must be more than 0; null sets no limit")
        for status, ratio in self.errors.items():
            if not 1 <= status <= 0xFFFFFFFF or not 0 <= ratio <= 1:
                raise ValueError("errors must be statuses from 1 to 0xFFFFFFFF, each with a ratio from 0 to 1")

    def tls_context(self) -> ssl.SSLContext | None:
        """Return how connections are encrypted; None where they are not. Raises OSError that names the file."""
        if self.tls_certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.tls_certificate)
        except OSError as error:  # as are those of TLS
            raise OSError(f"{self.tls_certificate} holds no certificate with its key: {error}") from error
        return context


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "port": (0, 65535),
    "receipt_delay": (0, 86_400),
    "receipt_window": (1, 1_000_000),
    "rate": (0, 1_000_000),
    "drop_responses": (0, 1),
    "response_delay": (0, 86_400),
    "refuse_bind": (0, 0xFFFFFFFF),
    "disconnect_after": (1, 1_000_000_000),
}


LIVE = frozenset(
    {
        *("receipt_delay", "receipt_order", "receipts", "id_format", "rate", "errors", "drop_responses"),
        *("response_delay", "shuffle_responses", "refuse_bind", "close_after_bind", "disconnect_after"),
        *("cut_mid_pdu", "hang"),
    }
)
"""The options that may be changed while it runs."""
