"""Rows for tests, in one line each. Call them inside a scope, but for tenants and people."""

import itertools
from typing import Any

from accounts.models import User
from tenancy.models import Membership, Role, Tenant
from tenancy.scope import system_scope

_number = itertools.count(1)


def make_tenant(slug: str | None = None, **fields: Any) -> Tenant:
    slug = slug or f"tenant-{next(_number)}"
    fields.setdefault("name", f"公司 {slug}")
    with system_scope("test: make a tenant"):
        return Tenant.objects.create(slug=slug, **fields)


def make_user(email: str | None = None, **fields: Any) -> User:
    return User.objects.create_user(
        email or f"person-{next(_number)}@example.com", "correct horse 电池", **fields
    )


def make_member(tenant: Tenant, role: str = Role.OWNER, **fields: Any) -> User:
    """A new person with this role in the tenant."""
    user = make_user(**fields)
    with system_scope("test: make a member"):
        Membership.objects.create(tenant=tenant, user=user, role=role)
    return user
