"""Media: upload, download, list, delete, as plain ASGI (HTTP API, section 4).

Bytes go through in pieces, and the next piece is asked for when the last one is on the disk, or with the client: what a
request holds in memory does not depend on the size of the file.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable

import msgspec

from passband.api.app import Resource
from passband.api.asgi import JSON, ClientGone, Receive, Scope, Send, answer, header
from passband.domain.account import Account
from passband.domain.errors import InvalidRequest
from passband.media import MAX_FIELD_OCTETS, Media, MediaStore, MediaTooLarge, RangeNotSatisfiable
from passband.media.names import check_name, media_url, name_from_path

PAGE_ITEMS = 1000

_DEFAULT_TYPE = "application/octet-stream"

# What somebody has uploaded, or sent from a handset, must not run as a script of this origin when it is looked at.
_HARMLESS = ((b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"default-src 'none'; sandbox"))

# RFC 9110 §14.1.2: one range; what is not one range is ignored, as if there were no such header (§14.2).
_one_range = re.compile(rb"(?i:bytes) *= *(?:([0-9]{1,18}) *- *([0-9]{0,18})|- *([0-9]{1,18}))\s*").fullmatch

_encode = msgspec.json.Encoder().encode


class _Media:
    def __init__(self, store: MediaStore, now: Callable[[], float], public_url: str, limit: int) -> None:
        self._store = store
        self._now = now
        self._public_url = public_url
        self._limit = limit

    async def put(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Store a file as it comes in; it is durable before 204 (HTTP API, section 4.1). Raises MediaTooLarge."""
        name = name_from_path(rest)
        announced = header(scope, b"content-length")
        if announced is not None and int(announced) > self._limit:
            raise MediaTooLarge
        await self._store.put(
            account.id,
            name,
            _pieces(receive),
            content_type=_field(scope, b"content-type") or _DEFAULT_TYPE,
            cache_control=_field(scope, b"cache-control"),
            now=self._now(),
            limit=self._limit,
        )
        await _no_content(send)

    async def delete(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        await self._store.delete(account.id, name_from_path(rest))
        await _no_content(send)

    async def get(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file, or the range of it that was asked for. Raises MediaNotFound before anything is sent."""
        name = name_from_path(rest)
        first, last = _range(header(scope, b"range"))
        try:
            async with self._store.open(account.id, name, self._now(), first, last) as file:
                headers = _headers(file.media, len(file.span))
                status = 200
                # An empty file has no octets to give a range of; it is sent as a whole.
                if (first is not None or last is not None) and file.span:
                    status = 206
                    whole = file.media.octets
                    content_range = b"bytes %d-%d/%d" % (file.span.start, file.span.stop - 1, whole)
                    headers.append((b"content-range", content_range))
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await _send_all(send, file.chunks, len(file.span))
        except RangeNotSatisfiable as error:
            # Not an error of the API but an answer of HTTP's, as 206 is: RFC 9110 §15.5.17.
            await answer(send, 416, ((b"content-range", b"bytes */%d" % error.octets),), b"")

    async def head(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        media = await self._store.stat(account.id, name_from_path(rest), self._now())
        await send({"type": "http.response.start", "status": 200, "headers": _headers(media, media.octets)})
        await send({"type": "http.response.body", "body": b""})

    async def list(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a page of the account's files, and where the next one begins (HTTP API, section 4)."""
        after = _after(header(scope, b"continuation-token"))
        found = await self._store.list(account.id, after, PAGE_ITEMS + 1, self._now())
        items = [
            {
                "contentLength": one.octets,
                "mediaName": one.name,
                "content": media_url(self._public_url, account.id, one.name),
            }
            for one in found[:PAGE_ITEMS]
        ]
        headers = [JSON]
        if len(found) > PAGE_ITEMS:
            headers.append((b"continuation-token", base64.urlsafe_b64encode(found[PAGE_ITEMS - 1].name.encode())))
        await answer(send, 200, headers, _encode(items))


def media_resource(store: MediaStore, now: Callable[[], float], public_url: str, limit: int) -> Resource:
    """Return what lies at ``/users/{accountId}/media``.

    ``public_url`` is as for ``create_app``; ``limit`` is in octets of one upload.
    """
    media = _Media(store, now, public_url, limit)
    files = {"GET": media.get, "HEAD": media.head, "PUT": media.put, "DELETE": media.delete}
    return Resource({"GET": media.list, "HEAD": media.list}, below=files, body_limit=limit)


def _field(scope: Scope, name: bytes) -> str | None:
    """Return a header that is stored as it is given; None where it is absent or empty. Raises InvalidRequest."""
    value = header(scope, name) or b""
    if len(value) > MAX_FIELD_OCTETS:
        raise InvalidRequest
    return value.decode("latin-1") or None


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """Give the body in the pieces in which it comes. Raises ClientGone."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        more = message.get("more_body", False)
        body = message.pop("body")
        if body:
            yield body
        # A name would hold this piece, up to 128 KiB of it, while the next one comes.
        del body


async def _send_all(send: Send, chunks: AsyncIterator[bytes], octets: int) -> None:
    left = octets
    async for chunk in chunks:
        left -= len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
    if not octets:
        await send({"type": "http.response.body", "body": b""})


async def _no_content(send: Send) -> None:
    # RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with … 204".
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _headers(media: Media, octets: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", media.content_type.encode("latin-1")),
        (b"content-length", b"%d" % octets),
        (b"accept-ranges", b"bytes"),
        *_HARMLESS,
    ]
    if media.cache_control is not None:
        headers.append((b"cache-control", media.cache_control.encode("latin-1")))
    return headers


def _range(value: bytes | None) -> tuple[int | None, int | None]:
    """Return first and last octet, as ``MediaStore.open`` takes them."""
    match = _one_range(value) if value else None
    if match is None:
        return None, None
    first, last, suffix = match.groups()
    if suffix is not None:
        return None, int(suffix)
    if last and int(last) < int(first):
        return None, None
    return int(first), int(last) if last else None


def _after(token: bytes | None) -> str:
    """Return the name after which the next page begins. Raises InvalidRequest for a token that is not ours."""
    if token is None:
        return ""
    try:
        name = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest from None
    check_name(name)
    return name
