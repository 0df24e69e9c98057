"""The widget on a page of another origin, under a strict policy: opened, asked, heard, and found again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import ROOT, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shop(site: Site) -> Iterator[str]:
    """The address of a page on another origin that carries the widget; answers are being written."""
    origin = site.url.replace("127.0.0.1", "localhost")
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.browser.inbox", origin],
        cwd=ROOT, env=site.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    key = seeded.stdout.partition("key=")[2].split()[0]
    with site.with_worker():
        yield f"{origin}/demo/{key}/"


def opened(page: Page) -> FrameLocator:
    page.get_by_role("button", name="Chat with us").click()
    return page.frame_locator("iframe")


def ask(panel: FrameLocator, text: str) -> None:
    panel.get_by_label("Your message").fill(text)
    panel.locator("#send").click()


def test_the_page_around_it_is_whole(shop: str, site: Site) -> None:
    """Also what a browser asks for by itself, and no script of a test can hear."""
    page = httpx.get(shop).text
    (icon,) = re.findall(r'<link rel="icon" href="([^"]+)"', page)
    assert httpx.get(f"{site.url}{icon}").status_code == 200


def test_nothing_is_asked_of_the_network_before_it_is_opened(
    shop: str, open_page: OpenPage
) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(shop)
    expect(page.get_by_role("button", name="Chat with us")).to_be_visible()
    page.wait_for_timeout(500)
    assert [one for one in asked if "/widget/v1/" in one or "/panel/" in one] == []
    assert page.evaluate("document.activeElement === document.body"), "it takes no focus"
    assert page.evaluate("window.parley.widgets.size") == 1


def test_a_visitor_asks_and_gets_an_answer_with_its_source(shop: str, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(shop)
    panel = opened(page)
    expect(panel.get_by_text("Hello, 您好！")).to_be_visible()
    ask(panel, "Do you measure for free?")
    answer = panel.locator(".turn.assistant:not(.waits)").last
    expect(answer).to_contain_text("We measure first", timeout=20_000)
    expect(answer).not_to_contain_text("two days", timeout=1_000)
    answer.locator("summary").click()
    expect(answer.locator(".source")).to_contain_text("Do you measure for free?")
    answer.get_by_role("button", name="Not helpful").click()
    answer.get_by_role("button", name="something is missing").click()
    expect(answer).to_contain_text("Thank you.")

    page.reload()
    again = opened(page)
    expect(again.locator(".turn.user")).to_have_text("Do you measure for free?")
    expect(again.locator(".turn.assistant").last).to_contain_text("We measure first")


def test_a_visitor_asks_in_chinese_and_then_for_a_person(shop: str, open_page: OpenPage) -> None:
    page = open_page(width=390, height=844, locale="zh-CN")
    page.goto(shop)
    panel = opened(page)
    ask(panel, "退换货政策是什么")
    expect(panel.locator(".turn.assistant").last).to_contain_text(
        "签收后七天内无理由退货", timeout=20_000
    )
    panel.get_by_role("button", name="Talk to a person").click()
    expect(panel.get_by_text("A person will answer you here.")).to_be_visible()
    ask(panel, "在吗")
    page.wait_for_timeout(1500)
    assert panel.locator(".turn.assistant").count() == 2, "the bot is silent now"


def test_escape_closes_it_and_gives_the_focus_back(shop: str, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(shop)
    panel = opened(page)
    expect(panel.get_by_label("Your message")).to_be_focused()
    page.keyboard.press("Escape")
    button = page.get_by_role("button", name="Chat with us")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(button).to_be_focused()
    page.evaluate("window.parley.destroy()")
    expect(button).to_have_count(0)


def test_what_was_written_without_a_connection_is_sent_later(
    shop: str, open_page: OpenPage
) -> None:
    page = open_page()
    page.goto(shop)
    panel = opened(page)
    expect(panel.get_by_label("Your message")).to_be_visible()
    page.context.set_offline(True)
    ask(panel, "How long does a building permit take?")
    expect(panel.get_by_role("status")).to_contain_text("No connection")
    page.context.set_offline(False)
    expect(panel.locator(".turn.assistant").last).to_contain_text("permit", timeout=20_000)
    assert panel.locator(".turn.user").count() == 1
    open_page.heard.clear()  # type: ignore[attr-defined]


def test_a_site_that_is_not_listed_may_not_frame_the_panel(shop: str, site: Site) -> None:
    import urllib.request

    key = shop.rstrip("/").rpartition("/")[2]
    with urllib.request.urlopen(f"{site.url}/widget/panel/?key={key}") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors {shop.partition('/demo/')[0]}" in policy
    assert "unsafe" not in policy
