"""Who gets in by which credential, and what members, invitations and keys look like from outside."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey
from accounts.permissions import SCOPES_OF_KEYS
from tenancy.models import AuditEntry, Invitation, Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_member, make_user


def key_of(tenant: Tenant, *scopes: str, **fields: Any) -> dict[str, str]:
    """The header of a new key."""
    with tenant_scope(tenant):
        key, secret = services.create_api_key(name="测试", scopes=scopes or SCOPES_OF_KEYS, by=None)
        ApiKey.objects.filter(pk=key.pk).update(**fields) if fields else None
    return {"Authorization": f"Bearer {secret}"}


def signed_in(tenant: Tenant, role: str) -> Client:
    client = Client(headers={"X-Tenant": tenant.slug})
    client.force_login(make_member(tenant, role))
    return client


def test_a_key_opens_its_tenant(client: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    member, _foreign = make_member(tenant, name="王芳"), make_member(other_tenant)
    found = client.get("/api/v1/members/", headers=key_of(tenant, "view"))
    assert found.status_code == 200
    assert [m["email"] for m in found.json()["items"]] == [member.email]


def test_the_header_names_no_other_tenant_than_the_keys_own(
    client: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    make_member(other_tenant)
    headers = key_of(tenant) | {"X-Tenant": other_tenant.slug}
    assert client.get("/api/v1/members/", headers=headers).json()["items"] == []


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer parley_wrong",
        "Bearer 密钥",
        "bearer x y",
        "Basic eDp5",
        "parley_x",
    ],
)
def test_what_is_no_key_is_refused(client: Client, db: None, header: str) -> None:
    refused = client.get("/api/v1/members/", HTTP_AUTHORIZATION=header)
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert refused["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "fields",
    [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}],
    ids=["revoked", "expired"],
)
def test_a_key_that_is_over_opens_nothing(
    client: Client, tenant: Tenant, fields: dict[str, Any]
) -> None:
    assert client.get("/api/v1/members/", headers=key_of(tenant, **fields)).status_code == 401


def test_a_suspended_tenant_is_closed_to_keys_and_members(client: Client, tenant: Tenant) -> None:
    headers, member = key_of(tenant), signed_in(tenant, "owner")
    with system_scope("suspend"):
        Tenant.objects.filter(pk=tenant.pk).update(state=Tenant.State.SUSPENDED)
    assert client.get("/api/v1/members/", headers=headers).status_code == 401
    assert member.get("/api/v1/members/").status_code == 404


def test_a_key_does_what_its_scopes_name_and_no_more(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant, "view")
    assert client.get("/api/v1/members/", headers=headers).status_code == 200
    assert client.get("/api/v1/keys/", headers=headers).status_code == 403


def test_the_time_of_last_use_is_written_once_a_minute(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    client.get("/api/v1/members/", headers=headers)
    with tenant_scope(tenant):
        first = ApiKey.objects.get().last_used_at
    client.get("/api/v1/members/", headers=headers)
    with tenant_scope(tenant):
        assert ApiKey.objects.get().last_used_at == first is not None


def test_a_session_names_its_tenant(client: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    client.force_login(make_member(tenant))
    assert client.get("/api/v1/members/").json()["code"] == "tenant_required"
    assert client.get("/api/v1/members/", headers={"X-Tenant": tenant.slug}).status_code == 200
    foreign = client.get("/api/v1/members/", headers={"X-Tenant": other_tenant.slug})
    unknown = client.get("/api/v1/members/", headers={"X-Tenant": "no-such"})
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_a_session_must_prove_that_it_meant_to_write(tenant: Tenant) -> None:
    client = Client(enforce_csrf_checks=True, headers={"X-Tenant": tenant.slug})
    client.force_login(make_member(tenant))
    body = {"name": "k", "scopes": ["view"]}
    refused = client.post("/api/v1/keys/", body, "application/json")
    assert refused.status_code == 403
    with tenant_scope(tenant):
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("agent", 403), ("admin", 201)])
def test_only_those_who_manage_make_keys(tenant: Tenant, role: str, status: int) -> None:
    client = signed_in(tenant, role)
    made = client.post("/api/v1/keys/", {"name": "网站", "scopes": ["view"]}, "application/json")
    assert made.status_code == status
    if status == 201:
        headers = {"Authorization": f"Bearer {made.json()['secret']}"}
        assert Client().get("/api/v1/members/", headers=headers).status_code == 200
        assert "secret" not in client.get(f"/api/v1/keys/{made.json()['id']}/").json()


def test_a_key_is_revoked_over_the_api(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    with tenant_scope(tenant):
        pk = ApiKey.objects.get().pk
    assert client.delete(f"/api/v1/keys/{pk}/", headers=headers).status_code == 204
    assert client.get("/api/v1/keys/", headers=headers).status_code == 401


def test_an_invitation_is_made_listed_and_withdrawn(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    body = {"email": "li@example.com", "role": "agent"}
    made = client.post("/api/v1/invitations/", body, "application/json", headers=headers)
    assert made.status_code == 201
    assert made.json()["token"]
    listed = client.get("/api/v1/invitations/", headers=headers).json()["items"]
    assert [i["email"] for i in listed] == ["li@example.com"]
    assert "token" not in listed[0]
    address = f"/api/v1/invitations/{made.json()['id']}/"
    assert client.delete(address, headers=headers).status_code == 204
    with tenant_scope(tenant):
        assert not Invitation.objects.get().is_open


def test_a_role_is_changed_and_a_member_removed(client: Client, tenant: Tenant) -> None:
    make_member(tenant, "owner")
    viewer = make_member(tenant, "viewer")
    headers = key_of(tenant)
    with tenant_scope(tenant):
        address = f"/api/v1/members/{Membership.objects.get(user=viewer).pk}/"
    body = {"role": "agent"}
    changed = client.patch(address, body, "application/json", headers=headers)
    assert changed.json()["role"] == "agent"
    assert client.delete(address, headers=headers).status_code == 204
    with tenant_scope(tenant):
        entry = AuditEntry.objects.get(action="member.removed")
    assert entry.actor_kind == "key"


@pytest.mark.parametrize("value", [{}, [], 1, True, None, "", "king", "x" * 10_000])
@pytest.mark.parametrize("field", ["role", "email"])
def test_odd_values_are_refused_and_never_an_accident(
    client: Client, tenant: Tenant, field: str, value: object
) -> None:
    body = {"email": "li@example.com", "role": "agent"} | {field: value}
    refused = client.post("/api/v1/invitations/", body, "application/json", headers=key_of(tenant))
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == field


def test_a_method_that_does_not_exist_says_so(client: Client, tenant: Tenant) -> None:
    headers = key_of(tenant)
    assert client.put("/api/v1/members/", headers=headers).status_code == 405
    assert client.put("/api/v1/members/").status_code == 401


def test_the_body_is_read_strictly(client: Client, tenant: Tenant) -> None:
    for body, code in ((b"{", "json_malformed"), (b'{"a":1,"a":2}', "json_duplicate_key")):
        refused = client.post("/api/v1/keys/", body, "application/json", headers=key_of(tenant))
        assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_a_person_of_two_tenants_acts_in_one_at_a_time(
    client: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    person = make_user()
    for company, role in ((tenant, "owner"), (other_tenant, "viewer")):
        with system_scope("test"):
            Membership.objects.create(tenant=company, user=person, role=role)
    client.force_login(person)
    body = {"name": "k", "scopes": ["view"]}
    for company, status in ((tenant, 201), (other_tenant, 403)):
        made = client.post(
            "/api/v1/keys/", body, "application/json", headers={"X-Tenant": company.slug}
        )
        assert made.status_code == status
