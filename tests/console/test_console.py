"""The console in a browser: the whole story of a developer's first hour, and that everybody can use it."""

import base64
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cli.processes import OURS, SECONDS, THEIRS, Dev, Serve, ask, configuration
from console.looking import NARROW, looking, violations
from console.relay import Relay
from passband.config import developers

pytestmark = pytest.mark.slow

PAGES = ("Handsets", "Messages", "Callbacks", "Faults", "Clock", "Segments", "Numbers")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGNUSH7AgBsw4ZEbwdIAXVUBk8JUVUkAAAAASUVORK5CYII="
)


def send(dev: Dev, text: str, to: str | list[str] = THEIRS) -> None:
    """Send as an application does."""
    credentials = base64.b64encode(b"demo:demo").decode()
    answer = ask(
        f"{dev.api}/users/{developers.ACCOUNT}/messages",
        {"applicationId": developers.APPLICATION, "from": OURS, "to": to, "text": text},
        headers={"Authorization": f"Basic {credentials}"},
    )
    assert answer.status == 202, answer


def remove(url: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=SECONDS) as answer:
        status: int = answer.status
        return status


def go(page: Any, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    page.locator(f".page.{name.lower()} h1").wait_for()  # not the one of the page that is being left


def test_a_developers_first_hour(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    with looking(chromium, dev.base) as page:
        expect(page.get_by_text("No handset has a message yet.")).to_be_visible()
        send(dev, "Your table is ready")
        phone = page.get_by_role("region", name=re.compile("Handset .1.408"))
        expect(phone.locator(".theirs .words")).to_have_text("Your table is ready")
        phone.get_by_role("button", name="1 segment").click()
        expect(phone.get_by_text("GSM 7-bit")).to_be_visible()

        phone.get_by_label(re.compile("Write from")).fill("On our way")
        page.keyboard.press("Enter")
        expect(phone.locator(".mine .words")).to_have_text("On our way")
        go(page, "Callbacks")
        expect(page.get_by_role("row", name=re.compile("message-received.*acknowledged"))).to_be_visible()
        page.get_by_role("button", name=re.compile("Inbox")).click()
        expect(page.locator(".inbox").get_by_text("On our way").first).to_be_visible()

        go(page, "Faults")
        page.get_by_role("button", name="Endpoint answers 503").click()
        expect(page.get_by_role("list", name="Faults in force").get_by_text("503")).to_be_visible()
        dev.inbound(from_=THEIRS, to=OURS, text="Are you there?")
        go(page, "Callbacks")
        pending = page.get_by_role("row", name=re.compile("message-received.*pending.*503"))
        expect(pending).to_be_visible()
        pending.get_by_role("button").click()
        expect(page.get_by_label("Headers and body")).to_contain_text("Are you there?")

        go(page, "Clock")
        page.get_by_role("button", name="1 hour").click()
        expect(page.locator("#now")).to_contain_text("+60 min")
        go(page, "Callbacks")
        expect(page.get_by_text("one probe at a time until it answers 2xx")).to_be_visible()
        go(page, "Clock")
        page.get_by_role("button", name="24 hours").click()
        expect(page.get_by_text("No callback waits.")).to_be_visible()
        go(page, "Callbacks")
        expect(page.get_by_role("row", name=re.compile("message-received.*expired"))).to_be_visible()


def test_one_callback_is_tried_again_at_a_click(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503, "times": 2})
    for text in ("one", "two"):
        dev.inbound(from_=THEIRS, to=OURS, text=text)
    ask(f"{dev.base}/admin/callbacks?state=pending&wait=5&count=2")
    with looking(chromium, dev.base) as page:
        go(page, "Callbacks")
        pending = page.get_by_role("row", name=re.compile("message-received.*pending.*503"))
        expect(pending).to_have_count(2)
        pending.first.get_by_role("button").click()
        page.get_by_role("button", name="Retry this one now").click()
        expect(page.get_by_role("row", name=re.compile("message-received.*acknowledged.*2 · last 200"))).to_be_visible()
        expect(page.get_by_role("list", name="Attempts").get_by_role("listitem")).to_have_text(
            [re.compile("503"), re.compile("200")]
        )
        expect(pending).to_have_count(1)


def test_a_connection_that_was_lost_leaves_no_gap(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    send(dev, "before")
    with Relay(dev.base) as relay, looking(chromium, relay.base, lost=True) as page:
        bubbles, link = page.locator(".theirs .words"), page.locator("#link")
        expect(bubbles).to_have_text(["before"])
        expect(link).to_have_text("live")
        page.evaluate("document.querySelector('.bubbles').dataset.stays = 'here'")
        relay.cut()
        expect(link).to_have_text("no connection")
        for word in ("one", "two", "three"):
            send(dev, word)
            ask(f"{dev.base}/admin/messages?state=delivered&wait=5")
        relay.mend()
        expect(link).to_have_text("live")
        expect(bubbles).to_have_text(["before", "one", "two", "three"])
        assert page.locator(".bubbles").get_attribute("data-stays") == "here"  # it went on, rather than begin anew


def test_the_numbers_are_told_with_their_percentiles(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    send(dev, "one")
    with looking(chromium, dev.base) as page:
        go(page, "Numbers")
        card = page.get_by_role("region", name="Until the carrier has it")
        expect(card.get_by_role("listitem").filter(has_text="99 % within")).to_have_text(re.compile(r"\d m?s$"))
        expect(page.get_by_role("region", name="Links").get_by_text("takes 100,000 segments now")).to_be_visible()
        expect(page.get_by_role("region", name="Endpoints").get_by_text("answers")).to_be_visible()
        page.get_by_role("button", name="1 hour").click()
        expect(card.get_by_role("img")).to_be_visible()


def test_a_picture_and_a_group_arrive_on_every_handset(chromium: Any, dev: Dev, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    (tmp_path / "table.png").write_bytes(PNG)
    send(dev, "Both of you", [THEIRS, "+14085550177"])
    with looking(chromium, dev.base) as page:
        phones = page.locator(".phone")
        expect(phones).to_have_count(2)
        first, second = phones.nth(0), phones.nth(1)
        first.locator("input[type=file]").set_input_files(tmp_path / "table.png")
        expect(first.locator(".preview img")).to_be_visible()
        first.get_by_role("button", name=re.compile("Send from")).click()
        for phone in (first, second):
            image = phone.locator(".picture img")
            expect(image).to_be_visible()
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 10


def test_the_way_of_a_message_shows_live_and_is_found(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    with looking(chromium, dev.base) as page:
        go(page, "Messages")
        expect(page.get_by_text("Nothing is on its way.")).to_be_visible()
        send(dev, "one")
        send(dev, "two", "+19195554720")
        expect(page.locator("tbody tr")).to_have_count(2)
        page.get_by_role("searchbox").fill("4720")
        expect(page.locator("tbody tr[data-id]")).to_have_count(1)
        row = page.get_by_role("row", name=re.compile("Failed 4720"))
        expect(row).to_be_visible()
        row.get_by_role("button").press("Enter")
        expect(page.get_by_text("invalid-destination-address").first).to_be_visible()


def test_what_the_carrier_calls_a_message_is_shown_while_its_receipt_is_awaited(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    ask(f"{dev.base}/admin/faults", {"fault": "drop-receipt"})
    send(dev, "Your table is ready. " * 10)
    (message,) = ask(f"{dev.base}/admin/messages?state=handed&wait=5").json["messages"]
    detail = message["history"][-1]["detail"]
    first, second = detail.removeprefix("as ").split(", ")
    with looking(chromium, dev.base) as page:
        go(page, "Messages")
        page.locator("td.last button").first.click()
        expect(page.locator(".timeline li.handed")).to_contain_text(detail)
        assert remove(f"{dev.base}/admin/messages") == 200
        page.get_by_role("searchbox").fill(message["id"])
        stored = page.get_by_role("row", name=message["id"])
        expect(stored).to_contain_text(f"simulator as {first} (segment 1), {second} (segment 2)")


def test_messages_that_are_forgotten_leave_every_open_page(chromium: Any, dev: Dev) -> None:
    from playwright.sync_api import expect

    ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503})
    send(dev, "one")
    ask(f"{dev.base}/admin/callbacks?state=pending&wait=5")
    ask(f"{dev.base}/admin/clock", {"advance": 3600})  # the next attempt is half an hour away
    pages = (
        ("Messages", "tbody tr", "Nothing is on its way."),
        ("Callbacks", "tbody tr", "No callbacks."),
        ("Clock", "a[href^='#/callbacks/']", "No callback waits."),
    )
    with looking(chromium, dev.base) as one, looking(chromium, dev.base) as two, looking(chromium, dev.base) as three:
        shown = list(zip((one, two, three), pages, strict=True))
        for page, (name, entry, _) in shown:
            go(page, name)
            expect(page.locator(entry)).to_have_count(1)
        assert remove(f"{dev.base}/admin/messages") == 200
        for page, (_, entry, nothing) in shown:
            expect(page.get_by_text(nothing)).to_be_visible()
            expect(page.locator(entry)).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_a_telephone(chromium: Any, dev: Dev, scheme: str) -> None:
    send(dev, "Good evening! Your table costs 45 €. " * 6)
    send(dev, "fails", "+19195554720")
    ask(f"{dev.base}/admin/faults", {"fault": "endpoint-status", "status": 503})
    dev.inbound(from_=THEIRS, to=OURS, text="yes")
    with looking(chromium, dev.base, size=NARROW, scheme=scheme) as page:
        for name in PAGES:
            go(page, name)
            if name in ("Messages", "Callbacks"):
                page.locator("td.last button").first.click()
                page.locator("tr.detail dl, tr.detail pre").first.wait_for()
            assert violations(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_everything_can_be_reached_and_seen_with_the_keyboard(chromium: Any, dev: Dev) -> None:
    send(dev, "hello")
    with looking(chromium, dev.base) as page:
        page.locator(".bubble").first.wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "page"
        page.evaluate("""() => {
          const all = [...document.querySelectorAll('main :is(a, button, input, select, textarea)')];
          all.filter((one) => !one.closest('[hidden]')).forEach((one, index) => { one.dataset.place = index; });
        }""")
        wanted = page.locator("[data-place]").count()
        reached = set()
        for _ in range(wanted + 5):
            page.keyboard.press("Tab")
            place, tag, shown = page.evaluate("""() => {
              const at = document.activeElement;
              const seen = at.matches('.unseen') ? document.querySelector(`label[for="${at.id}"]`) : at;
              return [at.dataset.place, at.tagName, getComputedStyle(seen).outlineStyle !== 'none'];
            }""")
            assert shown or tag == "BODY", f"{tag} has the focus and does not show it"
            reached.add(place)
        assert {str(place) for place in range(wanted)} <= reached


def test_skipping_to_the_page_leaves_what_is_open_there(chromium: Any, dev: Dev) -> None:
    send(dev, "hello")
    with looking(chromium, dev.base) as page:
        go(page, "Messages")
        page.locator("td.last button").first.click()
        opened = page.locator("tr.detail dl").first
        opened.wait_for()
        address = page.url
        page.locator("#skip").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "page"
        assert page.url == address
        assert opened.is_visible()


def test_the_colours_can_be_chosen_and_are_remembered(chromium: Any, dev: Dev) -> None:
    with looking(chromium, dev.base) as page:
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for words in ("Colours: as the system", "Colours: light"):
            page.get_by_role("button", name=words).click()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_in_production_the_console_shows_no_text_and_plays_nothing(chromium: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    with Serve(configuration(tmp_path)) as serve:
        base = serve.admin
        with looking(chromium, base) as page:
            expect(page.locator("#nav a")).to_have_text(["Messages", "Callbacks", "Segments", "Numbers"])
            expect(page.locator("#link")).to_have_text("live")
            ask(f"{base}/admin/inbound", {"from": THEIRS, "to": OURS, "text": "the secret words"})
            page.locator("tbody tr button").first.click()
            expect(page.get_by_text("message-received")).to_be_visible()
            assert "the secret words" not in page.content()
