"""`/api/v1/members`, `/api/v1/invitations`, `/api/v1/keys`."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api.base import TenantViewSet
from accounts.api.serializers import ApiKeySerializer, InvitationSerializer, MemberSerializer
from accounts.models import ApiKey
from accounts.permissions import MANAGE, VIEW
from tenancy.models import Invitation, Membership


class MemberViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    model = Membership
    lookup_value_converter = "uuid"
    serializer_class = MemberSerializer
    needs = {"list": VIEW, "retrieve": VIEW, "partial_update": MANAGE, "destroy": MANAGE}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("user")

    def partial_update(self, request: Request, pk: Any = None) -> Response:
        membership = self.get_object()
        wanted = self.get_serializer(membership, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        role = wanted.validated_data.get("role", membership.role)
        services.change_role(membership=membership, role=role, by=self.credential)
        return Response(self.get_serializer(membership).data)

    def destroy(self, request: Request, pk: Any = None) -> Response:
        services.remove_member(membership=self.get_object(), by=self.credential)
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    model = Invitation
    lookup_value_converter = "uuid"
    serializer_class = InvitationSerializer
    needs = {"list": MANAGE, "retrieve": MANAGE, "create": MANAGE, "destroy": MANAGE}

    def create(self, request: Request) -> Response:
        """Answers with the token; it is not shown again."""
        wanted = self.get_serializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        invitation, token = services.invite(**wanted.validated_data, by=self.credential)
        made = self.get_serializer(invitation).data | {"token": token}
        return Response(made, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: Any = None) -> Response:
        services.revoke_invitation(invitation=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApiKeyViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    model = ApiKey
    lookup_value_converter = "uuid"
    serializer_class = ApiKeySerializer
    needs = {"list": MANAGE, "retrieve": MANAGE, "create": MANAGE, "destroy": MANAGE}

    def create(self, request: Request) -> Response:
        """Answers with the secret; it is not shown again."""
        wanted = self.get_serializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        key, secret = services.create_api_key(**wanted.validated_data, by=self.credential)
        made = self.get_serializer(key).data | {"secret": secret}
        return Response(made, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: Any = None) -> Response:
        services.revoke_api_key(key=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
