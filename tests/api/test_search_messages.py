"""GET …/messages: every parameter, pages, and what is refused (HTTP API, section 3)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.service import NOW, PATH, Service
from passband.api.countries import country_of
from passband.api.search import AddressRate, page_token
from passband.domain.errors import SearchRateExceeded, StoreUnavailable
from passband.domain.message import Direction, Kind
from passband.store import Found


def found(n: int = 0, **fields: Any) -> Found:
    values: dict[str, Any] = {
        "id": f"1773044142317kq4zt7m2xw6yb3{n:02}",
        "account": "5500123",
        "source": "+19195550117",
        "destination": "+14085550142",
        "status": "SENDING",
        "direction": Direction.OUT,
        "kind": Kind.SMS,
        "segment_count": 1,
        "code": 0,
        "received_at": NOW,
        "carrier": "other",
        "length": 19,
        "attachments": 0,
        "recipients": 1,
    } | fields
    return Found(**values)


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("messageId=abc", {"id": "abc"}),
    ("sourceTn=%2B19195550117", {"sources": ("+19195550117",)}),
    ("sourceTn=+19195550117", {"sources": ("+19195550117",)}),
    ("sourceTn=%2B1919", {"sources": ("+1919*",)}),
    ("sourceTn=%2B493012", {"sources": ("+493012*",)}),
    ("destinationTn=%2B19195550117,%2B14085550142,2020", {"destinations": ("+19195550117", "+14085550142", "2020")}),
    ("destinationTn=88888", {"destinations": ("88888",)}),
    ("sourceTn=Passband", {"sources": ("Passband",)}),
    ("messageStatus=UNDELIVERED", {"status": "UNDELIVERED"}),
    ("messageDirection=INBOUND", {"direction": Direction.IN}),
    ("messageType=mms", {"kind": Kind.MMS}),
    ("carrierName=other", {"carrier": "other"}),
    ("errorCode=0", {"code": 0}),
    ("fromDateTime=2026-03-09T08:15:42.317Z", {"received_from": NOW}),
    ("toDateTime=2026-03-09T09:15:42.317%2B01:00", {"received_to": NOW}),
    ("fromSegmentCount=2&toSegmentCount=3", {"min_segments": 2, "max_segments": 3}),
    ("fromMessageSize=2&toMessageSize=3", {"min_length": 2, "max_length": 3}),
    ("errorCode=0&sort=sourceTn:asc", {"sort": "source", "descending": False}),
    ("errorCode=0&sort=bwQueued:desc", {"sort": "received_at", "descending": True}),
    ("errorCode=0&limit=10000", {"limit": 10000, "offset": 0}),
    (f"errorCode=0&limit=50&pageToken={page_token(150)}", {"limit": 50, "offset": 150}),
    ("errorCode=0&nosuch=1&sourceTn=&messageType=", {"sources": (), "kind": None, "limit": 100}),
    ("messageId=a&messageId=b", {"id": "a"}),
]

NOTHING = ["campaignId=C1", "location=L1", "fromBwLatency=0", "fromCarrierLatency=1", "messageType=rcs&errorCode=0"]

NO_NUMBER = "'sourceTn' must be a telephone number, up to 10 of them with commas, or the beginning of one"
FILTER = "At least one search parameter is required"
REFUSED: list[tuple[str, str]] = [
    ("", FILTER),
    ("nosuch=1", FILTER),
    ("limit=10&sort=sourceTn:asc&limitTotalCount=true", FILTER),
    ("sourceTn=", FILTER),
    ("sourceTn=%2B191", "'sourceTn' must be a telephone number or at least 5 characters of its beginning"),
    ("sourceTn=1*", "'sourceTn' must be a telephone number, up to 10 of them with commas, or the beginning of one"),
    (
        "sourceTn=%2B1919,",
        "'sourceTn' must be a telephone number, up to 10 of them with commas, or the beginning of one",
    ),
    ("destinationTn=" + ",".join(["88888"] * 11), "'destinationTn' must be at most 10 telephone numbers"),
    (
        "messageStatus=sent",
        "'messageStatus' must be one of ACCEPTED, DELIVERED, FAILED, QUEUED, RECEIVED, SENDING, SENT, UNDELIVERED",
    ),
    ("messageDirection=out", "'messageDirection' must be one of INBOUND, OUTBOUND"),
    ("messageType=SMS", "'messageType' must be one of mms, rcs, sms"),
    ("errorCode=x", "'errorCode' must be a whole number"),
    ("errorCode=-1", "'errorCode' must be a whole number"),
    ("errorCode=" + "9" * 5000, "'errorCode' must be a whole number"),
    ("fromDateTime=2026-03-01T00:00:00Z", "'fromDateTime' must be an ISO 8601 date-time with milliseconds"),
    ("toDateTime=2026-02-30T00:00:00.000Z", "'toDateTime' must be an ISO 8601 date-time with milliseconds"),
    ("fromDateTime=2026-03-01T00:00:00.000", "'fromDateTime' must be an ISO 8601 date-time with milliseconds"),
    ("callingNumberCountryA3=US", "'callingNumberCountryA3' must be a country code of three letters"),
    ("bwQueued=yes", "'bwQueued' must be 'true' or 'false'"),
    ("errorCode=0&limit=0", "'limit' must be from 1 to 10000"),
    ("errorCode=0&limit=10001", "'limit' must be from 1 to 10000"),
    ("errorCode=0&limit=x", "'limit' must be a whole number"),
    ("errorCode=0&sort=sourceTn", "'sort' must be a search parameter with ':asc' or ':desc'"),
    ("errorCode=0&sort=id:asc", "'sort' must be a search parameter with ':asc' or ':desc'"),
    ("errorCode=0&pageToken=x", "'pageToken' must be a token from 'pageInfo'"),
    ("errorCode=0&pageToken=bm9uc2Vuc2U=", "'pageToken' must be a token from 'pageInfo'"),
    (f"errorCode=0&pageToken={page_token(9950)}", "'limit' must be such that offset plus limit is at most 10000"),
    ("messageId=%ff", "The query cannot be read"),
    ("&".join(["a=b"] * 101), "The query cannot be read"),
]


async def ask(service: Service, query: str) -> Any:
    reply = await service.request("GET", f"{PATH}?{query}")
    assert reply.status == 200, reply.body
    return reply.json


@pytest.mark.parametrize(("query", "expected"), ASKED)
async def test_a_parameter_reaches_the_store(service: Service, query: str, expected: dict[str, Any]) -> None:
    await ask(service, query)
    assert {name: getattr(service.queries[0], name) for name in expected} == expected
    assert service.queries[0].account == "5500123"


@pytest.mark.parametrize("query", NOTHING)
async def test_a_parameter_about_what_is_not_held_matches_nothing(service: Service, query: str) -> None:
    service.found = [found()]
    assert await ask(service, query) == {"totalCount": 0, "pageInfo": {}, "messages": []}
    assert service.queries == []


@pytest.mark.parametrize(("query", "description"), REFUSED)
async def test_a_value_that_cannot_be_read_is_named(service: Service, query: str, description: str) -> None:
    reply = await service.request("GET", f"{PATH}?{query}")
    assert reply.status == 400
    assert reply.json == {"type": "request-validation", "description": description}


async def test_one_item_shows_what_is_known_of_a_recipient(service: Service) -> None:
    service.found = [found(source="88888", destination="+447400123456", direction=Direction.IN, carrier=None)]
    page = await ask(service, "messageId=x")
    assert page["totalCount"] == 1
    assert page["pageInfo"] == {}
    item = page["messages"][0]
    assert item["messageDirection"] == "INBOUND"
    assert item["receiveTime"] == "2026-03-09T08:15:42.317Z"
    assert item["carrierName"] is None
    assert (item["callingNumberCountryA3"], item["calledNumberCountryA3"]) == (None, "GBR")
    assert item["product"] == "P2P"


DERIVED: list[tuple[str, list[int]]] = [
    ("calledNumberCountryA3=GBR", [1]),
    ("callingNumberCountryA3=USA", [0, 1, 2]),
    ("product=TOLL_FREE", [2]),
    ("product=SHORT_CODE_REACH&calledNumberCountryA3=USA", [3]),
    ("product=RBM_RICH", []),
    ("bwQueued=true", [1]),
    ("bwQueued=false", [0, 2, 3]),
    ("carrierQueued=true", [0]),
]


@pytest.mark.parametrize(("query", "expected"), DERIVED)
async def test_what_follows_from_other_facts_is_searched_too(service: Service, query: str, expected: list[int]) -> None:
    service.found = [
        found(0),
        found(1, destination="+447400123456", status="QUEUED"),
        found(2, source="+18005550117", status="DELIVERED"),
        found(3, source="2020", status="DELIVERED"),
    ]
    page = await ask(service, query)
    assert [int(item["messageId"][-2:]) for item in page["messages"]] == expected
    assert page["totalCount"] == len(expected)
    assert service.queries[0].limit == 10_000


@pytest.mark.parametrize("query", ["errorCode=0&sourceTn=%2B1919", "callingNumberCountryA3=USA"])
async def test_pages_lead_to_each_other(service: Service, query: str) -> None:
    service.found = [found(n) for n in range(25)]
    seen = []
    path = f"{PATH}?{query}&limit=10&nosuch=1"
    while path:
        page = (await service.request("GET", path)).json
        assert page["totalCount"] == 25
        seen.append([int(item["messageId"][-2:]) for item in page["messages"]])
        info = page["pageInfo"]
        address = info.get("nextPage", "")
        assert address == "" or address.startswith("https://messaging.example.net/api/v2/users/5500123/messages?")
        if address:
            asked = dict(parse_qsl(urlsplit(address).query))
            assert asked == dict(parse_qsl(query)) | {"limit": "10", "pageToken": info["nextPageToken"]}
        path = address.removeprefix("https://messaging.example.net")
    assert seen == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    back = (await service.request("GET", info["prevPage"].removeprefix("https://messaging.example.net"))).json
    assert [int(item["messageId"][-2:]) for item in back["messages"]] == seen[1]


async def test_the_total_count_can_be_limited_and_pages_end_at_ten_thousand(service: Service) -> None:
    service.found = [found(0)] * 10_200
    assert (await ask(service, "errorCode=0"))["totalCount"] == 10_200
    page = await ask(service, f"errorCode=0&limitTotalCount=true&pageToken={page_token(9_900)}")
    assert page["totalCount"] == 10_000
    assert set(page["pageInfo"]) == {"prevPage", "prevPageToken"}


async def test_a_store_that_cannot_search_is_503(service: Service) -> None:
    service.error = StoreUnavailable()
    assert (await service.request("GET", f"{PATH}?errorCode=0")).status == 503


def test_an_address_may_search_so_often_in_five_minutes() -> None:
    rate = AddressRate(3, 300)
    for _ in range(3):
        rate.count("192.0.2.1", NOW)
    with pytest.raises(SearchRateExceeded):
        rate.count("192.0.2.1", NOW + 299)
    rate.count("192.0.2.2", NOW + 299)
    rate.count("192.0.2.1", NOW + 300)


def test_addresses_are_not_remembered_without_bound() -> None:
    rate = AddressRate(3, 300)
    for n in range(20_000):
        rate.count(str(n), NOW)
    assert len(rate._counts) == 10_000


COUNTRIES = [
    ("+19195550117", "USA"),
    ("+14165550142", "CAN"),
    ("+447400123456", "GBR"),
    ("+77012345678", "KAZ"),
    ("+18005551212", "USA"),
    ("+870773111632", None),
    ("88888", None),
    ("Passband", None),
]


@pytest.mark.parametrize(("number", "country"), COUNTRIES)
def test_a_number_tells_its_country(number: str, country: str | None) -> None:
    assert country_of(number) == country


def test_every_region_of_the_number_tables_has_three_letters() -> None:
    phonenumbers = pytest.importorskip("phonenumbers")
    from passband.api.countries import _ALPHA_3

    assert set(phonenumbers.SUPPORTED_REGIONS) <= set(_ALPHA_3)
