"""Transaction and message identifiers: how we make ours, and how a peer's are compared.

A peer may wrap an identifier in quotes or angle brackets, in one mail and not in the next. It is kept as it came, to
echo it; it is compared bare (MM4, section 3).
"""

import re
from dataclasses import dataclass

# Some peers cut or choke on longer ones (MM4, section 7).
TRANSACTION_ID_OCTETS = 40

# A mail address can have 320 octets, so can a Message-ID; together with its header's name it stays far below the 998
# octets that RFC 5322 §2.1.1 allows to a line that we must echo.
MAX_ID_OCTETS = 320

_transaction_id = re.compile(r"[A-Za-z0-9.-]{1,40}").fullmatch
_domain = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*").fullmatch


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as a mail carried it; ``str()`` is the bare one, to be compared and stored."""

    raw: str

    @property
    def bare(self) -> str:
        """Without the quotes and angle brackets around it, in whatever order they were put."""
        return self.raw.strip(" \t\"<>'")

    @property
    def folded(self) -> str:
        """The bare one for the second comparison, without regard to case."""
        return self.bare.casefold()

    def matches(self, other: "Identifier") -> bool:
        """Whether both name the same thing: bare, and without regard to case, which some peers change."""
        return self.folded == other.folded

    def __str__(self) -> str:
        return self.bare


def transaction_id(identifier: str, sequence: int) -> Identifier:
    """The X-Mms-Transaction-ID of one request about a message: ``identifier-sequence``.

    ``sequence`` must differ for every peer and every try. Raises ValueError where the result has more than 40
    characters or others than letters, digits, ``-`` and ``.``.
    """
    text = f"{identifier}-{sequence}"
    if not _transaction_id(text):
        raise ValueError(f"not a transaction id: {text!r}")
    return Identifier(text)


def message_id(identifier: str, domain: str) -> Identifier:
    """The X-Mms-Message-ID of a message of ours: ``<identifier@domain>``, the same to every peer and in every try."""
    return _at(identifier, domain)


def mail_id(identifier: str, sequence: int, domain: str) -> Identifier:
    """The Message-ID of one mail about a message of ours: ``<identifier.sequence@domain>``."""
    return _at(f"{identifier}.{sequence}", domain)


def _at(local: str, domain: str) -> Identifier:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", local) or not _domain(domain):
        raise ValueError(f"not a message id: <{local}@{domain}>")
    return Identifier(f"<{local}@{domain}>")
