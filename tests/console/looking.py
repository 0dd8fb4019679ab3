"""A browser that looks at a console, and notices everything that a console must not do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import real_parts

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SECONDS = 15.0  # everything takes a moment; the rest is for a machine that is busy
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@contextmanager
def browser() -> Iterator[Any]:
    """Give the system's Chromium, or let the test skip (in CI: fail)."""
    path = real_parts.command("chromium")
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        real_parts.missing("the Python package playwright")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def looking(chromium: Any, base: str, *, size: Any = WIDE, scheme: str = "light", lost: bool = False) -> Iterator[Any]:
    """Give a page of the console; at the end nothing may have gone wrong in it, and nothing been asked of elsewhere.

    With ``lost`` a connection may break, which the browser says by itself.
    """
    faults: list[str] = []
    context = chromium.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: None if asked.url.startswith((f"{base}/", "blob:")) else faults.append(asked.url))
    page.goto(f"{base}/")
    yield page
    context.close()
    assert [fault for fault in faults if not (lost and fault.startswith("Failed to load resource: net::"))] == []


def violations(page: Any) -> list[str]:
    """Return what axe finds wrong with the page as it is now, by WCAG 2.2 AA and its own best practices."""
    if not AXE.exists():
        real_parts.missing("axe-core (npm install --prefix tests/console)")
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map("
        "(v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140)).join(' | ')}`)))"
    )
    told: list[str] = json.loads(found)
    return told
