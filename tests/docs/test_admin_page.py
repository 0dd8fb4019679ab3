"""The page about the admin API says what the program does: every call is on it, and every example runs."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import real_parts
from cli.processes import OURS, SECONDS, THEIRS, Dev, ask
from console.pictures import send
from passband.admin.app import ENTRIES
from passband.config import developers

PAGE = Path(__file__).parents[2] / "docs" / "admin-api.md"
BESIDE = {"/healthz", "/readyz", "/metrics", "/admin", "/admin/live"}  # they are not in the table of calls
STATUSES = {  # of success, where it is not 200; of a retry, 202
    "POST /admin/faults": 201,
    "POST /admin/inbound": 202,
    "PUT /admin/accounts/{account}/applications/{id}": 201,
    "PUT /admin/accounts/{account}/numbers/{number}": 201,
    "DELETE /admin/accounts/{account}/applications/{id}": 204,
    "DELETE /admin/accounts/{account}/numbers/{number}": 204,
}
TIMED_OUT = 28  # curl: the stream goes on, the example ends


class Section(NamedTuple):
    """What the page says about one call: whether it is the developers' only, its example, and the answer to that."""

    call: str
    developers: bool
    example: str
    answer: str | None


def sections() -> Iterator[Section]:
    """Return what the page says about each call, in its order."""
    for part in re.split(r"^### ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        call = re.match(r"`(\w+ /\S*)`", part)
        assert call, part[:80]
        examples = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
        assert len(examples) == 1, call[1]
        answers = re.findall(r"```json\n(.*?)```", part, re.DOTALL)
        yield Section(call[1], "**dev**" in part, examples[0], answers[0] if answers else None)


def test_every_call_is_on_the_page_and_no_other() -> None:
    written = {(section.call, section.developers) for section in sections()}
    served = {(f"{entry.method} {entry.path}", entry.developers) for entry in ENTRIES}
    assert written == served | {(f"GET {path}", False) for path in BESIDE}


def differences(said: Any, is_: Any, at: str = "") -> list[str]:
    """Return where an answer has other fields than the page says; of a list its first element speaks for all."""
    if isinstance(said, dict) and isinstance(is_, dict) and said:
        other = [f"{at}.{name}" for name in said.keys() ^ is_.keys()]
        return other + [one for name in said.keys() & is_.keys() for one in differences(said[name], is_[name], name)]
    if isinstance(said, list) and isinstance(is_, list) and said:
        return differences(said[0], is_[0], f"{at}[]") if is_ else [f"{at} is empty"]
    return []


@pytest.mark.slow
def test_every_example_runs_and_is_answered_as_the_page_says(tmp_path: Path) -> None:
    real_parts.command("curl")
    with Dev() as dev:
        id_ = json.loads(send(dev, THEIRS, "Your table is ready", tag="booking 4711").body)["id"]
        file = {"name": "terrace.png", "contentType": "image/png", "base64": "iVBORw0KGgo="}
        dev.inbound(from_=THEIRS, to=OURS, text="On my way", media=[file])
        ask(f"{dev.base}/admin/callbacks?state=acknowledged&wait=9&count=2")
        ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503})
        dev.inbound(from_=THEIRS, to=OURS, text="And you?")
        (waiting,) = ask(f"{dev.base}/admin/callbacks?state=pending&wait=9").json["callbacks"]
        environment = {
            **os.environ, "BASE": dev.base, "ID": id_, "CALLBACK": waiting["key"],
            "APPLICATION": developers.APPLICATION,
        }  # fmt: skip
        wrong: list[tuple[object, ...]] = []
        for section in sections():
            command = section.example.replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
            done = subprocess.run(
                ["sh", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
            body, _, status = done.stdout.rpartition("\n")
            wanted = 202 if section.call.endswith("/retry") else STATUSES.get(section.call, 200)
            if int(status) != wanted or done.returncode not in ((TIMED_OUT,) if "/live" in section.call else (0,)):
                wrong.append((section.call, status, done.returncode, body, done.stderr))
            elif section.answer:
                found = differences(json.loads(section.answer), json.loads(body))
                wrong += [(section.call, *found)] if found else []
        assert wrong == []
