"""What a single setting may be: in words for the operator, and as the function that reads it.

Rule: a ``Rule`` judges one value alone; what depends on other settings is judged in ``checks``. Its words follow "must
be".
"""

import enum
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from passband.domain.error_codes import ERROR_CODES
from passband.domain.number import is_sender


class Rule(NamedTuple):
    """``read`` takes a TOML value and the folder of relative paths; it raises ValueError where the value is not right.

    It raises Unfit where more can be said than ``words`` does.
    """

    words: str
    read: Callable[[Any, Path], Any]


class Unfit(ValueError):
    """A value that is not right, with the reason."""


class Secret(str):
    """A text that no log or traceback shows. May be given as ``…_env`` or ``…_file``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class ConnectionUrl(Secret):
    """A URL that may hold a password."""

    __slots__ = ()


class Address(NamedTuple):
    """Where to listen. Port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TonNpi(NamedTuple):
    """Type of number and numbering plan, as SMPP tells them."""

    ton: int
    npi: int


def number(unit: str, low: float, high: float) -> Rule:
    """A number from ``low`` to ``high``, both included; booleans, nan and inf are none."""

    def read(value: object, _folder: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Rule(f"a number of {unit} from {low:,} to {high:,}", read)


def whole(unit: str, low: int, high: int) -> Rule:
    """A whole number from ``low`` to ``high``, both included."""

    def read(value: object, _folder: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return Rule(f"a whole number of {unit} from {low:,} to {high:,}", read)


def _error_code(value: object, _folder: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in ERROR_CODES:
        raise ValueError
    return value


def one_of(choices: Iterable[str]) -> Rule:
    """One of some texts; of an enumeration's members it reads the member."""
    by_text = {str(choice): choice for choice in choices}

    def read(value: object, _folder: Path) -> str:
        if not isinstance(value, str) or value not in by_text:
            raise ValueError
        return by_text[value]

    *most, last = by_text
    return Rule(f"{', '.join(most)} or {last}" if most else last, read)


def text(words: str, fits: Callable[[str], object], kind: type[str] = str) -> Rule:
    """A text for which ``fits`` is true."""

    def read(value: object, _folder: Path) -> str:
        if not isinstance(value, str) or not fits(value):
            raise ValueError
        return kind(value)

    return Rule(words, read)


def _flag(value: object, _folder: Path) -> bool:
    if value is True or value is False:
        return value
    raise ValueError


_HOST = r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*"  # not what no look-up takes: empty and longer labels
_ADDRESS = re.compile(rf"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>(?=.{{1,260}}$){_HOST}\.?)):(?P<port>[0-9]{{1,5}})")


def _address(value: object, _folder: Path) -> Address:
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found["port"]) > 65535:
        raise ValueError
    host = str(IPv6Address(found["six"])) if found["six"] else found["host"]
    return Address(host, int(found["port"]))


_is_host = re.compile(rf"(?=.{{1,253}}$){_HOST}").fullmatch


def _host(value: object, _folder: Path) -> str:
    if isinstance(value, str):
        return value if _is_host(value) else str(IPv6Address(value.removeprefix("[").removesuffix("]")))
    raise ValueError


def _is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    plain = value.isprintable() and " " not in value and "@" not in parts.netloc and "#" not in value
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def _is_base_url(value: str) -> bool:
    return _is_http_url(value) and "?" not in value


def _located(value: object, folder: Path, scheme: str) -> str:
    """``scheme:PATH``, with the path made absolute."""
    path = value.removeprefix(scheme) if isinstance(value, str) and value.startswith(scheme) else ""
    # "sqlite://x" is a host to some and a path to others; "sqlite:///x" is the path /x to everybody.
    if not path or "\0" in path or re.match("//[^/]", path):
        raise ValueError
    return f"{scheme}{folder / path}"


def _store_url(value: object, folder: Path) -> ConnectionUrl:
    if isinstance(value, str) and re.fullmatch(r"postgresql://\S*", value):
        return ConnectionUrl(value)
    if value == "sqlite::memory:":
        raise Unfit("sqlite::memory: keeps nothing; give the path of a file, as in sqlite:passband.db")
    return ConnectionUrl(_located(value, folder, "sqlite:"))


def _media_url(value: object, folder: Path) -> str:
    if isinstance(value, str) and re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/\S*)?", value):
        return value
    return _located(value, folder, "file:")


def _is_network(value: str) -> bool:
    ip_network(value)
    return True


def at_most(octets: int) -> Rule:
    """A text of printable ASCII, so long at most; for fields of SMPP, which have a size."""
    return text(
        f"up to {octets} printable ASCII characters",
        lambda value: len(value) <= octets and value.isascii() and value.isprintable(),
    )


def _ton_npi(value: object, _folder: Path) -> TonNpi:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    for part in value:
        if isinstance(part, bool) or not isinstance(part, int) or not 0 <= part <= 255:
            raise ValueError
    return TonNpi(*value)


def _is_receipt_pattern(value: str) -> bool:
    try:
        return {"id", "stat"} <= re.compile(value).groupindex.keys()
    except re.error:
        return False


def _file(value: object, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    path = folder / value
    try:
        path.open("rb").close()
    except OSError as error:
        raise Unfit(f"{path} cannot be read: {error.strerror}") from error
    return path


def _is_password(value: str) -> bool:
    # Control characters cannot be sent: RFC 7617 §2.
    return value != "" and not re.search(r"[\x00-\x1f\x7f]", value)


def _is_password_or_hash(value: str) -> bool:
    hashed = not value.startswith("scrypt:") or re.fullmatch(r"scrypt:(?:[0-9a-f]{2})+:(?:[0-9a-f]{2})+", value)
    return bool(hashed) and _is_password(value)


class Level(enum.StrEnum):
    """The least important kind of entry that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How an entry is written."""

    JSON = "json"
    CONSOLE = "console"


Flag = Annotated[bool, Rule("true or false", _flag)]
Text = Annotated[str, text("a text", str.isprintable)]
Name = Annotated[
    str, text("up to 64 letters, digits, '.', '_' and '-'", re.compile(r"[\w.-]{1,64}", re.ASCII).fullmatch)
]
Identifier = Annotated[
    str,
    text("up to 100 letters, digits, '.', '_', '~' and '-'", re.compile(r"[\w.~-]{1,100}", re.ASCII).fullmatch),
]
# RFC 7617 §2: a user name ends at the first colon.
UserName = Annotated[
    str, text("a user name without a colon", lambda value: value and value.isprintable() and ":" not in value)
]
PhoneNumber = Annotated[str, text("a number such as +19195550117, a short code or a sender's name", is_sender)]
Prefix = Annotated[
    str,
    text("the beginning of a number, such as +1919, or nothing", re.compile(r"\+?[0-9]{0,15}", re.ASCII).fullmatch),
]
ErrorCode = Annotated[int, Rule("a delivery error code, such as 4720", _error_code)]
Listen = Annotated[Address, Rule("an address such as 127.0.0.1:8080 or [::1]:8080", _address)]
HttpUrl = Annotated[str, text("an absolute http or https URL", _is_http_url)]
BaseUrl = Annotated[str, text("an absolute http or https URL without a query", _is_base_url)]
StoreUrl = Annotated[ConnectionUrl, Rule("sqlite:PATH or postgresql://USER:PASSWORD@HOST/DATABASE", _store_url)]
MediaUrl = Annotated[str, Rule("file:PATH or s3://BUCKET/PREFIX", _media_url)]
Network = Annotated[str, text("an address or a network, such as 198.51.100.7 or 198.51.100.0/24", _is_network)]
Domain = Annotated[
    str,
    text(
        "the name of a host or domain",
        re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", re.ASCII).fullmatch,
    ),
]
Host = Annotated[str, Rule("the name or the address of a host", _host)]
Mailbox = Annotated[
    str, text("a mail address", re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII).fullmatch)
]
ContentType = Annotated[
    str, text("a content type such as image/jpeg", re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}").fullmatch)
]
File = Annotated[Path, Rule("the path of a file", _file)]
Password = Annotated[Secret, text("a text without control characters", _is_password, Secret)]
PasswordOrHash = Annotated[
    Secret, text("a password, or its hash as scrypt:<salt hex>:<hash hex>", _is_password_or_hash, Secret)
]
Rate = Annotated[float, number("segments per second", 0.001, 1_000_000)]
NumberKind = Annotated[TonNpi, Rule("TON and NPI, such as [5, 0]", _ton_npi)]
ReceiptPattern = Annotated[str, text("a regular expression with groups named id and stat", _is_receipt_pattern)]
