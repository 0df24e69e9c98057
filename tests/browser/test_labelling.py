"""Labelling by keyboard: one key an answer, undo, and nothing lost when the tab closes or the line is cut."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import sign_in
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ANSWERS = re.compile(r"/label/[^/]+/answers/$")


@contextmanager
def rows_of(site: Site) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(Path(site.environment["PARLEY_HOME"]) / "db.sqlite3", timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def answers_stored(site: Site, task: str) -> dict[str, tuple[str, str]]:
    """client_id -> (item's example, labels) of what is stored for a task, undone ones included."""
    with rows_of(site) as connection:
        found = connection.execute(
            "SELECT client_id, example_id, labels FROM labeling_annotation "
            "WHERE task_id = ? AND verdict = 'accept' AND client_id IS NOT NULL",
            [task.replace("-", "")],
        ).fetchall()
    return {client: (example, labels) for client, example, labels in found}


def open_task(page: Page, site: Site, name: str) -> None:
    page.goto(site.tenant(f"label/{site.ids[name]}/"))
    expect(page.locator("#item[data-item]")).to_be_visible()


def shown(page: Page) -> str:
    return str(page.locator("#item").get_attribute("data-item"))


def until(page: Page, true: Callable[[], bool]) -> None:
    """Playwright's own waiting evaluates text in the page, which the page's policy refuses."""
    for _ in range(500):
        if true():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it did not become true")


def label(page: Page, key: str) -> str:
    """Press a key; the item that was labelled, once the next one is shown."""
    before = shown(page)
    page.keyboard.press(key)
    until(page, lambda: shown(page) != before)
    return before


def settled(page: Page) -> None:
    """Everything that was answered has arrived."""
    kept = "() => Object.keys(localStorage).some((key) => key.startsWith('parley-label:'))"
    until(page, lambda: not page.evaluate(kept))


def test_one_key_labels_and_goes_on_and_undo_brings_the_last_item_back(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant("label/"))
    page.get_by_role("link", name="October mail 十月来信", exact=True).click()
    expect(page.locator("#item[data-item]")).to_be_visible()
    expect(page.locator("#said-label")).not_to_be_empty()
    expect(page.locator("#said-word")).to_contain_text("not calibrated")
    before = answers_stored(site, site.ids["fresh"])

    first = label(page, "1")
    second = label(page, "2")
    page.keyboard.press("u")
    assert shown(page) == second
    expect(page.locator(".choice.is-chosen")).to_contain_text("Refund 退款")
    label(page, "3")
    suggested = page.locator("#said-label").inner_text()
    third = label(page, "Enter")
    assert len({first, second, third}) == 3
    settled(page)
    now = answers_stored(site, site.ids["fresh"])
    new = [labels for client, (_example, labels) in now.items() if client not in before]
    assert len(new) == 4, "what was undone stays, as it was said"
    with rows_of(site) as connection:
        undone = connection.execute(
            "SELECT count(*) FROM labeling_annotation WHERE verdict = 'undo'"
        ).fetchone()
    assert undone == (1,)
    assert suggested in "".join(new).encode().decode("unicode_escape")


def test_the_guideline_and_the_keys_are_one_key_away(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    open_task(page, site, "fresh")
    page.keyboard.press("g")
    expect(page.locator("#guideline")).to_contain_text("客户想要什么")
    # "g d" goes to the datasets elsewhere; here g is the guideline, and d is nothing.
    page.keyboard.press("d")
    expect(page.locator("#guideline")).to_be_visible()
    page.keyboard.press("g")
    expect(page.locator("#guideline")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Take the last answer back")
    before = shown(page)
    page.keyboard.press("1")
    assert shown(page) == before, "an open dialog has the keys to itself"


def test_a_closed_tab_loses_nothing(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    context: BrowserContext = page.context
    open_task(page, site, "fresh")
    settled(page)
    before = set(answers_stored(site, site.ids["fresh"]))
    labelled = []
    # The line is cut: answers stay in the browser, and the items go on.
    context.route(ANSWERS, lambda route: route.abort())
    for key in "12345":
        labelled.append(label(page, key))
    expect(page.locator("#trouble")).to_contain_text("kept in this browser")
    assert set(answers_stored(site, site.ids["fresh"])) == before
    page.close()
    context.unroute(ANSWERS)

    page = context.new_page()
    open_task(page, site, "fresh")
    settled(page)
    now = answers_stored(site, site.ids["fresh"])
    assert len(set(now) - before) == 5
    assert shown(page) not in labelled, "what was answered is not asked again"


def test_an_answer_that_was_lost_on_its_way_back_is_stored_once(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page()
    sign_in(page, site)
    open_task(page, site, "fresh")
    settled(page)
    before = set(answers_stored(site, site.ids["fresh"]))

    def lose_the_reply(route) -> None:  # type: ignore[no-untyped-def]
        route.fetch()
        route.abort()

    page.context.route(ANSWERS, lose_the_reply, times=1)
    label(page, "1")
    settled(page)
    assert len(set(answers_stored(site, site.ids["fresh"])) - before) == 1


def test_two_tabs_do_not_answer_one_item_twice(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    open_task(page, site, "fresh")
    other = page.context.new_page()
    open_task(other, site, "fresh")
    assert shown(page) == shown(other)
    done = label(page, "1")
    until(other, lambda: shown(other) != done)
    expect(other.locator("#trouble")).to_contain_text("in another tab")
    settled(page)


def test_a_review_accepts_edits_and_rejects(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    open_task(page, site, "review")
    label(page, "Enter")
    page.keyboard.press("e")
    expect(page.locator("#edited")).to_be_focused()
    page.locator("#edited").fill("Yes, and the visit is free. 上门免费。")
    before = shown(page)
    page.keyboard.press("Control+Enter")
    until(page, lambda: shown(page) != before)
    label(page, "r")
    settled(page)
    with rows_of(site) as connection:
        found = connection.execute(
            "SELECT state, content FROM labeling_example WHERE external_id LIKE 'chat-%' "
            "AND state != 'draft'"
        ).fetchall()
    assert sorted(state for state, _content in found) == ["accepted", "accepted", "rejected"]
    assert any("the visit is free" in content for _state, content in found)


def test_disputes_are_decided_and_agreement_is_shown(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, site)
    page.goto(site.tenant(f"label/{site.ids['half']}/agreement/"))
    expect(page.get_by_text("Krippendorff's alpha")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Right on gold")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Decide")).click()
    before = page.locator(".label-item").inner_text()
    page.keyboard.press("1")
    expect(page.get_by_role("status")).to_contain_text("Decided")
    assert page.locator(".label-item").inner_text() != before
