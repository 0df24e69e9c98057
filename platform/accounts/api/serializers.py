"""Members, invitations and keys as JSON."""

from typing import Any

from rest_framework import serializers

from accounts.models import ApiKey
from accounts.permissions import SCOPES_OF_KEYS
from tenancy.models import Invitation, Membership, Role


class MemberSerializer(serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "created_at"]
        read_only_fields = ["id", "created_at"]


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "expires_at", "accepted_at", "revoked_at", "created_at"]
        read_only_fields = ["id", "expires_at", "accepted_at", "revoked_at", "created_at"]


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    scopes: Any = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES_OF_KEYS), allow_empty=False, max_length=20
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
        read_only_fields = ["id", "prefix", "last_used_at", "revoked_at", "created_at"]
