"""Tenants, memberships and the audit log, for the platform's staff."""

from typing import Any

from django.contrib import admin
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from tenancy.models import AuditEntry, Membership, Quota, Tenant
from tenancy.operating import OperatorAdmin


class QuotaForms(BaseInlineFormSet):
    @classmethod
    def get_default_prefix(cls) -> str:
        return "quota"  # Django makes it of the related name, and there is none


class QuotaInline(StackedInline):
    """What the tenant may use; a field left empty means the platform's default."""

    model = Quota
    formset = QuotaForms
    max_num = 1
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(key_id=None)


@admin.register(Tenant)
class TenantAdmin(OperatorAdmin):
    inlines = [QuotaInline]
    list_display = ["name", "slug", "language", "state", "created_at"]
    list_filter = ["state", "language"]
    search_fields = ["name", "slug"]
    exclude = ["rise_colour"]  # the tenant's own taste
    # The slug is a part of checkpoint names and of addresses.
    # Its state changes by actions, which do what belongs to it and are logged.
    readonly_fields = ["id", "state", "closes_at", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.readonly_fields, "slug"] if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a company is closed, and erased when its time of grace is over


@admin.register(Membership)
class MembershipAdmin(OperatorAdmin):
    list_display = ["user", "tenant", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__email", "tenant__slug"]
    readonly_fields = ["tenant", "user", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people come by invitation


@admin.register(AuditEntry)
class AuditEntryAdmin(OperatorAdmin):
    list_display = ["created_at", "tenant", "actor_kind", "actor_id", "action", "target_type"]
    list_filter = ["action", "actor_kind"]
    list_select_related = ["tenant"]
    search_fields = ["actor_id", "target_id", "tenant__slug"]
    # The history of a row in the admin leads here.
    search_help_text = _("An actor, a row or a tenant, by id or address")
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
