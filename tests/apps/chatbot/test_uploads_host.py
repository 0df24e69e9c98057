"""By setting, visitors' files are given out by a host of their own, which gives out nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.chatbot.models import Inbox
from tenancy.models import Tenant
from tests.apps.chatbot.test_attachments import PNG, check, conversation, home, upload
from tests.apps.chatbot.test_widget import FOREIGN_ORIGINS
from tests.apps.chatbot.uploads import FILES, SITE, own_host
from tests.apps.chatbot.visitor import SITE as SHOP
from tests.apps.chatbot.visitor import Browser
from tests.factories import make_member

__all__ = ["conversation", "home", "own_host"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_host")]


@pytest.fixture
def file(browser: Browser, conversation: str) -> str:
    sent = upload(browser, PNG, "退货单.png", conversation=conversation).json()["file"]
    check()
    return str(sent)


def fetch(browser: Browser, file: str, origin: str = SITE, host: str = FILES) -> Any:
    return browser.client.post(
        "/widget/v1/file/",
        json.dumps({"file": file}),
        content_type="application/json",
        headers={"Host": host, "Origin": origin, "Authorization": f"Bearer {browser.access}"},
    )


def test_the_panel_fetches_a_file_from_there(browser: Browser, file: str) -> None:
    got = fetch(browser, file)
    assert got.status_code == 200
    assert got.content.startswith(b"\x89PNG")
    assert got["Access-Control-Allow-Origin"] == SITE
    assert "Origin" in got["Vary"]
    assert "filename*=utf-8''%E9%80%80%E8%B4%A7%E5%8D%95.png" in got["Content-Disposition"]
    assert got["Content-Disposition"].startswith("attachment; ")
    assert got["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in got["Cache-Control"]
    assert "sandbox" in got["Content-Security-Policy"]
    assert not got.cookies


def test_the_site_gives_no_file_out(browser: Browser, file: str) -> None:
    assert fetch(browser, file, host="testserver").status_code == 404
    assert browser.client.get("/uploads/?ticket=x").status_code == 404


@pytest.mark.parametrize(
    "host", [FILES, f"{FILES}:443", f"{FILES}.", FILES.upper(), f"{FILES}.:443"]
)
def test_that_host_serves_nothing_else_however_it_is_written(
    host: str, inbox: Inbox, tenant: Tenant, settings: Any
) -> None:
    client = Client(headers={"Host": host}, raise_request_exception=False)
    client.force_login(make_member(tenant, "owner"))
    for path in (
        "/", f"/t/{tenant.slug}/", "/accounts/login/", "/admin/", "/api/v1/datasets/", "/v1/models",
        f"/widget/panel/?key={inbox.key}", "/widget/v1/files/", "/widget/v1/file", "/uploads/x/",
        f"/demo/{inbox.key}/", "/static/widget/loader.js", "/health/live", "/metrics", "/i18n/setlang/",
    ):  # fmt: skip
        for answer in (client.get(path), client.post(path)):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            assert answer["Content-Type"] == "application/problem+json"
            assert not answer.cookies


def test_another_port_is_another_host(browser: Browser, file: str) -> None:
    assert fetch(browser, file, host=f"{FILES}:8443").status_code == 404


def test_a_browser_may_ask_beforehand_for_the_panel_alone(browser: Browser) -> None:
    def asked(origin: str, host: str = FILES) -> Any:
        return browser.client.options(
            "/widget/v1/file/",
            headers={
                "Host": host,
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )

    told = asked(SITE)
    assert told.status_code == 204
    assert told["Access-Control-Allow-Origin"] == SITE
    assert told["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert "Access-Control-Allow-Credentials" not in told
    for other in (SHOP, f"https://{FILES}", "https://testserver", *FOREIGN_ORIGINS):
        refused = asked(other)
        assert refused.status_code == 405
        assert "Access-Control-Allow-Origin" not in refused


def test_nobody_but_the_panel_gets_a_file(browser: Browser, file: str) -> None:
    for other in (f"https://{FILES}", "https://testserver", *FOREIGN_ORIGINS):
        refused = fetch(browser, file, origin=other)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_admitted")
        assert "Access-Control-Allow-Origin" not in refused


def test_the_panel_hears_why_it_gets_none(browser: Browser, file: str, inbox: Inbox) -> None:
    over = fetch(Browser(inbox, access="x"), file)
    assert (over.status_code, over.json()["code"]) == (401, "session_over")
    other = Browser(inbox)
    other.enter()
    foreign = fetch(other, file)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    for answer in (over, foreign):
        assert answer["Access-Control-Allow-Origin"] == SITE


def test_a_panel_with_an_origin_of_its_own_is_the_one_that_is_let_in(
    browser: Browser, file: str, settings: Any
) -> None:
    settings.WIDGET_ORIGINS = ["https://widget.example.com"]
    got = fetch(browser, file, origin="https://widget.example.com")
    assert got.status_code == 200
    assert got["Access-Control-Allow-Origin"] == "https://widget.example.com"
    assert fetch(browser, file, origin=SITE).status_code == 403


def test_the_panels_page_may_connect_there(browser: Browser, settings: Any) -> None:
    page = browser.client.get(f"/widget/panel/?key={browser.inbox.key}")
    assert f"connect-src 'self' https://{FILES}" in page["Content-Security-Policy"].split("; ")
    assert f'data-uploads="https://{FILES}"' in page.content.decode()
    settings.UPLOADS_ORIGIN = ""
    page = browser.client.get(f"/widget/panel/?key={browser.inbox.key}")
    assert "connect-src 'self'" in page["Content-Security-Policy"].split("; ")
    assert 'data-uploads=""' in page.content.decode()
