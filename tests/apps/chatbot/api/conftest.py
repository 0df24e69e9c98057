"""A program at the door of the support chatbot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import services
from accounts.access import credential_of
from accounts.permissions import SCOPES_OF_KEYS
from tenancy.models import Membership, Role, Tenant
from tenancy.scope import tenant_scope
from tests.factories import make_member


class Api:
    """Calls with a key that an owner made."""

    def __init__(self, tenant: Tenant, *scopes: str) -> None:
        self.owner = make_member(tenant, Role.OWNER, name="王芳")
        with tenant_scope(tenant):
            by = credential_of(Membership.objects.get(user=self.owner))
            _key, secret = services.create_api_key(
                name="网站", scopes=scopes or SCOPES_OF_KEYS, by=by
            )
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        call = getattr(self.client, method)
        address = f"/api/v1/{path}"
        answer = call(address) if method == "get" else call(address, body, "application/json")
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant)


@pytest.fixture
def key_for(tenant: Tenant) -> Callable[..., Api]:
    return lambda *scopes: Api(tenant, *scopes)
