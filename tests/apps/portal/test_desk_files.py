"""A member gets a visitor's file: from the site, or with a ticket from the origin that files have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.test import Client

from accounts.models import User
from apps.chatbot import services
from apps.chatbot.models import Attachment, FileTicket
from apps.chatbot.services import file_tickets
from apps.chatbot.services.attachments import receive_attachment
from tenancy.models import Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.apps.chatbot.uploads import FILES, THERE, own_host
from tests.apps.portal import desk_scene

__all__ = ["own_host"]
pytestmark = pytest.mark.django_db
TEXT = "您好，附上说明。".encode()


@pytest.fixture
def sent(tenant: Tenant, scene: desk_scene.Desk, settings: Any, tmp_path: Any) -> Attachment:
    settings.PARLEY_HOME = tmp_path
    with tenant_scope(tenant):
        made = receive_attachment(
            conversation=scene.mine, client_id=scene.mine.pk, name="退货说明.txt", data=TEXT
        )
    with system_scope("test"):
        services.check_attachments()
    return made


@pytest.fixture
def address(tenant: Tenant, sent: Attachment) -> str:
    return f"/t/{tenant.slug}/desk/files/{sent.pk}/"


def ticket_of(answer: Any) -> str:
    return parse_qs(urlsplit(answer["Location"]).query)["ticket"][0]


def redeem(ticket: str) -> Any:
    """As a browser that has no cookie for that host."""
    return Client().get("/uploads/", {"ticket": ticket}, headers=THERE)


def test_the_site_gives_it_out_where_no_other_origin_is_named(
    browser: Client, address: str
) -> None:
    got = browser.post(address)
    assert got.content == TEXT
    assert browser.get(address).status_code == 405


def test_the_desk_asks_with_a_form_that_needs_no_script(
    browser: Client, tenant: Tenant, sent: Attachment, address: str
) -> None:
    page = browser.get(f"/t/{tenant.slug}/desk/{sent.message.conversation_id}/").content.decode()
    form = page.partition(f'action="{address}"')[2].partition("</form>")[0]
    assert "csrfmiddlewaretoken" in form
    assert "退货说明.txt</button>" in form


@pytest.mark.usefixtures("own_host")
def test_the_member_is_led_to_the_other_origin_and_gets_it_there(
    browser: Client, address: str
) -> None:
    led = browser.post(address)
    assert led.status_code == 302
    assert led["Location"].startswith(f"https://{FILES}/uploads/?ticket=")
    got = redeem(ticket_of(led))
    assert got.content == TEXT
    assert "filename*=utf-8''%E9%80%80%E8%B4%A7%E8%AF%B4%E6%98%8E.txt" in got["Content-Disposition"]
    assert got["Content-Disposition"].startswith("attachment; ")
    assert got["X-Content-Type-Options"] == "nosniff"
    assert got["Cache-Control"] == "private, no-store"
    assert "sandbox" in got["Content-Security-Policy"]
    assert not got.cookies
    assert browser.get(address).status_code == 405, "no address of ours leads there by itself"


@pytest.mark.usefixtures("own_host")
def test_a_ticket_is_good_once(browser: Client, address: str) -> None:
    ticket = ticket_of(browser.post(address))
    looked = Client().head("/uploads/", {"ticket": ticket}, headers=THERE)
    assert looked.status_code == 405, "who only looks does not use it up"
    assert redeem(ticket).status_code == 200
    again = redeem(ticket)
    assert (again.status_code, again.json()["code"]) == (403, "ticket_used")
    assert again["Cache-Control"] == "no-store"
    assert redeem(ticket_of(browser.post(address))).status_code == 200


@pytest.mark.usefixtures("own_host")
def test_a_ticket_is_good_for_a_minute(browser: Client, address: str) -> None:
    ticket = ticket_of(browser.post(address))
    later = mock.patch("django.core.signing.time.time")
    now = signing.time.time()
    with later as clock:
        clock.return_value = now + 62
        over = redeem(ticket)
        assert (over.status_code, over.json()["code"]) == (403, "ticket_expired")
        clock.return_value = now + 55
        assert redeem(ticket).status_code == 200


@pytest.mark.usefixtures("own_host")
def test_a_ticket_of_somebody_who_left_opens_nothing(
    browser: Client, address: str, agent: User, tenant: Tenant
) -> None:
    ticket = ticket_of(browser.post(address))
    with tenant_scope(tenant):
        Membership.objects.filter(user=agent).delete()
    gone = redeem(ticket)
    assert (gone.status_code, gone.json()["code"]) == (403, "ticket_invalid")


@pytest.mark.usefixtures("own_host")
def test_a_ticket_of_a_tenant_that_is_suspended_opens_nothing(
    browser: Client, address: str, tenant: Tenant
) -> None:
    ticket = ticket_of(browser.post(address))
    with system_scope("test"):
        Tenant.objects.filter(pk=tenant.pk).update(state=Tenant.State.SUSPENDED)
    assert redeem(ticket).json()["code"] == "ticket_invalid"


@pytest.mark.usefixtures("own_host")
def test_a_foreign_or_forged_ticket_opens_nothing(
    browser: Client, address: str, tenant: Tenant, other_tenant: Tenant
) -> None:
    ticket = ticket_of(browser.post(address))
    with tenant_scope(tenant):
        row = FileTicket.objects.get()
    salt = file_tickets._SALT
    foreign = signing.dumps([str(other_tenant.pk), str(row.pk)], salt=salt)
    another_door = signing.dumps([str(tenant.pk), str(row.pk)], salt="apps.chatbot.widget.access")
    other_key = signing.dumps([str(tenant.pk), str(row.pk)], salt=salt, key="x" * 50)
    shapes = [signing.dumps(one, salt=salt) for one in ("x", 1, [1, 2], [], {"a": 1}, None)]
    for bad in (
        "", "x", "票", "\x00", f"{ticket}x", ticket.swapcase(), str(row.pk), foreign, another_door,
        other_key, *shapes,
    ):  # fmt: skip
        refused = redeem(bad)
        if bad != "\x00":
            assert (refused.status_code, refused.json()["code"]) == (403, "ticket_invalid"), bad
        assert 400 <= refused.status_code < 500
    assert redeem(ticket).status_code == 200, "none of them used it up"


@pytest.mark.usefixtures("own_host")
def test_nobody_but_a_member_is_given_a_ticket(address: str, other_tenant: Tenant) -> None:
    from tests.factories import make_member

    stranger = Client()
    assert "/accounts/login/" in stranger.post(address)["Location"]
    stranger.force_login(make_member(other_tenant, "owner"))
    assert stranger.post(address).status_code == 404
    own = address.replace(address.split("/")[2], other_tenant.slug)
    assert stranger.post(own).status_code == 404
    with system_scope("test"):
        assert not FileTicket.objects.exists()


@pytest.mark.usefixtures("own_host")
def test_a_file_that_is_not_checked_yet_is_said_to_be(
    browser: Client, address: str, sent: Attachment, tenant: Tenant
) -> None:
    with tenant_scope(tenant):
        Attachment.objects.update(state=Attachment.State.WAITING)
    led = browser.post(address)
    assert led["Location"] == f"/t/{tenant.slug}/desk/{sent.message.conversation_id}/"
    with tenant_scope(tenant):
        assert not FileTicket.objects.exists()


@pytest.mark.usefixtures("own_host")
def test_tickets_that_have_ended_are_forgotten(browser: Client, address: str) -> None:
    browser.post(address)
    with system_scope("test"):
        assert services.forget_tickets() == 0
        row = FileTicket.objects.get()
        FileTicket.objects.update(created_at=row.created_at - timedelta(minutes=3))
        assert services.forget_tickets() == 1
