"""What the widget asks, in traditional Chinese: before the chat, while nobody is there, and at the end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import sign_in
from tests.browser.site import ROOT, Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LEAST_CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const { color, backgroundColor } = getComputedStyle(document.querySelector(".ask [type=submit]"));
  const [one, other] = [light(color), light(backgroundColor)];
  return Math.max(one, other) / Math.min(one, other);
}"""


@pytest.fixture(scope="module")
def keys(site: Site) -> dict[str, str]:
    origin = site.url.replace("127.0.0.1", "localhost")
    seeded = subprocess.run(
        [sys.executable, "-m", "tests.browser.inbox", origin],
        cwd=ROOT, env=site.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in seeded.stdout.split() if "=" in line)
    return lines | {"shop": f"{origin}/demo/"}


def resolved_at_the_desk(desk: Page, site: Site, name: str) -> None:
    sign_in(desk, site)
    desk.goto(site.tenant("desk/?show=waiting"))
    desk.locator(".desk-row", has_text=name).last.click()
    expect(desk.locator("#desk-facts")).to_contain_text("退貨")
    expect(desk.locator("#desk-facts")).to_contain_text("lei@example.com")
    desk.locator("#log").click()
    desk.keyboard.press("e")
    expect(desk.locator("#desk-head [data-state=resolved]")).to_be_visible()


def test_a_visitor_is_asked_first_told_when_people_come_and_asked_how_it_was(
    site: Site, keys: dict[str, str], open_page: OpenPage
) -> None:
    page = open_page(width=390, height=844)
    page.goto(f"{keys['shop']}{keys['asking']}/")
    page.locator("button[aria-expanded]").click()
    panel = page.frame_locator("iframe")
    expect(panel.get_by_label("怎麼稱呼您？")).to_be_focused()
    expect(panel.locator("#text")).to_be_hidden()
    # A bright yellow is no colour to write with on white.
    assert page.frames[-1].evaluate(LEAST_CONTRAST) >= 4.5
    panel.get_by_label("怎麼稱呼您？").fill("雷小姐")
    panel.get_by_label("關於").select_option("退貨")
    panel.get_by_role("button", name="開始對話").click()
    panel.get_by_label("您的訊息").fill("可以退貨嗎？")
    panel.locator("#send").click()
    expect(panel.locator(".turn.user:not(.waits)")).to_have_count(1)

    panel.get_by_role("button", name="轉接真人").click()
    expect(panel.locator(".ask")).to_contain_text("目前沒有客服人員在線")
    panel.get_by_label("您的電子郵件地址").fill("lei@example.com")
    panel.locator(".away").get_by_role("button", name="傳送").click()
    expect(panel.get_by_text("我們會在這裡並透過電子郵件回覆")).to_be_visible()

    desk = open_page(locale="zh-CN")
    resolved_at_the_desk(desk, site, "雷小姐")
    rating = panel.get_by_role("group", name="您對這次服務滿意嗎？")
    expect(rating).to_be_visible(timeout=5_000)
    rating.get_by_role("radio", name="4，滿意").focus()
    page.keyboard.press("Space")
    rating.get_by_role("button", name="傳送").click()
    expect(panel.get_by_text("您的評分：4/5")).to_be_visible()
    expect(desk.locator(".desk-event").last).to_contain_text("4", timeout=5_000)

    page.reload()
    page.locator("button[aria-expanded]").click()
    expect(page.frame_locator("iframe").get_by_text("您的評分：4/5")).to_be_visible()


def test_two_widgets_stand_on_one_page_and_each_is_taken_away_alone(
    keys: dict[str, str], open_page: OpenPage
) -> None:
    page = open_page()
    page.goto(f"{keys['shop']}{keys['key']}/")
    expect(page.locator("button[aria-expanded]")).to_have_count(1)
    page.evaluate(
        """(key) => {
          const script = document.createElement("script");
          script.src = document.querySelector("script[data-key]").src;
          Object.assign(script.dataset, { key, position: "left", label: "第二個" });
          document.body.append(script);
        }""",
        keys["asking"],
    )
    expect(page.get_by_role("button", name="第二個")).to_be_visible()
    page.evaluate("(key) => window.parley.open(key)", keys["asking"])
    expect(page.frame_locator("iframe").get_by_label("怎麼稱呼您？")).to_be_visible()
    assert page.locator("iframe").count() == 1
    page.evaluate("(key) => window.parley.destroy(key)", keys["asking"])
    expect(page.locator("button[aria-expanded]")).to_have_count(1)
    assert page.locator("iframe").count() == 0
