"""What came of a request, and how libcurl's words for it become ours."""

from enum import StrEnum

import msgspec
import pycurl


class ErrorKind(StrEnum):
    """Why a request has no complete answer."""

    REFUSED_ADDRESS = "refused-address"  # it leads to an address that is not public
    RESOLVE = "resolve"  # the name leads nowhere
    CONNECT = "connect"  # no connection, or it broke before the answer was complete
    TLS = "tls"  # no TLS, an old one, or a certificate that proves nothing
    TIMEOUT = "timeout"  # not complete within the request's time
    PROTOCOL = "protocol"  # what came is not HTTP
    BAD_URL = "bad-url"  # not an http or https URL that could lead anywhere
    TOO_LARGE = "too-large"  # more octets than allowed
    REDIRECTS = "redirects"  # too many of them, or one from https to http
    SHUTDOWN = "shutdown"  # Passband is stopping


class Response(msgspec.Struct, frozen=True):
    """What came of a request; it succeeded if ``error`` is None and ``status`` is one of success.

    ``status`` is 0 if no answer came; it may stand beside an ``error`` if the answer broke off. ``seconds`` counts from
    the call to the end. ``challenge`` tells whether a 401 had a WWW-Authenticate header. ``content_type`` and
    ``content_disposition`` are those of a ``get``, as received.
    """

    status: int
    error: ErrorKind | None
    seconds: float
    challenge: bool = False
    content_type: str | None = None
    content_disposition: str | None = None


_E_TOO_LARGE = 100  # CURLE_TOO_LARGE, which pycurl does not name: a header, or all of them, beyond libcurl's 300 kB

# What is not in here is PROTOCOL: something came and made no sense.
_ERRORS = {
    pycurl.E_URL_MALFORMAT: ErrorKind.BAD_URL,
    pycurl.E_COULDNT_RESOLVE_HOST: ErrorKind.RESOLVE,
    pycurl.E_COULDNT_CONNECT: ErrorKind.CONNECT,
    pycurl.E_PARTIAL_FILE: ErrorKind.CONNECT,
    pycurl.E_GOT_NOTHING: ErrorKind.CONNECT,
    pycurl.E_SEND_ERROR: ErrorKind.CONNECT,
    pycurl.E_RECV_ERROR: ErrorKind.CONNECT,
    pycurl.E_OPERATION_TIMEDOUT: ErrorKind.TIMEOUT,
    pycurl.E_FILESIZE_EXCEEDED: ErrorKind.TOO_LARGE,
    _E_TOO_LARGE: ErrorKind.TOO_LARGE,
    pycurl.E_SSL_CONNECT_ERROR: ErrorKind.TLS,
    pycurl.E_SSL_CERTPROBLEM: ErrorKind.TLS,
    pycurl.E_SSL_CIPHER: ErrorKind.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: ErrorKind.TLS,
    pycurl.E_SSL_CACERT_BADFILE: ErrorKind.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: ErrorKind.TLS,
}

# The answer's status has come, only its body is not complete.
BODY_CUT_SHORT = frozenset((pycurl.E_PARTIAL_FILE, pycurl.E_FILESIZE_EXCEEDED))


def error_kind(code: int) -> ErrorKind:
    """Return what libcurl's error code means to us."""
    return _ERRORS.get(code, ErrorKind.PROTOCOL)


def status_of(lines: list[bytes]) -> int:
    """Return the status of the last answer in these header lines; interim answers (1xx) come before it. 0 if none."""
    for line in reversed(lines):
        if line.startswith(b"HTTP/"):
            status = line.split(maxsplit=2)[1:2]
            return int(status[0]) if status and status[0].isdigit() else 0
    return 0


def head_is_complete(lines: list[bytes]) -> bool:
    """Tell whether the head of the last answer came to its end, which libcurl does not insist on."""
    for line in reversed(lines):
        if line in (b"\r\n", b"\n"):
            return True
        if line.startswith(b"HTTP/"):
            return False
    return False


def header_of(lines: list[bytes], name: bytes) -> str | None:
    """Return the value of a header of the last answer in these lines; ``name`` is in lower case."""
    for line in reversed(lines):
        if line.startswith(b"HTTP/"):
            break
        field, _, value = line.partition(b":")
        if field.rstrip().lower() == name:
            return value.strip().decode("latin-1")
    return None
