import hashlib
from pathlib import Path

import pytest

from passband.config import Address, Settings, SimulatorSettings, load
from passband.domain.account import BasicCredentials, User
from passband.domain.event import EventKind
from passband.domain.message import Direction, Kind
from passband.domain.routing import Route

WHOLE = """
workers = 2

[server]
listen = "[::1]:8080"
public_url = "https://messaging.example.net/"

[callbacks]
timeout = 5

[[carriers]]
name = "slow"
type = "simulator"
delay = 3

[[routes]]
to = "+1"
type = "mms"
account = "5500123"
carrier = "slow"

[[routes]]
carrier = "slow"

[[accounts]]
id = "5500123"
rate = 5
users = [{ name = "desk", password = "hunter2" }]

[[accounts.applications]]
id = "both"
callback_url = "https://desk.example.net/events?key=1"
callback_credentials = { user = "desk", password = "change me" }
requested = ["message-sent", "message-failed"]

[[accounts.applications]]
id = "split"
inbound_url = "http://127.0.0.1:9000/in"
inbound_credentials = { user = "in", password = "pw-in" }

[[accounts.numbers]]
number = "+19195550117"
application = "both"
carrier = "slow"

[[accounts.numbers]]
number = "24365"
enabled = false
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passband.toml"
    path.write_text(WHOLE, "utf-8")
    return path


def load_text(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "passband.toml"
    path.write_text(text, "utf-8")
    return load(path, environ or {})


def test_without_a_file_the_shipped_defaults_are_in_force() -> None:
    settings = load(None, {})
    assert settings.server.listen == Address("127.0.0.1", 8080)
    assert settings.admin.listen.host == "127.0.0.1"
    assert settings.callbacks.schedule == (5, 15, 60, 300, 900, 1800)
    assert settings.callbacks.timeout == 10
    assert not settings.callbacks.allow_private_networks
    assert settings.media.max_octets == 3932160
    assert settings.history.days == 0
    assert (settings.carriers, settings.routes, settings.accounts) == ((), (), ())


def test_a_file_replaces_single_settings(file: Path) -> None:
    settings = load(file, {})
    assert settings.workers == 2
    assert settings.server.listen == Address("::1", 8080)
    assert settings.callbacks.timeout == 5
    assert settings.callbacks.per_endpoint_concurrency == load(None, {}).callbacks.per_endpoint_concurrency
    assert settings.carriers == (SimulatorSettings(name="slow", delay=3),)


def test_the_environment_goes_before_the_file(file: Path) -> None:
    settings = load(
        file,
        {
            "PASSBAND_SERVER__LISTEN": "0.0.0.0:80",
            "PASSBAND_ACCOUNTS__0__RATE": "7.5",
            "PASSBAND_ACCOUNTS__0__NUMBERS__1__ENABLED": "true",
            "PASSBAND_CALLBACKS__SCHEDULE": "[1, 2]",
            "PASSBAND_LOG__LEVEL": '"debug"',
            "PASSBAND_WORKERS": "3",
            "HOME": "/root",
        },
    )
    assert settings.server.listen == Address("0.0.0.0", 80)
    assert settings.accounts[0].rate == 7.5
    assert settings.accounts[0].numbers[1].enabled
    assert settings.callbacks.schedule == (1, 2)
    assert settings.log.level == "debug"
    assert settings.workers == 3


def test_a_whole_configuration_fits_into_the_environment() -> None:
    settings = load(
        None,
        {
            "PASSBAND_CARRIERS": '[{ name = "slow", type = "simulator" }]',
            "PASSBAND_CARRIERS__0__DELAY": "2",
            "PASSBAND_CARRIERS__1__NAME": "quick",
            "PASSBAND_CARRIERS__1__TYPE": "simulator",
            "PASSBAND_ACCOUNTS__0__ID": "5500123",
            "PASSBAND_ACCOUNTS__0__USERS__0__NAME": "1984",
            "PASSBAND_ACCOUNTS__0__USERS__0__PASSWORD": "0451",
            "PASSBAND_ACCOUNTS__0__NUMBERS__0__NUMBER": "+19195550117",
        },
    )
    assert settings.carriers == (SimulatorSettings(name="slow", delay=2), SimulatorSettings(name="quick"))
    account = settings.directory().accounts["5500123"]
    assert account.users == (User("1984", "0451"),), "digits are a text where a text is due"
    assert list(account.numbers) == ["+19195550117"]


@pytest.mark.parametrize(
    "name",
    ["PASSBAND_CONFIG", "PASSBAND_PORT", "PASSBAND_SERVICE_HOST", "PASSBAND_PORT_8080_TCP_ADDR"],
)
def test_some_names_in_the_environment_are_no_settings(name: str) -> None:
    assert load(None, {name: "x"}) == load(None, {})


def test_relative_paths_begin_at_the_folder_of_the_file(file: Path, tmp_path: Path) -> None:
    settings = load(file, {})
    assert settings.store.url == f"sqlite:{tmp_path}/passband.db"
    assert settings.media.url == f"file:{tmp_path}/media"
    elsewhere = load(
        file, {"PASSBAND_STORE__URL": "sqlite:/var/lib/passband.db", "PASSBAND_MEDIA__URL": "s3://media/p"}
    )
    assert (elsewhere.store.url, elsewhere.media.url) == ("sqlite:/var/lib/passband.db", "s3://media/p")


def test_links_begin_with_the_public_url_and_without_it_with_the_address(file: Path, tmp_path: Path) -> None:
    assert load(file, {}).server.base_url == "https://messaging.example.net"
    assert load(None, {}).server.base_url == "http://127.0.0.1:8080"
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).touch()
    tls = load_text(tmp_path, '[server]\nlisten = "[::1]:443"\ntls = { certificate = "c.pem", key = "k.pem" }')
    assert tls.server.base_url == "https://[::1]:443"
    assert tls.server.tls
    assert tls.server.tls.key == tmp_path / "k.pem"


def test_the_directory_holds_the_accounts(file: Path) -> None:
    directory = load(file, {}).directory()
    account = directory.account("5500123")
    assert account
    assert account.rate == 5
    assert account.queue_seconds == 900
    assert account.users == (User("desk", "hunter2"),)
    assert type(account.users[0].secret) is str
    both, split = account.applications["both"], account.applications["split"]
    for direction in Direction:
        assert both.url(direction) == "https://desk.example.net/events?key=1"
        assert both.credentials(direction) == BasicCredentials("desk", "change me")
    assert both.requested == frozenset({EventKind.SENT, EventKind.FAILED})
    assert split.requested is None
    assert split.url(Direction.OUT) is None
    assert split.credentials(Direction.IN) == BasicCredentials("in", "pw-in")
    number = directory.number("+19195550117")
    assert number
    assert (number.account, number.application, number.carrier, number.rate) == ("5500123", "both", "slow", None)
    assert not account.numbers["24365"].enabled


def test_routes_keep_their_order(file: Path) -> None:
    assert load(file, {}).routing() == (Route("slow", "+1", Kind.MMS, "5500123"), Route("slow"))


def user(password: str) -> str:
    return f'[[accounts]]\nid = "1"\nusers = [{{ name = "desk", {password} }}]'


HASH = f"scrypt:{'0a' * 16}:{hashlib.sha256().hexdigest()}"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param('password = "change me"', "change me", id="in the file"),
        pytest.param('password_env = "DESK"', "0451", id="in a variable"),
        pytest.param('password_env = "PASSBAND_DESK"', "of ours", id="in a variable that could be a setting"),
        pytest.param('password_file = "desk.txt"', "from a file", id="in a file, with its line end"),
        pytest.param(f'password = "{HASH}"', HASH, id="as a hash"),
    ],
)
def test_a_secret_may_be_in_several_places(written: str, read: str, tmp_path: Path) -> None:
    (tmp_path / "desk.txt").write_text("from a file\n", "utf-8")
    environ = {"DESK": "0451", "PASSBAND_DESK": "of ours"}
    settings = load_text(
        tmp_path, user(written), {name: value for name, value in environ.items() if f'"{name}"' in written}
    )
    assert settings.directory().accounts["1"].users == (User("desk", read),)


def test_the_place_of_a_secret_may_be_in_the_environment(tmp_path: Path) -> None:
    environ = {"PASSBAND_ACCOUNTS__0__USERS__0__PASSWORD_ENV": "PASSBAND_DESK", "PASSBAND_DESK": "secret"}
    settings = load_text(tmp_path, '[[accounts]]\nid = "1"\nusers = [{ name = "desk" }]', environ)
    assert settings.accounts[0].users[0].password == "secret"


def test_no_secret_shows_when_settings_are_printed(file: Path) -> None:
    settings = load(file, {"PASSBAND_STORE__URL": "postgresql://passband:open-sesame@db/passband"})
    for secret in ("hunter2", "change me", "pw-in", "open-sesame"):
        assert secret not in repr(settings)
    assert settings.store.url == "postgresql://passband:open-sesame@db/passband"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load(None, {}).workers = 4  # type: ignore[misc]
