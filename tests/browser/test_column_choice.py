"""The page of a file looks at itself every second while the file is read. What a person chooses meanwhile stands."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Error, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import look_at, sign_in
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


class Held:
    """Answers of the site that arrive only when they are let go."""

    def __init__(self) -> None:
        self.answers: list[tuple[Route, APIResponse]] = []

    def __call__(self, route: Route) -> None:
        self.answers.append((route, route.fetch()))

    def let_go(self) -> None:
        for route, answer in self.answers:
            # The page may have given up waiting for it.
            with contextlib.suppress(Error):
                route.fulfill(response=answer)
        self.answers.clear()


def test_a_look_from_before_a_choice_does_not_undo_it(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    sign_in(page, site)
    table = tmp_path / "客服.csv"
    # Too long to be read while the page is asked for; no worker reads it here either.
    rows = "".join(f"第{n}次发货需要几天？,{'两个工作日内。' * 200}\n" for n in range(300))
    table.write_text(f"客户说,客服说\n{rows}", encoding="utf-8")
    looks, choices = Held(), Held()
    page.route("**/imports/*/live/", looks)
    page.route("**/imports/*/columns/", choices)

    look_at(page, site, table)
    while not looks.answers:
        page.wait_for_timeout(50)
    page.locator("#import-body").evaluate("body => body.dataset.before = ''")
    page.get_by_label("客服说", exact=True).select_option(label="answer")
    while not choices.answers:
        page.wait_for_timeout(50)
    looks.let_go()
    page.wait_for_timeout(300)
    expect(page.locator("#import-body[data-before]")).to_be_visible()

    choices.let_go()
    expect(page.locator("#import-body[data-before]")).to_have_count(0)
    expect(page.get_by_label("客服说", exact=True)).to_have_value("answer")
