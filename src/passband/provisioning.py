"""What is configured at this moment: the accounts of the file, and over them what the admin API has set in the store.

Rule: what is set in the store goes before the file's entry of the same account and name, until it is taken back. A
number that the file gives to another account is that account's: the file was written later, or the call would have been
refused. What does not fit the file is passed over, with a warning, and stays in the store.

**Resource handling.** One small read of the store every ``LOOK_SECONDS``, and nothing on the path of a message: there
is always a whole ``Directory``, and a new one takes its place. **Error handling.** While the store is away, what was
known last holds.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from passband.admin.answers import BadRequest
from passband.admin.provisioning import APPLICATION, NUMBER, Fields, NotThere, Taken
from passband.config import Settings
from passband.config.provisioned import Known, read_application, read_number
from passband.domain.account import Account, Application, Directory, Number
from passband.domain.errors import ConfigurationError, StoreUnavailable
from passband.domain.rules import Rules
from passband.store import Provision, Store

log = structlog.get_logger()

LOOK_SECONDS = 2.0  # as often as the heartbeat
GONE = "null"  # the value of what the file has, and is gone all the same
MOST_NAMED = 5  # numbers that stand in the way, in a fault's text

Entry = Application | Number | None  # None: it is gone
Made = TypeVar("Made")


class Key(NamedTuple):
    """An application or number of an account."""

    account: str
    kind: str
    name: str


class Picture(NamedTuple):
    """What is configured. Of the entries over the file: which are in force, removed something, or fit nowhere."""

    directory: Directory
    in_force: frozenset[Key] = frozenset()
    removed: tuple[Key, ...] = ()
    passed_over: tuple[Key, ...] = ()


def draw(file: Directory, entries: Mapping[Key, Entry]) -> Picture:
    """Return what is configured where these entries are over the file; those of accounts that it has not are none."""
    in_force, removed, passed_over = set(), [], []
    edited: dict[str, dict[str, dict[str, Any]]] = {}
    owners: dict[str, str] = {}
    for key, entry in entries.items():
        account = file.accounts.get(key.account)
        if account is None or (entry is not None and key.kind == NUMBER and _owner(file, entries, key, owners)):
            passed_over.append(key)
            continue
        if account.id not in edited:
            edited[account.id] = {kind: dict(_those(account, kind)) for kind in (APPLICATION, NUMBER)}
        those = edited[account.id][key.kind]
        if entry is not None:
            those[key.name] = entry
            in_force.add(key)
        elif those.pop(key.name, None) is not None:
            removed.append(key)
    accounts = [_edited(account, edited.get(account.id)) for account in file.accounts.values()]
    return Picture(Directory(accounts), frozenset(in_force), tuple(removed), tuple(passed_over))


def _edited(account: Account, those: Mapping[str, dict[str, Any]] | None) -> Account:
    if those is None:
        return account
    return msgspec.structs.replace(account, applications=those[APPLICATION], numbers=those[NUMBER])


def _those(account: Account, kind: str) -> Mapping[str, Application | Number]:
    return account.applications if kind == APPLICATION else account.numbers


def _owner(file: Directory, entries: Mapping[Key, Entry], key: Key, owners: dict[str, str]) -> str:
    """Return the other account that a number belongs to, by the file or by the entry that came first; or nothing."""
    of_file = file.number(key.name)
    if of_file is not None and entries.get(Key(of_file.account, NUMBER, key.name), of_file) is not None:
        owner = of_file.account
    else:
        owner = owners.setdefault(key.name, key.account)
    return "" if owner == key.account else owner


class Provisioner:
    """Keeps ``rules.directory`` as it should be, and changes what it is made of; obeys ``admin`` 's Provisioning."""

    def __init__(self, settings: Settings, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules
        self._turn = asyncio.Lock()
        self._version: int | None = None
        self._values: Mapping[Key, str] = {}
        self._entries: Mapping[Key, Entry] = {}
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Let these be the settings of the file from now on."""
        self._file = settings.directory()
        self._carriers = {carrier.name for carrier in settings.carriers}
        self._draw()

    def _draw(self) -> None:
        self._picture = draw(self._file, self._entries)
        self._rules.directory = self._picture.directory
        for key in self._picture.passed_over:
            log.warning("what was set does not fit the configuration file and is passed over", **key._asdict())

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("what other nodes have set is not known", cause=str(error))

    async def look(self) -> None:
        """Take over what was set since the last look, by whichever node. Raises StoreUnavailable."""
        async with self._turn:
            await self._look()

    async def _look(self) -> None:
        found = await self._store.provisioned(self._version)
        if found is not None:
            self._take(found.version, {Key(e.account, e.kind, e.name): e.value or GONE for e in found.entries})

    def _take(self, version: int, values: Mapping[Key, str]) -> None:
        """Let these values be what is set. Only those that are new are read."""
        entries: dict[Key, Entry] = {}
        for key, value in values.items():
            if key in self._entries and self._values.get(key) == value:
                entries[key] = self._entries[key]
                continue
            try:
                entries[key] = _read(key, value)
            except (ConfigurationError, msgspec.MsgspecError) as error:
                log.warning("what was set cannot be read and is passed over", **key._asdict(), cause=str(error))
        self._version, self._values, self._entries = version, values, entries
        self._draw()

    def is_set(self, account: str, kind: str, name: str) -> bool:
        return Key(account, kind, name) in self._picture.in_force

    def removed(self, kind: str) -> Sequence[tuple[str, str]]:
        return [(key.account, key.name) for key in self._picture.removed if key.kind == kind]

    # ── changing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_application(self, account: str, id_: str, fields: Fields) -> tuple[Application, bool]:
        key = Key(account, APPLICATION, id_)

        def decide() -> tuple[str, tuple[Application, bool]]:
            there = self._account(account).applications
            given, value = _given(key, fields)
            return value, (_refusing(lambda: read_application(given)), id_ not in there)

        return await self._change(key, decide)

    async def put_number(self, account: str, number: str, fields: Fields) -> tuple[Number, bool]:
        key = Key(account, NUMBER, number)

        def decide() -> tuple[str, tuple[Number, bool]]:
            there = self._account(account)
            given, value = _given(key, fields)
            known = Known(there.applications, self._carriers)
            own = _refusing(lambda: read_number(given, account, known))
            self._demand_free(key)
            return value, (own, number not in there.numbers)

        return await self._change(key, decide)

    async def remove(self, account: str, kind: str, name: str, *, leave_file: bool) -> None:
        """Take an entry away, the file's too, or only what was set over it (``leave_file``); durable on return.

        Raises NotThere, Taken, StoreUnavailable.
        """
        key = Key(account, kind, name)

        def decide() -> tuple[str | None, None]:
            if leave_file:
                self._demand_takes_back(key)
                return None, None
            there = self._account(account)
            if name not in _those(there, kind):
                raise NotThere(f"account {account!r} has no {kind} {name!r}")
            self._demand_unused(key)
            return (GONE if self._of_file(key) else None), None

        await self._change(key, decide)

    def _demand_takes_back(self, key: Key) -> None:
        """Raise NotThere and Taken where the file cannot have its say again."""
        if key not in self._values:
            raise NotThere(f"nothing was set over the file for {key.kind} {key.name!r} of account {key.account!r}")
        of_file = self._of_file(key)
        if of_file is None:
            self._demand_unused(key)
        elif isinstance(of_file, Number):
            self._demand_free(key)
            if of_file.application not in (None, *self._account(key.account).applications):
                raise Taken(f"application: the file gives it {of_file.application!r}, which was removed")

    def _account(self, account: str) -> Account:
        found = self._picture.directory.account(account)
        if found is None:
            raise NotThere(f"there is no account {account!r}; accounts are set in the configuration file")
        return found

    def _of_file(self, key: Key) -> Application | Number | None:
        account = self._file.account(key.account)
        return _those(account, key.kind).get(key.name) if account else None

    def _demand_free(self, key: Key) -> None:
        own = self._picture.directory.number(key.name)
        if own is not None and own.account != key.account:
            raise Taken(f"number: {key.name!r} is taken by account {own.account!r}")

    def _demand_unused(self, key: Key) -> None:
        """Raise Taken where an application still has numbers."""
        account = self._picture.directory.account(key.account)
        if account is None or key.kind != APPLICATION:
            return
        users = [own.number for own in account.numbers.values() if own.application == key.name]
        if users:
            more = f" and {len(users) - MOST_NAMED} more" if len(users) > MOST_NAMED else ""
            named = ", ".join(users[:MOST_NAMED])
            raise Taken(f"application {key.name!r} has numbers: {named}{more}; give them another one first")

    async def _change(self, key: Key, decide: Callable[[], tuple[str | None, Made]]) -> Made:
        """Decide on what is set now, whoever has set it, and keep the decision; decide again if it came too late."""
        async with self._turn:
            while True:
                await self._look()
                value, made = decide()
                assert self._version is not None
                version = await self._store.provision([Provision(*key, value)], self._version)
                if version is not None:
                    break
            values = {**self._values}
            values.pop(key, None)
            if value is not None:
                values[key] = value
            self._take(version, values)
        log.info("the configuration was changed", **key._asdict(), removed=value in (None, GONE))
        return made


def _read(key: Key, value: str) -> Entry:
    """Return what a value of the store says. Raises ConfigurationError and MsgspecError where it cannot be read."""
    fields = msgspec.json.decode(value, type=dict[str, Any] | None)
    if fields is None:
        return None
    if key.kind == APPLICATION:
        return read_application({**fields, "id": key.name})
    if key.kind == NUMBER:
        return read_number({**fields, "number": key.name}, key.account)
    raise ConfigurationError([f"{key.kind}: no such kind is known"])


def _given(key: Key, fields: Fields) -> tuple[Fields, str]:
    """Return the settings that a call gives, with the name that its path gives; and the store's value of them."""
    name = "id" if key.kind == APPLICATION else "number"
    given = {field: value for field, value in fields.items() if value is not None}
    if given.pop(name, key.name) != key.name:
        raise BadRequest(f"{name}: must be as in the path, or be left out")
    return {**given, name: key.name}, msgspec.json.encode(given).decode()


def _refusing(read: Callable[[], Made]) -> Made:
    try:
        return read()
    except ConfigurationError as error:
        raise BadRequest(str(error)) from error
