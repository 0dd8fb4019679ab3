"""What is in ``examples/`` runs, as its own docstring says."""

import re
import sys
from pathlib import Path

import pytest

from cli.processes import OURS, THEIRS, Command, Dev, reserved_port

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_front_desk_sends_and_answers() -> None:
    program = (sys.executable, str(EXAMPLES / "front_desk.py"))
    with (
        reserved_port() as port,
        Dev("--callback-url", f"http://127.0.0.1:{port}/") as dev,
        Command("--port", str(port), "--api", dev.api, program=program) as desk,
    ):
        desk.line(f"callbacks come in at http://127.0.0.1:{port}/")
        desk.write(f"{THEIRS} Your table is ready")
        desk.line(rf"^sent \d{{13}}\w{{16}} to {re.escape(THEIRS)}$")
        desk.line(rf"^delivered to {re.escape(THEIRS)} \(table\)$")
        desk.write("+19195554720 Your table is ready")
        desk.line(r"^not delivered to \+19195554720: 4720 invalid-destination-address$")
        desk.write("12 Your table is ready")
        desk.line("^refused: .*must be replaced with a valid E164 formatted telephone number")
        dev.inbound(from_=THEIRS, to=OURS, text="On my way")
        desk.line(rf"^{re.escape(THEIRS)} wrote: On my way$")
        desk.line(r"\(answer\)$")
    assert "Traceback" not in desk.printed


def test_every_example_is_named_in_the_documentation() -> None:
    named = "".join(path.read_text("utf-8") for path in (EXAMPLES.parent / "docs").rglob("*.md"))
    assert all(f"examples/{example.name}" in named for example in EXAMPLES.glob("*.py"))
