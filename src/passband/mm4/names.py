"""Content types and file names: names that are safe in a URL, in a header and on a disk, whatever they were before."""

import re
import unicodedata
from collections.abc import Iterable

OCTET_STREAM = "application/octet-stream"
SMIL_TYPES = frozenset({"application/smil", "application/smil+xml"})

# Long enough for what handsets and people write, short enough for every file system together with its index.
MAX_NAME_CHARACTERS = 100

# Type → extensions, the usual one first. A table and not the mimetypes module, which reads what the machine has.
_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "application/smil": ("smil", "smi"),
    "image/jpeg": ("jpg", "jpeg", "jpe"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/bmp": ("bmp",),
    "image/webp": ("webp",),
    "image/heic": ("heic",),
    "image/heif": ("heif",),
    "image/tiff": ("tif", "tiff"),
    "image/svg+xml": ("svg",),
    "image/vnd.wap.wbmp": ("wbmp",),
    "audio/amr": ("amr",),
    "audio/amr-wb": ("awb",),
    "audio/mpeg": ("mp3",),
    "audio/mp4": ("m4a",),
    "audio/aac": ("aac",),
    "audio/3gpp": ("3ga",),
    "audio/wav": ("wav",),
    "audio/ogg": ("ogg", "oga"),
    "audio/midi": ("mid", "midi"),
    "video/3gpp": ("3gp", "3gpp"),
    "video/3gpp2": ("3g2",),
    "video/mp4": ("mp4", "m4v"),
    "video/mpeg": ("mpg", "mpeg"),
    "video/quicktime": ("mov",),
    "video/webm": ("webm",),
    "video/x-msvideo": ("avi",),
    "text/plain": ("txt",),
    "text/html": ("html", "htm"),
    "text/x-vcard": ("vcf",),
    "text/calendar": ("ics",),
    "application/pdf": ("pdf",),
    "application/zip": ("zip",),
}
# Other spellings of a type above: they have its extensions, but no extension leads to them.
_SPELLINGS = {
    "application/smil+xml": "application/smil",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "text/vcard": "text/x-vcard",
    "text/directory": "text/x-vcard",
}
_TYPES = {extension: kind for kind, extensions in _EXTENSIONS.items() for extension in extensions}

_content_type = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}").fullmatch
_unsafe = re.compile(r"[^A-Za-z0-9._-]+")


def is_content_type(text: str) -> bool:
    """Whether this is ``type/subtype`` in lower case, without parameters."""
    return _content_type(text) is not None


def type_of_name(name: str) -> str | None:
    """The content type that a file name's extension stands for; None where it is not in the table."""
    return _TYPES.get(name.rpartition(".")[2].lower()) if "." in name else None


def extensions_of(content_type: str) -> tuple[str, ...]:
    """The extensions of a type, the usual one first; none where the type is not in the table."""
    return _EXTENSIONS.get(_SPELLINGS.get(content_type, content_type), ())


def safe_name(text: str) -> str:
    """A name's last path segment in ``A-Z a-z 0-9 . _ -``; empty where nothing but an extension would remain.

    Accents are dropped from letters, other characters become ``_``; it never begins or ends with a dot.
    """
    # Cut before the normalisation too: one character can become eighteen.
    segment = re.split(r"[/\\]", text)[-1][-4 * MAX_NAME_CHARACTERS :]
    ascii_only = unicodedata.normalize("NFKD", segment).encode("ascii", "ignore").decode("ascii")
    # Again, because the normalisation makes a "/" of U+FF0F and of U+2105.
    clean = _unsafe.sub("_", re.split(r"[/\\]", ascii_only)[-1]).rstrip(".")
    stem, dot, extension = clean.rpartition(".")
    if not dot:
        stem, extension = clean, ""
    stem = stem.lstrip(".")
    if not stem.strip("._-"):
        return ""
    room = MAX_NAME_CHARACTERS - len(dot) - len(extension)
    return f"{stem[:room]}{dot}{extension}" if room > 0 else stem[:MAX_NAME_CHARACTERS].rstrip(".")


def part_name(names: Iterable[str], content_type: str, index: int) -> str:
    """The file name of an inbound part: the first usable of its own names, else ``{index}.{extension}``.

    A SMIL part that comes first is ``0.smil``, as applications expect it (Callbacks, section 6).
    """
    if content_type in SMIL_TYPES and index == 0:
        return "0.smil"
    extensions = extensions_of(content_type)
    extension = extensions[0] if extensions else "bin"
    for name in names:
        if safe := safe_name(name):
            return safe if "." in safe or not extensions else f"{safe}.{extension}"
    return f"{index}.{extension}"


def attachment_name(name: str, content_type: str, index: int, taken: Iterable[str]) -> str:
    """The file name of an outbound attachment: safe, its extension agreeing with the type, no other one's name."""
    extensions = extensions_of(content_type)
    safe = safe_name(name) or f"media{index}"
    if extensions and safe.rpartition(".")[2].lower() not in extensions:
        safe = f"{safe}.{extensions[0]}"
    used = {other.lower() for other in taken}
    unique, attempt = safe, index
    while unique.lower() in used:
        stem, dot, extension = safe.rpartition(".")
        unique = f"{stem}-{attempt}.{extension}" if dot else f"{safe}-{attempt}"
        attempt += 1
    return unique
