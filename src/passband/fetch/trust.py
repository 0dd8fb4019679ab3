"""Whose certificates are believed: the system's authorities, and the operator's own."""

import ssl
import tempfile
from pathlib import Path

# Where systems keep them; libcurl knows only the place of the system that its wheel was built on.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


class Authorities:
    """A file of certificates in PEM form, named ``path``; None if this system has none and libcurl must know.

    It is one file because libcurl keeps what it read from one file for all later connections (24 hours), and reads
    folders and memory anew for each. Resource handling: with an extra file it is a temporary one, removed by ``close``.
    """

    def __init__(self, extra_file: str | None) -> None:
        """Raises: OSError if ``extra_file`` cannot be read."""
        # SSL_CERT_FILE, which other programs obey too, overrules.
        configured = ssl.get_default_verify_paths().cafile
        candidates = (configured, *_BUNDLES)
        self.path = next((path for path in candidates if path is not None and Path(path).is_file()), None)
        self._joined = None
        if extra_file is not None:
            own = Path(self.path).read_bytes() if self.path is not None else b""
            joined = own + b"\n" + Path(extra_file).read_bytes()
            self._joined = tempfile.NamedTemporaryFile(prefix="passband-authorities-", suffix=".pem")  # noqa: SIM115
            self._joined.write(joined)
            self._joined.flush()
            self.path = self._joined.name

    def close(self) -> None:
        """Remove what was written."""
        if self._joined is not None:
            self._joined.close()
