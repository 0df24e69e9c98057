"""Every page as a picture, at two widths, in two languages, light and dark: `make screenshots`.

They go to screenshots/, to be looked at; nothing asserts on them.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.seed import GUEST, NEWCOMER, OWNER, PASSWORD, STAFF
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
    yield "dataset-new", site.tenant("datasets/new/")
    yield "dataset-settings", site.tenant(f"datasets/{dataset}/settings/")
    yield "import", site.tenant("datasets/import/")
    yield "examples", site.tenant(f"datasets/{dataset}/examples/")
    yield "examples-none", site.tenant(f"datasets/{dataset}/examples/?q=nosuchword")
    yield "example", site.tenant(f"examples/{site.ids['example']}/")
    yield "import-run", site.tenant(f"imports/{site.ids['import']}/")
    yield "import-lines", site.tenant(f"imports/{site.ids['import']}/lines/")
    yield "import-check", site.tenant(f"imports/{site.ids['check']}/")
    yield "import-fault", site.tenant(f"imports/{site.ids['check']}/lines/?around=4")
    yield "history", site.tenant("history/")
    yield "history-new", site.tenant("history/new/")
    yield "history-rules", site.tenant("history/rules/")
    yield "history-run", site.tenant(f"history/{site.ids['history']}/")
    yield "history-check", site.tenant(f"history/{site.ids['history-check']}/")
    yield "history-lines", site.tenant(f"history/{site.ids['history-check']}/lines/?around=2")
    yield "history-conversation", site.tenant(f"history/conversations/{site.ids['past']}/")
    yield "version", site.tenant(f"datasets/{dataset}/versions/1/?split=test")
    yield "jobs", site.tenant("jobs/")
    for name in ("open", "refused", "running", "waiting", "failed", "serving"):
        yield f"job-{name}", site.job(name)
    yield "job-new", site.tenant("jobs/new/")
    yield "job-plan", site.tenant(f"jobs/new/?{site.ids['plan']}")
    yield "models", site.tenant("models/")
    yield "checkpoint", site.tenant(f"checkpoints/{site.ids['checkpoint']}/")
    yield "playground", site.tenant("playground/")
    yield "knowledge", site.tenant("knowledge/")
    yield "article", site.tenant(f"knowledge/{site.ids['article']}/")
    yield "knowledge-import", site.tenant("knowledge/import/")
    yield "article-new", site.tenant("knowledge/new/")
    yield (
        "knowledge-trial",
        site.tenant("knowledge/try/?q=%E4%BF%9D%E4%BF%AE%E6%9C%9F%E5%A4%9A%E9%95%BF"),
    )
    yield "replies", site.tenant("replies/")
    yield "reply", site.tenant(f"replies/{site.ids['reply']}/")
    yield "reply-new", site.tenant("replies/new/")
    yield "gaps", site.tenant("knowledge/unanswered/")
    yield "numbers", site.tenant("numbers/")
    yield "answer-review", site.tenant("numbers/review/")
    yield "regression", site.tenant("tests/")
    yield "regression-run", site.tenant(f"tests/runs/{site.ids['regression_run']}/")
    yield "contacts", site.tenant("contacts/")
    yield "contact", site.tenant(f"contacts/{site.ids['contact']}/")
    yield "conversation-exports", site.tenant("conversations/exports/")
    yield "inboxes", site.tenant("inboxes/")
    yield "inbox", site.tenant(f"inboxes/{site.ids['inbox']}/")
    yield "trial", site.tenant(f"inboxes/{site.ids['inbox']}/trial/")
    yield "inbox-new", site.tenant("inboxes/new/")
    yield "usage", site.tenant("settings/usage/")
    yield "members", site.tenant("settings/members/")
    yield "member", site.tenant(f"settings/members/{site.ids['member']}/")
    yield "invite", site.tenant("settings/members/invite/")
    yield "keys", site.tenant("settings/keys/")
    yield "key", site.tenant(f"settings/keys/{site.ids['key']}/")
    yield "key-new", site.tenant("settings/keys/new/")
    yield "webhooks", site.tenant("settings/webhooks/")
    yield "webhook", site.tenant(f"settings/webhooks/{site.ids['webhook']}/")
    yield "webhook-new", site.tenant("settings/webhooks/new/")
    yield "audit", site.tenant("settings/audit/")
    yield "audit-none", site.tenant("settings/audit/?since=2100-01-01")
    yield "tenant", site.tenant("settings/")
    yield "closing", site.tenant("closing/")
    yield "find", site.tenant("find/?q=support")
    yield "labelling", site.tenant("label/")
    yield "label", site.tenant(f"label/{site.ids['fresh']}/")
    yield "label-review", site.tenant(f"label/{site.ids['review']}/")
    yield "label-new", site.tenant("label/new/")
    yield "label-agreement", site.tenant(f"label/{site.ids['half']}/agreement/")
    yield "label-adjudicate", site.tenant(f"label/{site.ids['half']}/adjudicate/")
    yield "desk", site.tenant("desk/?show=open")
    yield "desk-one", site.tenant(f"desk/{site.ids['waiting_visitor']}/")
    yield "mfa", f"{site.url}/accounts/2fa/"
    yield "email", f"{site.url}/accounts/email/"
    yield "password", f"{site.url}/accounts/password/change/"
    yield "missing", f"{site.url}/t/nowhere/"


def empty_pages(site: Site) -> Iterator[tuple[str, str]]:
    """What the owner of a tenant without anything finds (NEWCOMER)."""
    for name, path in (
        ("home", ""),
        ("datasets", "datasets/"),
        ("jobs", "jobs/"),
        ("models", "models/"),
        ("playground", "playground/"),
        ("knowledge", "knowledge/"),
        ("replies", "replies/"),
        ("gaps", "knowledge/unanswered/"),
        ("numbers", "numbers/"),
        ("regression", "tests/"),
        ("contacts", "contacts/"),
        ("inboxes", "inboxes/"),
        ("desk", "desk/"),
        ("usage", "settings/usage/"),
        ("keys", "settings/keys/"),
        ("webhooks", "settings/webhooks/"),
        ("members", "settings/members/"),
    ):
        yield f"empty-{name}", f"{site.url}/t/empty/{path}"


def guest_pages(site: Site) -> Iterator[tuple[str, str]]:
    """What somebody finds who belongs to no tenant (GUEST)."""
    yield "start", f"{site.url}/"
    yield "open", f"{site.url}/new/"


def door_pages(site: Site) -> Iterator[tuple[str, str]]:
    """What stands before the sign-in."""
    yield "sign-in", f"{site.url}/accounts/login/"
    yield "sign-up", f"{site.url}/accounts/signup/"
    yield "password-reset", f"{site.url}/accounts/password/reset/"
    yield "password-reset-sent", f"{site.url}/accounts/password/reset/done/"
    yield "password-reset-void", f"{site.url}/accounts/password/reset/key/x-set-password/"
    yield "join", f"{site.url}/join/"


def operator_pages(site: Site) -> Iterator[tuple[str, str]]:
    """The admin, for the platform's staff (STAFF)."""
    yield "admin", f"{site.url}/admin/"
    for name, path in (
        ("tenants", "tenancy/tenant/"),
        ("jobs", "gpt_core/finetuningjob/"),
        ("engines", "gpt_core/basemodel/engines/"),
        ("queues", "gpt_core/finetuningjob/queues/"),
        ("deliveries", "webhooks/webhookdelivery/"),
        ("bases", "gpt_core/basemodel/"),
        ("audit", "tenancy/auditentry/"),
    ):
        yield f"admin-{name}", f"{site.url}/admin/{path}"


# Who looks at which pages; nobody is signed in for the doors.
VISITS = (
    ("", door_pages),
    (OWNER, pages),
    (NEWCOMER, empty_pages),
    (GUEST, guest_pages),
    (STAFF, operator_pages),
)


def sign_in(page: Page, site: Site, email: str = OWNER) -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/" if email in (GUEST, STAFF) else "**/t/**")


def look_at(page: Page, site: Site, table: Path) -> None:
    """The first step of an import, by mouse; what the file is comes next."""
    page.goto(site.tenant("datasets/import/"))
    page.set_input_files("input[type=file]", table)
    page.get_by_role("button", name="Look at it").click()


def ask(page: Page, site: Site) -> None:
    page.goto(site.tenant("playground/"))
    page.fill("#question", "Do you measure for free?  你们免费测量吗？")
    page.click("#send")
    page.wait_for_selector("#send:not([hidden])")


def invite(page: Page, site: Site) -> None:
    page.goto(site.tenant("settings/members/invite/"))
    page.fill("#id_email", f"{uuid.uuid4().hex[:8]}@example.com")
    page.click("main button.primary[type=submit]")
    page.wait_for_selector("#invitation-link")


def make_key(page: Page, site: Site) -> None:
    page.goto(site.tenant("settings/keys/new/"))
    page.fill("#id_name", "演示 demo")
    page.click("main button.primary[type=submit]")
    page.wait_for_selector("#key-secret")


def add_identity_key(page: Page, site: Site) -> None:
    page.goto(site.tenant(f"inboxes/{site.ids['inbox']}/"))
    while page.locator("button[popovertarget^=retire]").count():
        page.locator("button[popovertarget^=retire]").first.click()
        page.locator(".ask:popover-open button.danger").click()
    page.click("form[action$='/keys/'] button")
    page.wait_for_selector("#identity-secret")


def open_palette(page: Page, site: Site) -> None:
    page.goto(site.tenant())
    page.keyboard.press("Control+k")
    page.fill("#find-text", "support")
    page.wait_for_selector("#find-list [role=option]")


def show_keys(page: Page, site: Site) -> None:
    page.goto(site.tenant("jobs/"))
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")


def ask_before_revoking(page: Page, site: Site) -> None:
    page.goto(site.tenant("settings/keys/"))
    page.click("button[popovertarget^=revoke]")


def open_drawer(page: Page, site: Site) -> None:
    page.goto(site.tenant())
    if page.locator("[data-toggles]").is_visible():
        page.click("[data-toggles]")


def confirm_password(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/accounts/2fa/")
    page.locator("main .panel a.button").first.click()
    if not page.locator("input[name=password]").count():
        page.goto(f"{site.url}/accounts/reauthenticate/")


def set_up_a_second_factor(page: Page, site: Site) -> None:
    confirm_password(page, site)
    page.fill("input[name=password]", PASSWORD)
    page.locator("main button[type=submit]").first.click()
    page.wait_for_load_state()
    if not page.locator("img.qr").count():
        page.goto(f"{site.url}/accounts/2fa/totp/activate/")


# Pages that one comes to by doing something.
ACTS: dict[str, Callable[[Page, Site], None]] = {
    "playground-asked": ask,
    "reauthenticate": confirm_password,
    "mfa-activate": set_up_a_second_factor,
    "invited": invite,
    "key-made": make_key,
    "identity-key-made": add_identity_key,
    "palette": open_palette,
    "shortcuts": show_keys,
    "revoke": ask_before_revoking,
    "drawer": open_drawer,
}
OVERLAYS = {"palette", "shortcuts", "revoke", "drawer"}


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
                    if not wanted or "home" in wanted:
                        shoot(browser, site, folder, language, scheme, 1920, 1080, ["home"])
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
    def save(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(250)
        path = folder / f"{name}-{width}-{language}-{scheme}.png"
        # What lies in the top layer has the size of the window, not of the page.
        page.screenshot(path=path, full_page=name not in OVERLAYS)

    for who, found in VISITS:
        shots = [(name, address) for name, address in found(site) if not wanted or name in wanted]
        acts = [name for name in ACTS if who == OWNER and (not wanted or name in wanted)]
        if not shots and not acts:
            continue
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            locale="zh-CN" if language == "zh-hans" else "en-GB",
            device_scale_factor=1.5,
        )
        page = context.new_page()
        if who:
            sign_in(page, site, who)
        for name, address in shots:
            page.goto(address)
            save(page, name)
        for name in acts:
            ACTS[name](page, site)
            save(page, name)
        context.close()


if __name__ == "__main__":
    main()
