"""A table from a Chinese desk on its way into a dataset, by keyboard alone, in both languages and widths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import look_at, sign_in
from tests.browser.seed import TABLE
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Said:
    """The words of the page in one language."""

    locale: str
    look: str
    question: str
    answer: str
    faults: re.Pattern[str]
    imported: str
    done: re.Pattern[str]
    examples: str


ENGLISH = Said(
    "en", "Look at it", "question", "answer", re.compile("1 fault"), "Import",
    re.compile("4 new examples are in"), "See the examples",
)  # fmt: skip
CHINESE = Said(
    "zh-CN", "查看内容", "问题", "回答", re.compile("1 处错误"), "导入",
    re.compile("已导入 4 个新样本"), "查看样本",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def worker(site: Site) -> Iterator[None]:
    with site.with_worker():
        yield


def press_to(page: Page, wanted: Locator, most: int = 80) -> None:
    """Tab until `wanted` has the focus."""
    for _ in range(most):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"not reached by {most} tabs: {wanted}")


def choose(page: Page, choice: Locator, meaning: str) -> None:
    """Arrow down to an option as a person does, who presses again where the page took no notice."""
    options = choice.locator("option").count()
    for _ in range(2 * options):
        page.keyboard.press("ArrowDown")
        expect(page.locator(".htmx-request")).to_have_count(0, timeout=20_000)
        # Whoever chooses by keyboard goes on where they were.
        expect(choice).to_be_focused()
        if choice.locator("option:checked").inner_text() == meaning:
            return
    shown = page.locator("#import-body").inner_text()
    raise AssertionError(f"{meaning} is not to be had among {options}:\n{shown}")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("said", [ENGLISH, CHINESE], ids=lambda said: said.locale)
def test_a_table_of_another_encoding_comes_in_by_keyboard(
    said: Said, width: int, site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(width=width, locale=said.locale)
    sign_in(page, site)
    table = tmp_path / f"客服记录-{said.locale}-{width}.csv"
    table.write_bytes(TABLE.encode("gb18030"))

    page.goto(site.tenant("datasets/import/"))
    page.set_input_files("input[type=file]", table)
    press_to(page, page.get_by_role("button", name=said.look))
    page.keyboard.press("Enter")

    # Nothing is imported yet: the page says what it is, and what is wrong with it.
    page.wait_for_url(re.compile(r"/imports/[0-9a-f-]{36}/$"))
    expect(page.get_by_text("gb18030", exact=True)).to_be_visible()
    for column, meaning in (("客户说", said.question), ("客服说", said.answer)):
        choice = page.get_by_label(column, exact=True)
        press_to(page, choice)
        choose(page, choice, meaning)
        expect(choice.locator("option:checked")).to_have_text(meaning)
    expect(page.locator(".understood").get_by_text("收到后七天内可以退货。")).to_be_visible()
    expect(page.get_by_role("heading", name=said.faults)).to_be_visible(timeout=20_000)

    # A fault leads to its line, as it was uploaded.
    line = page.locator("table a[href*='around=4']")
    press_to(page, line)
    page.keyboard.press("Enter")
    expect(page.locator("#line-4")).to_contain_text("怎么开发票？")
    page.go_back()

    start = page.get_by_role("button", name=said.imported, exact=True)
    press_to(page, start)
    page.keyboard.press("Enter")
    expect(page.get_by_text(said.done)).to_be_visible(timeout=20_000)

    press_to(page, page.get_by_role("link", name=said.examples))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/examples/\?run="))
    expect(page.get_by_text("支持哪些付款方式？").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_mapping_is_kept_and_fits_the_next_file(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    sign_in(page, site)
    for turn, name in enumerate(("一月.csv", "二月.csv")):
        table = tmp_path / name
        table.write_bytes(TABLE.replace("支持", f"{name} 支持").encode("gb18030"))
        look_at(page, site, table)
        page.wait_for_url(re.compile(r"/imports/[0-9a-f-]{36}/$"))
        if turn == 0:
            page.get_by_label("客户说", exact=True).select_option(label="question")
            page.get_by_label("客服说", exact=True).select_option(label="answer")
            expect(
                page.locator(".understood").get_by_text("收到后七天内可以退货。")
            ).to_be_visible()
            page.get_by_label("Keep this mapping as").fill("客服系统")
            page.get_by_role("button", name="Keep", exact=True).click()
        else:
            page.get_by_role("button", name="客服系统").click()
            expect(page.get_by_label("客户说", exact=True)).to_have_value("question")
        expect(page.get_by_label("客服说", exact=True)).to_have_value("answer")


def test_a_file_that_is_none_says_so_where_it_was_chosen(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    sign_in(page, site)
    picture = tmp_path / "图.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    look_at(page, site, picture)
    expect(page.locator("[role=status], [role=alert], .errorlist, .note").first).to_be_visible()
    assert "/datasets/" in page.url or "/imports/" in page.url


def test_what_is_chosen_the_moment_the_page_comes_is_taken(
    site: Site, open_page: OpenPage, tmp_path: Path
) -> None:
    """No moment in which the new page is seen and does not listen yet."""
    page = open_page()
    sign_in(page, site)
    table = tmp_path / "三月.csv"
    table.write_bytes(TABLE.replace("支持", "三月 支持").encode("gb18030"))
    look_at(page, site, table)
    page.wait_for_url(re.compile(r"/imports/[0-9a-f-]{36}/$"))

    page.evaluate(
        """() => document.addEventListener('htmx:afterSwap', () => setTimeout(() => {
          const choice = document.querySelector('#role-2');
          choice.value = 'answer';
          choice.dispatchEvent(new Event('change', { bubbles: true }));
        }), { once: true })"""
    )
    page.get_by_label("客户说", exact=True).select_option(label="question")

    expect(page.locator(".understood").get_by_text("收到后七天内可以退货。")).to_be_visible()
