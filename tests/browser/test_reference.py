"""The API's reference is read and tried without another server, and without an inline script."""

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 390])
def test_the_reference_opens_an_operation_under_the_strict_policy(
    site: Site, open_page: OpenPage, width: int
) -> None:
    page = open_page(width=width)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(f"{site.url}/api/v1/docs/")
    assert answer is not None
    assert "unsafe" not in answer.headers["content-security-policy"]
    page.wait_for_selector("#operations-tag-jobs", timeout=60_000)
    page.click("#operations-tag-jobs")
    page.click("#operations-jobs-jobs_create .opblock-summary-control")
    page.wait_for_selector("#operations-jobs-jobs_create .parameters-container")
    page.click("#operations-jobs-jobs_create .try-out__btn")
    page.click("#operations-jobs-jobs_create .execute")
    page.wait_for_selector("#operations-jobs-jobs_create .live-responses-table")
    assert "not_authenticated" in page.inner_text("#operations-jobs-jobs_create")
    page.click(".authorize")
    page.wait_for_selector(".modal-ux")
    assert all(url.startswith((site.url, "data:", "blob:")) for url in asked), asked
