"""The pictures of the console in the documentation: every page, at three widths, in light and in dark.

    PYTHONPATH=tests python -m console.pictures [FOLDER [PAGE...]]

writes them anew, by default all of them into ``docs/images/console/``; it takes about two minutes. What they show is a
running ``passband dev`` with messages, a group, a picture, faults, retries, and a minute of traffic behind it.
"""

import base64
import struct
import sys
import threading
import zlib
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.processes import OURS, Answer, Dev, ask
from console.looking import SECONDS, browser
from passband.config import developers

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "console"
SIZES = {390: 844, 820: 1100, 1440: 900}
SCHEMES = ("light", "dark")
ANNA, BEN, CLARA = "+14085550142", "+14085550177", "+14085550188"
TRAFFIC_SECONDS = 75

TERRACE = """
<svg xmlns="http://www.w3.org/2000/svg" width="480" height="320" viewBox="0 0 480 320">
<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#2b3a67"/>
<stop offset=".55" stop-color="#c96a5a"/><stop offset="1" stop-color="#f3b562"/></linearGradient></defs>
<rect width="480" height="320" fill="url(#sky)"/><circle cx="330" cy="176" r="34" fill="#ffe3a3"/>
<path d="M0 210Q90 150 190 200T380 190T480 205V320H0Z" fill="#4a3b57"/>
<path d="M0 240Q140 200 260 232T480 228V320H0Z" fill="#33293f"/>
<g fill="#1b1622"><rect y="286" width="480" height="34"/><rect x="96" y="238" width="120" height="8" rx="3"/>
<rect x="150" y="246" width="10" height="44"/><rect x="60" y="214" width="8" height="76"/>
<rect x="60" y="250" width="34" height="7"/><rect x="244" y="214" width="8" height="76"/>
<rect x="218" y="250" width="34" height="7"/></g>
<g fill="#ffe3a3"><rect x="148" y="220" width="5" height="18"/><rect x="160" y="226" width="5" height="12"/></g></svg>
"""


def send(dev: Dev, to: str | list[str], text: str, **fields: object) -> Answer:
    """Send as an application does."""
    credentials = base64.b64encode(f"{developers.USER}:{developers.PASSWORD}".encode()).decode()
    body = {"applicationId": developers.APPLICATION, "from": OURS, "to": to, "text": text, **fields}
    headers = {"Authorization": f"Basic {credentials}"}
    return ask(f"{dev.api}/users/{developers.ACCOUNT}/messages", body, headers=headers)


def picture(chromium: Any) -> str:
    """Return a photograph as a handset would take it: a JPEG in base64."""
    page = chromium.new_page(viewport={"width": 480, "height": 320})
    page.set_content(f"<style>body{{margin:0}}</style>{TERRACE}")
    octets = page.screenshot(type="jpeg", quality=80)
    page.close()
    return base64.b64encode(octets).decode()


def an_evening(dev: Dev, photograph: str) -> None:
    """Let a restaurant and its guests write to each other."""
    tag = {"tag": "booking 4711"}
    send(dev, ANNA, "Your table for two is ready. Please come to the desk.", **tag)
    send(
        dev, BEN, "Good evening! Your table for six is ready, and the kitchen sends its regards. Please come to the "
        "desk within 15 minutes; after that we have to give it to the next guests. Menu 45 €.", tag="booking 4712",
    )  # fmt: skip
    dev.inbound(from_=ANNA, to=OURS, text="On our way!")
    send(dev, [ANNA, BEN], "Both of you: the terrace is open tonight.", tag="terrace")
    ask(f"{dev.base}/admin/messages?tag=terrace&state=delivered&wait=5&count=2")
    dev.inbound(from_=BEN, to=[OURS, ANNA], text="Lovely, see you at eight")
    terrace = {"name": "terrace.jpg", "contentType": "image/jpeg", "base64": photograph}
    dev.inbound(from_=CLARA, to=OURS, text="Is this view still free?", media=[terrace])
    send(dev, CLARA, "For you, always. Table 12, tonight at nine?", tag="booking 4713")
    send(dev, "+19195554720", "Your table is ready.", tag="booking 4714")


def trouble(dev: Dev) -> None:
    """Put faults in force, and let some messages meet them."""
    ask(f"{dev.base}/admin/faults", {"fault": "drop-receipt", "number": "+14085550150"})
    send(dev, "+14085550150", "Your umbrella is at the desk.", tag="booking 4709")
    ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503, "seconds": 0.2})
    send(dev, "+14085550199", "See you tomorrow at seven.", tag="booking 4716")
    dev.inbound(from_=ANNA, to=OURS, text="Could we be three?")
    ask(f"{dev.base}/admin/clock", {"advance": 400})
    ask(f"{dev.base}/admin/faults", {"fault": "slow-carrier", "rate": 1})
    for guest in range(4):
        send(dev, f"+1408555016{guest}", "The kitchen closes at ten.", tag="evening")


def traffic(dev: Dev) -> None:
    """Send more and fewer messages for a while, in real time, because the numbers are samples of it."""
    ask(f"{dev.base}/admin/faults", {"fault": "slow-carrier", "rate": 14})
    over = threading.Event()
    for turn in range(TRAFFIC_SECONDS * 4):
        for _ in range(1 + (turn // 12 * 7) % 5):
            send(dev, f"+1408555{turn % 90:04d}", "The kitchen closes at ten.", tag="evening")
        if turn % 5 == 0:
            dev.inbound(from_=ANNA, to=OURS, text="Thank you!")
        if turn == TRAFFIC_SECONDS * 2:
            ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503, "times": 12})
        over.wait(0.25)


def open_message(page: Any) -> None:
    page.locator("tr", has_text="booking 4716").locator("td.last button").click()
    page.locator("tr.detail dl").wait_for()


def open_callback(page: Any) -> None:
    page.locator("tr", has_text="message-received").locator("td.last button").first.click()
    page.locator("tr.detail pre").wait_for()


def open_bubble(page: Any) -> None:
    """Show what the long text was on its way."""
    phone = page.locator(f'.phone[data-handset="{BEN}"]')
    phone.locator("button.thread").first.click()
    phone.locator("button.meta").first.click()
    phone.locator(".details dl").first.wait_for()
    phone.locator(".bubbles").evaluate("list => { list.scrollTop = list.scrollHeight; }")


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

PIXELS = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const octets = context.getImageData(0, 0, image.width, image.height).data;
  const pieces = [];
  for (let at = 0; at < octets.length; at += 8190) pieces.push(String.fromCharCode(...octets.subarray(at, at + 8190)));
  return [image.width, image.height, btoa(pieces.join(""))];
}"""


def smaller(page: Any, png: bytes) -> bytes:
    """Return a picture with the 256 colours that it has most of; every other becomes the nearest of these."""
    width, height, octets = page.evaluate(PIXELS, base64.b64encode(png).decode())
    pixels = array("I", base64.b64decode(octets))
    counted = Counter(pixels)
    colours = {pixel: struct.pack("=I", pixel)[:3] for pixel in counted}
    palette = _apart([pixel for pixel, _ in counted.most_common()], colours)

    def nearest(colour: bytes) -> int:
        return min(
            range(len(palette)), key=lambda i: sum((a - b) ** 2 for a, b in zip(palette[i], colour, strict=True))
        )

    places = {pixel: nearest(colour) for pixel, colour in colours.items()}
    indices = bytes(map(places.__getitem__, pixels))
    rows = b"".join(b"\0" + indices[row * width : (row + 1) * width] for row in range(height))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _apart(pixels: list[int], colours: dict[int, bytes]) -> list[bytes]:
    """Return at most 256 colours, the most frequent first, none too near to another."""
    for distance in (0, 40, 120, 300, 700):
        chosen: list[bytes] = []
        for pixel in pixels:
            colour = colours[pixel]
            if all(sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)) > distance for other in chosen):
                chosen.append(colour)
            if len(chosen) > 256:
                break
        if len(chosen) <= 256:
            break
    return chosen[:256]


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGES: dict[str, Callable[[Any], None]] = {
    "handsets": open_bubble,
    "messages": open_message,
    "callbacks": open_callback,
    "faults": lambda page: page.locator("#fault-code").wait_for(),
    "clock": lambda page: page.locator(".face").wait_for(),
    "segments": lambda page: page.locator(".cuts").wait_for(),
    "numbers": lambda page: page.get_by_role("button", name="1 minute").click(),
}


def shoot(chromium: Any, dev: Dev, folder: Path, name: str) -> None:
    """Write one page's pictures."""
    for scheme in SCHEMES:
        for width, height in SIZES.items():
            context = chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.set_default_timeout(SECONDS * 1000)
            page.goto(f"{dev.base}/#/{name}")
            page.locator(".link.live").wait_for()
            PAGES[name](page)
            page.evaluate("scrollTo(0, 0)")
            page.mouse.move(0, 0)
            page.evaluate("document.activeElement.blur()")
            page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => {})))")
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            png = smaller(context.new_page(), page.screenshot())
            (folder / f"{name}-{width}-{scheme}.png").write_bytes(png)
            context.close()


def make(folder: Path, names: list[str]) -> None:
    """Write the pictures of these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    with Dev() as dev, Dev() as busy, browser() as chromium:
        sending = threading.Thread(target=traffic, args=(busy,))
        if "numbers" in names:
            sending.start()
        an_evening(dev, picture(chromium))
        for name in [one for one in names if one in ("handsets", "segments")]:
            shoot(chromium, dev, folder, name)
        trouble(dev)
        for name in [one for one in names if one in ("messages", "callbacks", "faults", "clock")]:
            shoot(chromium, dev, folder, name)
        if "numbers" in names:
            sending.join()
            shoot(chromium, busy, folder, "numbers")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if sys.argv[1:] else FOLDER, sys.argv[2:] or list(PAGES))
