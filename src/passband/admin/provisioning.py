"""What the calls that change the configuration need of the node, and how a change is refused."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from passband.domain.account import Application, Number
from passband.domain.errors import RequestFault

APPLICATION, NUMBER = "application", "number"  # the kinds of what is set while the platform runs

Fields = Mapping[str, Any]


class NotThere(RequestFault):
    """There is no such account, application or number."""


class Taken(RequestFault):
    """Something else that is configured stands in the way; the text says what."""


class Provisioning(Protocol):
    """What is set while the platform runs, over what the file says.

    A change is durable, and in force at this node, when its call returns. All changes raise NotThere for an account
    that the file does not have, Taken, StoreUnavailable, and BadRequest with every fault of the fields.
    """

    async def put_application(self, account: str, id_: str, fields: Fields) -> tuple[Application, bool]:
        """Set an application as a whole; return it, and whether it was not there before."""
        ...

    async def put_number(self, account: str, number: str, fields: Fields) -> tuple[Number, bool]:
        """Set a number as a whole; return it, and whether it was not there before."""
        ...

    async def remove(self, account: str, kind: str, name: str, *, leave_file: bool) -> None:
        """Take an application or number away, whoever has set it; ``leave_file``: only what was set while it runs."""
        ...

    def is_set(self, account: str, kind: str, name: str) -> bool:
        """Tell whether an entry that is in force was set while the platform runs, rather than by the file."""
        ...

    def removed(self, kind: str) -> Sequence[tuple[str, str]]:
        """Return what the file has and is gone all the same: accounts and names."""
        ...
