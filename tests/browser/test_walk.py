"""The whole way in a real browser: sign in, look at a job, promote, ask, and put things back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import pages, sign_in
from tests.browser.seed import NEWCOMER, OWNER, PASSWORD, STAFF, VIEWER
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_a_person_signs_in_promotes_asks_and_rolls_back(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    expect(page.get_by_role("heading", name="Waiting for you")).to_be_visible()
    page.get_by_role("link", name=re.compile(r"^acme\.support@v4-")).first.click()
    expect(page.get_by_role("heading", name=re.compile("The gate is open"))).to_be_visible()
    page.goto(site.job("open"))
    expect(page.locator("#curve canvas")).to_be_visible()
    expect(page.locator(".comparison .interval").first).to_be_visible()

    page.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("serves now")
    expect(page.get_by_text("serves now", exact=True).first).to_be_visible()

    page.get_by_role("link", name="Try", exact=True).click()
    page.get_by_label("Your question").fill("Do you measure for free?")
    page.keyboard.press("Enter")
    tuned = page.locator(".answer[data-side=tuned]")
    base = page.locator(".answer[data-side=base]")
    expect(tuned).to_contain_text("within two days. 谢谢！")
    # What a model writes is text, whatever it looks like.
    expect(base).to_contain_text("<b>There</b>")
    assert base.locator("b").count() == 0
    expect(tuned.locator(".foot")).to_contain_text("tokens/s")
    expect(page.get_by_label("Your question")).to_be_focused()

    page.goto(site.tenant("models/"))
    promoted = page.get_by_role("row", name=re.compile(r"acme\.support@v4-"))
    promoted.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("again")


def test_an_answer_is_stopped_and_the_next_one_comes(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    page.locator("[data-asks]").first.click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".answer[data-column='2'] .foot")).to_have_text("stopped")
    page.get_by_label("Your question").fill("再问一次")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".exchange").last).to_contain_text("谢谢！")


def test_the_live_parts_swap_without_reloading(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    asked: list[int] = []
    page.on("response", lambda one: asked.append(one.status) if "/live/" in one.url else None)
    page.goto(site.job("running"))
    expect(page.get_by_text("Step 204 of 480")).to_be_visible()
    page.wait_for_timeout(4600)
    assert asked, "a running job is looked at again"
    assert set(asked) == {204}, "nothing changed, so nothing was sent"
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("within a step")
    expect(page.get_by_text("stopping")).to_be_visible()


def test_a_finished_job_is_not_asked_about(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(site.job("refused"))
    page.wait_for_timeout(2600)
    assert not [url for url in asked if "/live/" in url]
    assert len([url for url in asked if "/curve/" in url]) == 1


def test_an_owner_may_overrule_the_gate_only_with_a_reason(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.job("refused"))
    page.get_by_text("Promote against the verdict").click()
    page.get_by_role("button", name="Promote anyway").click()
    # The browser itself asks for the reason; nothing was sent.
    assert page.locator("#override-reason:invalid").count() == 1
    expect(page.get_by_role("heading", name=re.compile("The gate is closed"))).to_be_visible()


def test_a_viewer_is_offered_nothing_that_they_may_not_do(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site, VIEWER)
    page.goto(site.job("open"))
    assert page.get_by_role("button", name="Promote", exact=True).count() == 0
    page.goto(site.tenant("playground/"))
    expect(page.get_by_text("Your role may not ask the models.")).to_be_visible()


def test_keys_move_and_the_question_mark_shows_them(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.type("gj")
    page.wait_for_url("**/jobs/")
    page.keyboard.press("ArrowDown")
    expect(page.locator("tr[data-opens] .row-link").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/"))


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_fits_its_width_and_breaks_no_policy(
    width: int, language: str, site: Site, open_page: OpenPage
) -> None:
    page = open_page(width=width, locale=language, color_scheme="dark")
    sign_in(page, site)
    for name, address in pages(site):
        page.goto(address)
        too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert too_wide <= 0, f"{name} is {too_wide} px too wide"


def test_language_and_theme_are_chosen_in_the_menu(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.locator(".rail-foot .menu summary").last.click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.locator(".rail-foot .menu summary").last.click()
    page.locator("button[name=theme][value=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert colour == "rgb(237, 237, 240)"


def test_a_wrong_password_says_so_and_keeps_the_address(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=login]", OWNER)
    page.fill("input[name=password]", PASSWORD + "x")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist")).to_be_visible()
    assert page.input_value("input[name=login]") == OWNER


def test_a_second_factor_is_set_up_by_its_picture(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site, NEWCOMER)
    page.goto(f"{site.url}/accounts/2fa/")
    page.get_by_role("link", name="Set up").click()
    _confirm_password(page)
    expect(page.locator("img.qr")).to_be_visible()
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 0


def test_the_admin_opens_under_its_own_policy(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{site.url}/accounts/login/?next=/admin/")
    page.fill("input[name=login]", STAFF)
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/**")
    for place in ("", "gpt_core/finetuningjob/", "accounts/user/"):
        page.goto(f"{site.url}/admin/{place}")
        expect(page.get_by_text("Parley").first).to_be_visible()


def test_an_engine_that_is_away_is_said_in_words(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    with site.without_engine():
        page.get_by_label("Your question").fill("Are you there?")
        page.keyboard.press("Enter")
        fault = page.locator(".answer[data-column='2'] .fault")
        expect(fault).to_contain_text("engine_unavailable", timeout=20_000)
        expect(fault).to_contain_text("Try again shortly.")
    page.get_by_label("Your question").fill("And now?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".exchange").last).to_contain_text("谢谢！")


def test_the_policy_is_in_force(site: Site, open_page: OpenPage) -> None:
    """Inline style and script do nothing here, so that the other tests' silence means something."""
    page = open_page()
    sign_in(page, site)
    page.evaluate(
        """() => {
          window.__heard = [];
          document.addEventListener("securitypolicyviolation", (event) => {
            window.__heard.push(event.violatedDirective);
            event.stopImmediatePropagation();
          }, true);
          const script = document.createElement("script");
          script.textContent = "window.__ran = true";
          document.body.append(script);
        }"""
    )
    page.wait_for_function("window.__heard.length > 0")
    assert not page.evaluate("window.__ran")
    page.context.clear_cookies()
    open_page.heard.clear()  # type: ignore[attr-defined]


def _confirm_password(page: Page) -> None:
    if page.locator("input[name=password]").count():
        page.fill("input[name=password]", PASSWORD)
        page.locator("main button[type=submit]").first.click()
