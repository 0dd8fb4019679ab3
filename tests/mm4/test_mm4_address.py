"""Addresses as they are met in headers and envelopes, and our own."""

import pytest

from passband.mm4.address import (
    Address,
    AddressKind,
    EnvelopeForm,
    envelope_address,
    mailbox,
    parse_address,
    parse_addresses,
)
from passband.mm4.identity import Identifier, mail_id, message_id, transaction_id

PLMN, NAME, EMAIL = AddressKind.PLMN, AddressKind.NAME, AddressKind.EMAIL


@pytest.mark.parametrize(
    ("text", "kind", "value", "raw"),
    [
        pytest.param("+12025550143/TYPE=PLMN", PLMN, "+12025550143", None, id="header form"),
        pytest.param("+12025550143/TYPE=PLMN@mms.example", PLMN, "+12025550143", None, id="with domain"),
        pytest.param("+12025550143/type=plmn", PLMN, "+12025550143", None, id="lower-case type"),
        pytest.param("12025550143/TYPE=PLMN", PLMN, "+12025550143", None, id="without +"),
        pytest.param("2025550143/TYPE=PLMN", PLMN, "+12025550143", None, id="national digits"),
        pytest.param("4915112345678/TYPE=PLMN", PLMN, "+4915112345678", None, id="international without +"),
        pytest.param("+12025550143", PLMN, "+12025550143", None, id="without type"),
        pytest.param("+12025550143@mms.example", PLMN, "+12025550143", None, id="without type, with domain"),
        pytest.param("+1 (202) 555-0143/TYPE=PLMN", PLMN, "+12025550143", None, id="punctuation"),
        pytest.param("72345/TYPE=PLMN", PLMN, "72345", None, id="short code"),
        pytest.param("<+12025550143/TYPE=PLMN>", PLMN, "+12025550143", "+12025550143/TYPE=PLMN", id="brackets"),
        pytest.param('"Ann, B." <+12025550143/TYPE=PLMN>', PLMN, "+12025550143", "+12025550143/TYPE=PLMN", id="name"),
        pytest.param('"+12025550143/TYPE=PLMN"', PLMN, "+12025550143", "+12025550143/TYPE=PLMN", id="quotes"),
        pytest.param('"+12025550143/TYPE=PLMN"@mms.example', PLMN, "+12025550143", None, id="quoted local part"),
        pytest.param("192.0.2.7/TYPE=IPv4", AddressKind.IPV4, "192.0.2.7", None, id="IPv4"),
        pytest.param("2001:db8::1/type=ipv6", AddressKind.IPV6, "2001:db8::1", None, id="IPv6"),
        pytest.param("ann@mail.example", EMAIL, "ann@mail.example", None, id="e-mail"),
        pytest.param("INFO/TYPE=PLMN", NAME, "INFO", None, id="alphanumeric"),
        pytest.param("My Bank", NAME, "My Bank", None, id="alphanumeric without type"),
        pytest.param("+123456789012345678/TYPE=PLMN", NAME, "+123456789012345678", None, id="more digits than E.164"),
        pytest.param("020 7946 0000/TYPE=PLMN", NAME, "020 7946 0000", None, id="trunk prefix of an unknown country"),
    ],
)
def test_an_address_is_read(text: str, kind: AddressKind, value: str, raw: str | None) -> None:
    assert parse_address(f"  {text} ") == Address(raw or text, kind, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        '""',
        "undisclosed-recipients:;",
        "/TYPE=PLMN",
        "+1202\n5550143",
        "né@mail.example",
        "<a<>/TYPE=PLMN>",
        "1" * 321,
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("+12025550143/TYPE=PLMN,+12025550199/TYPE=PLMN", ["+12025550143", "+12025550199"], id="two"),
        pytest.param('"Ann, B" <+12025550143>, "C" <72345>', ["+12025550143", "72345"], id="commas in names"),
        pytest.param(r'"Ann \", B" <+12025550143>, 72345', ["+12025550143", "72345"], id="escaped quotes in names"),
        pytest.param('"Ann <+12025550143>, 72345', ["+12025550143", "72345"], id="a quote that never closes"),
        pytest.param("<+12025550143, 72345", ["+12025550143", "72345"], id="a bracket that never closes"),
        pytest.param(", ,undisclosed-recipients:;,", [], id="nothing in it"),
    ],
)
def test_the_addresses_of_a_header(text: str, values: list[str]) -> None:
    assert [address.value for address in parse_addresses(text)] == values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mms-system@mms.example", "mms-system@mms.example"),
        ("MMSC <mms-system@mms.example>", "mms-system@mms.example"),
        ("+12025550143/TYPE=PLMN@mms.mnc001.mcc310.gprs", "+12025550143/TYPE=PLMN@mms.mnc001.mcc310.gprs"),
        ("mms-system", None),
        ("a b@mms.example", None),
        ("a@mms.example> SIZE=1", None),
        ("a@mms.example\r\nRCPT TO:b@mms.example", None),
        ("", None),
    ],
)
def test_a_system_address_is_one_that_can_stand_in_an_smtp_command(text: str, found: str | None) -> None:
    assert mailbox(text) == found


@pytest.mark.parametrize(
    ("form", "address"),
    [
        (EnvelopeForm.TYPED, "+12025550143/TYPE=PLMN@mms.example"),
        (EnvelopeForm.PLAIN, "+12025550143@mms.example"),
        (EnvelopeForm.DIGITS, "12025550143@mms.example"),
    ],
)
def test_the_envelope_in_the_form_that_the_peer_wants(form: EnvelopeForm, address: str) -> None:
    assert envelope_address("+12025550143", "mms.example", form) == address
    read = parse_address(address)
    assert read is not None
    assert read.value == "+12025550143"


@pytest.mark.parametrize("number", ["", "+1202 555", "+1202>", "+1202\r\nDATA", "My Bank", "a@b"])
def test_no_envelope_address_can_carry_a_command(number: str) -> None:
    with pytest.raises(ValueError, match="not an envelope address"):
        envelope_address(number, "mms.example")


@pytest.mark.parametrize("text", ["abc-1@x", '"abc-1@x"', "<abc-1@x>", '"<abc-1@x>"', '<"abc-1@x">', " abc-1@x "])
def test_identifiers_compare_bare(text: str) -> None:
    assert Identifier(text).bare == "abc-1@x"
    assert Identifier(text).matches(Identifier("<ABC-1@X>"))
    assert not Identifier(text).matches(Identifier("abc-2@x"))


def test_our_identifiers() -> None:
    assert transaction_id("1773044142317kq4zt7m2xw6yb3hd", 12).raw == "1773044142317kq4zt7m2xw6yb3hd-12"
    assert (
        message_id("1773044142317kq4zt7m2xw6yb3hd", "mms.example").raw == "<1773044142317kq4zt7m2xw6yb3hd@mms.example>"
    )
    assert mail_id("abc", 3, "mms.example").raw == "<abc.3@mms.example>"


def test_an_identifier_that_a_peer_would_choke_on_is_not_made() -> None:
    with pytest.raises(ValueError, match="transaction id"):
        transaction_id("x" * 39, 1)
    with pytest.raises(ValueError, match="transaction id"):
        transaction_id("a@b", 1)
    with pytest.raises(ValueError, match="message id"):
        message_id("a", "mms example")
    with pytest.raises(ValueError, match="message id"):
        mail_id("a\r\nb", 1, "mms.example")
