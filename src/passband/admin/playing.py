"""The calls of the admin API by which developers play the other side: handsets, and an application's endpoint."""

import base64

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from passband.admin.answers import BadRequest, answer, problem, read
from passband.admin.panel import Panel
from passband.admin.waiting import until_there
from passband.domain.message import Kind
from passband.domain.number import is_recipient, is_sender
from passband.domain.report import Attachment, Inbound
from passband.domain.segments import count
from passband.media import MediaNotFound
from passband.media.names import media_url, name_from_path
from passband.mm4.charset import decode_text
from passband.mm4.headers import parameters
from passband.mm4.names import is_content_type, part_name

MOST_TO = 20
MOST_PICTURE = 5_000_000  # octets
PICTURE_SECONDS = 10.0
# What a browser shows and does not run; everything else is for download.
SHOWN = frozenset({
    "image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/avif", "audio/mpeg", "audio/mp4",
    "audio/wav", "video/mp4", "video/webm",
})  # fmt: skip


class File(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A file that a handset sends along, in base64: as ``base64`` or as ``data``."""

    name: str
    content_type: str
    base64: str = ""
    data: str = ""


class NewInbound(msgspec.Struct, rename={"sender": "from"}, forbid_unknown_fields=True):
    """A message that somebody sends to one of our numbers. ``media`` are URLs, listed as they are, or files."""

    sender: str
    to: str | list[str]
    text: str = ""
    media: list[str | File] = []
    attachments: list[File] = []


async def inbound(panel: Panel, request: Request) -> Response:
    """Let a handset send a message; it is durable when this answers. Files are kept first, as of a peer's."""
    if panel.inbound is None:
        return problem(404, "inbound messages can be played only where a simulated carrier is configured")
    new = await read(request, NewInbound)
    to = (new.to,) if isinstance(new.to, str) else tuple(dict.fromkeys(new.to))
    wrong = [n for n in to if not is_recipient(n)] + ([] if is_sender(new.sender) else [new.sender])
    if wrong or not to:
        raise BadRequest(f"not a telephone number: {', '.join(map(repr, wrong)) or 'to is empty'}")
    if len(to) > MOST_TO:
        raise BadRequest(f"to must hold at most {MOST_TO} numbers")
    urls = [one for one in new.media if isinstance(one, str)]
    text, files = _read_files(new.text, [*(one for one in new.media if isinstance(one, File)), *new.attachments])
    if files and not any(map(panel.rules.directory.number, to)):
        raise BadRequest("none of these numbers is ours; nobody would see the files")
    kind = Kind.MMS if urls or files or len(to) > 1 else Kind.SMS
    segments = count(text) if kind is Kind.SMS else 1
    message = Inbound("simulator", new.sender, to, text, kind=kind, segment_count=segments, media=tuple(urls))
    message = msgspec.structs.replace(message, attachments=files)
    # Here rather than by whoever stores it, because the handset shows the files from where they are kept.
    message = await panel.keep(message, panel.clock.now())
    media = (*urls, *next((kept.media for kept in message.kept.values()), ()))
    await panel.inbound(message)
    if panel.handsets is not None:
        panel.handsets.sent(new.sender, to, text, media, kind, segments)
    return answer({"segmentCount": segments, "media": media}, 202)


def _read_files(text: str, files: list[File]) -> tuple[str, tuple[Attachment, ...]]:
    """Return the text with that of plain-text files, and the other files, as a peer's mail would give them."""
    texts = [text] if text else []
    attachments = []
    for index, one in enumerate(files):
        content_type = parameters(one.content_type)[0]
        try:
            octets = base64.b64decode(one.base64 or one.data, validate=True)
        except ValueError as error:  # binascii.Error is one; characters beyond ASCII raise another
            raise BadRequest(f"{one.name!r} is not base64: {error}") from error
        if not is_content_type(content_type):
            raise BadRequest(f"{one.name!r} has no content type such as image/jpeg")
        if content_type == "text/plain":
            texts.append(decode_text(octets, None))
        else:
            name = part_name((one.name,), content_type, index)
            attachments.append(Attachment(name, content_type, octets, index))
    return "\n".join(texts), tuple(attachments)


async def handsets(panel: Panel, request: Request) -> Response:
    assert panel.handsets is not None
    panel.live.touch()
    cursor = panel.live.cursor
    return answer({"live": cursor, "handsets": panel.handsets.view(request.query_params.get("handset"))})


async def forget_handsets(panel: Panel, request: Request) -> Response:
    assert panel.handsets is not None
    panel.handsets.forget()
    return answer({})


async def picture(panel: Panel, request: Request) -> Response:
    """Return a file of a bubble. Only what is on a handset can be had, so that this fetches nothing else."""
    assert panel.handsets is not None
    number, index = request.path_params["number"], request.path_params["index"]
    bubble = panel.handsets.find(int(number)) if number.isdecimal() else None
    if bubble is None or not index.isdecimal() or int(index) >= len(bubble.media):
        return problem(404, "there is no such picture")
    content_type, octets = await _picture(panel, bubble.media[int(index)])
    if octets is None:
        return problem(404, "the picture cannot be had from where the message says it is")
    shown = content_type.partition(";")[0].strip().lower()
    headers = {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "no-store",
    }
    if shown not in SHOWN:
        shown = "application/octet-stream"
        headers["content-disposition"] = "attachment"
    return Response(octets, media_type=shown, headers=headers)


async def _picture(panel: Panel, url: str) -> tuple[str, bytes | None]:
    """Return type and octets of a file, from our own media or from where it is."""
    for account in panel.rules.directory.accounts:
        prefix = media_url(panel.public_url, account, "")
        if url.startswith(prefix):
            try:
                async with panel.media.open(account, name_from_path(url[len(prefix) :]), panel.clock.now()) as file:
                    return file.media.content_type, b"".join([chunk async for chunk in file.chunks])
            except MediaNotFound:
                return "", None
    pieces: list[bytes] = []
    response = await panel.fetcher.get(url, sink=pieces.append, max_octets=MOST_PICTURE, timeout=PICTURE_SECONDS)
    if response.error is not None or response.status != 200:
        return "", None
    return response.content_type or "", b"".join(pieces)


async def inbox(panel: Panel, request: Request) -> Response:
    assert panel.inbox is not None
    panel.live.touch()
    received = await until_there(panel, request, panel.inbox.view)
    return answer({"live": panel.live.cursor, "received": received})


async def forget_inbox(panel: Panel, request: Request) -> Response:
    assert panel.inbox is not None
    panel.inbox.forget()
    return answer({})


async def take(panel: Panel, request: Request) -> Response:
    """Take one callback, as an application would."""
    assert panel.inbox is not None
    body = (await request.body()).decode("utf-8", "replace")
    panel.inbox.take(request.headers.items(), body)
    return Response(status_code=200)
