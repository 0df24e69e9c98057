"""What was used, and the limits of keys, as programs ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey
from accounts.services import create_api_key
from tenancy import quotas
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.accounts.test_api import key_of, signed_in
from tests.accounts.test_native_api import send

NONE = dict.fromkeys(quotas.NAMES_OF_KEYS)


@pytest.fixture
def key(tenant: Tenant) -> ApiKey:
    with tenant_scope(tenant):
        return create_api_key(name="网站", scopes=["view", "generate"], by=None)[0]


def limits_of(client: Client, key: ApiKey, headers: dict[str, str]) -> Any:
    return client.get(f"/api/v1/keys/{key.pk}/limits/", headers=headers).json()


def test_usage_is_told_against_every_limit_by_day_and_by_key(
    client: Client, tenant: Tenant, key: ApiKey
) -> None:
    with tenant_scope(tenant):
        quotas.take_request(key.pk)
        quotas.settle_tokens(quotas.reserve_tokens(9, key.pk), prompt=5, completion=4)
        quotas.count_training_tokens(70)
    told = signed_in(tenant, "viewer").get("/api/v1/usage/?days=3").json()

    meters = {meter["name"]: meter for meter in told["meters"]}
    assert tuple(meters) == quotas.NAMES
    assert meters["tokens_per_month"]["used"] == 9
    assert meters["training_tokens_per_month"]["used"] == 70
    assert all(meter["limit"] is not None for meter in told["meters"])
    assert len(told["days"]) == 3
    assert told["days"][-1]["prompt_tokens"] == 5
    assert told["keys"] == [
        {
            "id": str(key.pk),
            "name": "网站",
            "requests": 1,
            "prompt_tokens": 5,
            "completion_tokens": 4,
        }
    ]


def test_one_keys_usage_is_told_against_its_own_limits(
    client: Client, tenant: Tenant, key: ApiKey
) -> None:
    headers = key_of(tenant)
    with tenant_scope(tenant):
        quotas.set_key_limits(key.pk, requests_per_minute=7)
        quotas.take_request(key.pk)
    told = client.get(f"/api/v1/keys/{key.pk}/usage/?days=2", headers=headers).json()
    meters = {meter["name"]: meter for meter in told["meters"]}
    assert (meters["requests_per_minute"]["used"], meters["requests_per_minute"]["limit"]) == (1, 7)
    assert meters["tokens_per_minute"]["limit"] is None
    assert [day["requests"] for day in told["days"]] == [0, 1]


def test_limits_of_a_key_are_set_as_a_whole_hold_and_leave_a_trail(
    client: Client, tenant: Tenant, key: ApiKey
) -> None:
    headers, address = key_of(tenant), f"keys/{key.pk}/limits/"
    assert limits_of(client, key, headers) == NONE
    wanted = {"requests_per_minute": 0, "tokens_per_month": 5_000}
    for _twice in range(2):
        told = send(client, "put", address, wanted, **headers)
        assert (told.status_code, told.json()) == (200, NONE | wanted)
    assert limits_of(client, key, headers) == NONE | wanted
    with tenant_scope(tenant):
        with pytest.raises(quotas.QuotaError):
            quotas.take_request(key.pk)
        assert AuditEntry.objects.get(action="key.limited").data == NONE | wanted
    assert send(client, "put", address, {}, **headers).json() == NONE


@pytest.mark.parametrize(
    "wanted",
    [
        {"requests_per_minute": -1},
        {"requests_per_minute": "many"},
        {"concurrent_generations": 10_001},
        {"tokens_per_month": 2**53 + 1},
        {"tokens_per_minute": 1.5},
        {"storage_bytes": 1},
        {"限": 1},
    ],
)
def test_limits_that_cannot_be_are_refused_by_name(
    client: Client, tenant: Tenant, key: ApiKey, wanted: dict[str, Any]
) -> None:
    headers = key_of(tenant)
    refused = send(client, "put", f"keys/{key.pk}/limits/", wanted, **headers)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == next(iter(wanted))
    assert limits_of(client, key, headers) == NONE


@pytest.mark.parametrize("query", ["days=0", "days=401", "days=x", "days=", "tage=3"])
def test_days_are_a_number_within_reason(client: Client, tenant: Tenant, query: str) -> None:
    refused = client.get(f"/api/v1/usage/?{query}", headers=key_of(tenant))
    field = query.partition("=")[0]
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_who_does_not_manage_keys_learns_nothing_of_their_limits(
    tenant: Tenant, key: ApiKey
) -> None:
    client = signed_in(tenant, "annotator")
    assert client.get("/api/v1/usage/").status_code == 200
    for part in ("limits", "usage"):
        assert client.get(f"/api/v1/keys/{key.pk}/{part}/").status_code == 403
    assert send(client, "put", f"keys/{key.pk}/limits/", {}).status_code == 403


def test_another_tenants_key_has_no_limits_here(
    client: Client, other_tenant: Tenant, key: ApiKey
) -> None:
    headers = key_of(other_tenant)
    for part in ("limits", "usage"):
        found = client.get(f"/api/v1/keys/{key.pk}/{part}/", headers=headers)
        assert found.status_code == 404
    assert send(client, "put", f"keys/{key.pk}/limits/", {}, **headers).status_code == 404
    told = client.get("/api/v1/usage/", headers=headers).json()
    assert [one["id"] for one in told["keys"]] != [str(key.pk)]
    assert len(told["keys"]) == 1, "the one that asks"
