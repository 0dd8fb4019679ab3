"""Customers' URLs, read once and remembered.

Rule: what is read here serves speed and early refusal of nonsense. It is never relied upon for safety: libcurl reads
the URL again, in its own way, and the address that it then connects to is vetted.
"""

import re
import socket
from urllib.parse import quote, urlsplit

from passband.fetch.names import Name

OCTETS = 8000  # RFC 9110 §4.1 recommends to support "at least 8000 octets"
REMEMBERED = 10_000  # then all are forgotten and read anew

_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TO_BE_QUOTED = re.compile(r"[^\x21-\x7e]+")


class Target:
    """A URL as libcurl takes it; ``name`` is None where the host is a number."""

    __slots__ = ("name", "port", "secure", "url")

    def __init__(self, url: str, name: Name | None, port: int, secure: bool) -> None:
        self.url = url
        self.name = name
        self.port = port
        self.secure = secure

    def resolution(self) -> list[str]:
        """Return the addresses of the name in the form of CURLOPT_RESOLVE ("+" lets them expire)."""
        if self.name is None:
            return []
        addresses = ",".join(f"[{address}]" if ":" in address else address for address in self.name.addresses)
        return [f"+{self.name.host}:{self.port}:{addresses}"]


class Urls:
    """The targets of the URLs in use; those of one host share its ``Name``."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._names: dict[str, Name] = {}

    def target(self, url: str) -> Target | None:
        """Return where a URL leads; None if it is not an http or https URL that could lead anywhere."""
        target = self._targets.get(url)
        if target is None:
            if len(self._targets) >= REMEMBERED:
                self._targets.clear()
                self._names.clear()
            target = self._read(url)
            if target is not None:
                self._targets[url] = target
        return target

    def _read(self, url: str) -> Target | None:
        if len(url) > OCTETS or _CONTROL.search(url):
            return None
        url = _TO_BE_QUOTED.sub(lambda found: quote(found[0]), url)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if parts.scheme not in _PORTS or not parts.hostname or port == 0:
            return None
        name: Name | None = None
        if not parts.netloc.rpartition("@")[2].startswith("["):
            host = parts.hostname.removesuffix(".")
            if not _HOST_NAME.fullmatch(host):
                # Percent-encoded and non-ASCII hosts would make libcurl ask its own resolver; see names.
                return None
            if not _ENDS_IN_A_NUMBER.fullmatch(host):
                name = self._names.setdefault(parts.hostname, Name(parts.hostname))
            elif not _is_number(host):
                return None
        return Target(url, name, port or _PORTS[parts.scheme], parts.scheme == "https")


def _is_number(host: str) -> bool:
    # Every spelling that libcurl reads as an IPv4 address: "127.1", "0x7f.1", "017700000001", "2130706433".
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
