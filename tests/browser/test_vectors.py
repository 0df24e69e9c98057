"""Every known way to smuggle a script through a text, once through every place that shows one.

All vectors go, many at a time, into every free text of the database, and every page of the portal
and of the admin is opened in Chromium. Nothing may run, nothing may be asked of another host, and
no markup may have been made of the text: the last would hold even if the policy were looser.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from tests.browser.conftest import OpenPage
from tests.browser.screens import pages, sign_in
from tests.browser.seed import PASSWORD, STAFF
from tests.browser.site import ROOT, Site, running_site

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

DATA = Path(os.environ.get("PARLEY_DATA", ROOT.parent / "shared" / "data"))
VECTORS = DATA / "badinput" / "lists" / "xss_vectors_mit.json"
BATCH = 400
MARK = "⟦向量⟧"

LISTEN = """
window.__ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) {
  window[name] = (...given) => { window.__ran.push(`${name}(${given})`); return null; };
}
if (navigator.vibrate) navigator.vibrate = () => window.__ran.push("vibrate");
"""
# Whatever could run, as the page has it: handlers, scripts in the page, addresses that are code.
ALIVE = """() => [...document.querySelectorAll("*")].flatMap((one) => [
  ...[...one.attributes]
    .filter((a) => /^on/i.test(a.name) || /^\\s*(javascript|vbscript|data:text)/i.test(a.value)
      && /^(href|src|action|formaction|data|xlink:href|srcdoc)$/i.test(a.name))
    .map((a) => `${one.tagName} ${a.name}`),
  ...(one.matches("script:not([src]), iframe, object, embed, base, frame, applet, marquee, xss, x")
    ? [one.tagName] : []),
])"""
PLACES = """(mark) => {
  const found = new Set();
  const way = (one) => one && one !== document.documentElement
    ? `${way(one.parentElement)}>${one.tagName}${[...one.classList].map((c) => "." + c).join("")}` : "";
  const walk = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  for (let text; (text = walk.nextNode()); ) {
    if (text.data.includes(mark)) found.add(way(text.parentElement));
  }
  for (const one of document.querySelectorAll("*")) {
    for (const own of one.attributes) {
      if (own.value.includes(mark)) found.add(`${way(one)}@${own.name}`);
    }
    if ("value" in one && typeof one.value === "string" && one.value.includes(mark)) {
      found.add(`${way(one)}=value`);
    }
  }
  return [...found];
}"""


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of its own: what is written here would spoil every other test's."""
    if not VECTORS.exists():
        pytest.skip("the folder named by PARLEY_DATA has no badinput/lists")
    with running_site(tmp_path_factory.mktemp("poisoned")) as found:
        yield found


def test_no_vector_runs_anywhere(
    poisoned: Site, open_page: OpenPage, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    member, staff = open_page(), open_page()
    sign_in(member, poisoned)
    _sign_in_staff(staff, poisoned)
    strangers: list[str] = []
    for page in (member, staff):
        _watch(page.context, poisoned, strangers)
    walked = [(member, name, url) for name, url in pages(poisoned)]
    walked += [(staff, name, url) for name, url in admin_pages(staff, poisoned)]
    clean = {name: _opened(page, url) for page, name, url in walked}

    places: set[str] = set()
    ran: list[str] = []
    for start in range(0, len(vectors), BATCH):
        batch = [MARK, *vectors[start : start + BATCH]]
        _poison(poisoned, "\n".join(text.replace("\0", "") for text in batch), tmp_path)
        for page, name, url in walked:
            alive = _opened(page, url)
            ran += [f"{name}: {what}" for what in page.evaluate("window.__ran")]
            new = [what for what in alive if what not in clean[name]]
            assert not new, f"{name} made markup of a text: {new[:5]}"
            places |= {f"{name} {place}" for place in page.evaluate(PLACES, MARK)}
    open_page.heard.clear()  # type: ignore[attr-defined]
    record_property("vectors", len(vectors))
    record_property("vector_places", len(places))
    record_property("vector_pages", len(walked))
    assert not ran
    assert not strangers
    assert len(places) > 100, "the texts are really shown"


def admin_pages(page: Page, site: Site) -> list[tuple[str, str]]:
    """Every list of the admin with its first row's form."""
    page.goto(f"{site.url}/admin/")
    found = []
    addresses = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"/admin/\"]')].map((a) => a.getAttribute('href'))"
    )
    for address in sorted({one.partition("?")[0].partition("#")[0] for one in addresses}):
        if "logout" in address or "password" in address:
            continue
        found.append((address, f"{site.url}{address}"))
        page.goto(f"{site.url}{address}")
        first = page.locator(f'#result_list a[href^="{address}"][href*="/change/"]')
        if first.count():
            href = first.first.get_attribute("href") or ""
            found.append((f"{address}one", f"{site.url}{href.partition('?')[0]}"))
    return found


def _opened(page: Page, url: str) -> list[str]:
    page.goto(url, wait_until="load")
    found: list[str] = page.evaluate(ALIVE)
    return found


def _watch(context: BrowserContext, site: Site, strangers: list[str]) -> None:
    context.add_init_script(LISTEN)

    def look(route: Route) -> None:
        url = route.request.url
        if url.startswith((site.url, "data:", "blob:")):
            route.continue_()
        else:
            strangers.append(url)
            route.abort()

    context.route("**/*", look)


def _poison(site: Site, text: str, folder: Path) -> None:
    file = folder / "text"
    file.write_text(text, encoding="utf-8", errors="replace")
    subprocess.run(
        [sys.executable, "-m", "tests.browser.poison", str(file)],
        cwd=ROOT, env=site.environment, check=True, timeout=120,
    )  # fmt: skip


def _sign_in_staff(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/accounts/login/?next=/admin/")
    page.fill("input[name=login]", STAFF)
    page.fill("input[name=password]", PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/admin/**")
