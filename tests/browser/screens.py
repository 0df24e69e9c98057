"""Every page as a picture, at two widths, in two languages, light and dark: `make screenshots`.

They go to screenshots/, to be looked at; nothing asserts on them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.seed import OWNER, PASSWORD
from tests.browser.site import ROOT, Site, running_site

CHROMIUM = "/usr/bin/chromium"
WIDTHS = {1280: 860, 390: 844}
LANGUAGES = ("en", "zh-hans")
SCHEMES = ("light", "dark")


def pages(site: Site) -> Iterator[tuple[str, str]]:
    """(name, address) of everything worth a look when signed in."""
    dataset = site.ids["dataset"]
    yield "home", site.tenant()
    yield "datasets", site.tenant("datasets/")
    yield "dataset", site.tenant(f"datasets/{dataset}/")
    yield "version", site.tenant(f"datasets/{dataset}/versions/1/?split=test")
    yield "jobs", site.tenant("jobs/")
    for name in ("open", "refused", "running", "waiting", "failed", "serving"):
        yield f"job-{name}", site.job(name)
    yield "models", site.tenant("models/")
    yield "playground", site.tenant("playground/")
    yield "mfa", f"{site.url}/accounts/2fa/"
    yield "password", f"{site.url}/accounts/password/change/"
    yield "missing", f"{site.url}/t/nowhere/"


def sign_in(page: Page, site: Site, email: str = OWNER) -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/t/**")


def ask(page: Page, site: Site) -> None:
    page.goto(site.tenant("playground/"))
    page.fill("#question", "Do you measure for free?  你们免费测量吗？")
    page.click("#send")
    page.wait_for_selector("#send:not([hidden])")


def main() -> None:
    wanted = sys.argv[1:]
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parley-screens-") as home:
        with running_site(Path(home)) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--hide-scrollbars"]
            )
            for language in LANGUAGES:
                for scheme in SCHEMES:
                    for width, height in WIDTHS.items():
                        shoot(browser, site, folder, language, scheme, width, height, wanted)
            browser.close()


def shoot(
    browser: Browser,
    site: Site,
    folder: Path,
    language: str,
    scheme: str,
    width: int,
    height: int,
    wanted: list[str],
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="zh-CN" if language == "zh-hans" else "en-GB",
        device_scale_factor=1.5,
    )
    page = context.new_page()

    def save(name: str) -> None:
        page.wait_for_timeout(250)
        path = folder / f"{name}-{width}-{language}-{scheme}.png"
        page.screenshot(path=path, full_page=True)

    def is_wanted(name: str) -> bool:
        return not wanted or name in wanted

    if is_wanted("sign-in"):
        page.goto(f"{site.url}/accounts/login/")
        save("sign-in")
    sign_in(page, site)
    for name, address in pages(site):
        if is_wanted(name):
            page.goto(address)
            save(name)
    if is_wanted("playground-asked"):
        ask(page, site)
        save("playground-asked")
    close(context)


def close(context: BrowserContext) -> None:
    context.close()


if __name__ == "__main__":
    main()
