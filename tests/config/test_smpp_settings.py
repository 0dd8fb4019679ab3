"""Every setting of an SMPP carrier reaches the carrier."""

from pathlib import Path

import pytest

from passband.carriers.smpp import ExtraTlv, ReceiptState, StatusOverride
from passband.carriers.smpp import SmppSettings as Profile
from passband.config import SmppSettings, load
from passband.config.layers import default_text
from passband.domain.errors import ConfigurationError
from passband.smpp.message_id import IdRule
from passband.smpp.outcome import DIALECTS

NECESSARY = """
[[carriers]]
name = "smsc"
type = "smpp"
system_id = "us"
"""


def profile(folder: Path, more: str = "") -> Profile:
    path = folder / "passband.toml"
    host = "" if "\nhost =" in f"\n{more}" else 'host = "smsc.example"\n'
    path.write_text(NECESSARY + host + more, "utf-8")
    (carrier,) = load(path, {"SECRET": "hidden"}).carriers
    assert isinstance(carrier, SmppSettings)
    return carrier.profile()


def test_the_defaults_are_those_of_the_carrier(tmp_path: Path) -> None:
    assert profile(tmp_path) == Profile(name="smsc", host="smsc.example", system_id="us")


def test_settings_are_taken_over_by_name(tmp_path: Path) -> None:
    found = profile(
        tmp_path,
        """
        port = 3550
        password_env = "SECRET"
        binds = 3
        window = 50
        rate = 0
        other_hosts = ["two.example:3551"]
        short_code = [6, 0]
        store_and_forward = true
        receipts = "last"
        id_rule = "resp-hex"
        concat = "sar"
        receipt_window = 60
        receipt_states = [{ word = "blocked", outcome = "failed", code = 4770 }]
        status_overrides = [{ status = 0x45, action = "pause" }]
        extra_tlvs = [{ tag = 0x1401, kind = "int2", value = "7" }]
        """,
    )
    assert found == Profile(
        name="smsc",
        host="smsc.example",
        system_id="us",
        port=3550,
        password="hidden",
        binds=3,
        window=50,
        rate=None,
        other_hosts=("two.example:3551",),
        short_code=(6, 0),
        esm_mode=3,
        receipts="last",
        id_rule=IdRule.RESPONSE_HEXADECIMAL,
        concat="sar",
        receipt_window=60,
        receipt_states={"BLOCKED": ReceiptState(outcome="failed", code=4770)},
        status_overrides={0x45: StatusOverride(action="throttle")},
        extra_tlvs=(ExtraTlv(tag=0x1401, kind="int2", value="7"),),
    )
    assert found.hosts == (("smsc.example", 3550), ("two.example", 3551))


@pytest.mark.parametrize(("host", "peer"), [("2001:db8::7", "2001:db8::7"), ("[::1]", "::1"), ("smsc_1", "smsc_1")])
def test_a_host_may_be_any_address_or_name(host: str, peer: str, tmp_path: Path) -> None:
    assert profile(tmp_path, f'port = 1\nother_hosts = ["[::2]:2", "b_1:3"]\nhost = "{host}"').hosts == (
        (peer, 1),
        ("::2", 2),
        ("b_1", 3),
    )


@pytest.mark.parametrize("host", ["", "a..b", "a" * 64, "::g", "a b"])
def test_what_no_look_up_takes_is_no_host(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as found:
        profile(tmp_path, f'host = "{host}"\nother_hosts = ["{host}:2775"]')
    assert [fault.partition(":")[0] for fault in found.value.faults] == [
        "carriers[0].host",
        "carriers[0].other_hosts[0]",
    ]


@pytest.mark.parametrize("setting", ["tls_ca_file", "tls_server_name"])
def test_what_speaks_of_certificates_needs_tls(setting: str, tmp_path: Path) -> None:
    (tmp_path / "authority.pem").touch()
    with pytest.raises(ConfigurationError) as found:
        profile(tmp_path, f'{setting} = "authority.pem"')
    assert found.value.faults == (f"carriers[0].{setting}: needs tls = true; without it nothing is encrypted",)


@pytest.mark.parametrize("flags", ["0", "0x10", "2"])
def test_who_awaits_receipts_must_ask_for_them(flags: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as found:
        profile(tmp_path, f"registered_delivery = {flags}")
    (fault,) = found.value.faults
    assert fault.startswith("carriers[0].registered_delivery: asks for no receipt of what is delivered, ")
    assert profile(tmp_path, f'registered_delivery = {flags}\ndelivered_on = "submit"').delivered_on == "submit"


@pytest.mark.parametrize(
    ("tag", "setting"),
    [
        (0x0204, "user_message_reference = true"),
        (0x020C, 'concat = "sar"'),
        (0x020E, 'concat = "sar"'),
        (0x020F, 'concat = "sar"'),
        (0x0424, ""),
        (0x0426, "more_messages = true"),
    ],
)
def test_a_parameter_that_passband_writes_itself_is_sent_once(tag: int, setting: str, tmp_path: Path) -> None:
    extra = f'extra_tlvs = [{{ tag = 0x1400, value = "x" }}, {{ tag = {tag}, value = "x" }}]\n'
    with pytest.raises(ConfigurationError) as found:
        profile(tmp_path, extra + setting)
    (fault,) = found.value.faults
    assert fault.startswith("carriers[0].extra_tlvs[1].tag: ")
    assert f"is written by Passband itself ({setting or 'it is the text'})" in fault
    if setting:
        assert len(profile(tmp_path, extra).extra_tlvs) == 2


def test_every_dialect_is_named_where_it_is_explained() -> None:
    assert {name for name in DIALECTS if f"`{name}`" not in default_text()} == set()
