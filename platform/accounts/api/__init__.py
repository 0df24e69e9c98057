"""The base of every API view, and the API of members, invitations and keys."""

from accounts.api.base import TenantViewSet
from accounts.api.native import NativeViewSet

__all__ = ["NativeViewSet", "TenantViewSet"]
