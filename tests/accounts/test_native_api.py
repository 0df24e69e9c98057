"""The native API's own resources: the tenant, its trail, its webhooks; and strict addresses."""

from typing import Any

import pytest
from django.test import Client
from standardwebhooks import Webhook

from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookDelivery
from tenancy.webhooks.tasks import deliver_waiting
from tests.accounts.test_api import key_of, signed_in
from tests.tenancy.webhooks.receiver import receiving

URL = "https://example.com/parley"


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return getattr(client, method)(
        f"/api/v1/{path}", {} if body is None else body, "application/json", headers=headers
    )


def test_a_tenant_sees_itself_and_changes_its_name(
    client: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    headers = key_of(tenant)
    assert client.get("/api/v1/tenant/", headers=headers).json()["slug"] == tenant.slug
    changed = send(client, "patch", "tenant/", {"name": "新名", "language": "zh-hans"}, **headers)
    assert (changed.json()["name"], changed.json()["language"]) == ("新名", "zh-hans")
    with tenant_scope(tenant):
        assert AuditEntry.objects.get(action="tenant.changed").data == {
            "fields": ["name", "language"]
        }
    for body, field in (
        ({"slug": "x"}, "slug"),
        ({"language": "fr"}, "language"),
        ({"name": ""}, "name"),
    ):
        refused = send(client, "patch", "tenant/", body, **headers)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_a_viewer_changes_nothing_of_the_tenant(tenant: Tenant) -> None:
    client = signed_in(tenant, "viewer")
    assert client.get("/api/v1/tenant/").status_code == 200
    assert send(client, "patch", "tenant/", {"name": "x"}).status_code == 403
    for path in ("audit/", "webhooks/", "webhook-deliveries/"):
        assert client.get(f"/api/v1/{path}").status_code == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=2", "page"), ("limit=0", "limit"), ("limit=1000", "limit"), ("limit=x", "limit"),
        ("cursor=x", "cursor"), ("role=king", "role"), ("role=", "role"), ("role__in=owner", "role__in"),
        ("limit=1&limit=2", "limit"), ("user__email=a", "user__email"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_known_or_not_valid_is_refused_by_name(
    client: Client, tenant: Tenant, query: str, field: str
) -> None:
    refused = client.get(f"/api/v1/members/?{query}", headers=key_of(tenant))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_the_pages_of_a_list_hold_every_row_once(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    with tenant_scope(tenant):
        for _ in range(5):
            services.create_endpoint(url=URL)
    seen, address = [], "/api/v1/webhooks/?limit=2"
    while address:
        page = client.get(address, headers=headers).json()
        seen += [row["id"] for row in page["items"]]
        address = page["next"]
    assert len(seen) == len(set(seen)) == 5


def test_the_trail_is_read_and_filtered(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    send(client, "post", "webhooks/", {"url": URL}, **headers)
    found = client.get("/api/v1/audit/?action=webhook.created", headers=headers).json()["items"]
    assert [(row["action"], row["actor_kind"]) for row in found] == [("webhook.created", "key")]
    one = client.get(f"/api/v1/audit/{found[0]['id']}/", headers=headers)
    assert one.json() == found[0]
    assert send(client, "post", "audit/", **headers).status_code == 405


def test_a_webhook_lives_its_life_over_the_api(
    client: Client, tenant: Tenant, settings: Any
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    headers = key_of(tenant)
    with receiving() as receiver:
        made = send(client, "post", "webhooks/", {"url": receiver.url}, **headers).json()
        address = f"webhooks/{made['id']}/"
        assert "secret" not in client.get(f"/api/v1/{address}", headers=headers).json()
        tested = send(client, "post", f"{address}test/", **headers)
        assert (tested.status_code, tested.json()["state"]) == (201, "waiting")
        deliver_waiting()
        told, body = receiver.told[0]
        assert Webhook(made["secret"]).verify(body, told)["type"] == "webhook.test"
        query = f"endpoint={made['id']}&state=delivered"
        listed = client.get(f"/api/v1/webhook-deliveries/?{query}", headers=headers).json()["items"]
        assert [attempt["status"] for attempt in listed[0]["attempts"]] == [200]
        again = send(client, "post", f"webhook-deliveries/{listed[0]['id']}/replay/", **headers)
        assert again.json()["state"] == "waiting"
        rotated = send(client, "post", f"{address}rotate-secret/", **headers).json()
        deliver_waiting()
        for secret in (made["secret"], rotated["secret"]):
            Webhook(secret).verify(receiver.told[1][1], receiver.told[1][0])
    assert send(client, "post", f"{address}disable/", **headers).json()["state"] == "disabled"
    refused = send(client, "post", f"{address}test/", **headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    assert send(client, "post", f"{address}enable/", **headers).json()["state"] == "active"
    body = {"events": ["job.failed"], "description": "告警"}
    assert send(client, "patch", address, body, **headers).json()["events"] == ["job.failed"]
    assert client.delete(f"/api/v1/{address}", headers=headers).status_code == 204
    with tenant_scope(tenant):
        assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"), ({"url": "http://example.com/"}, "url"), ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": URL, "events": ["job.exploded"]}, "events"), ({"url": URL, "events": "all"}, "events"),
        ({"url": URL, "state": "disabled"}, "state"), ({"url": 5}, "url"), ({"url": []}, "url"),
    ],
)  # fmt: skip
def test_a_webhook_that_cannot_be_is_refused(
    client: Client, tenant: Tenant, body: dict[str, Any], field: str
) -> None:
    refused = send(client, "post", "webhooks/", body, **key_of(tenant))
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"].split(".")[0] == field
