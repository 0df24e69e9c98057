"""The base of every API view, and the API of members, invitations and keys."""

from accounts.api.base import TenantViewSet

__all__ = ["TenantViewSet"]
