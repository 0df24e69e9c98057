"""Inboxes on their pages: made, told where they may stand, switched off at once, vouched for."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from apps.chatbot.models import IdentityKey, Inbox
from apps.chatbot.widget.identity import verified_contact
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

FORM = {
    "name": "官网 website",
    "allowed_origins": "https://www.example.com",
    "language": "zh-hans",
    "greeting": "您好！<b>",
    "identity": "both",
    "answer_threshold": "0.5",
    "curated_threshold": "0.9",
    "capacity": "8",
    "accent": "#aa0000",
    "position": "left",
    "mode": "dark",
    "banned_phrases": "绝对\n最低价",
}


def at(tenant: Tenant, path: str = "inboxes/") -> str:
    return f"/t/{tenant.slug}/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


@pytest.fixture
def inbox(tenant: Tenant) -> Inbox:
    with tenant_scope(tenant):
        return Inbox.objects.create(name="门店")


def test_an_inbox_is_made_with_its_snippet(tenant: Tenant, door: Door) -> None:
    client = door("admin")
    page = client.post(at(tenant, "inboxes/new/"), FORM, follow=True)
    with tenant_scope(tenant):
        made = Inbox.objects.get()
        assert AuditEntry.objects.filter(action="inbox.created").exists()
    assert made.allowed_origins == ["https://www.example.com"]
    assert made.banned_phrases == ["绝对", "最低价"]
    assert made.theme == {"accent": "#aa0000", "position": "left", "mode": "dark"}
    snippet = unescape(page.content.decode())
    assert f'data-key="{made.key}"' in snippet
    assert 'data-accent="#aa0000"' in snippet
    assert "widget/loader.js" in snippet
    assert "<b>" not in page.content.decode()
    assert "官网 website" in text_of(client.get(at(tenant)))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("HTTPS://Shop.Example.com:443/", "https://shop.example.com"),
        ("https://例子.中国", "https://xn--fsqu00a.xn--fiqs8s"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://a.example\n\nhttps://a.example/", "https://a.example"),
    ],
)
def test_an_origin_is_kept_as_a_browser_writes_it(
    written: str, kept: str, tenant: Tenant, door: Door
) -> None:
    door("owner").post(at(tenant, "inboxes/new/"), FORM | {"allowed_origins": written})
    with tenant_scope(tenant):
        assert Inbox.objects.get().allowed_origins == [kept]


@pytest.mark.parametrize(
    "odd",
    [
        {"allowed_origins": "*"},
        {"allowed_origins": "https://*.example.com"},
        {"allowed_origins": "https://example.com/shop"},
        {"allowed_origins": "www.example.com"},
        {"allowed_origins": "javascript:alert(1)"},
        {"allowed_origins": "https://a:b@example.com"},
        {"allowed_origins": "https://[::1"},
        {"allowed_origins": "null"},
        {"allowed_origins": "\n".join(f"https://a{n}.example" for n in range(51))},
        {"answer_threshold": "1.5"},
        {"answer_threshold": "nan"},
        {"accent": "red"},
        {"language": "xx"},
        {"name": ""},
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    odd: dict[str, str], tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    page = door("owner").post(at(tenant, f"inboxes/{inbox.pk}/"), FORM | odd)
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()
    with tenant_scope(tenant):
        assert Inbox.objects.get().name == "门店"


def test_without_origins_nobody_may_and_the_page_says_so(
    tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    page = text_of(door("viewer").get(at(tenant, f"inboxes/{inbox.pk}/")))
    assert "No site may show this widget yet." in page


def test_our_own_page_shows_it_where_it_may(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client, place = door("owner"), at(tenant, f"inboxes/{inbox.pk}/")
    assert f"/demo/{inbox.key}/" not in client.get(place).content.decode()
    client.post(place, FORM | {"allowed_origins": "http://testserver"})
    assert f"/demo/{inbox.key}/" in client.get(place).content.decode()
    assert Client().get(f"/demo/{inbox.key}/").status_code == 200


def test_the_bot_is_switched_off_at_once(tenant: Tenant, inbox: Inbox, door: Door) -> None:
    client, place = door("owner"), at(tenant, f"inboxes/{inbox.pk}/switch/")
    page = client.post(place, {"to": "off"}, follow=True)
    assert "The bot is silent." in text_of(page)
    with tenant_scope(tenant):
        assert not Inbox.objects.get().bot_enabled
        assert AuditEntry.objects.filter(action="inbox.bot_off").exists()
    client.post(place, {"to": "on"})
    with tenant_scope(tenant):
        assert Inbox.objects.get().bot_enabled


def test_a_key_is_shown_once_and_vouches_until_it_is_retired(
    tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client = door("owner")
    page = client.post(at(tenant, f"inboxes/{inbox.pk}/keys/"))
    assert "no-store" in page.headers["Cache-Control"]
    found = re.search(
        r'id="identity-secret"\s+type="text"\s+value="([^"]+)"', page.content.decode()
    )
    assert found
    later = client.get(at(tenant, f"inboxes/{inbox.pk}/")).content.decode()
    assert found[1] not in later
    with tenant_scope(tenant):
        key = IdentityKey.objects.get()
        now = int(timezone.now().timestamp())
        claims = {"sub": "客户-7", "iat": now, "exp": now + 60}
        token = jwt.encode(claims, found[1], algorithm="HS256", headers={"kid": key.kid})
        assert verified_contact(inbox=inbox, token=token).external_id == "客户-7"
    client.post(at(tenant, f"identity-keys/{key.pk}/retire/"))
    with tenant_scope(tenant):
        assert IdentityKey.objects.get().retired_at is not None


def test_a_third_live_key_is_refused_with_a_reason(
    tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client, place = door("owner"), at(tenant, f"inboxes/{inbox.pk}/keys/")
    for _time in range(2):
        client.post(place)
    assert "Two keys are live already." in text_of(client.post(place, follow=True))


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_who_does_not_manage_looks_and_changes_nothing(
    role: str, tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client = door(role)
    assert client.get(at(tenant)).status_code == 200
    page = client.get(at(tenant, f"inboxes/{inbox.pk}/"))
    assert page.status_code == 200
    assert 'name="allowed_origins"' not in page.content.decode()
    for path in (
        "inboxes/new/",
        *(f"inboxes/{inbox.pk}/{what}" for what in ("", "switch/", "keys/")),
    ):
        assert client.post(at(tenant, path), FORM).status_code == 403


def test_targets_and_rounds_are_rules_of_an_inbox(tenant: Tenant, door: Door, inbox: Inbox) -> None:
    targets = {"auto_assign": "on", "capacity": "3", "first_response_minutes": "30"}
    door("admin").post(at(tenant, f"inboxes/{inbox.pk}/"), FORM | targets)
    with tenant_scope(tenant):
        inbox.refresh_from_db()
    assert (inbox.auto_assign, inbox.capacity) == (True, 3)
    assert (inbox.first_response_minutes, inbox.next_response_minutes) == (30, None)
    wrong = door("owner").post(
        at(tenant, f"inboxes/{inbox.pk}/"), FORM | {"next_response_minutes": "0"}
    )
    assert wrong.status_code == 400


def now(inbox: Inbox) -> Inbox:
    with tenant_scope(inbox.tenant_id):
        return Inbox.objects.get(pk=inbox.pk)


VISITORS = {
    "zone": "Asia/Shanghai",
    "hours_mon": "９:00–12:00，13：00至18:00",
    "hours_sat": "10:00-24:00",
    "kind_1": "email",
    "label_1": "您的邮箱",
    "kind_3": "choice",
    "label_3": "关于什么？",
    "choices_3": "退货、发票, 其他",
    "required_3": "on",
}


def test_hours_and_questions_are_kept_as_people_write_them(
    tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    client = door("owner")
    saved = client.post(at(tenant, f"inboxes/{inbox.pk}/"), FORM | VISITORS)
    assert saved.status_code == 302
    inbox = now(inbox)
    assert inbox.hours == {
        "zone": "Asia/Shanghai",
        "days": {"mon": [["09:00", "12:00"], ["13:00", "18:00"]], "sat": [["10:00", "24:00"]]},
    }
    assert inbox.pre_chat == [
        {"kind": "email", "label": "您的邮箱", "required": False},
        {
            "kind": "choice", "label": "关于什么？", "required": True,
            "choices": ["退货", "发票", "其他"],
        },
    ]  # fmt: skip
    page = client.get(at(tenant, f"inboxes/{inbox.pk}/")).content.decode()
    assert 'value="09:00–12:00, 13:00–18:00"' in page
    assert '<option value="Asia/Shanghai" selected>' in page
    assert 'value="退货, 发票, 其他"' in page
    client.post(at(tenant, f"inboxes/{inbox.pk}/"), FORM)
    inbox = now(inbox)
    assert (inbox.hours, inbox.pre_chat) == ({}, [])


@pytest.mark.parametrize(
    "odd",
    [
        {"zone": "Mars/北京"},
        {"hours_mon": "九点到六点"},
        {"hours_mon": "18:00-09:00"},
        {"hours_mon": "09:00-12:00-13:00"},
        {"hours_mon": "09:00-12:00, 11:00-13:00"},
        {"hours_mon": "25:00-26:00"},
        {"hours_mon": "09:00\x00-10:00"},
        {"kind_1": "file"},
        {"label_1": ""},
        {"label_1": "关于什么？"},
        {"label_1": "a\x00"},
        {"choices_3": "退货"},
        {"choices_3": "退货\x00,发票"},
    ],
)
def test_odd_hours_and_questions_are_said_beside_the_field(
    odd: dict[str, str], tenant: Tenant, inbox: Inbox, door: Door
) -> None:
    page = door("owner").post(at(tenant, f"inboxes/{inbox.pk}/"), FORM | VISITORS | odd)
    assert page.status_code == 400
    inbox = now(inbox)
    assert (inbox.hours, inbox.pre_chat) == ({}, [])
