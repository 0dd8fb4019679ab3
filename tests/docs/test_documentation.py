"""The documentation says what the program does: what can be compared is compared, what can be run is run."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import real_parts
from cli.processes import Dev, Listen, ask
from docs.generated import NOT_SERVED, PARTS, SERVED, renewed
from passband.cli import main
from passband.config.layers import default_text
from passband.config.manual import entries
from passband.domain.event import EventKind

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("part", sorted(PARTS))
def test_what_is_generated_is_up_to_date(part: str) -> None:
    path, written, made = renewed(part)
    assert written == made, f"run: python tests/docs/generated.py (it renews {path.name})"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_between_files_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            assert (page.parent / file).exists(), target
            if anchor:
                assert anchor in anchors(page.parent / file), target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made of their words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            found = (page.parent / target).resolve()
            waiting += found.glob("*.md") if found.is_dir() else [found] if found.suffix == ".md" else []
    assert set(PAGES) <= seen


@pytest.mark.parametrize("command", sorted(main.commands))
def test_the_readme_names_every_command(command: str) -> None:
    assert f"passband {command}" in README


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets | {"and"}


def test_every_setting_that_a_page_names_exists() -> None:
    settings = {entry.key for entry in entries(default_text())}
    named = re.compile(r"`([a-z_]+)`(?: in `\[\[?[a-z.]+\]?\]`)")
    for page in PAGES:
        for name in named.findall(page.read_text("utf-8")):
            assert name in settings, f"{page.name} names {name}"


def test_the_page_about_callbacks_names_every_event() -> None:
    page = (ROOT / "docs" / "callbacks.md").read_text("utf-8")
    assert all(f"| `{kind}` |" in page for kind in EventKind)


def test_the_glossary_is_held_to_in_the_documentation() -> None:
    """Words that the glossary replaces by others; error codes are called as they are published."""
    unwanted = re.compile(r"\b(tenant|DLRs?|connector|throttl\w+|vendor)\b")
    for page in PAGES:
        if page.name not in ("glossary.md", "error-codes.md"):
            assert not unwanted.findall(page.read_text("utf-8")), page.name


def test_every_decision_has_its_context_its_choice_and_its_price() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, decision in enumerate(decisions, 1):
        text = decision.read_text("utf-8")
        assert decision.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Price"], decision.name


# ── what is run ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def listen() -> Iterator[Listen]:
    with Listen() as listen:
        yield listen


@pytest.fixture(scope="module")
def dev(listen: Listen) -> Iterator[Dev]:
    with Dev("--callback-url", listen.url) as dev:
        yield dev


def shell_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(len(shell_blocks())))
def test_every_command_of_the_readme_is_answered_with_202_and_told_of(dev: Dev, listen: Listen, block: int) -> None:
    real_parts.command("curl")
    before = len(listen.lines)
    line = shell_blocks()[block].replace("http://127.0.0.1:8080", dev.base)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("HTTP/1.1 202 ")
    listen.line("message-", count=before)  # the first line is not an event


@pytest.mark.slow
def test_the_readme_shows_what_is_printed(dev: Dev) -> None:
    shown = re.search(r"<!-- printed by passband dev -->\n```text\n(.*?)```", README, re.DOTALL)
    assert shown
    printed = dev.printed.replace(dev.base, "http://127.0.0.1:8080")
    printed = printed[printed.index("Passband ") :]
    assert [normal(line) for line in shown[1].splitlines()] == [normal(line) for line in printed.splitlines()]


def normal(line: str) -> str:
    """Return a line without what differs from start to start: versions, temporary folders, the endpoint's port."""
    line = re.sub(r"^(data +).*", r"\1", line)
    line = re.sub(r"^(callbacks to +).*", r"\1", line)
    return re.sub(r" +", " ", re.sub(r"^(Passband )[\d.]+", r"\1", line)).rstrip()


@pytest.mark.slow
def test_what_the_api_is_said_to_serve_is_served(dev: Dev) -> None:
    credentials = {"Authorization": "Basic ZGVtbzpkZW1v"}
    for method, path, _, _ in SERVED:
        if method == "GET":
            whole = f"{dev.api}/users/5500123{path.replace('{mediaId}', 'none.png')}"
            answer = ask(whole, headers=credentials)
            assert answer.status in (200, 400) or "object-not-found" in answer.body, (method, path, answer)
    for _, path, _, _ in NOT_SERVED:
        whole = dev.base + path if path.startswith("/api") else f"{dev.api}/users/5500123{path}"
        assert ask(whole.replace("{accountId}", "5500123"), headers=credentials).status == 404, path
