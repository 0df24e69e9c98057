"""People and keys, for the platform's staff."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import ApiKey, User
from tenancy.operating import OperatorAdmin

admin.site.unregister(Group)  # roles stand in memberships


@admin.register(User)
class UserAdmin(DjangoUserAdmin, OperatorAdmin):  # type: ignore[type-arg, misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ["email"]
    list_display = ["email", "name", "is_staff", "is_active", "date_joined"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["email", "name"]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        (_("Rights"), {"fields": ["is_active", "is_staff", "is_superuser"]}),
        (_("Times"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "password1", "password2"]})]


@admin.register(ApiKey)
class ApiKeyAdmin(OperatorAdmin):
    list_display = ["name", "tenant", "prefix", "expires_at", "last_used_at", "revoked_at"]
    list_select_related = ["tenant"]
    search_fields = ["name", "prefix", "tenant__slug"]
    fields = ["tenant", "name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at"]
    readonly_fields = ["tenant", "name", "prefix", "scopes", "last_used_at", "revoked_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the secret is shown to whoever makes the key, and nobody else
