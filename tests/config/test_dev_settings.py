from pathlib import Path

import pytest

from passband.config import Address, SimulatorSettings, SmppSettings, dev_settings
from passband.config.developers import SmppPeer
from passband.domain.account import User
from passband.domain.errors import ConfigurationError
from passband.domain.message import Direction


def test_the_developers_edition_needs_nothing_but_a_folder(tmp_path: Path) -> None:
    settings = dev_settings(tmp_path)
    assert settings.server.listen == settings.admin.listen == Address("127.0.0.1", 8080)
    assert settings.store.url == f"sqlite:{tmp_path}/passband.db"
    assert settings.media.url == f"file:{tmp_path}/media"
    assert settings.callbacks.allow_private_networks
    assert settings.carriers == (SimulatorSettings(name="simulator"),)
    account = settings.directory().accounts["5500123"]
    assert account.users == (User("demo", "demo"),)
    assert account.rate is None
    (application,) = account.applications.values()
    assert application.inbound_url is None
    assert account.numbers["+19195550117"].application == application.id


def test_flags_of_the_developers_edition_are_settings(tmp_path: Path) -> None:
    settings = dev_settings(
        tmp_path,
        port=0,
        account="u-abc",
        user="me",
        password="1234",
        application="app",
        numbers=["+19195550118", "24365"],
        callback_url="http://localhost:9000/events",
        history_days=3,
        rate=2.5,
    )
    account = settings.directory().accounts["u-abc"]
    assert (settings.server.listen.port, settings.history.days, account.rate) == (0, 3, 2.5)
    assert account.users == (User("me", "1234"),)
    assert list(account.numbers) == ["+19195550118", "24365"]
    for direction in Direction:
        assert account.applications["app"].url(direction) == "http://localhost:9000/events"


def test_the_developers_edition_may_have_an_smsc_instead_of_the_simulator(tmp_path: Path) -> None:
    (carrier,) = dev_settings(tmp_path, smpp=SmppPeer("smsc.example:3550", "us", "secret")).carriers
    assert isinstance(carrier, SmppSettings)
    assert (carrier.host, carrier.port, carrier.system_id, carrier.password) == ("smsc.example", 3550, "us", "secret")


@pytest.mark.parametrize("address", ["smsc.example", "smsc.example:x", ":2775", "smsc.example:0"])
def test_no_address_of_an_smsc_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dev_settings(tmp_path, smpp=SmppPeer(address, "us"))
    assert all(fault.startswith(("carriers[0].host: ", "carriers[0].port: ")) for fault in caught.value.faults)


def test_wrong_flags_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dev_settings(tmp_path, callback_url="foo", numbers=["x" * 20], history_days=15)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "history.days",
        "accounts[0].applications[0].callback_url",
        "accounts[0].numbers[0].number",
    ]
