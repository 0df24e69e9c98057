"""A visitor in one browser and an agent in another, at once: asked for, seen, answered, read, resolved."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import sign_in
from tests.browser.site import ROOT, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shop(site: Site) -> Iterator[str]:
    origin = site.url.replace("127.0.0.1", "localhost")
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.browser.inbox", origin],
        cwd=ROOT, env=site.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    key = seeded.stdout.partition("key=")[2].split()[0]
    with site.with_worker():
        yield f"{origin}/demo/{key}/"


def opened(page: Page, shop: str) -> FrameLocator:
    page.goto(shop)
    page.locator("button[aria-expanded]").click()
    panel = page.frame_locator("iframe")
    expect(panel.locator("#text")).to_be_visible()
    return panel


def ask(panel: FrameLocator, text: str) -> None:
    panel.locator("#text").fill(text)
    panel.locator("#send").click()


@pytest.mark.parametrize(
    ("locale", "question", "reply", "note", "thanks"),
    [
        (
            "en-GB",
            "Do you measure for free?",
            "Yes, once, for you.",
            "A regular.",
            "Thanks",
        ),
        ("zh-CN", "退换货政策是什么", "可以，为您破例一次。", "老客户。", "谢谢"),
    ],
)
def test_a_visitor_and_an_agent_talk_live(
    site: Site, shop: str, open_page: OpenPage,
    locale: str, question: str, reply: str, note: str, thanks: str,
) -> None:  # fmt: skip
    desk, visitor = open_page(locale=locale), open_page(width=390, height=844, locale=locale)
    sign_in(desk, site)
    desk.goto(site.tenant("desk/?show=waiting"))

    panel = opened(visitor, shop)
    ask(panel, question)
    expect(panel.locator(".turn.assistant:not(.waits)").nth(1)).to_be_visible(timeout=20_000)
    panel.locator("#person").click()

    # The newest of those that wait stands last.
    row = desk.locator(".desk-row", has_text=question).last
    expect(row).to_be_visible(timeout=5_000)
    row.click()
    expect(desk.locator("#lines .by-visitor")).to_contain_text(question)
    expect(desk.locator("#desk-head [data-state=waiting]")).to_be_visible()

    desk.keyboard.press("n")
    expect(desk.locator("#reply")).to_be_focused()
    desk.keyboard.type(note)
    desk.keyboard.press("Control+Enter")
    expect(desk.locator("#lines .by-note")).to_contain_text(note, timeout=5_000)
    # The line may be seen before its sending has ended; until then the box takes nothing.
    expect(desk.locator("#reply")).to_have_value("")
    expect(desk.locator("#reply")).to_be_editable()
    desk.keyboard.press("Escape")
    desk.keyboard.press("s")
    expect(desk.locator(".desk-suggestion[data-mark$=done]")).to_be_visible(timeout=20_000)
    desk.keyboard.press("x")
    expect(desk.locator(".desk-suggestion")).to_have_count(0)
    expect(desk.locator("#reply")).to_be_focused()
    desk.keyboard.type("/thanks")
    expect(desk.locator("#offered [aria-selected=true]")).to_contain_text("/thanks")
    desk.keyboard.press("Enter")
    expect(desk.locator("#reply")).to_have_value(re.compile("^Thank you, .*Acme 客服$"))
    desk.locator("#reply").fill(reply)
    desk.keyboard.press("Control+Enter")

    expect(panel.locator(".turn.agent")).to_contain_text(reply, timeout=5_000)
    expect(desk.locator("#desk-head [data-state=open]")).to_be_visible(timeout=5_000)
    ask(panel, thanks)
    expect(desk.locator("#lines .by-visitor").last).to_contain_text(thanks, timeout=5_000)
    expect(panel.get_by_text(note)).to_have_count(0)

    lines = panel.locator(".line").count()
    desk.keyboard.press("Escape")
    desk.keyboard.press("e")
    expect(desk.locator("#desk-head [data-state=resolved]")).to_be_visible()
    expect(panel.locator(".line")).to_have_count(lines + 1, timeout=5_000)
