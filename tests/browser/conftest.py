"""One site for all browser tests, and pages that may complain about nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.browser.screens import CHROMIUM
from tests.browser.site import Site, running_site

MISSING = f"{CHROMIUM} is missing: apt-get install chromium"

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(width=390)`: a page whose console must stay empty.

    A breach of the content security policy is an error in the console, and is listened for besides.
    """
    complaints: list[str] = []
    contexts = []

    def hear(message: ConsoleMessage) -> None:
        # A page that is asked for and is not there is an answer, not a fault of the page.
        # Nor is one that was under way when the page was left (another failure says sendError as well).
        expected = message.text.startswith(
            ("Failed to load resource", "htmx:sendAbort", "htmx:afterRequest")
        )
        if message.type in ("error", "warning") and not expected:
            complaints.append(f"{message.type}: {message.text}")

    def open_one(*, width: int = 1280, height: int = 860, **options: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (event) =>"
            " console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI));"
        )
        return page

    open_one.heard = complaints  # type: ignore[attr-defined]
    yield open_one
    for context in contexts:
        context.close()
    assert not complaints
