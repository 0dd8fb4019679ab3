"""Searching messages: metadata of what is still alive, or as long as the operator keeps history.

Rule: every documented parameter is checked (HTTP API, section 3.1). Most go to the store as they are. What the store
cannot decide, because it follows from other facts, is decided here over at most 10,000 of the rows that match the rest:
countries and product (from the numbers), ``bwQueued`` and ``carrierQueued`` (from status and direction). Parameters
about what Passband holds nothing of match nothing: ``campaignId``, ``location``, ``fromBwLatency``,
``fromCarrierLatency`` and ``messageType=rcs``. The size of a message is taken to be its length.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from passband.api.asgi import JSON, Receive, Scope, Send, answer
from passband.api.countries import country_of
from passband.domain.account import Account
from passband.domain.errors import InvalidRequest, SearchRateExceeded
from passband.domain.message import Direction, Kind
from passband.domain.number import Kind as NumberKind
from passband.domain.number import is_possible, is_sender
from passband.domain.number import kind as number_kind
from passband.store import Found, Query
from passband.wire import PageInfo, SearchItem, parse_timestamp, search_body, timestamp

Search = Callable[[Query, float], Awaitable[tuple[int, list[Found]]]]

# Offset plus limit (HTTP API, section 3.1); also how many rows are looked at for what the store cannot decide.
_REACH = 10_000
_DEFAULT_LIMIT = 100
_MAX_NUMBERS = 10
_MIN_PREFIX = 5
_RATE, _RATE_SECONDS = 3500, 300
_MAX_ADDRESSES = 10_000


class SearchMessages:
    """``GET /users/{accountId}/messages`` (HTTP API, section 3)."""

    def __init__(self, search: Search, now: Callable[[], float], public_url: str) -> None:
        self._search = search
        self._now = now
        self._public_url = public_url.rstrip("/")
        self._rate = AddressRate()

    async def __call__(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        asked = read_query(account.id, scope["query_string"])
        now = self._now()
        self._rate.count(scope["client"][0], now)
        found: list[Found] = []
        total = 0
        if asked.nothing:
            pass
        elif asked.derived:
            total, found = await self._derive(asked, now)
        else:
            total, found = await self._search(asked.query, now)
        if asked.capped:
            total = min(total, _REACH)
        page = self._page(account.id, asked, total)
        await answer(send, 200, (JSON,), await asyncio.to_thread(_body, total, page, found))

    async def _derive(self, asked: "Asked", now: float) -> tuple[int, list[Found]]:
        from_start = asked.whole()
        _, candidates = await self._search(from_start, now)
        found = await asyncio.to_thread(lambda: [one for one in candidates if all(d(one) for d in asked.derived)])
        offset = asked.query.offset
        return len(found), found[offset : offset + asked.query.limit]

    def _page(self, account: str, asked: "Asked", total: int) -> PageInfo:
        offset, limit = asked.query.offset, asked.query.limit
        page = PageInfo()
        path = f"{self._public_url}/api/v2/users/{quote(account, safe='')}/messages"
        if offset > 0:
            page.prev_page_token = page_token(max(0, offset - limit))
            page.prev_page = _address(path, asked, page.prev_page_token)
        if offset + limit < total and offset + 2 * limit <= _REACH:
            page.next_page_token = page_token(offset + limit)
            page.next_page = _address(path, asked, page.next_page_token)
        return page


def _address(path: str, asked: "Asked", token: str) -> str:
    return f"{path}?{urlencode([*asked.given, ('pageToken', token)])}"


def _body(total: int, page: PageInfo, found: Sequence[Found]) -> bytes:
    return search_body(total, page, [_item(one) for one in found])


def _item(found: Found) -> SearchItem:
    return SearchItem(
        message_id=found.id,
        account_id=found.account,
        source_tn=found.source,
        destination_tn=found.destination,
        message_status=found.status,
        message_direction=_DIRECTION_WORDS[found.direction],
        message_type=found.kind.value,
        segment_count=found.segment_count,
        error_code=found.code,
        receive_time=timestamp(found.received_at),
        carrier_name=found.carrier,
        message_size=found.length,
        message_length=found.length,
        attachment_count=found.attachments,
        recipient_count=found.recipients,
        calling_number_country_a3=country_of(found.source),
        called_number_country_a3=country_of(found.destination),
        product=_product(found),
    )


_DIRECTION_WORDS = {Direction.IN: "INBOUND", Direction.OUT: "OUTBOUND"}
_DIRECTIONS = {word: direction for direction, word in _DIRECTION_WORDS.items()}
_STATUSES = frozenset({"RECEIVED", "QUEUED", "SENDING", "SENT", "FAILED", "DELIVERED", "ACCEPTED", "UNDELIVERED"})
_PRODUCTS = frozenset(
    {
        "LOCAL_A2P",
        "P2P",
        "SHORT_CODE_REACH",
        "TOLL_FREE",
        "HOSTED_SHORT_CODE",
        "ALPHA_NUMERIC",
        "RBM_MEDIA",
        "RBM_RICH",
        "RBM_CONVERSATIONAL",
    }
)
_PRODUCT_OF = {
    NumberKind.LONG_CODE: "P2P",
    NumberKind.TOLL_FREE: "TOLL_FREE",
    NumberKind.SHORT_CODE: "SHORT_CODE_REACH",
    NumberKind.ALPHANUMERIC: "ALPHA_NUMERIC",
}


def _product(found: Found) -> str:
    """Return the product, which is a matter of our own number's kind."""
    return _PRODUCT_OF[number_kind(found.source if found.direction is Direction.OUT else found.destination)]


# --- reading the query ----------------------------------------------------------------------------------------------

Test = Callable[[Found], bool]


class Asked(NamedTuple):
    """What was asked: the store's part, what is decided here, and how it is to be answered."""

    query: Query
    derived: tuple[Test, ...]
    nothing: bool
    capped: bool
    given: tuple[tuple[str, str], ...]

    def whole(self) -> Query:
        """Return the query for everything that can be looked at."""
        return msgspec.structs.replace(self.query, offset=0, limit=_REACH)


def _bad(name: str, rule: str) -> InvalidRequest:
    return InvalidRequest(description=f"'{name}' must be {rule}")


def _text(name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> int:
    if re.fullmatch("[0-9]{1,9}", value) is None:
        raise _bad(name, "a whole number")
    return int(value)


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise _bad(name, "'true' or 'false'")
    return value.lower() == "true"


def _instant(name: str, value: str) -> float:
    # "+" of an offset that was not percent-encoded arrives as a blank.
    value = value.replace(" ", "+")
    try:
        if re.search(r"\.[0-9]{3}(Z|[+-])", value) is None:
            raise _bad(name, "an ISO 8601 date-time with milliseconds")
        return parse_timestamp(value)
    except ValueError:
        raise _bad(name, "an ISO 8601 date-time with milliseconds") from None


def _country(name: str, value: str) -> str:
    if re.fullmatch("[A-Z]{3}", value) is None:
        raise _bad(name, "a country code of three letters")
    return value


def _word(words: frozenset[str]) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in words:
            raise _bad(name, f"one of {', '.join(sorted(words))}")
        return value

    return read


def _numbers(name: str, value: str) -> tuple[str, ...]:
    """Return full numbers, or one prefix with ``*`` after it."""
    # "+" that was not percent-encoded arrives as a blank.
    numbers = tuple("+" + number[1:] if number.startswith(" ") else number for number in value.split(","))
    if len(numbers) > _MAX_NUMBERS:
        raise _bad(name, f"at most {_MAX_NUMBERS} telephone numbers")
    if len(numbers) == 1 and re.fullmatch(r"\+[0-9]*", numbers[0]) and not _is_full(numbers[0]):
        if len(numbers[0]) < _MIN_PREFIX:
            raise _bad(name, f"a telephone number or at least {_MIN_PREFIX} characters of its beginning")
        return (numbers[0] + "*",)
    if not all(map(is_sender, numbers)):
        raise _bad(name, "a telephone number, up to 10 of them with commas, or the beginning of one")
    return numbers


def _is_full(number: str) -> bool:
    """Whether no longer number begins with this one: else it is taken as a beginning, which finds it as well."""
    return is_possible(number) and not any(
        is_possible(number.ljust(length, "0")) for length in range(len(number) + 1, 17)
    )


_Reader = Callable[[str, str], object]

# parameter → how it is read, and the field of Query that it fills, if the store knows it.
_FILTERS: Mapping[str, tuple[_Reader, str | None]] = {
    "messageId": (_text, "id"),
    "sourceTn": (_numbers, "sources"),
    "destinationTn": (_numbers, "destinations"),
    "messageStatus": (_word(_STATUSES), "status"),
    "messageDirection": (_word(frozenset(_DIRECTIONS)), None),
    "messageType": (_word(frozenset({"sms", "mms", "rcs"})), None),
    "carrierName": (_text, "carrier"),
    "errorCode": (_number, "code"),
    "fromDateTime": (_instant, "received_from"),
    "toDateTime": (_instant, "received_to"),
    "campaignId": (_text, None),
    "location": (_text, None),
    "product": (_word(_PRODUCTS), None),
    "callingNumberCountryA3": (_country, None),
    "calledNumberCountryA3": (_country, None),
    "bwQueued": (_flag, None),
    "carrierQueued": (_flag, None),
    "fromBwLatency": (_number, None),
    "fromCarrierLatency": (_number, None),
    "fromSegmentCount": (_number, "min_segments"),
    "toSegmentCount": (_number, "max_segments"),
    "fromMessageSize": (_number, "min_length"),
    "toMessageSize": (_number, "max_length"),
}
_CONTROLS: Mapping[str, _Reader] = {
    "sort": _text,
    "limit": _number,
    "pageToken": _text,
    "limitTotalCount": _flag,
}
_UNKNOWN_TO_US = ("campaignId", "location", "fromBwLatency", "fromCarrierLatency")
# What a search is sorted by: a filter's name, or a name of the items → a field of Found. Others sort by time.
_SORTS = {
    "messageId": "id",
    "sourceTn": "source",
    "destinationTn": "destination",
    "messageStatus": "status",
    "messageDirection": "direction",
    "messageType": "kind",
    "carrierName": "carrier",
    "errorCode": "code",
    "fromSegmentCount": "segment_count",
    "toSegmentCount": "segment_count",
    "segmentCount": "segment_count",
    "fromMessageSize": "length",
    "toMessageSize": "length",
    "messageSize": "length",
    "messageLength": "length",
    "receiveTime": "received_at",
    "dateTime": "received_at",
}


def read_query(account: str, query_string: bytes) -> Asked:
    """Return what a query string asks for. An empty value is as if the parameter was not there; repeats do not count.

    Raises InvalidRequest with the first fault.
    """
    given: dict[str, str] = {}
    try:
        for name, value in parse_qsl(query_string.decode("ascii", "replace"), errors="strict", max_num_fields=100):
            if name in _FILTERS or name in _CONTROLS:
                given.setdefault(name, value)
    except ValueError:
        raise InvalidRequest(description="The query cannot be read") from None
    values = {name: read(name, given[name]) for name, (read, _) in _FILTERS.items() if name in given}
    if not values:
        raise InvalidRequest(description="At least one search parameter is required")
    fields = {field: values[name] for name, (_, field) in _FILTERS.items() if field and name in values}
    nothing = any(name in values for name in _UNKNOWN_TO_US) or values.get("messageType") == "rcs"
    if "messageDirection" in values:
        fields["direction"] = _DIRECTIONS[given["messageDirection"]]
    if "messageType" in values and not nothing:
        fields["kind"] = Kind(given["messageType"])
    controls = {name: read(name, given[name]) for name, read in _CONTROLS.items() if name in given}
    sort, descending = _sorting(given.get("sort"))
    limit, offset = _paging(given)
    query = Query(account, sort=sort, descending=descending, offset=offset, limit=limit, **fields)  # type: ignore[arg-type]
    repeated = tuple((name, value) for name, value in given.items() if name != "pageToken")
    return Asked(query, _derived(values), nothing, bool(controls.get("limitTotalCount")), repeated)


def _derived(values: Mapping[str, object]) -> tuple[Test, ...]:
    """Return the tests of what the store cannot decide."""
    tests: list[Test] = []
    if calling := values.get("callingNumberCountryA3"):
        tests.append(lambda found: country_of(found.source) == calling)
    if called := values.get("calledNumberCountryA3"):
        tests.append(lambda found: country_of(found.destination) == called)
    if product := values.get("product"):
        tests.append(lambda found: _product(found) == product)
    if "bwQueued" in values:
        tests.append(lambda found: _is_outbound(found, ("RECEIVED", "QUEUED")) is values["bwQueued"])
    if "carrierQueued" in values:
        tests.append(lambda found: _is_outbound(found, ("SENDING",)) is values["carrierQueued"])
    return tuple(tests)


def _is_outbound(found: Found, statuses: tuple[str, ...]) -> bool:
    return found.direction is Direction.OUT and found.status in statuses


def _sorting(sort: str | None) -> tuple[str, bool]:
    if sort is None:
        return "received_at", True
    field, colon, order = sort.partition(":")
    if (field not in _SORTS and field not in _FILTERS) or not colon or order.lower() not in ("asc", "desc"):
        raise _bad("sort", "a search parameter with ':asc' or ':desc'")
    return _SORTS.get(field, "received_at"), order.lower() == "desc"


def _paging(given: Mapping[str, str]) -> tuple[int, int]:
    limit = _number("limit", given["limit"]) if "limit" in given else _DEFAULT_LIMIT
    if not 1 <= limit <= _REACH:
        raise _bad("limit", f"from 1 to {_REACH}")
    offset = _offset(given["pageToken"]) if "pageToken" in given else 0
    if offset + limit > _REACH:
        raise _bad("limit", f"such that offset plus limit is at most {_REACH}")
    return limit, offset


def page_token(offset: int) -> str:
    """Return the token of the page that begins at an offset; what it means is nobody's business but ours."""
    return base64.urlsafe_b64encode(b"offset:%d" % offset).decode()


def _offset(token: str) -> int:
    try:
        decoded = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except ValueError:
        decoded = ""
    match = re.fullmatch("offset:([0-9]{1,5})", decoded)
    if match is None:
        raise _bad("pageToken", "a token from 'pageInfo'")
    return int(match[1])


# --- the rate -------------------------------------------------------------------------------------------------------


class AddressRate:
    """Counts searches of each source address in windows of five minutes."""

    def __init__(self, rate: int = _RATE, seconds: float = _RATE_SECONDS) -> None:
        self._limit = rate
        self._seconds = seconds
        self._counts: dict[str, tuple[float, int]] = {}

    def count(self, address: str, now: float) -> None:
        """Count one search. Raises SearchRateExceeded above the limit."""
        began, count = self._counts.get(address, (now, 0))
        if now - began >= self._seconds:
            began, count = now, 0
        if count >= self._limit:
            raise SearchRateExceeded
        if address not in self._counts and len(self._counts) >= _MAX_ADDRESSES:
            del self._counts[next(iter(self._counts))]
        self._counts[address] = (began, count + 1)
