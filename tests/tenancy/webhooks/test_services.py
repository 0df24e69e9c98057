"""Webhooks are named, changed, switched off and told, and only from within a tenant."""

from typing import Any

import pytest
from django.db import transaction

from common.errors import ApplicationError, ConflictError
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope, tenant_scope
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from tenancy.webhooks.types import EVENT_TYPES

URL = "https://example.com/parley"


def test_a_webhook_is_made_and_its_secret_stands_nowhere(in_tenant: Tenant) -> None:
    endpoint, secret = services.create_endpoint(url=URL, events=["job.failed"], description="告警")
    assert secret.startswith("whsec_")
    columns = " ".join(str(getattr(endpoint, f.attname)) for f in endpoint._meta.concrete_fields)
    assert secret.removeprefix("whsec_") not in columns
    assert AuditEntry.objects.filter(action="webhook.created").exists()


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "http://example.com/", "https://", "//example.com/",
        "https://user:pass@example.com/", "https://user@example.com/", "https://127.0.0.1/",
        "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/latest/",
        "https://[::ffff:10.0.0.1]/", "https://example.com/#x", "javascript:alert(1)",
        "https://exa\nmple.com/", "https://例 子.com/", "https://exa mple.com/", "https://" + "a" * 3000, "file:///etc",
        "https://[::1", "https://example.com:99999/",
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_called_is_refused(in_tenant: Tenant, url: str) -> None:
    with pytest.raises(ApplicationError) as refused:
        services.create_endpoint(url=url)
    assert (refused.value.code, refused.value.field) == ("invalid_address", "url")


def test_an_unknown_event_is_refused_by_name(in_tenant: Tenant) -> None:
    with pytest.raises(ApplicationError) as refused:
        services.create_endpoint(url=URL, events=["job.exploded"])
    assert refused.value.field == "events"
    assert "job.exploded" in str(refused.value.detail)


def test_a_tenant_has_no_end_of_webhooks(
    in_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_ENDPOINTS", 1)
    services.create_endpoint(url=URL)
    with pytest.raises(ConflictError) as refused:
        services.create_endpoint(url=URL)
    assert refused.value.code == "too_many_webhooks"


def test_only_those_who_want_an_event_are_told_of_it(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(other_tenant):
        services.create_endpoint(url=URL)
    with tenant_scope(tenant):
        services.publish("job.failed", {})  # nobody listens
        assert not WebhookEvent.objects.exists()
        everything, _secret = services.create_endpoint(url=URL)
        failures, _secret = services.create_endpoint(url=URL, events=["job.failed"])
        silent, _secret = services.create_endpoint(url=URL)
        services.disable(endpoint=silent)
        services.publish("job.failed", {"id": "1"})
        services.publish("job.paused", {"id": "1"})
        told = WebhookDelivery.objects.order_by("created_at").values_list(
            "event__type", "endpoint_id"
        )
        assert set(told) == {
            ("job.failed", everything.pk),
            ("job.failed", failures.pk),
            ("job.paused", everything.pk),
        }
    with tenant_scope(other_tenant):
        assert not WebhookEvent.objects.exists()


def test_in_system_scope_the_tenant_is_named(tenant: Tenant, other_tenant: Tenant) -> None:
    for company in (tenant, other_tenant):
        with tenant_scope(company):
            services.create_endpoint(url=URL)
    with system_scope("test"):
        services.publish("job.queued", {}, tenant_id=tenant.pk)
    with tenant_scope(tenant):
        assert WebhookDelivery.objects.count() == 1
    with tenant_scope(other_tenant):
        assert not WebhookDelivery.objects.exists()


def test_what_did_not_happen_is_not_told(in_tenant: Tenant) -> None:
    services.create_endpoint(url=URL)
    with transaction.atomic():
        services.publish("job.failed", {})
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.exists()


def test_the_bell_rings_after_the_commit_alone(
    in_tenant: Tenant, django_capture_on_commit_callbacks: Any
) -> None:
    services.create_endpoint(url=URL)
    with django_capture_on_commit_callbacks() as callbacks:
        services.publish("job.failed", {})
    assert len(callbacks) == 1


def test_a_type_that_is_not_known_is_a_bug(in_tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="no type of event"):
        services.publish("job.exploded", {})


def test_a_webhook_is_changed_switched_off_and_on_and_removed(in_tenant: Tenant) -> None:
    endpoint, _secret = services.create_endpoint(url=URL)
    services.change_endpoint(endpoint=endpoint, events=["job.failed"], description="新")
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.events, endpoint.description) == (URL, ["job.failed"], "新")
    services.disable(endpoint=endpoint)
    services.disable(endpoint=endpoint)
    assert (endpoint.is_active, endpoint.disabled_reason) == (False, "by_hand")
    with pytest.raises(ConflictError):
        services.send_test(endpoint=endpoint)
    services.enable(endpoint=endpoint)
    assert (endpoint.is_active, endpoint.disabled_reason) == (True, "")
    services.send_test(endpoint=endpoint)
    services.delete_endpoint(endpoint=endpoint)
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
    actions = list(AuditEntry.objects.order_by("created_at").values_list("action", flat=True))
    assert actions == [
        f"webhook.{done}" for done in ("created", "changed", "disabled", "enabled", "deleted")
    ]


def test_every_type_has_its_sentence() -> None:
    assert all(str(sentence) for sentence in EVENT_TYPES.values())
