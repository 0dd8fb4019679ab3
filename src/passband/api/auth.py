"""Who asks: HTTP Basic credentials against the directory.

Rule: a credential that was found right is known by its keyed digest and costs one look-up; only what is not known yet
is worked on, and that work is bounded, so that a flood of wrong passwords takes nothing from those who are known.
Bearer tokens are not accepted.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from passband.domain.account import Account, Directory, User
from passband.domain.errors import Forbidden, OwnFault, Unauthenticated

# RFC 7914's interactive parameters: 16 MiB and about 50 ms for each password that is tried.
_N, _R, _P = 2**14, 8, 1
_MAX_MEMORY = 64 * 1024 * 1024

_MAX_KNOWN = 16_384
_MAX_REFUSED = 4_096
# Credentials of one source address that wait for their turn; the ninth is told to come again.
_MAX_WAITING = 8
_MAX_HEADER = 4_096

_Accounts = Mapping[str, Account]


class AuthenticationBusy(OwnFault):
    """Too many unknown credentials from one address are being checked already."""


def hash_secret(password: str, salt: bytes) -> str:
    """Return what ``User.secret`` holds for a password: ``scrypt:<salt hex>:<hash hex>``."""
    return f"scrypt:{salt.hex()}:{_scrypt(password.encode(), salt).hex()}"


def _scrypt(password: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=_N, r=_R, p=_P, maxmem=_MAX_MEMORY, dklen=32)


# What a name that nobody has is checked against, so that its answer takes as long as any other.
_NOBODY = User("", f"scrypt:{'00' * 16}:{'00' * 32}")


class Authenticator:
    """Knows which accounts a pair of user name and password opens.

    ``directory`` is asked on every request; when it returns one with other users, all that was known is forgotten.
    Passwords are not kept: what is known is kept under a digest with a key of this process.
    """

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self._directory = directory
        self._keyed = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        self._seen = directory()
        self._users, self._nobody = _by_name(self._seen)
        self._known: dict[bytes, _Accounts] = {}
        self._refused: dict[bytes, None] = {}
        self._under_way: dict[bytes, asyncio.Task[_Accounts]] = {}
        self._lines: dict[str, _Line] = {}
        # One thread: the other cores belong to those who are known.
        self._thread = ThreadPoolExecutor(1, "scrypt")
        self._turn = asyncio.Lock()

    def known(self, authorization: bytes) -> _Accounts | None:
        """Return the accounts that a credential opens, None if it must be worked on first."""
        directory = self._directory()
        if directory is not self._seen:
            self._renew(directory)
        return self._known.get(self._digest(authorization))

    def _renew(self, directory: Directory) -> None:
        """Obey another directory. Where it has the same users, nobody's password is worked on again."""
        if _secrets(directory) == _secrets(self._seen):
            self._known = {
                digest: {account: directory.accounts[account] for account in accounts}
                for digest, accounts in self._known.items()
            }
        else:
            self._known, self._refused = {}, {}
        self._seen = directory
        self._users, self._nobody = _by_name(directory)
        self._under_way = {}

    async def account(self, authorization: bytes | None, account: str, address: str) -> Account:
        """Return the account in whose name the request speaks.

        ``address`` is the client's. Raises Unauthenticated, Forbidden (another or an unknown account), and
        AuthenticationBusy.
        """
        if authorization is None:
            raise Unauthenticated
        accounts = self.known(authorization)
        if accounts is None:
            accounts = await self._find(authorization, address)
        try:
            return accounts[account]
        except KeyError:
            raise Forbidden from None

    def close(self) -> None:
        """Let go of the thread. Nothing more is found out after this."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _digest(self, authorization: bytes) -> bytes:
        digest = self._keyed.copy()  # a third less than to begin with the key each time
        digest.update(authorization)
        return digest.digest()

    async def _find(self, authorization: bytes, address: str) -> _Accounts:
        digest = self._digest(authorization)
        credential = _parse(authorization)
        if credential is None or digest in self._refused:
            raise Unauthenticated
        name, password = credential
        users = self._users.get(name, self._nobody)
        if not any(_is_hashed(user) for user, _ in users):
            accounts: _Accounts = _opened(users, password)
            self._remember(digest, accounts)
        else:
            # The same credential from many connections at once, as after a restart, is worked on once.
            task = self._under_way.get(digest)
            if task is None:
                task = asyncio.create_task(self._work(digest, users, password, address))
                self._under_way[digest] = task
            accounts = await asyncio.shield(task)
        if not accounts:
            raise Unauthenticated
        return accounts

    async def _work(self, digest: bytes, users: "_Users", password: bytes, address: str) -> _Accounts:
        """Check hashed secrets one after the other; of one address one is in the line, its others wait in its own."""
        directory = self._seen
        line = self._lines.setdefault(address, _Line())
        try:
            if line.waiting >= _MAX_WAITING:
                raise AuthenticationBusy
            line.waiting += 1
            try:
                async with line.turn, self._turn:
                    loop = asyncio.get_running_loop()
                    accounts = await loop.run_in_executor(self._thread, _opened, users, password)
            finally:
                line.waiting -= 1
        finally:
            if not line.waiting:
                self._lines.pop(address, None)
            if self._seen is directory:
                self._under_way.pop(digest, None)
        if self._seen is directory:
            self._remember(digest, accounts)
        return accounts

    def _remember(self, digest: bytes, accounts: _Accounts) -> None:
        if accounts:
            if len(self._known) >= _MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[digest] = accounts
        else:
            if len(self._refused) >= _MAX_REFUSED:
                del self._refused[next(iter(self._refused))]
            self._refused[digest] = None


class _Line:
    """The credentials of one address that wait."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


_Users = Iterable[tuple[User, Account | None]]


def _by_name(directory: Directory) -> tuple[dict[bytes, list[tuple[User, Account | None]]], _Users]:
    """Return the users of each name, and who stands in for a name that nobody has: hashed, if anybody's secret is."""
    users: dict[bytes, list[tuple[User, Account | None]]] = {}
    for account in directory.accounts.values():
        for user in account.users:
            users.setdefault(user.name.encode(), []).append((user, account))
    hashed = any(_is_hashed(user) for several in users.values() for user, _ in several)
    return users, [(_NOBODY, None)] if hashed else ()


def _secrets(directory: Directory) -> Mapping[str, tuple[User, ...]]:
    return {account.id: account.users for account in directory.accounts.values()}


def _is_hashed(user: User) -> bool:
    return user.secret.startswith("scrypt:")


def _opened(users: _Users, password: bytes) -> dict[str, Account]:
    """Return the accounts whose user of this name has this password."""
    return {account.id: account for user, account in users if _matches(user, password) and account is not None}


def _matches(user: User, password: bytes) -> bool:
    if not _is_hashed(user):
        # Digests, because comparing texts of different lengths tells the length.
        expected = hashlib.blake2b(user.secret.encode()).digest()
        return hmac.compare_digest(expected, hashlib.blake2b(password).digest())
    try:
        _, salt, expected_hash = user.secret.split(":")
        return hmac.compare_digest(bytes.fromhex(expected_hash), _scrypt(password, bytes.fromhex(salt)))
    except ValueError:
        return False


def _parse(authorization: bytes) -> tuple[bytes, bytes] | None:
    """Return user name and password of RFC 7617, both in UTF-8; None if they are unreadable."""
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic" or len(authorization) > _MAX_HEADER:
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return None
    try:
        decoded.decode()
    except UnicodeDecodeError:
        decoded = decoded.decode("latin-1").encode()  # what clients sent before RFC 7617
    name, colon, password = decoded.partition(b":")
    return (name, password) if colon else None
