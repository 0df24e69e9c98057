"""The tenant, its members, invitations, keys and trail as JSON; and what may be asked of them."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from accounts.models import ApiKey
from accounts.permissions import SCOPES_OF_KEYS
from common.api import ListQuery, StrictSerializer
from tenancy.models import AuditEntry, Invitation, Membership, Role, Tenant

# --- In ------------------------------------------------------------------------------------------


class ChangedTenantSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    language = serializers.ChoiceField(choices=settings.LANGUAGES, required=False)
    rise_colour = serializers.ChoiceField(choices=Tenant.Rise.choices, required=False)


class ChangedMemberSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices)


class NewInvitationSerializer(StrictSerializer):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices)


class NewKeySerializer(StrictSerializer):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES_OF_KEYS), allow_empty=False, max_length=20
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class MembersQuery(ListQuery):
    role = serializers.ChoiceField(choices=Role.choices, required=False)


class AuditQuery(ListQuery):
    action = serializers.CharField(max_length=64, required=False)
    actor_id = serializers.CharField(max_length=64, required=False)
    target_type = serializers.CharField(max_length=100, required=False)
    target_id = serializers.CharField(max_length=64, required=False)


# --- Out -----------------------------------------------------------------------------------------


class TenantSerializer(serializers.ModelSerializer[Tenant]):
    class Meta:
        model = Tenant
        fields = ["id", "slug", "name", "language", "rise_colour", "created_at"]
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "created_at"]
        read_only_fields = fields


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "expires_at", "accepted_at", "revoked_at", "created_at"]
        read_only_fields = fields


class InvitationWithTokenSerializer(InvitationSerializer):
    token = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "token"]
        read_only_fields = fields


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    scopes: Any = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES_OF_KEYS), read_only=True
    )

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "created_at",
        ]
        read_only_fields = fields


class ApiKeyWithSecretSerializer(ApiKeySerializer):
    secret = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "secret"]
        read_only_fields = fields


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    data: Any = serializers.DictField(read_only=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "created_at",
            "actor_kind",
            "actor_id",
            "action",
            "target_type",
            "target_id",
            "data",
        ]
        read_only_fields = fields
