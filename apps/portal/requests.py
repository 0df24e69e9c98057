"""What a view under /t/<slug>/ is given: `accounts.access.tenant_page` has filled it in."""

from django.http import HttpRequest

from accounts.models import User
from tenancy.models import Membership, Tenant


class TenantRequest(HttpRequest):
    """A request of a signed-in member, in the scope of one tenant. For annotations alone."""

    tenant: Tenant
    membership: Membership
    user: User
