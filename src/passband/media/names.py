"""Names of media: which are allowed, how they travel in URLs, and under which key a file of that name lies."""

import base64
import hashlib
import re
from urllib.parse import quote, unquote_to_bytes

from passband.media import BadMediaName

MAX_NAME_OCTETS = 1024

# Of a name's octets, how many its key holds: 120 make 192 characters, and with a digest 245; file names end at 255.
# Inbound names are shorter, unless the file's own name has more than 87 characters.
KEYED_OCTETS = 120

_control = re.compile("[\x00-\x1f\x7f-\x9f]").search
_is_key = re.compile(r"[0-9a-v]{2,192}(\.[0-9a-v]{52})?").fullmatch


def check_name(name: str) -> bytes:
    """Return the name's octets. Raises BadMediaName (HTTP API, section 4)."""
    try:
        octets = name.encode()
    except UnicodeEncodeError:
        raise BadMediaName from None
    if len(octets) > MAX_NAME_OCTETS or _control(name) or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise BadMediaName
    return octets


def name_from_path(raw: str) -> str:
    """Return the name that stands in a URL's path, still percent-encoded; raw slashes and ``%2F`` are the same.

    It is decoded once: ``%252F`` is the name ``%2F``. One slash at the end is no part of the path (HTTP API, section
    1.1). Raises BadMediaName.
    """
    try:
        name = unquote_to_bytes(raw.removesuffix("/")).decode()
    except UnicodeDecodeError:
        raise BadMediaName from None
    check_name(name)
    return name


def media_url(public_url: str, account: str, name: str) -> str:
    """Return the URL that a GET serves. ``public_url`` is without ``/api/v2``."""
    return f"{public_url}/api/v2/users/{quote(account, safe='')}/media/{quote(name, safe='/')}"


def account_key(account: str) -> str:
    """Return the folder of an account: a digest, since nothing is ever listed by account."""
    return hashlib.sha256(account.encode()).hexdigest()


def key_of(name: str) -> str:
    """Return the key of a file. Keys of names of up to 120 octets are ordered like the names. Raises BadMediaName."""
    octets = check_name(name)
    if len(octets) <= KEYED_OCTETS:
        return _base32(octets)
    return f"{_base32(octets[:KEYED_OCTETS])}.{_base32(hashlib.sha256(octets).digest())}"


def keyed_octets(key: str) -> bytes | None:
    """Return the first 120 octets of the name; None if this is no key of ours."""
    if not _is_key(key):
        return None
    prefix = run_of(key).upper()
    try:
        return base64.b32hexdecode(prefix + "=" * (-len(prefix) % 8))
    except ValueError:
        return None


def is_whole(key: str) -> bool:
    """Tell whether the key holds the whole name."""
    return "." not in key


def run_of(key: str) -> str:
    """Return what a key has in common with those beside it whose order says nothing about the order of the names."""
    return key.partition(".")[0]


def _base32(octets: bytes) -> str:
    # RFC 4648 §7: this alphabet "preserves the sort order of the encoded data". Small letters, digits come first.
    return base64.b32hexencode(octets).rstrip(b"=").decode().lower()
