"""Every setting of an SMPP carrier reaches the carrier."""

from pathlib import Path

from passband.carriers.smpp import ExtraTlv, ReceiptState, StatusOverride
from passband.carriers.smpp import SmppSettings as Profile
from passband.config import SmppSettings, load
from passband.smpp.message_id import IdRule

NECESSARY = """
[[carriers]]
name = "smsc"
type = "smpp"
host = "smsc.example"
system_id = "us"
"""


def profile(folder: Path, more: str = "") -> Profile:
    path = folder / "passband.toml"
    path.write_text(NECESSARY + more, "utf-8")
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
