"""The two credentials of the API: a key in the Authorization header, or a person's session."""

import hashlib
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotFound
from rest_framework.request import Request

from accounts.access import Credential, credential_of, membership_of
from accounts.models import ApiKey
from accounts.permissions import SCOPES_OF_KEYS
from common.errors import ApplicationError
from tenancy.audit import Actor
from tenancy.models import Tenant
from tenancy.scope import system_scope

# The time of last use is for people to see; a write per request would be a write too many.
LAST_USED_STEP = timedelta(minutes=1)


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`. The key alone names the tenant; no header or body can."""

    def authenticate(self, request: Request) -> tuple[Any, Credential] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        kind, _space, secret = header.partition(" ")
        if kind.lower() != "bearer":
            return None
        key = self._find(secret.strip())
        if key is None:
            raise AuthenticationFailed()
        credential = Credential(
            tenant=key.tenant,
            capabilities=frozenset(key.scopes) & frozenset(SCOPES_OF_KEYS),
            actor=Actor("key", str(key.pk)),
            key=key,
        )
        return key.created_by, credential

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'

    def _find(self, secret: str) -> ApiKey | None:
        if not secret.isascii():
            return None
        now = timezone.now()
        with system_scope("find the tenant of a key"):
            key = (
                ApiKey.objects.select_related("tenant", "created_by")
                .filter(
                    Q(expires_at=None) | Q(expires_at__gt=now),
                    hash=hash_of(secret),
                    revoked_at=None,
                    tenant__state=Tenant.State.ACTIVE,
                )
                .first()
            )
            if key and (key.last_used_at is None or key.last_used_at < now - LAST_USED_STEP):
                ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return key


class TenantSessionAuthentication(SessionAuthentication):
    """A signed-in person, the tenant named by the header `X-Tenant`. CSRF is enforced."""

    def authenticate(self, request: Request) -> tuple[Any, Credential] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user, _nothing = found
        slug = request.META.get("HTTP_X_TENANT", "")
        if not slug:
            raise ApplicationError("tenant_required", _("Name the tenant in the header X-Tenant."))
        membership = membership_of(user, slug)
        if membership is None:
            raise NotFound()
        return user, credential_of(membership)
