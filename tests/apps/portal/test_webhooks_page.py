"""Webhooks on their pages: made, shown once, tried, read, switched off, deleted."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

URL = "https://example.com/parley?t=<b>"


def at(tenant: Tenant, path: str = "webhooks/") -> str:
    return f"/t/{tenant.slug}/settings/{path}"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


@pytest.fixture
def endpoint(tenant: Tenant) -> WebhookEndpoint:
    with tenant_scope(tenant):
        return services.create_endpoint(url="https://example.com/parley", description="机器人")[0]


def secrets_in(page: Any) -> list[str]:
    return re.findall(r'value="(whsec_[^"]+)"', page.content.decode())


def test_a_webhook_is_made_and_its_secret_shown_once(tenant: Tenant, door: Door) -> None:
    client = door("admin")
    form = {"url": URL, "description": "部署 <i>", "events": ["job.succeeded"]}
    page = client.post(at(tenant, "webhooks/new/"), form)
    (secret,) = secrets_in(page)
    assert "no-store" in page.headers["Cache-Control"]
    with tenant_scope(tenant):
        made = WebhookEndpoint.objects.get()
    assert made.events == ["job.succeeded"]
    later = client.get(at(tenant, f"webhooks/{made.pk}/"))
    assert secret not in later.content.decode()
    assert "部署" in text_of(client.get(at(tenant)))
    assert "<b>" not in client.get(at(tenant)).content.decode()


@pytest.mark.parametrize(
    "odd",
    [
        {"url": ""},
        {"url": "http://127.0.0.1/x"},
        {"url": "file:///etc/passwd"},
        {"url": "https://例子"},
        {"url": "x" * 3000},
        {"url": URL, "events": ["no.such"]},
        {"url": URL, "description": "x" * 201},
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(
    odd: dict[str, Any], tenant: Tenant, door: Door
) -> None:
    page = door("owner").post(at(tenant, "webhooks/new/"), odd)
    if odd["url"] == "https://例子":
        assert page.status_code in {200, 400}
        return
    assert page.status_code == 400
    assert "errorlist" in page.content.decode()


def test_a_webhook_is_changed(tenant: Tenant, endpoint: WebhookEndpoint, door: Door) -> None:
    place = at(tenant, f"webhooks/{endpoint.pk}/")
    form = {"url": "https://example.org/neu", "events": [], "description": ""}
    assert door("owner").post(place, form).status_code == 302
    with tenant_scope(tenant):
        assert WebhookEndpoint.objects.get().url == "https://example.org/neu"
    assert door("owner").post(place, {"url": "gopher://x"}).status_code == 400


def test_a_test_is_sent_and_its_answer_stands_there(
    tenant: Tenant, endpoint: WebhookEndpoint, door: Door
) -> None:
    client = door("owner")
    place = at(tenant, f"webhooks/{endpoint.pk}/")
    page = client.post(f"{place}test/", follow=True).content.decode()
    assert "webhook.test" in page
    seen = re.search(r'hx-get="[^"]*seen=([^&"]+)', page)
    assert seen
    assert client.get(f"{place}live/", {"seen": seen[1]}).status_code == 204
    with tenant_scope(tenant):
        delivery = WebhookDelivery.objects.get()
        common = {"delivery": delivery, "latency_ms": 31}
        WebhookAttempt.objects.create(number=1, error="timed_out", **common)
        WebhookAttempt.objects.create(number=2, status=500, excerpt="<script>错误", **common)
        WebhookDelivery.objects.update(state=WebhookDelivery.State.FAILED)
    live = client.get(f"{place}live/", {"seen": seen[1]})
    assert live.status_code == 200
    assert "no answer in time" in text_of(live)
    assert "&lt;script&gt;错误" in live.content.decode()
    assert "hx-get" not in live.content.decode(), "nothing waits any more"


def test_a_message_is_sent_again(tenant: Tenant, endpoint: WebhookEndpoint, door: Door) -> None:
    with tenant_scope(tenant):
        delivery = services.send_test(endpoint=endpoint)
        WebhookDelivery.objects.update(state=WebhookDelivery.State.FAILED)
    page = door("owner").post(at(tenant, f"deliveries/{delivery.pk}/replay/"), follow=True)
    assert "It is sent again." in text_of(page)
    with tenant_scope(tenant):
        assert WebhookDelivery.objects.get().state == "waiting"


def test_what_is_switched_off_says_so_and_sends_no_test(
    tenant: Tenant, endpoint: WebhookEndpoint, door: Door
) -> None:
    client = door("owner")
    place = at(tenant, f"webhooks/{endpoint.pk}/")
    page = client.post(f"{place}switch/", {"to": "off"}, follow=True)
    assert "Nothing is sent there: switched off by hand" in text_of(page)
    assert "This webhook is switched off." in text_of(client.post(f"{place}test/", follow=True))
    client.post(f"{place}switch/", {"to": "on"})
    with tenant_scope(tenant):
        assert WebhookEndpoint.objects.get().is_active


def test_a_new_secret_is_another_one(tenant: Tenant, endpoint: WebhookEndpoint, door: Door) -> None:
    client = door("admin")
    place = at(tenant, f"webhooks/{endpoint.pk}/rotate/")
    (first,), (second,) = secrets_in(client.post(place)), secrets_in(client.post(place))
    assert first != second


def test_a_deleted_webhook_is_gone_and_noted(
    tenant: Tenant, endpoint: WebhookEndpoint, door: Door
) -> None:
    client = door("owner")
    client.post(at(tenant, f"webhooks/{endpoint.pk}/delete/"))
    assert client.get(at(tenant, f"webhooks/{endpoint.pk}/")).status_code == 404
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="webhook.deleted").exists()


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_webhooks_are_for_who_manages(
    role: str, tenant: Tenant, endpoint: WebhookEndpoint, door: Door
) -> None:
    client: Client = door(role)
    assert client.get(at(tenant)).status_code == 403
    for what in ("", "rotate/", "switch/", "test/", "delete/"):
        assert client.post(at(tenant, f"webhooks/{endpoint.pk}/{what}")).status_code == 403
