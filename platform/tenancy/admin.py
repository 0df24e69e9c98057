"""Tenants, memberships and the audit log, for the platform's staff."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from tenancy.models import AuditEntry, Membership, Tenant


@admin.register(Tenant)
class TenantAdmin(ModelAdmin):
    list_display = ["name", "slug", "language", "state", "created_at"]
    list_filter = ["state", "language"]
    search_fields = ["name", "slug"]
    # The slug is a part of checkpoint names and of addresses.
    readonly_fields = ["id", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.readonly_fields, "slug"] if obj else self.readonly_fields


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ["user", "tenant", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__email", "tenant__slug"]
    readonly_fields = ["tenant", "user", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people come by invitation


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    list_display = ["created_at", "tenant", "actor_kind", "actor_id", "action", "target_type"]
    list_filter = ["action", "actor_kind"]
    list_select_related = ["tenant"]
    search_fields = ["actor_id", "target_id", "tenant__slug"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
