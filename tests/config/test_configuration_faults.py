"""Every way in which a configuration can be wrong, with the text that the operator reads."""

import copy
import datetime
import functools
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from passband.config import load
from passband.config.layers import Tree, default_text, defaults, merge
from passband.config.manual import examples
from passband.config.reading import build
from passband.domain.errors import ConfigurationError


def faults_of(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ or {})
    return caught.value.faults


def faults_in(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path = folder / "passband.toml"
    path.write_text(text, "utf-8")
    return [fault.replace(str(folder), "FOLDER") for fault in faults_of(path, environ)]


ACCOUNT = '[[accounts]]\nid = "1"\n'
APPLICATION = ACCOUNT + '[[accounts.applications]]\nid = "a"\n'
CARRIER = '[[carriers]]\nname = "sim"\ntype = "simulator"\n'
SMPP = '[[carriers]]\nname = "smsc"\ntype = "smpp"\nhost = "127.0.0.1"\n'
USER = ACCOUNT + "users = [{ name = 'u', "
NUMBER = ACCOUNT + "numbers = [{ number = "

A_NUMBER_OF = "must be a number of"
A_WHOLE_NUMBER_OF = "must be a whole number of"
AN_ADDRESS = "must be an address such as 127.0.0.1:8080 or [::1]:8080, not"
A_URL = "must be an absolute http or https URL, not"
A_STORE = "must be sqlite:PATH or postgresql://USER:PASSWORD@HOST/DATABASE"
A_PHONE_NUMBER = "must be a number such as +19195550117, a short code or a sender's name, not"
AN_IDENTIFIER = "must be up to 100 letters, digits, '.', '_', '~' and '-'"
AN_EVENT = "must be message-sending, message-sent, message-delivered or message-failed, not"
A_PASSWORD = "must be a password, or its hash as scrypt:<salt hex>:<hash hex>"
FIRST_APPLICATION = "accounts[0].applications[0]"
FIRST_NUMBER = "accounts[0].numbers[0]"
FIRST_USER = "accounts[0].users[0]"

CASES = {
    # single values
    "a text for a number": (
        "[callbacks]\ntimeout = '10'",
        f"callbacks.timeout: {A_NUMBER_OF} seconds from 0.1 to 300, not '10'",
    ),
    "a flag for a number": ("[history]\ndays = true", f"history.days: {A_WHOLE_NUMBER_OF} days from 0 to 14, not true"),
    "a fraction for a whole number": ("workers = 1.5", f"workers: {A_WHOLE_NUMBER_OF} processes from 1 to 64, not 1.5"),
    "too many": ("[history]\ndays = 15", f"history.days: {A_WHOLE_NUMBER_OF} days from 0 to 14, not 15"),
    "no number at all": (
        "[callbacks]\ntimeout = nan",
        f"callbacks.timeout: {A_NUMBER_OF} seconds from 0.1 to 300, not nan",
    ),
    "a text for a flag": (
        "[callbacks]\nallow_private_networks = 'no'",
        "callbacks.allow_private_networks: must be true or false, not 'no'",
    ),
    "an unknown choice": ("[log]\nlevel = 'loud'", "log.level: must be debug, info, warning or error, not 'loud'"),
    "one wait of several": (
        "[callbacks]\nschedule = [5, 0]",
        f"callbacks.schedule[1]: {A_NUMBER_OF} seconds from 0.1 to 86,400, not 0",
    ),
    "no wait": ("[callbacks]\nschedule = []", "callbacks.schedule: must have at least one wait"),
    "a value for a list": ("[callbacks]\nschedule = 5", "callbacks.schedule: must be a list, not a number"),
    "a value for a table": ("server = 'here'", "server: must be a table, not a text"),
    "a table for a value": ("[workers]\nx = 1", f"workers: {A_WHOLE_NUMBER_OF} processes from 1 to 64, not a table"),
    "a table for a list of tables": ("[accounts]\nid = '1'", "accounts: must be a list, not a table"),
    # addresses
    "no port": ("[server]\nlisten = 'localhost'", f"server.listen: {AN_ADDRESS} 'localhost'"),
    "no host": ("[server]\nlisten = ':8080'", f"server.listen: {AN_ADDRESS} ':8080'"),
    "no such port": ("[admin]\nlisten = 'x:65536'", f"admin.listen: {AN_ADDRESS} 'x:65536'"),
    "no such address": ("[admin]\nlisten = '[1:2]:1'", f"admin.listen: {AN_ADDRESS} '[1:2]:1'"),
    "a port alone": ("[admin]\nlisten = 8080", f"admin.listen: {AN_ADDRESS} 8080"),
    # URLs
    "no scheme": (APPLICATION + "inbound_url = 'foo'", f"{FIRST_APPLICATION}.inbound_url: {A_URL} 'foo'"),
    "another scheme": (
        APPLICATION + "inbound_url = 'ftp://x/'",
        f"{FIRST_APPLICATION}.inbound_url: {A_URL} 'ftp://x/'",
    ),
    "a blank": (APPLICATION + "inbound_url = 'http://x/ y'", f"{FIRST_APPLICATION}.inbound_url: {A_URL} 'http://x/ y'"),
    "no such URL port": (
        APPLICATION + "inbound_url = 'http://x:99999/'",
        f"{FIRST_APPLICATION}.inbound_url: {A_URL} 'http://x:99999/'",
    ),
    "a password in a URL": (
        APPLICATION + "inbound_url = 'http://u:pw@x/'",
        f"{FIRST_APPLICATION}.inbound_url: {A_URL} '…'",
    ),
    "a query in the public URL": (
        "[server]\npublic_url = 'https://x/?y'",
        "server.public_url: must be an absolute http or https URL without a query, not 'https://x/?y'",
    ),
    "another store": ("[store]\nurl = 'mysql://u:pw@x/y'", f"store.url: {A_STORE}"),
    "no store": ("[store]\nurl = 'sqlite:'", f"store.url: {A_STORE}"),
    "a store on a host": ("[store]\nurl = 'sqlite://x/y'", f"store.url: {A_STORE}"),
    "a store in memory": (
        "[store]\nurl = 'sqlite::memory:'",
        "store.url: sqlite::memory: keeps nothing; give the path of a file, as in sqlite:passband.db",
    ),
    "another media store": ("[media]\nurl = 's3:x'", "media.url: must be file:PATH or s3://BUCKET/PREFIX, not 's3:x'"),
    # keys
    "a slip of the pen": ("[server]\nlisten_ = '127.0.0.1:1'", "server.listen_: no such setting; did you mean listen?"),
    "nothing like it": ("[log]\nx = 1", "log.x: no such setting; there are level, format"),
    "a section": ("[sever]\nlisten = '127.0.0.1:1'", "sever: no such setting; did you mean server?"),
    "in a list": (ACCOUNT + "rates = 5", "accounts[0].rates: no such setting; did you mean rate?"),
    "of another carrier": (
        CARRIER + "host = 'x'",
        "carriers[0].host: no such setting; there are name, receipt_window, delay, rate, receipts",
    ),
    "a missing key": ("[[accounts]]", f"accounts[0].id: missing; {AN_IDENTIFIER}"),
    "a missing carrier type": ("[[carriers]]\nname = 'x'", "carriers[0].type: missing; must be simulator, smpp or mm4"),
    "an unknown carrier type": (
        "[[carriers]]\nname = 'x'\ntype = 'fax'",
        "carriers[0].type: must be simulator, smpp or mm4, not 'fax'",
    ),
    # SMPP carriers
    "a system_id that SMPP has no room for": (
        SMPP + "system_id = 'sixteen_and_more'",
        "carriers[0].system_id: must be up to 15 printable ASCII characters, not 'sixteen_and_more'",
    ),
    "a password that SMPP has no room for": (
        SMPP + "system_id = 'us'\npassword = 'nine_char'",
        "carriers[0].password: may have 8 characters; with long_password = true, more",
    ),
    "a password that SMPP has no octets for": (
        SMPP + "system_id = 'us'\npassword = 'größe'",
        "carriers[0].password: must be ASCII",
    ),
    "no TON and NPI": (
        SMPP + "system_id = 'us'\nshort_code = [3]",
        "carriers[0].short_code: must be TON and NPI, such as [5, 0], not a list",
    ),
    "a pattern without groups": (
        SMPP + "system_id = 'us'\nreceipt_pattern = 'id=(.*)'",
        "carriers[0].receipt_pattern: must be a regular expression with groups named id and stat, not 'id=(.*)'",
    ),
    "a parameter that does not fit": (
        SMPP + "system_id = 'us'\nextra_tlvs = [{ tag = 5121, kind = 'int1', value = '256' }]",
        "carriers[0].extra_tlvs[0].value: does not fit kind 'int1'",
    ),
    # numbers and names
    "no number": (NUMBER + "'+1 919' }]", f"{FIRST_NUMBER}.number: {A_PHONE_NUMBER} '+1 919'"),
    "a number without quotes": (NUMBER + "19195550117 }]", f"{FIRST_NUMBER}.number: {A_PHONE_NUMBER} 19195550117"),
    "no prefix": (
        CARRIER + "[[routes]]\nto = '+1*'\ncarrier = 'sim'",
        "routes[0].to: must be the beginning of a number, such as +1919, or nothing, not '+1*'",
    ),
    "no event of ours": (
        APPLICATION + "requested = ['message-received']",
        f"{FIRST_APPLICATION}.requested[0]: {AN_EVENT} 'message-received'",
    ),
    "a user with a colon": (
        ACCOUNT + "users = [{ name = 'a:b', password = 'x' }]",
        f"{FIRST_USER}.name: must be a user name without a colon, not 'a:b'",
    ),
    "a slash in an account": ("[[accounts]]\nid = 'a/b'", f"accounts[0].id: {AN_IDENTIFIER}, not 'a/b'"),
    # secrets
    "no password": (
        ACCOUNT + "users = [{ name = 'u' }]",
        f"{FIRST_USER}.password: missing; give password, password_env or password_file",
    ),
    "an empty password": (USER + "password = '' }]", f"{FIRST_USER}.password: {A_PASSWORD}"),
    "a broken hash": (USER + "password = 'scrypt:12' }]", f"{FIRST_USER}.password: {A_PASSWORD}"),
    "two passwords": (
        USER + "password = 'p', password_env = 'X' }]",
        f"{FIRST_USER}: give one of password, password_env, not 2",
    ),
    "no such variable": (USER + "password_env = 'X' }]", f"{FIRST_USER}.password_env: the environment has no X"),
    "no such file": (
        USER + "password_file = 'x' }]",
        f"{FIRST_USER}.password_file: FOLDER/x cannot be read: No such file or directory",
    ),
    "a folder for a file": (
        USER + "password_file = '.' }]",
        f"{FIRST_USER}.password_file: FOLDER cannot be read: Is a directory",
    ),
    "no name of a variable": (
        USER + "password_env = 5 }]",
        f"{FIRST_USER}.password_env: must be the name of a variable, not 5",
    ),
    "a text for users": (ACCOUNT + "users = 'u:pw'", "accounts[0].users: must be a list, not a text"),
    "no certificate": (
        "[server]\ntls = { certificate = 'c.pem', key = 'passband.toml' }",
        "server.tls.certificate: FOLDER/c.pem cannot be read: No such file or directory",
    ),
    "a certificate without a key": (
        "[server]\ntls = { certificate = 'passband.toml' }",
        "server.tls.key: missing; must be the path of a file",
    ),
    # between settings
    "a route to nowhere": (
        CARRIER + "[[routes]]\ncarrier = 'sin'",
        "routes[0].carrier: no carrier is called 'sin'; did you mean 'sim'?",
    ),
    "a route without carriers": (
        "[[routes]]\ncarrier = 'x'",
        "routes[0].carrier: no carrier is called 'x'; there is none",
    ),
    "a route for nobody": (
        CARRIER + ACCOUNT + "[[routes]]\naccount = '22'\ncarrier = 'sim'",
        "routes[0].account: no account is called '22'; there are '1'",
    ),
    "a number's carrier": (
        CARRIER + NUMBER + "'24365', carrier = 'x' }]",
        f"{FIRST_NUMBER}.carrier: no carrier is called 'x'; there are 'sim'",
    ),
    "a number's application": (
        APPLICATION + "[[accounts.numbers]]\nnumber = '24365'\napplication = 'b'",
        f"{FIRST_NUMBER}.application: no application of account '1' is called 'b'; there are 'a'",
    ),
    "another account's application": (
        APPLICATION + "[[accounts]]\nid = '2'\nnumbers = [{ number = '24365', application = 'a' }]",
        "accounts[1].numbers[0].application: no application of account '2' is called 'a'; there is none",
    ),
    "a carrier twice": (CARRIER + CARRIER, "carriers[1].name: 'sim' is taken by carriers[0]"),
    "a carrier called like ours": (
        "[[carriers]]\nname = 'on-net'\ntype = 'simulator'",
        "carriers[0].name: 'on-net' is the name of the way between your own numbers; choose another",
    ),
    "an account twice": (ACCOUNT + ACCOUNT, "accounts[1].id: '1' is taken by accounts[0]"),
    "an application twice": (
        APPLICATION + "[[accounts.applications]]\nid = 'a'",
        "accounts[0].applications[1].id: 'a' is taken by accounts[0].applications[0]",
    ),
    "a user twice": (
        USER + "password = 'x' }, { name = 'u', password = 'y' }]",
        "accounts[0].users[1].name: 'u' is taken by accounts[0].users[0]",
    ),
    "a number in two accounts": (
        NUMBER + "'24365' }]\n[[accounts]]\nid = '2'\nnumbers = [{ number = '24365' }]",
        "accounts[1].numbers[0].number: '24365' is taken by accounts[0].numbers[0]",
    ),
    "a URL set twice": (
        APPLICATION + "callback_url = 'http://x'\noutbound_url = 'http://y'",
        f"{FIRST_APPLICATION}.outbound_url: callback_url sets it already; remove one of them",
    ),
}


@pytest.mark.parametrize(("text", "fault"), CASES.values(), ids=CASES.keys())
def test_a_fault_is_told_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    assert faults_in(tmp_path, text) == [fault]


VARIABLES = {
    "unknown": (
        "PASSBAND_SERVER__LISTN",
        "x",
        "PASSBAND_SERVER__LISTN: no such setting; did you mean PASSBAND_SERVER__LISTEN?",
    ),
    "in an unknown section": (
        "PASSBAND_SEVER__LISTEN",
        "x",
        "PASSBAND_SEVER__LISTEN: no such setting; did you mean PASSBAND_SERVER__LISTEN?",
    ),
    "with one underscore": (
        "PASSBAND_WORKER_S",
        "2",
        "PASSBAND_WORKER_S: no such setting; did you mean PASSBAND_WORKERS?",
    ),
    "nothing like it": ("PASSBAND_LOG__X", "x", "PASSBAND_LOG__X: no such setting; there are level, format"),
    "wrong": ("PASSBAND_WORKERS", "many", f"PASSBAND_WORKERS: {A_WHOLE_NUMBER_OF} processes from 1 to 64, not 'many'"),
    "no place": (
        "PASSBAND_ACCOUNTS__ID",
        "1",
        "PASSBAND_ACCOUNTS__ID: accounts is a list; a place in it, from 0, comes next",
    ),
    "too far": ("PASSBAND_ACCOUNTS__5__ID", "1", "PASSBAND_ACCOUNTS__5__ID: accounts has 1 entries; the next is 1"),
    "too deep": ("PASSBAND_WORKERS__X", "1", "PASSBAND_WORKERS__X: workers is a single value; nothing is below it"),
    "no list": ("PASSBAND_ROUTES", "+1", "PASSBAND_ROUTES: must be a list, not a text"),
    "hidden": ("PASSBAND_STORE__URL", "mysql://u:pw@x/y", f"PASSBAND_STORE__URL: {A_STORE}"),
}


@pytest.mark.parametrize(("name", "text", "fault"), VARIABLES.values(), ids=VARIABLES.keys())
def test_a_fault_of_the_environment_is_told_with_the_variables_name(
    name: str, text: str, fault: str, tmp_path: Path
) -> None:
    assert faults_in(tmp_path, ACCOUNT, {name: text}) == [fault]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = """
        worker = 2
        [server]
        listen = "nowhere"
        [[carriers]]
        name = "sim"
        type = "simulator"
        delay = -1
        [[routes]]
        carrier = "sum"
        [[accounts]]
        rate = 0
        [[accounts.numbers]]
        number = "24365"
        application = "desk"
    """
    assert faults_in(tmp_path, text, {"PASSBAND_HISTORY__DAYS": "99", "PASSBAND_LOG__COLOUR": "red"}) == [
        "worker: no such setting; did you mean workers?",
        "server.listen: must be an address such as 127.0.0.1:8080 or [::1]:8080, not 'nowhere'",
        "PASSBAND_HISTORY__DAYS: must be a whole number of days from 0 to 14, not '99'",
        "PASSBAND_LOG__COLOUR: no such setting; there are level, format",
        "carriers[0].delay: must be a number of seconds from 0 to 86,400, not -1",
        "accounts[0].id: missing; must be up to 100 letters, digits, '.', '_', '~' and '-'",
        "accounts[0].rate: must be a number of segments per second from 0.001 to 1,000,000, not 0",
        "routes[0].carrier: no carrier is called 'sum'; did you mean 'sim'?",
        "accounts[0].numbers[0].application: no application of this account is called 'desk'; there is none",
    ]


def test_what_refers_to_something_unreadable_is_no_second_fault(tmp_path: Path) -> None:
    text = """
        [[carriers]]
        name = "a name"
        type = "simulator"
        [[routes]]
        carrier = "a"
        account = "b"
        [[accounts]]
        id = "b c"
        [[accounts.applications]]
        id = 5
        [[accounts.numbers]]
        number = "24365"
        application = "5"
    """
    assert [fault.partition(":")[0] for fault in faults_in(tmp_path, text)] == [
        "carriers[0].name",
        "accounts[0].id",
        "accounts[0].applications[0].id",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"workers = 1\n[server\n", "at line 2", id="syntax"),
        pytest.param(b"workers = 1\nworkers = 2\n", "at line 2", id="twice"),
        pytest.param(b"workers = " + b"1" * 5000, "digits", id="a number too long for Python"),
        pytest.param(b"workers = 1\n# \xe4\n", "must be UTF-8, and is not in line 2", id="encoding"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "passband.toml"
    path.write_bytes(content)
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}: ")
    assert line in fault


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "passband.toml"
    assert faults_of(path) == (f"{path}: cannot be read: No such file or directory",)


STRANGE: list[object] = [
    0, -1, 10**400, 1.5, math.nan, math.inf, True, "", "x", "\0", "\n", "[", "é", "http://[", "http://x:y", "sqlite:\0",
    "a" * 1000, [], [[]], [{}], ["x"], {}, {"x": 1}, {"name": []}, datetime.date(2026, 3, 9),
]  # fmt: skip


def places(value: object, steps: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*steps, key)
        yield from places(below, (*steps, key))


DEFAULTS = defaults()


def faults_of_tree(tree: Tree, folder: Path) -> tuple[str, ...]:
    try:
        build(merge(DEFAULTS, tree), folder, {"DESK_PASSWORD": "hunter2"})
    except ConfigurationError as error:
        return error.faults
    return ()


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)], ids=["some of it", "all of it"])
def test_whatever_is_written_anywhere_is_a_setting_or_a_fault(step: int, tmp_path: Path) -> None:
    """Every place gets some of what is strange, each another part of it: all of that is met at many places."""
    (tmp_path / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "tls" / name).touch()
    whole = tomllib.loads(examples(default_text()))
    assert faults_of_tree(whole, tmp_path) == ()
    settings = faults = 0
    for n, (*above, last) in enumerate(places(whole)):
        for strange in STRANGE[n % step :: step]:
            tree = copy.deepcopy(whole)
            functools.reduce(lambda node, step: node[step], above, tree)[last] = strange  # type: ignore[index]
            found = faults_of_tree(tree, tmp_path)
            assert all(": " in fault for fault in found)
            settings, faults = settings + (not found), faults + bool(found)
    assert settings > 50
    assert faults > 1000
