"""Every page for everybody: axe finds nothing serious, and the keyboard reaches everything and sees where it is.

axe-core is evaluated from outside, as the inspector does it, so that the strict policy stays in force.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import ACTS, VISITS, sign_in
from tests.browser.seed import OWNER, STAFF
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# What is asked beyond axe's own choice: the size of targets is new in WCAG 2.2.
RULES = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
SERIOUS = {"serious", "critical"}

COMBINATIONS = {
    "en-light-1280": {"width": 1280, "locale": "en-GB", "color_scheme": "light"},
    "zh-dark-390": {"width": 390, "locale": "zh-CN", "color_scheme": "dark"},
}


class _Nowhere(Site):
    """A site that does not run: enough to learn which pages there are."""

    def __init__(self) -> None:
        self.url, self.ids = "", defaultdict(str)


PAGES = [(who, name) for who, found in VISITS for name, _address in found(_Nowhere())]
IDS = [name for _who, name in PAGES]

_states: dict[str, Any] = {}


def open_as(open_page: OpenPage, site: Site, who: str, **options: Any) -> Page:
    """A page where this person is signed in; signing in is done once for all tests."""
    if who and who not in _states:
        page = open_page()
        sign_in(page, site, who)
        _states[who] = page.context.storage_state()
        page.context.close()
    return open_page(**options, **({"storage_state": _states[who]} if who else {}))


def address_of(site: Site, who: str, name: str) -> str:
    return next(dict(found(site))[name] for visitor, found in VISITS if visitor == who)


def serious_findings(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("(options) => axe.run(document, options)", RULES)
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("who", "name"), PAGES, ids=IDS)
def test_a_page_is_read_and_walked_by_everybody(
    who: str, name: str, site: Site, open_page: OpenPage
) -> None:
    """Light, English and wide: nothing serious, and the Tab key reaches everything."""
    page = open_as(open_page, site, who, **COMBINATIONS["en-light-1280"])
    page.goto(address_of(site, who, name))
    assert serious_findings(page) == []
    walk(page)


@pytest.mark.parametrize(("who", "name"), PAGES, ids=IDS)
def test_a_page_is_read_by_everybody_in_the_dark_in_chinese_on_a_phone(
    who: str, name: str, site: Site, open_page: OpenPage
) -> None:
    page = open_as(open_page, site, who, **COMBINATIONS["zh-dark-390"])
    page.goto(address_of(site, who, name))
    assert serious_findings(page) == []


def test_a_list_of_several_pages_is_read_in_the_dark(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, STAFF, **COMBINATIONS["zh-dark-390"])
    page.goto(address_of(site, STAFF, "admin-audit"))
    expect(page.locator(".showall")).to_be_visible()
    assert serious_findings(page) == []


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("act", ACTS)
def test_axe_finds_nothing_serious_in_what_opens(
    act: str, combination: str, site: Site, open_page: OpenPage
) -> None:
    page = open_as(open_page, site, OWNER, **COMBINATIONS[combination])
    ACTS[act](page, site)
    assert serious_findings(page) == []


# --- The keyboard ----------------------------------------------------------------------------

# What a reader could press or write into, as the page stands: one of each group of radio buttons,
# nothing in what is closed. Each gets a number, so that the walk can say which it met.
EXPECTED = """() => {
  const wanted = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]';
  const groups = new Set();
  let number = 0;
  for (const one of document.querySelectorAll(wanted)) {
    if (one.tabIndex < 0 || one.disabled || one.closest('[inert]')) continue;
    if (!one.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    if (one.type === 'radio') {
      const checked = document.querySelector(`input[name="${one.name}"]:checked`);
      if (groups.has(one.name) || (checked && checked !== one)) continue;
      groups.add(one.name);
    }
    one.dataset.walked = String(number++);
  }
  return number;
}"""
# Where the focus is, and whether one sees it: an outline, or a line drawn by a shadow.
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const seen = (element) => {
    const style = getComputedStyle(element);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== 'none';
  };
  const box = one.getBoundingClientRect();
  return {
    number: one.dataset.walked ?? '',
    what: one.outerHTML.slice(0, 160),
    seen: seen(one) || (one.parentElement !== null && seen(one.parentElement)),
    inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def walk(page: Page) -> None:
    """By Tab alone: everything is met, and wherever the focus is one sees it."""
    left = {str(number) for number in range(page.evaluate(EXPECTED))}
    assert left, "a page without anything to press"
    # A field for a date has stops inside; so many more presses than stops are a trap.
    for _press in range(4 * len(left) + 20):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            if not left:
                break
            continue
        assert at["seen"], f"nothing shows the focus on {at['what']}"
        assert at["inView"], f"the focus is out of sight on {at['what']}"
        left.discard(at["number"])
        if not left:
            break
    missed = [
        page.locator(f"[data-walked='{one}']").first.evaluate("e => e.outerHTML.slice(0, 160)")
        for one in left
    ]
    assert not missed


def test_the_first_key_offers_to_skip_the_rail(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER)
    page.goto(site.tenant("jobs/"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_swap_keeps_the_focus(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER)
    page.goto(site.tenant(f"settings/webhooks/{site.ids['webhook']}/"))
    button = page.locator("[id^=replay-]").first
    button.focus()
    name = button.get_attribute("id")
    page.evaluate(
        """(url) => htmx.ajax('GET', url, { target: '#deliveries', swap: 'outerHTML' })""",
        site.tenant(f"settings/webhooks/{site.ids['webhook']}/live/"),
    )
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement.id") == name


def test_the_palette_is_driven_by_keys_alone(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER)
    page.goto(site.tenant("models/"))
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("customer")
    chosen = page.locator("#find-list [aria-selected=true]")
    expect(chosen).to_contain_text("Customer questions")
    expect(field).to_have_attribute("aria-activedescendant", re.compile("find-hit-0"))
    page.keyboard.press("Escape")
    expect(page.locator("#find")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("王芳")
    expect(page.locator("#find-list [aria-selected=true]")).to_contain_text("王芳")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/members/*/")
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz")
    expect(page.locator("#find-said")).to_have_text("Nothing is called that here.")


def test_the_drawer_takes_the_focus_and_gives_it_back(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER, width=390)
    page.goto(site.tenant())
    toggle = page.locator("[data-toggles]")
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    assert page.evaluate("document.activeElement.closest('#rail-body') !== null")
    assert page.evaluate("document.getElementById('content').inert")
    page.keyboard.press("Escape")
    expect(toggle).to_be_focused()
    expect(page.locator("#rail-body")).to_be_hidden()


def test_the_keys_that_are_listed_are_those_of_the_page(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER)
    page.goto(site.tenant("settings/"))
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("Go to Members")
    expect(dialog.get_by_text("Move in a list")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.type("gk")
    page.wait_for_url("**/settings/keys/")
    page.keyboard.press("?")
    expect(dialog.get_by_text("Move in a list")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url("**/settings/keys/new/")


def test_an_invitation_is_copied_opened_and_accepted(site: Site, open_page: OpenPage) -> None:
    page = open_as(open_page, site, OWNER)
    ACTS["invited"](page, site)
    link = page.input_value("#invitation-link")
    asked: list[str] = []
    guest = open_page()
    guest.on("request", lambda one: asked.append(one.url + str(one.headers.get("referer"))))
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Join Acme 建设")).to_be_visible()
    code = link.split("#")[1]
    assert not [one for one in asked if code in one], "the code is in no address and no referrer"
    assert code not in guest.url
    guest.get_by_role("link", name="Create an account").click()
    expect(guest).to_have_url(re.compile("/accounts/signup/"))
