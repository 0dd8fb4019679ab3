"""Which network addresses a customer's URL must never lead to.

Rule: what is not known to be public is refused. The tables follow the IANA special-purpose address registries
(RFC 6890 and its successors). This module reads addresses only; it opens nothing and asks no name server.
"""

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

_REFUSED_IPV4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),  # RFC 791 §3.2; Linux connects 0.0.0.0 to itself
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "carrier-grade NAT"),  # RFC 6598; holds a cloud's metadata at 100.100.100.200
        ("127.0.0.0/8", "loopback"),  # RFC 1122 §3.2.1.3
        ("168.63.129.16/32", "cloud metadata"),  # a public number that a cloud answers from inside its hosts
        ("169.254.0.0/16", "link-local"),  # RFC 3927; cloud metadata at 169.254.169.254
        ("172.16.0.0/12", "private"),  # RFC 1918
        ("192.0.0.0/24", "protocol assignments"),  # RFC 6890 §2.1; cloud metadata at 192.0.0.192
        ("192.0.2.0/24", "documentation"),  # RFC 5737
        ("192.88.99.0/24", "6to4 relay"),  # RFC 7526, withdrawn
        ("192.168.0.0/16", "private"),  # RFC 1918
        ("198.18.0.0/15", "benchmarking"),  # RFC 2544
        ("198.51.100.0/24", "documentation"),  # RFC 5737
        ("203.0.113.0/24", "documentation"),  # RFC 5737
        ("224.0.0.0/4", "multicast"),  # RFC 1112
        ("255.255.255.255/32", "broadcast"),  # RFC 919
        ("240.0.0.0/4", "reserved"),  # RFC 1112
    )
)

# For the log only: whatever lies outside 2000::/3 is refused, named here or not.
_NAMED_IPV6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),  # RFC 4291 §2.5.5.1, withdrawn
        ("::ffff:0:0:0/96", "IPv4-translated"),  # RFC 2765
        ("64:ff9b:1::/48", "local NAT64"),  # RFC 8215: what it leads to is the local network's affair
        ("fc00::/7", "unique local"),  # RFC 4193; cloud metadata at fd00:ec2::254
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),  # RFC 3879
        ("ff00::/8", "multicast"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4: all that is assigned as of now
_REFUSED_GLOBAL_UNICAST = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("2001::/32", "Teredo"),  # RFC 4380: hides an IPv4 address behind a server of the sender's choice
        ("2001::/23", "protocol assignments"),  # RFC 2928: benchmarking, ORCHID and others
        ("2001:db8::/32", "documentation"),  # RFC 3849
        ("3fff::/20", "documentation"),  # RFC 9637
    )
)

# IPv6 addresses that lead to the IPv4 address within them: the network, and how far from the right it sits.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291 §2.5.5.2
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052 §2.1; hosts without IPv4 reach the public network by it
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056 §2
)


@lru_cache(maxsize=4096)
def refusal(address: str) -> str | None:
    """Say why nothing may be sent to this IP address, in a word or two ("loopback"); None if it is a public one.

    ``address`` is the numeric text of an IPv4 or IPv6 address, with or without a zone ("fe80::1%eth0"). What cannot
    be read as one is refused as "unreadable".
    """
    try:
        if ":" in address:
            return _refusal_ipv6(IPv6Address(address))
        return _refusal_ipv4(IPv4Address(address))
    except AddressValueError:
        return "unreadable"


def _refusal_ipv4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _REFUSED_IPV4 if address in network), None)


def _refusal_ipv6(address: IPv6Address) -> str | None:
    for embedding, shift in _EMBEDDING:
        if address in embedding:
            return _refusal_ipv4(IPv4Address(int(address) >> shift & 0xFFFFFFFF))
    named = _REFUSED_GLOBAL_UNICAST if address in _GLOBAL_UNICAST else _NAMED_IPV6
    reason = next((reason for network, reason in named if address in network), None)
    return reason if reason is not None or address in _GLOBAL_UNICAST else "reserved"
