"""Models in a real browser: a checkpoint's page, its exports, and three models asked at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import sign_in
from tests.browser.seed import VIEWER
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def checkpoint(site: Site) -> str:
    return site.tenant(f"checkpoints/{site.ids['checkpoint']}/")


def test_a_checkpoint_is_found_from_the_list_and_read(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("models/"))
    page.get_by_role("link", name=re.compile(r"^acme\.support@v4-")).click()
    page.wait_for_url(checkpoint(site))
    expect(page.get_by_role("heading", name=re.compile("The gate is"))).to_be_visible()
    expect(page.locator("ins").first).to_be_visible()
    page.get_by_role("link", name="the expected answer").click()
    expect(page.get_by_role("link", name="the expected answer")).to_have_attribute(
        "aria-current", "true"
    )
    # What a model or a person wrote is text, whatever it looks like.
    expect(page.get_by_text("Is <b>VAT</b> included").first).to_be_visible()


def test_an_export_is_asked_for_and_survives_a_closed_tab(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(checkpoint(site))
    asked: list[int] = []
    page.on("response", lambda one: asked.append(one.status) if "/live/" in one.url else None)
    page.get_by_label("Precision").last.select_option("float32")
    page.get_by_role("button", name="Export GGUF").click()
    expect(page.get_by_role("status")).to_contain_text("You may close this page")
    expect(page.get_by_text("waiting in the queue").first).to_be_visible()
    page.wait_for_timeout(2600)
    assert set(asked) == {204}, "it is looked at again, and nothing changed"
    page.goto(site.tenant())
    page.goto(checkpoint(site))
    waiting = page.locator(".export", has_text="waiting in the queue").first
    waiting.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("The export stops.")


def test_a_viewer_reads_and_is_offered_nothing(site: Site, open_page: OpenPage) -> None:
    page = open_page(width=390)
    sign_in(page, site, VIEWER)
    page.goto(checkpoint(site))
    expect(page.get_by_role("heading", name="Before against after")).to_be_visible()
    for name in ("Export", "Promote", "Compare again"):
        assert page.get_by_role("button", name=name).count() == 0
    assert page.get_by_role("link", name="Download").count() == 0


def test_three_models_answer_side_by_side(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    page.get_by_label("Model 3").select_option(value=f"checkpoint:{site.ids['checkpoint']}")
    assert page.url.count("model=") == 3
    page.keyboard.press("Escape")
    page.get_by_label("Your question").fill("你们免费测量吗？")
    page.keyboard.press("Enter")
    exchange = page.locator(".exchange")
    expect(exchange.locator(".answer")).to_have_count(3)
    for number in ("2", "3"):
        answer = exchange.locator(f".answer[data-column='{number}']")
        expect(answer).to_contain_text("within two days. 谢谢！")
        expect(answer.locator(".foot")).to_contain_text("tokens/s")
    # The address can be shared: whoever opens it has the same models.
    shared = page.url
    page.goto(site.tenant())
    page.goto(shared)
    expect(page.get_by_label("Model 3")).to_have_value(f"checkpoint:{site.ids['checkpoint']}")
    expect(page.locator("#sides > span")).to_have_count(3)


def test_another_model_begins_another_conversation_in_its_column_alone(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    sent: list[str] = []
    page.on(
        "request",
        lambda one: sent.append(one.post_data or "") if "/stream/" in one.url else None,
    )
    question = page.get_by_label("Your question")
    question.fill("first")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Ask")).to_be_visible()
    page.get_by_label("Model 2").select_option(value=f"checkpoint:{site.ids['checkpoint']}")
    sent.clear()
    question.fill("second")
    page.keyboard.press("Enter")
    expect(page.locator(".exchange").last.locator(".answer .foot").last).to_contain_text("tokens")
    kept = [body for body in sent if "first" in body]
    assert (len(sent), len(kept)) == (2, 1)


def test_an_answer_is_copied(site: Site, open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    page.get_by_label("Your question").fill("Copy this")
    page.keyboard.press("Enter")
    answer = page.locator(".answer[data-column='2']")
    answer.get_by_role("button", name="Copy the answer").click()
    expect(answer.locator(".foot")).to_have_text("Copied")
    assert "谢谢！" in page.evaluate("navigator.clipboard.readText()")


def test_on_a_narrow_screen_the_answers_stand_below_each_other_with_their_names(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(width=390)
    sign_in(page, site)
    page.goto(site.tenant("playground/"))
    page.get_by_label("Your question").fill("Narrow?")
    page.keyboard.press("Enter")
    answers = page.locator(".answer")
    expect(answers).to_have_count(2)
    first, second = (answers.nth(at).bounding_box() for at in (0, 1))
    assert first
    assert second
    assert second["y"] >= first["y"] + first["height"]
    expect(answers.first.locator(".answer-name")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_training_is_started_by_keyboard_with_everything_on_auto(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("jobs/"))
    page.get_by_role("link", name="Start a fine-tuning").click()
    page.get_by_label("What it learns from").select_option(index=1)
    page.get_by_label("Deployment").fill("browser")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What auto will choose, and why")).to_be_visible()
    expect(page.get_by_text("402 training examples:")).to_be_visible()
    page.get_by_text("Advanced settings").click()
    page.get_by_label("rank", exact=True).fill("0")
    page.get_by_role("button", name="Start the training").click()
    expect(page.get_by_text("must be a whole number from 1 to 256")).to_be_visible()
    page.get_by_label("rank", exact=True).fill("")
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/"))
    expect(page.get_by_role("status")).to_contain_text("You may close this page")
