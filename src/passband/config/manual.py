"""The reference of all settings, made from ``passband.default.toml``, so that there is one text to keep right.

The file's form, which the tests hold it to: prose lines begin with ``# ``; a line that begins with ``#`` and no blank
is TOML that is not in force, an example. The prose above a section or a setting explains it. Where a setting is not in
force, its prose ends with "Required." or "Default: …".
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from passband.config.layers import default_text

_LINE = re.compile(
    r"# (?P<prose>.*)|(?P<example>#?)(?:\[\[?(?P<section>[\w.]+)\]\]?|(?P<key>\w+) = (?P<value>.*))", re.ASCII
)
_DEFAULT = re.compile(r"(?P<meaning>.*?) ?(?:(?P<required>Required)|Default: (?P<default>.+))\.", re.DOTALL)


class Entry(NamedTuple):
    """A section (``key`` is empty) or a setting as the file explains it.

    ``value`` is as in the file. ``default`` is a TOML value or "none", and None where the setting is required.
    """

    section: str
    key: str
    value: str
    default: str | None
    meaning: str
    in_force: bool
    line: str


def introduction(text: str) -> str:
    """Return the file's first block of prose, as paragraphs."""
    block = text.split("\n\n", 1)[0]
    return re.sub("(?m)^# ?", "", block)


def entries(text: str) -> Iterator[Entry]:
    """Yield the sections and settings of the file in their order."""
    prose: list[str] = []
    section = ""
    for line in text.split("\n\n", 1)[1].splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            prose = []
            continue
        if found["prose"] is not None:
            prose.append(found["prose"])
            continue
        section = found["section"] or section
        in_force = not found["example"]
        said = _DEFAULT.fullmatch(" ".join(prose)) if found["key"] and not in_force else None
        yield Entry(
            section,
            found["key"] or "",
            found["value"] or "",
            said["default"] if said else found["value"],
            said["meaning"] if said else " ".join(prose),
            in_force,
            line.removeprefix("#"),
        )
        prose = []


def examples(text: str) -> str:
    """Return the file with everything in it in force."""
    return re.sub(r"(?m)^#(?=[\w\[])", "", text)


def reference() -> str:
    """Return the reference as Markdown."""
    text = default_text()
    lines = ["# Configuration", "", introduction(text), ""]
    rows: list[str] = []
    sample: list[str] = []
    heading: str | None = None

    def finish() -> None:
        if rows:
            lines.extend(["| setting | default | meaning |", "| --- | --- | --- |", *rows, ""])
        if sample:
            lines.extend(["```toml", *sample, "```", ""])
        rows.clear()
        sample.clear()

    for entry in entries(text):
        if not entry.key:
            if entry.section != heading:
                finish()
                heading = entry.section
                lines += [f"## `{entry.line}`", "", entry.meaning, ""]
            else:  # another table of the same name is another kind of it, with settings of its own
                finish()
                if entry.meaning:
                    lines += [entry.meaning, ""]
        if not entry.in_force:
            sample.append(entry.line)
        if entry.key and entry.meaning:
            default = "required" if entry.default is None else entry.default
            shown = default if default in ("required", "none") else f"`{default}`"
            rows.append(f"| `{entry.key}` | {shown} | {entry.meaning.replace('|', chr(92) + '|')} |")
    finish()
    return "\n".join(lines).rstrip("\n") + "\n"
