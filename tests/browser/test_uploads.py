"""A visitor sends a picture in the panel, and an agent gets it at the desk: from an origin of its own."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, TimeoutError, expect

from tests.apps.chatbot.photos import SECRET, opened, photo
from tests.browser import test_desk
from tests.browser.conftest import OpenPage
from tests.browser.screens import sign_in
from tests.browser.site import Site
from tests.browser.test_desk import shop

__all__ = ["shop"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
NAME = "退货照片.jpg"


def downloaded(page: Page, button: FrameLocator | Page) -> tuple[str, str, bytes]:
    """Where it came from, what it is called, and what is in it. Who is too early presses again."""
    for _ in range(10):
        with contextlib.suppress(TimeoutError):
            with page.expect_download(timeout=3_000) as started:
                button.get_by_role("button", name=re.compile(NAME)).click()
            got = started.value
            return got.url, got.suggested_filename, Path(got.path()).read_bytes()
    raise AssertionError(f"{NAME} never came")


def test_a_picture_goes_from_a_visitor_to_an_agent_without_its_metadata(
    site: Site, shop: str, open_page: OpenPage
) -> None:
    desk, visitor = open_page(), open_page(width=390, height=844)
    panel = test_desk.opened(visitor, shop)
    test_desk.ask(panel, "照片怎么发？")
    expect(panel.locator(".turn.user:not(.waits)")).to_have_count(1)
    sent = {"name": NAME, "mimeType": "image/jpeg", "buffer": photo("jpeg")}
    panel.locator("#file").set_input_files(sent)  # type: ignore[arg-type]
    expect(panel.get_by_role("button", name=re.compile(NAME))).to_be_visible()

    sign_in(desk, site)
    desk.goto(site.tenant("desk/?show=waiting"))
    desk.locator(".desk-row", has_text=NAME).last.click()
    expect(desk.get_by_role("button", name=NAME)).to_be_visible()
    downloaded(desk, desk)
    # And once more, from the same page.
    url, name, data = downloaded(desk, desk)
    assert url.startswith(f"{site.uploads}/uploads/?ticket=")
    assert name == NAME
    assert SECRET not in data
    assert opened(data).size == (20, 40)
    assert desk.url.startswith(site.url), "the desk stays where it was"

    asked: list[str] = []
    visitor.on("request", lambda one: asked.append(one.url))
    _url, name, again = downloaded(visitor, panel)
    assert (name, again) == (NAME, data)
    assert f"{site.uploads}/widget/v1/file/" in asked
