"""How the commands write to a terminal: nothing that comes from outside can move the cursor or end a line.

Rule: text in, text out. Whoever calls decides where it goes, and whether it is a terminal that shows colours.
"""

import json
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.text import Text

_JOINER = "\u200d"  # within many an emoji


def printable(text: str) -> str:
    """Return a text with JSON's escapes for all that a terminal does not print: it comes from outside."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == _JOINER else json.dumps(c)[1:-1] for c in text)


def rendered(line: Text, *, colour: bool) -> str:
    """Return a line as it is written, with ANSI sequences where colours are wanted."""
    if not colour:
        return line.plain
    out = StringIO()
    Console(file=out, force_terminal=True, color_system="standard", legacy_windows=False).print(
        line, end="", soft_wrap=True
    )
    return out.getvalue()


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines, each column as wide as its widest cell; never broken, whatever reads it."""
    table = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
