"""The HTTP API's JSON, exactly as documented, to and from our values.

Rule: here are shapes, key orders and texts of fields; no I/O, and nothing is looked up. The order of the fields of a
Struct below is the order of the keys on the wire. Reading has a fast path for what is right, and a slow one that is
walked only to name what is wrong.

Measured on CPython 3.11 for one recipient and 60 characters: decode_new_message 2.0 µs, created_body 0.9 µs, event_body
2.1 µs, timestamp 0.3 µs.
"""

import json
import re
from calendar import timegm
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET, UnsetType

from passband.domain.errors import FieldFault, InvalidRequest
from passband.domain.event import FAILED, Callback, EventKind
from passband.domain.message import IN, Direction, Message, NewMessage, Priority
from passband.domain.number import is_recipient, is_sender

MAX_BODY_OCTETS = 1024 * 1024
MAX_RECIPIENTS = 10
MAX_TEXT = 2048
MAX_TAG = 1024
MAX_URL = 4096

# A body of 1 MiB has room for 200,000 bad values; each would be answered with a sentence.
_MAX_NAMED = 10

# --- instants -------------------------------------------------------------------------------------------------------


_MILLISECONDS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))


@lru_cache(maxsize=1024)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)  # many events of one commit, and a message's creation in its answer and in its events
def timestamp(at: float) -> str:
    """Return an instant as the API writes it, ``YYYY-MM-DDTHH:MM:SS.mmmZ`` (HTTP API, section 1.3)."""
    milliseconds = round(at * 1000)
    second = milliseconds // 1000
    return _second(second) + _MILLISECONDS[milliseconds - second * 1000]


_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,100})?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
).fullmatch


def parse_timestamp(text: str) -> float:
    """Return the instant of an RFC 3339 date-time, in seconds since 1970.

    ``Z`` or an offset is required. Raises ValueError for anything else and for days and hours that do not exist. A leap
    second counts as the second after it.
    """
    match = _RFC_3339(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, offset_hours, offset_minutes = match.group(7, 8, 9, 10)
    midnight = datetime(year, month, day, tzinfo=UTC)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no such time of day")
    at = timegm(midnight.timetuple()) + 3600 * hour + 60 * minute + second + float(fraction or 0)
    if sign is None:
        return at
    if int(offset_hours) > 23 or int(offset_minutes) > 59:
        raise ValueError("no such offset")
    offset = 3600 * int(offset_hours) + 60 * int(offset_minutes)
    return at - offset if sign == "+" else at + offset


# --- the request to create a message --------------------------------------------------------------------------------


class _Request(msgspec.Struct, gc=False):
    """The body as sent; ``null`` and absent are the same (HTTP API, section 1.3)."""

    application: str | None = msgspec.field(name="applicationId", default=None)
    to: str | list[str] | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    text: str | None = None
    media: str | list[str] | None = None
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None


_decode = msgspec.json.Decoder(_Request).decode
_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(_Request))
_QUOTED_KEYS = tuple(f'"{key}"'.encode() for key in _KEYS)
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]").search
_SURROGATE = re.compile("[\ud800-\udfff]").search
_DEFAULT = Priority.DEFAULT
_PRIORITIES = {None: None, "default": _DEFAULT, "high": Priority.HIGH}

# Absolute, http or https, with a host. Blanks, control characters and back-slashes make it invalid: what follows them
# is read differently by different programs.
_url = re.compile(
    r"https?://(?:[^\s\x00-\x1f\x7f/?#@\\]*@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x1f\x7f/?#@:\[\]\\]+)(?::[0-9]{0,5})?"
    r"(?:[/?#][^\s\x00-\x1f\x7f\\]*)?",
    re.IGNORECASE,
).fullmatch


def decode_new_message(body: bytes, now: float) -> NewMessage:
    """Return what the application asks to send.

    Lone surrogates are let through in the text alone, which then cannot be sent (4301). Raises InvalidRequest with
    every fault of every field, or without any where the body as a whole cannot be read (HTTP API, sections 2.1, 2.4).
    """
    request = _read(body)
    sender, application, tag, media = request.sender, request.application, request.tag, request.media
    to = _listed(request.to)
    text = request.text or ""
    if (
        not sender
        or not is_sender(sender)
        or not to
        or len(to) > MAX_RECIPIENTS
        or not (text or media)
        or len(text) > MAX_TEXT
        or not application
        or (tag is not None and len(tag) > MAX_TAG)
        or request.priority not in _PRIORITIES
    ):
        _refuse(request, to, now)
    for number in to:
        if not is_recipient(number):
            _refuse(request, to, now)
    urls: tuple[str, ...] = ()
    if media is not None:
        urls = (media,) if isinstance(media, str) else tuple(media)
        if not all(map(_is_url, urls)):
            _refuse(request, to, now)
    expires_at = None
    if request.expiration is not None:
        expires_at = _expiry(request.expiration, now)
        if expires_at is None:
            _refuse(request, to, now)
    return NewMessage(
        application,
        sender,
        to,
        text,
        urls,
        tag,
        _PRIORITIES[request.priority],
        request.expiration,
        expires_at,
    )


def _read(body: bytes) -> _Request:
    if len(body) > MAX_BODY_OCTETS:
        raise InvalidRequest
    try:
        request = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b"\\u" not in body or isinstance(error, (msgspec.ValidationError, RecursionError)):
            raise InvalidRequest from error
        return _read_surrogates(body)
    # Quotation marks of what was found, each key and value once. More of them: a repeated key, or a key that we do not
    # know, null, or an escaped mark. This costs 0.2 µs, to look for each key on its own 1.5.
    if body.count(b'"') != 2 * _strings(request):
        _refuse_repeats(body)
    return request


def _strings(request: _Request) -> int:
    """Count the strings of a request, keys and values, as they are in a body without anything else."""
    values = msgspec.structs.astuple(request)
    strings = 2 * (len(values) - values.count(None))
    for several in (request.to, request.media):
        if isinstance(several, list):
            strings += len(several) - 1
    return strings


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _pairs(body: bytes) -> list[tuple[str, Any]]:
    """Return the members of the body's object with Python's own reader, which knows lone surrogates and repeats."""
    try:
        pairs = json.loads(body.decode(), object_pairs_hook=list, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest from error
    # With this hook an empty object and an empty array are the same; neither has a member.
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise InvalidRequest
    return pairs


def _refuse_repeats(body: bytes) -> None:
    """Refuse a known key that is there twice: which one counts differs from program to program."""
    # In JSON a quotation mark within a string is escaped: these octets are a whole string, be it a key or a value. The
    # letters of a key may be escaped too: "\\u0074o" is "to".
    if not _ESCAPED_LETTER(body) and not any(body.count(key) > 1 for key in _QUOTED_KEYS):
        return
    names = [name for name, _ in _pairs(body) if name in _KEYS]
    if len(names) != len(set(names)):
        raise InvalidRequest


def _read_surrogates(body: bytes) -> _Request:
    """Read a body that msgspec refuses, which it does for lone surrogates too."""
    _refuse_repeats(body)
    members = {name: value for name, value in _pairs(body) if name in _KEYS}
    try:
        request = msgspec.convert(members, _Request)
    except msgspec.ValidationError as error:
        raise InvalidRequest from error
    strings = [request.application, request.sender, request.tag, request.priority, request.expiration]
    for several in (request.to, request.media):
        strings += [several] if isinstance(several, str) else several or ()
    if any(_SURROGATE(string) for string in strings if string):
        raise InvalidRequest
    return request


def _listed(to: str | list[str] | None) -> tuple[str, ...]:
    """Return the recipients without repeats, the first of each kept (HTTP API, section 2.1)."""
    if not to:
        return ()
    if isinstance(to, str):
        return (to,)
    return tuple(to) if len(to) == 1 else tuple(dict.fromkeys(to))


def _is_url(text: str) -> bool:
    return len(text) <= MAX_URL and _url(text) is not None


def _expiry(text: str, now: float) -> float | None:
    try:
        at = parse_timestamp(text)
    except ValueError:
        return None
    return at if at > now else None


def _refuse(request: _Request, to: tuple[str, ...], now: float) -> NoReturn:
    """Raise InvalidRequest with every fault, in the documented order (HTTP API, section 2.3)."""
    raise InvalidRequest([FieldFault(field, text) for field, text in _faults(request, to, now)])


def _faults(request: _Request, to: tuple[str, ...], now: float) -> list[tuple[str, str]]:
    media = [request.media] if isinstance(request.media, str) else request.media or []
    faults = []
    if not request.sender:
        faults.append(("from", "'from' must contain exactly one telephone number"))
    elif not is_sender(request.sender):
        faults.append(("from", _bad_number(request.sender)))
    if not request.text and not media:
        faults.append(("text", "'text' is required unless media is included"))
    elif request.text and len(request.text) > MAX_TEXT:
        faults.append(("text", f"'text' must be {MAX_TEXT} characters or less"))
    if not to:
        faults.append(("to", "'to' must contain at least one telephone number"))
    elif len(to) > MAX_RECIPIENTS:
        faults.append(("to", f"'to' must contain at most {MAX_RECIPIENTS} telephone numbers"))
    faults += [("to", _bad_number(number)) for number in to if not is_recipient(number)][:_MAX_NAMED]
    if not request.application:
        faults.append(("applicationId", "'applicationId' is required"))
    bad_urls = [url for url in media if not _is_url(url)]
    faults += [("media", f"'{url}' must be replaced with a valid URL") for url in bad_urls[:_MAX_NAMED]]
    if request.tag is not None and len(request.tag) > MAX_TAG:
        faults.append(("tag", f"'tag' must be {MAX_TAG} characters or less"))
    if request.priority not in _PRIORITIES:
        faults.append(("priority", "'priority' must be one of 'default', 'high'"))
    if request.expiration is not None and _expiry(request.expiration, now) is None:
        faults.append(("expiration", "'expiration' must be a valid RFC-3339 date-time in the future"))
    return faults


def _bad_number(number: str) -> str:
    return f"'{number}' must be replaced with a valid E164 formatted telephone number"


# --- what is answered and told --------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode


class _Created(msgspec.Struct, gc=False):
    """The answer 202 (HTTP API, section 2.2)."""

    id: str
    owner: str
    applicationId: str  # noqa: N815 - the name on the wire
    time: str
    segmentCount: int  # noqa: N815
    direction: Direction
    to: tuple[str, ...]
    sender: str = msgspec.field(name="from")
    text: str
    media: tuple[str, ...] | UnsetType
    tag: str | UnsetType
    priority: Priority | UnsetType
    expiration: str | UnsetType


def created_body(message: Message, request: NewMessage) -> bytes:
    """Return the body of the 202 for a message that was stored (HTTP API, section 2.2)."""
    created = _Created(
        message.id,
        message.sender,
        message.application,
        timestamp(message.created_at),
        message.segment_count,
        message.direction,
        message.to,
        message.sender,
        request.text,
        request.media or UNSET,
        UNSET if request.tag is None else request.tag,
        UNSET if request.priority is None else request.priority,
        UNSET if request.expiration is None else request.expiration,
    )
    try:
        return _encode(created)
    except UnicodeEncodeError:  # a lone surrogate in the text: msgspec writes UTF-8, which cannot hold it
        return json.dumps(msgspec.to_builtins(created), separators=(",", ":")).encode()


class _EventMessage(msgspec.Struct, gc=False):
    id: str
    owner: str
    applicationId: str  # noqa: N815
    time: str
    segmentCount: int  # noqa: N815
    direction: Direction
    to: tuple[str, ...]
    sender: str = msgspec.field(name="from")
    text: str
    media: tuple[str, ...] | UnsetType
    tag: str | UnsetType
    priority: Priority | UnsetType


class _Event(msgspec.Struct, gc=False):
    """One event (Callbacks, section 2)."""

    time: str
    type: EventKind
    to: str
    description: str
    message: _EventMessage
    errorCode: int | UnsetType  # noqa: N815


def event_body(callback: Callback, *, omit_default_priority: bool = False) -> bytes:
    """Return the body that tells an application of an event: a JSON array of one (Callbacks, section 2).

    ``omit_default_priority`` leaves ``priority`` out where the request had none.
    """
    message = callback.message
    owner, text = message.sender, ""
    tag: str | UnsetType = message.tag or ""
    priority: Priority | UnsetType = message.priority or (UNSET if omit_default_priority else _DEFAULT)
    if message.direction is IN:
        owner, text = callback.number, message.text
        tag = priority = UNSET
    event = _Event(
        timestamp(callback.at),
        callback.kind,
        callback.number,
        callback.description,
        _EventMessage(
            message.id,
            owner,
            message.application,
            timestamp(message.created_at),
            message.segment_count,
            message.direction,
            message.to,
            message.sender,
            text,
            message.media or UNSET,
            tag,
            priority,
        ),
        callback.code if callback.kind is FAILED else UNSET,
    )
    return _encode((event,))


# --- the search -----------------------------------------------------------------------------------------------------


class SearchItem(msgspec.Struct, gc=False, rename="camel"):
    """One recipient as the search shows it (HTTP API, section 3.2). What Passband holds nothing of is null."""

    message_id: str
    account_id: str
    source_tn: str
    destination_tn: str
    message_status: str
    message_direction: str
    message_type: str
    segment_count: int
    error_code: int
    receive_time: str
    carrier_name: str | None
    message_size: int | None
    message_length: int
    attachment_count: int | None
    recipient_count: int | None
    campaign_class: str | None = None
    campaign_id: str | None = None
    bw_latency: int | None = None
    carrier_latency: int | None = None
    calling_number_country_a3: str | None = msgspec.field(name="callingNumberCountryA3", default=None)
    called_number_country_a3: str | None = msgspec.field(name="calledNumberCountryA3", default=None)
    product: str | None = None
    location: str | None = None


class PageInfo(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    """Where the neighbouring pages are; empty where there is only one page."""

    prev_page: str | None = None
    next_page: str | None = None
    prev_page_token: str | None = None
    next_page_token: str | None = None


class _SearchPage(msgspec.Struct, gc=False):
    totalCount: int  # noqa: N815
    pageInfo: PageInfo  # noqa: N815
    messages: Sequence[SearchItem]


def search_body(total: int, page: PageInfo, items: Sequence[SearchItem]) -> bytes:
    """Return the body of a search's answer (HTTP API, section 3.2)."""
    return _encode(_SearchPage(total, page, items))
