"""The admin is for staff, across tenants, and the only place with a looser content policy."""

import uuid

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tenancy import audit, quotas
from tenancy.models import AuditEntry, Quota, Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member, make_user


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def address(model: str, page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{model}_{page}", args=args)


def test_every_registered_list_opens_for_staff(staff: Client, tenant: Tenant) -> None:
    make_member(tenant, name="王芳")
    with tenant_scope(tenant):
        audit.record("tenant.opened", tenant)
    for model in admin.site._registry:
        found = staff.get(address(model._meta.label_lower.replace(".", "_")))
        assert found.status_code == 200, model
    assert tenant.name in staff.get(address("tenancy_tenant")).content.decode()


def test_a_member_without_staff_rights_does_not_get_in(client: Client, tenant: Tenant) -> None:
    client.force_login(make_member(tenant))
    assert client.get(address("tenancy_tenant")).status_code == 302
    assert client.get(reverse("admin:login")).status_code == 403


def test_sign_in_goes_through_the_one_door_with_the_second_factor(client: Client, db: None) -> None:
    refused = client.get(reverse("admin:login"))
    assert refused.status_code == 302
    assert refused["Location"].startswith(reverse("account_login"))
    assert (
        client.post(reverse("admin:login"), {"username": "a", "password": "b"}).status_code == 302
    )


def test_the_looser_policy_is_the_admins_alone(staff: Client, client: Client) -> None:
    inside = staff.get(reverse("admin:index"))["Content-Security-Policy"]
    outside = client.get(reverse("account_login"))["Content-Security-Policy"]
    assert "'unsafe-eval'" in inside
    assert "object-src 'none'" in inside
    assert "unsafe" not in outside


def test_the_audit_log_is_read_only_in_the_admin(staff: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        entry = audit.record("tenant.opened", tenant)
    one = address("tenancy_auditentry", "change", entry.pk)
    assert staff.get(one).status_code == 200
    assert staff.post(one, {"action": "x"}).status_code == 403
    assert staff.post(address("tenancy_auditentry", "delete", entry.pk)).status_code == 403
    assert staff.get(address("tenancy_auditentry", "add")).status_code == 403
    with tenant_scope(tenant):
        assert AuditEntry.objects.get().action == "tenant.opened"


# The quota stands on the tenant's page, in a form of its own.
QUOTA = {
    "quota-TOTAL_FORMS": "1",
    "quota-INITIAL_FORMS": "0",
    "quota-0-requests_per_minute": "7",
    "quota-0-weight": "2",
}


def test_staff_can_set_what_a_tenant_may_use(staff: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        quotas.set_key_limits(uuid.uuid4(), requests_per_minute=3)
    page = address("tenancy_tenant", "change", tenant.pk)
    form = {"name": tenant.name, "language": "en", "state": "active"}
    assert staff.post(page, form | QUOTA).status_code == 302
    with tenant_scope(tenant):
        quota = Quota.objects.get(key_id=None)
        assert (quota.requests_per_minute, quota.weight) == (7, 2)
        assert quotas.limits_of()[0].requests_per_minute == 7
    again = QUOTA | {
        "quota-INITIAL_FORMS": "1",
        "quota-0-id": str(quota.pk),
        "quota-0-tenant": str(tenant.pk),
        "quota-0-requests_per_minute": "",
    }
    assert staff.post(page, form | again).status_code == 302
    with tenant_scope(tenant):
        assert Quota.objects.get(key_id=None).requests_per_minute is None


def test_the_state_of_a_tenant_is_no_field_of_a_form(staff: Client, tenant: Tenant) -> None:
    form = {"name": tenant.name, "language": "en", "state": "suspended"} | QUOTA
    staff.post(address("tenancy_tenant", "change", tenant.pk), form)
    with tenant_scope(tenant):
        assert Tenant.objects.get().state == "active"
