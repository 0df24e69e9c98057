"""What every test may ask for."""

from collections.abc import Iterator

import pytest

from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests import factories


@pytest.fixture
def tenant(db: None) -> Tenant:
    return factories.make_tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return factories.make_tenant()


@pytest.fixture
def in_tenant(tenant: Tenant) -> Iterator[Tenant]:
    """The test runs in the scope of `tenant`."""
    with tenant_scope(tenant):
        yield tenant
