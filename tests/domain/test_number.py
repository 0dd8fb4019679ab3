"""Numbers: the syntax of the HTTP API, section 2.1, and possibility against libphonenumber's metadata."""

from collections.abc import Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, ValidationResult

from passband.domain import number
from passband.domain.number import Kind

E164 = {
    "north american": "+19195550117",
    "two digits, the fewest": "+12",
    "fifteen digits, the most": "+123456789012345",
    "too short for its country, but well-formed": "+1919555011",
}
SHORT_CODE = {
    "three digits, the fewest": "123",
    "five digits": "46645",
    "eight digits, the most": "12345678",
}
ALPHANUMERIC = {
    "one letter": "A",
    "eleven characters, the most": "ABCDEFGHIJK",
    "every mark": "a -+_&9",
    "letters after digits": "1234567890a",
}
NOTHING = {
    "empty": "",
    "plus alone": "+",
    "one digit": "+1",
    "sixteen digits": "+1234567890123456",
    "country code zero": "+0123456789",
    "two plusses": "++19195550117",
    "leading blank": " +19195550117",
    "trailing blank": "+19195550117 ",
    "trailing line feed": "+19195550117\n",
    "national form": "9195550117",
    "punctuation": "+1-919-555-0117",
    "letters": "+1408invalid",
    "letters, short": "+1invalid",
    "no digits": "+invalid",
    "arabic-indic digits": "+١٩١٩٥٥٥٠١١٧",
    "fullwidth digits": "+1９１９５５５０１１７",
    "two digits without plus": "12",
    "nine digits without plus": "123456789",
    "short code with zero": "01234",
    "short code with line feed": "46645\n",
    "superscript digits": "46²45",
    "twelve characters": "ABCDEFGHIJKL",
    "marks without a letter": "-_&",
    "digits and a blank": "123 456",
    "name with a blank before": " Passband",
    "name with a blank after": "Passband ",
    "name with a line feed": "Passband\n",
    "name with an accent": "Café",
    "name with a forbidden mark": "Pass.band",
    "blank": " ",
}


def _labelled(*tables: dict[str, str]) -> list[object]:
    return [pytest.param(value, id=label) for table in tables for label, value in table.items()]


@pytest.mark.parametrize("value", _labelled(E164))
def test_e164_numbers_send_and_receive(value: str) -> None:
    assert number.is_e164(value)
    assert number.is_recipient(value)
    assert number.is_sender(value)
    assert not number.is_short_code(value)
    assert not number.is_alphanumeric_sender(value)


@pytest.mark.parametrize("value", _labelled(SHORT_CODE))
def test_short_codes_send_and_receive(value: str) -> None:
    assert number.is_short_code(value)
    assert number.is_recipient(value)
    assert number.is_sender(value)
    assert not number.is_e164(value)
    assert not number.is_alphanumeric_sender(value)


@pytest.mark.parametrize("value", _labelled(ALPHANUMERIC))
def test_alphanumeric_senders_only_send(value: str) -> None:
    assert number.is_alphanumeric_sender(value)
    assert number.is_sender(value)
    assert not number.is_recipient(value)
    assert not number.is_e164(value)
    assert not number.is_short_code(value)


@pytest.mark.parametrize("value", _labelled(NOTHING))
def test_anything_else_is_no_number_at_all(value: str) -> None:
    assert not number.is_e164(value)
    assert not number.is_short_code(value)
    assert not number.is_alphanumeric_sender(value)
    assert not number.is_recipient(value)
    assert not number.is_sender(value)


KINDS = {
    "+19195550117": Kind.LONG_CODE,
    "+442079460123": Kind.LONG_CODE,
    "+448005550117": Kind.LONG_CODE,
    "+18225550117": Kind.LONG_CODE,
    "+18995550117": Kind.LONG_CODE,
    "+18005550117": Kind.TOLL_FREE,
    "+18335550117": Kind.TOLL_FREE,
    "+18445550117": Kind.TOLL_FREE,
    "+18555550117": Kind.TOLL_FREE,
    "+18665550117": Kind.TOLL_FREE,
    "+18775550117": Kind.TOLL_FREE,
    "+18885550117": Kind.TOLL_FREE,
    "46645": Kind.SHORT_CODE,
    "Passband": Kind.ALPHANUMERIC,
    "18005550117A": Kind.ALPHANUMERIC,
}


@pytest.mark.parametrize(("value", "kind"), KINDS.items())
def test_a_number_has_one_kind(value: str, kind: Kind) -> None:
    assert number.kind(value) is kind


POSSIBLE = {
    "+19195550117": True,
    "+19190000000": True,  # exchange codes are not judged
    "+1919555011": False,
    "+191955501177": False,
    "+10195550117": False,
    "+11195550117": False,
    "+12195550117": True,
    "+15550117": False,
    "+12": False,
    "+442079460123": True,
    "+44207946": False,
    "+2101234567": False,  # no such country code
    "+999123456789": False,
    "46645": True,
    "Passband": True,
}


@pytest.mark.parametrize(("value", "possible"), POSSIBLE.items())
def test_a_number_is_possible_by_its_country_and_length(value: str, possible: bool) -> None:
    assert number.is_possible(value) is possible


def _every_code_and_length() -> Iterator[tuple[str, PhoneNumber]]:
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for digits in range(1, 16 - len(str(code))):
            national = "2" * digits
            yield f"+{code}{national}", PhoneNumber(country_code=code, national_number=int(national))


def test_libphonenumber_finds_the_same_lengths_possible_for_every_country() -> None:
    differing = [
        value
        for value, theirs in _every_code_and_length()
        if number.is_possible(value)
        != (phonenumbers.is_possible_number_with_reason(theirs) == ValidationResult.IS_POSSIBLE)
    ]
    assert differing == []


def test_only_numbers_without_their_area_code_are_possible_to_libphonenumber_alone() -> None:
    # is_possible_number also answers yes where a number can be dialled within its area, +1 and seven digits for one.
    # A message cannot be addressed so: such a recipient is 4303.
    for value, theirs in _every_code_and_length():
        if number.is_possible(value) != phonenumbers.is_possible_number(theirs):
            reason = phonenumbers.is_possible_number_with_reason(theirs)
            assert reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY, value


def test_a_country_code_that_nobody_has_is_impossible_at_any_length() -> None:
    known = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    unknown = [str(code) for code in range(100, 1000) if not {str(code)[:length] for length in (1, 2, 3)} & known]
    assert unknown
    for code in unknown:
        assert not any(number.is_possible(f"+{code}{'2' * digits}") for digits in range(13))
