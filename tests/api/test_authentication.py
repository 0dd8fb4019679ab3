"""Who is let in, and that keeping others out costs those who are in nothing."""

import asyncio
import base64
import gc

import pytest

from api.service import ACCOUNT, PATH, Service, new_message
from passband.api.auth import AuthenticationBusy, Authenticator, hash_secret
from passband.domain.account import Account, Directory, Number, User
from passband.domain.errors import Forbidden, Unauthenticated

HASHED = hash_secret("gehe¡m:2", b"sixteen octets..")


def basic(user: str, password: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()


REFUSED = [
    ("none", ""),
    ("another scheme", "Bearer eyJhbGciOiJub25lIn0.e30."),
    ("a digest", 'Digest username="demo"'),
    ("no credentials", "Basic"),
    ("no base64", "Basic !!!!"),
    ("base64 of half", "Basic ZGVtbzpzZWNyZX"),
    ("no colon", "Basic " + base64.b64encode(b"demo").decode()),
    ("another user", basic("nobody", "secret")),
    ("another password", basic("demo", "Secret")),
    ("another case of the name", basic("Demo", "secret")),
    ("no password", basic("demo", "")),
    ("very long", basic("demo", "x" * 5000)),
    ("NUL", basic("demo", "secret\0")),
]


@pytest.mark.parametrize("authorization", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_anything_but_the_right_password_is_401(service: Service, authorization: str) -> None:
    reply = await service.post(new_message(), Authorization=authorization)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="Passband"'
    assert reply.body == b'{"type":"unauthorized","description":"Authentication Failed"}'


@pytest.mark.parametrize("account", ["5500999", "9999999", "550012", "%2e%2e", "5500123%2Fmessages"])
async def test_another_or_an_unknown_account_is_403(service: Service, account: str) -> None:
    reply = await service.post(new_message(), PATH.replace(ACCOUNT, account))
    assert reply.status == 403
    assert reply.body == b'{"type":"forbidden","description":"Access Denied"}'


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
async def test_the_scheme_is_not_case_sensitive(service: Service, scheme: str) -> None:
    authorization = scheme + basic("demo", "secret").removeprefix("Basic")
    assert (await service.post(new_message(), Authorization=authorization)).status == 202


def authenticator(*users: User, account: str = "1") -> Authenticator:
    directory = Directory([Account(account, users), Account("2", (User("both", "x"), User("both", "y")))])
    return Authenticator(lambda: directory)


async def opened(of: Authenticator, authorization: str, account: str = "1", address: str = "192.0.2.1") -> str:
    return (await of.account(authorization.encode(), account, address)).id


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_hashed_secret_is_found_right(encoding: str) -> None:
    users = authenticator(User("demo", HASHED))
    assert await opened(users, basic("demo", "gehe¡m:2", encoding)) == "1"
    with pytest.raises(Unauthenticated):
        await opened(users, basic("demo", HASHED))
    users.close()


async def test_a_name_in_two_accounts_opens_those_with_its_password() -> None:
    passwords = {"1": "x", "2": "y", "3": "x"}
    directory = Directory([Account(account, (User("both", password),)) for account, password in passwords.items()])
    users = Authenticator(lambda: directory)
    assert await opened(users, basic("both", "x"), "1") == "1"
    assert await opened(users, basic("both", "x"), "3") == "3"
    with pytest.raises(Forbidden):
        await opened(users, basic("both", "x"), "2")


async def test_a_changed_directory_is_obeyed_at_once() -> None:
    now = Directory([Account("1", (User("demo", "old"),))])
    users = Authenticator(lambda: now)
    assert await opened(users, basic("demo", "old")) == "1"
    with pytest.raises(Unauthenticated):
        await opened(users, basic("demo", "new"))
    now = Directory([Account("1", (User("demo", "new"),))])
    with pytest.raises(Unauthenticated):
        await opened(users, basic("demo", "old"))
    assert await opened(users, basic("demo", "new")) == "1"


async def test_where_only_numbers_change_nobody_is_checked_again() -> None:
    now = Directory([Account("1", (User("demo", HASHED),))])
    users = Authenticator(lambda: now)
    right = basic("demo", "gehe¡m:2").encode()
    await users.account(right, "1", "192.0.2.1")
    now = Directory([Account("1", (User("demo", HASHED),), numbers={"12345": Number("12345", "1")})])
    assert users.known(right) == now.accounts
    users.close()


@pytest.mark.parametrize("secret", ["scrypt:", "scrypt:zz:zz", "scrypt:00", "scrypt:::", "scrypt:00:00"])
async def test_a_broken_hash_lets_nobody_in(secret: str) -> None:
    users = authenticator(User("demo", secret))
    for password in ("", secret, "00"):
        with pytest.raises(Unauthenticated):
            await opened(users, basic("demo", password))
    users.close()


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["uvloop"])  # the work is in threads, and nobody is connected
async def test_a_flood_of_wrong_passwords_does_not_delay_who_is_known() -> None:
    users = authenticator(User("demo", HASHED))
    good = basic("demo", "gehe¡m:2")
    await opened(users, good)
    flood = [
        asyncio.create_task(opened(users, basic("demo", f"wrong{n}"), address=f"198.51.100.{n % 3}")) for n in range(60)
    ]
    await asyncio.sleep(0)
    assert users.known(good.encode()) is not None
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unauthenticated, AuthenticationBusy}
    assert sum(isinstance(outcome, Unauthenticated) for outcome in outcomes) == 3 * 8
    users.close()


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_who_comes_from_elsewhere_waits_behind_one_of_the_flood_not_behind_all() -> None:
    users = authenticator(User("demo", HASHED))
    flood = [asyncio.create_task(opened(users, basic("demo", f"wrong{n}"))) for n in range(8)]
    await asyncio.sleep(0)
    await opened(users, basic("demo", "gehe¡m:2"), address="203.0.113.5")
    assert sum(task.done() for task in flood) <= 2
    await asyncio.gather(*flood, return_exceptions=True)
    users.close()


async def test_one_credential_on_many_connections_is_worked_on_once() -> None:
    users = authenticator(User("demo", HASHED))
    assert await asyncio.gather(*(opened(users, basic("demo", "gehe¡m:2")) for _ in range(500))) == ["1"] * 500
    users.close()


async def test_no_password_is_kept_in_clear() -> None:
    users = authenticator(User("demo", HASHED))
    credential = basic("demo", "gehe¡m:2").encode()
    await users.account(credential, "1", "192.0.2.1")
    kept = [key for key in gc.get_referents(users, users.__dict__, *users.__dict__.values()) if isinstance(key, bytes)]
    assert credential not in kept
    assert all(b"gehe" not in key for key in kept)
    users.close()
