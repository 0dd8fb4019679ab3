"""Names: what is refused, what travels in a URL, and that no name leads out of its account."""

import itertools
from pathlib import PurePath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from media.tables import ALLOWED, REFUSED
from passband.media import BadMediaName
from passband.media.names import KEYED_OCTETS, check_name, key_of, keyed_octets, media_url, name_from_path


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadMediaName):
        key_of(name)


@pytest.mark.parametrize("name", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_key_is_one_harmless_file_name(name: str) -> None:
    key = key_of(name)
    assert PurePath(key).name == key
    assert len(key) <= 255
    assert set(key) <= set("0123456789abcdefghijklmnopqrstuv.")
    assert not key.startswith(".")
    assert (keyed_octets(key) or b"") == name.encode()[:KEYED_OCTETS]


def test_no_two_names_share_a_key() -> None:
    keys = [key_of(name) for name in ALLOWED.values()]
    assert len(set(keys)) == len(ALLOWED)
    for one, other in itertools.permutations(keys, 2):
        assert not other.startswith(f"{one}/")


PATHS = {
    "raw slash": ("a/b.png", "a/b.png"),
    "encoded slash": ("a%2Fb.png", "a/b.png"),
    "encoded slash in small letters": ("a%2fb.png", "a/b.png"),
    "both": ("m%2F0/0.smil", "m/0/0.smil"),
    "encoded percent stays": ("a%252Fb", "a%2Fb"),
    "twice encoded dots stay": ("%252e%252e", "%2e%2e"),
    "plus is a plus": ("a+b", "a+b"),
    "blank": ("a%20b", "a b"),
    "UTF-8": ("caf%C3%A9", "café"),
    "no encoding at all": ("100%", "100%"),
    "slash at the end": ("menu.png/", "menu.png"),
}


@pytest.mark.parametrize(("raw", "name"), PATHS.values(), ids=PATHS.keys())
def test_a_path_is_decoded_once(raw: str, name: str) -> None:
    assert name_from_path(raw) == name


BAD_PATHS = {
    "encoded dots": "%2e%2e/secret",
    "half encoded dots": ".%2E/secret",
    "encoded traversal": "a%2F..%2F..%2Fsecret",
    "encoded NUL": "a%00",
    "encoded line end": "a%0d%0ab",
    "overlong slash": "..%c0%afsecret",
    "Latin-1": "caf%E9",
    "UTF-8 surrogate": "%ED%A0%80",
    "encoded slash at the end": "a%2F",
    "two slashes at the end": "a//",
    "slash alone": "/",
    "absolute": "%2Fetc%2Fpasswd",
}


@pytest.mark.parametrize("raw", BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_a_path_that_is_no_name_is_refused(raw: str) -> None:
    with pytest.raises(BadMediaName):
        name_from_path(raw)


@pytest.mark.parametrize("name", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_url_leads_back_to_its_name(name: str) -> None:
    url = media_url("https://messaging.example.net", "55/00", name)
    base = "https://messaging.example.net/api/v2/users/55%2F00/media/"
    assert url.startswith(base)
    assert url.isascii()
    assert name_from_path(url.removeprefix(base)) == name


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(names, names)
def test_keys_are_ordered_like_names(one: str, other: str) -> None:
    try:
        short = max(len(check_name(one)), len(check_name(other))) <= KEYED_OCTETS
    except BadMediaName:
        short = False
    assume(short)
    assert (key_of(one) < key_of(other)) == (one < other)
    assert (key_of(one) == key_of(other)) == (one == other)
