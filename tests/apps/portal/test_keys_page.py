"""Keys: explained, made, shown once, revoked."""

import re

import pytest
from django.test import Client

from accounts.models import ApiKey
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db


def at(tenant: Tenant, path: str = "") -> str:
    return f"/t/{tenant.slug}/settings/keys/{path}"


def make(client: Client, tenant: Tenant, **fields: object) -> object:
    form = {"name": "官网 <b>", "scopes": ["view", "generate"], "lasts": "90"} | fields
    return client.post(at(tenant, "new/"), form)


def test_a_key_is_shown_once_and_opens_the_api(tenant: Tenant, door: Door) -> None:
    client = door("admin")
    page = make(client, tenant)
    html = page.content.decode()  # type: ignore[attr-defined]
    secret = re.search(r'value="(parley_[\w-]+)"', html)
    assert secret
    assert "官网 &lt;b&gt;" in html
    assert "no-store" in page.headers["Cache-Control"]  # type: ignore[attr-defined]
    api = Client(headers={"Authorization": f"Bearer {secret[1]}"})
    assert api.get("/api/v1/members/").status_code == 200
    assert secret[1] not in client.get(at(tenant)).content.decode()


def test_a_revoked_key_opens_nothing(tenant: Tenant, door: Door) -> None:
    client = door("owner")
    make(client, tenant, lasts="")
    with tenant_scope(tenant):
        key = ApiKey.objects.get()
    assert key.expires_at is None
    page = client.post(at(tenant, f"{key.pk}/revoke/"), follow=True)
    assert "opens nothing any more" in page.content.decode()
    with tenant_scope(tenant):
        assert not ApiKey.objects.get().is_valid


@pytest.mark.parametrize(
    "odd",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"scopes": []},
        {"scopes": ["override"]},
        {"scopes": ["everything"]},
        {"lasts": "-1"},
        {"lasts": "10000000"},
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    odd: dict[str, object], tenant: Tenant, door: Door
) -> None:
    page = make(door("owner"), tenant, **odd)
    assert page.status_code == 400  # type: ignore[attr-defined]
    with tenant_scope(tenant):
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "agent", "annotator"])
def test_who_does_not_manage_sees_no_keys(role: str, tenant: Tenant, door: Door) -> None:
    client = door(role)
    assert client.get(at(tenant)).status_code == 403
    assert client.get(at(tenant, "new/")).status_code == 403
    assert at(tenant) not in client.get(f"/t/{tenant.slug}/").content.decode()


def test_no_keys_yet_leads_to_the_first(tenant: Tenant, door: Door) -> None:
    page = door("owner").get(at(tenant)).content.decode()
    assert 'class="empty"' in page
    assert at(tenant, "new/") in page
