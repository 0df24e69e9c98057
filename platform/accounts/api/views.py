"""`/api/v1/`: tenant, members, invitations, keys, audit."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers as shapes
from accounts.api.native import NativeViewSet
from accounts.api.usage import (
    KeyUsageSerializer,
    LimitsSerializer,
    NewLimitsSerializer,
    UsageQuery,
)
from accounts.models import ApiKey
from accounts.permissions import MANAGE, VIEW
from tenancy import quotas
from tenancy.models import AuditEntry, Invitation, Membership, Tenant


class TenantViewSet(NativeViewSet):
    """The one tenant that the credential is of."""

    model = Tenant
    serializer_class = shapes.TenantSerializer
    needs = {"retrieve": VIEW, "partial_update": MANAGE}

    def retrieve(self, request: Request) -> Response:
        return self.answer(self.tenant)

    @extend_schema(request=shapes.ChangedTenantSerializer)
    def partial_update(self, request: Request) -> Response:
        """Its address stays: names of checkpoints begin with it."""
        changes = self.input_as(shapes.ChangedTenantSerializer)
        values = {name: getattr(self.tenant, name) for name in ("name", "language", "rise_colour")}
        return self.answer(services.change_tenant(tenant=self.tenant, **(values | changes)))


class MemberViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    model = Membership
    serializer_class = shapes.MemberSerializer
    needs = {"list": VIEW, "retrieve": VIEW, "partial_update": MANAGE, "destroy": MANAGE}
    queries = {"list": shapes.MembersQuery}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("user")

    @extend_schema(request=shapes.ChangedMemberSerializer)
    def partial_update(self, request: Request, pk: Any = None) -> Response:
        membership = self.get_object()
        role = self.input_as(shapes.ChangedMemberSerializer)["role"]
        return self.answer(
            services.change_role(membership=membership, role=role, by=self.credential)
        )

    def destroy(self, request: Request, pk: Any = None) -> Response:
        services.remove_member(membership=self.get_object(), by=self.credential)
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    model = Invitation
    serializer_class = shapes.InvitationSerializer
    needs = {"list": MANAGE, "retrieve": MANAGE, "create": MANAGE, "destroy": MANAGE}

    @extend_schema(
        request=shapes.NewInvitationSerializer,
        responses={201: shapes.InvitationWithTokenSerializer},
    )
    def create(self, request: Request) -> Response:
        """Answers with the token; it is not shown again."""
        wanted = self.input_as(shapes.NewInvitationSerializer)
        invitation, token = services.invite(**wanted, by=self.credential)
        made = self.get_serializer(invitation).data | {"token": token}
        return Response(made, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Withdraws it; the row stays, for people to see."""
        services.revoke_invitation(invitation=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApiKeyViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    model = ApiKey
    serializer_class = shapes.ApiKeySerializer
    needs = dict.fromkeys(
        ("list", "retrieve", "create", "destroy", "limits", "set_limits", "usage"), MANAGE
    )
    queries = {"usage": UsageQuery}

    @extend_schema(
        request=shapes.NewKeySerializer, responses={201: shapes.ApiKeyWithSecretSerializer}
    )
    def create(self, request: Request) -> Response:
        """Answers with the secret; it is not shown again."""
        wanted = self.input_as(shapes.NewKeySerializer)
        key, secret = services.create_api_key(**wanted, by=self.credential)
        made = self.get_serializer(key).data | {"secret": secret}
        return Response(made, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Revokes it; the row stays, for people to see."""
        services.revoke_api_key(key=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=LimitsSerializer)
    @action(detail=True)
    def limits(self, request: Request, pk: Any = None) -> Response:
        """The limits that this key has beside the tenant's."""
        return Response(LimitsSerializer(quotas.limits_of(self.get_object().pk)[1]).data)

    @extend_schema(request=NewLimitsSerializer, responses=LimitsSerializer)
    @limits.mapping.put
    def set_limits(self, request: Request, pk: Any = None) -> Response:
        """All of them at once."""
        key, wanted = self.get_object(), self.input_as(NewLimitsSerializer)
        return Response(LimitsSerializer(services.limit_api_key(key=key, **wanted)).data)

    @extend_schema(responses=KeyUsageSerializer)
    @action(detail=True)
    def usage(self, request: Request, pk: Any = None) -> Response:
        """What this key used against the limits that it has of its own."""
        report = quotas.usage_of(self.tenant, key_id=self.get_object().pk, days=self.query["days"])
        return Response(KeyUsageSerializer(report).data)


class AuditViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """What was done, by whom, to what; newest first."""

    model = AuditEntry
    serializer_class = shapes.AuditEntrySerializer
    needs = {"list": MANAGE, "retrieve": MANAGE}
    queries = {"list": shapes.AuditQuery}
