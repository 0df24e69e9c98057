"""`/api/v1/webhooks` and `/api/v1/webhook-deliveries`."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.native import NativeViewSet
from accounts.permissions import MANAGE
from common.api import EmptySerializer, ListQuery, StrictSerializer
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tenancy.webhooks.types import EVENT_TYPES

# --- In ------------------------------------------------------------------------------------------


class NewWebhookSerializer(StrictSerializer):
    url = serializers.CharField(max_length=2000)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=list(EVENT_TYPES)),
        required=False,
        max_length=len(EVENT_TYPES),
        help_text="None named means all of them.",
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)


class ChangedWebhookSerializer(NewWebhookSerializer):
    url = serializers.CharField(max_length=2000, required=False)


class DeliveriesQuery(ListQuery):
    endpoint = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=WebhookDelivery.State.choices, required=False)


# --- Out -----------------------------------------------------------------------------------------


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    events: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    disabled_reason = serializers.ChoiceField(
        choices=["", *WebhookEndpoint.Reason.values], read_only=True
    )

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id", "url", "description", "events", "state", "disabled_reason", "disabled_at",
            "failing_since", "previous_until", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields: Any = (*WebhookSerializer.Meta.fields, "secret")
        read_only_fields: Any = fields


class AttemptSerializer(serializers.ModelSerializer[WebhookAttempt]):
    class Meta:
        model = WebhookAttempt
        fields = ("number", "created_at", "status", "error", "latency_ms", "excerpt")
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    type = serializers.CharField(source="event.type", read_only=True)
    data: Any = serializers.DictField(source="event.data", read_only=True)
    attempts = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = WebhookDelivery
        fields = (
            "id", "endpoint", "type", "data", "state", "tries", "next_attempt_at", "delivered_at",
            "created_at", "attempts",
        )  # fmt: skip
        read_only_fields = fields


# --- Views -------------------------------------------------------------------------------------


class WebhookViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """Addresses that are told what happens, by Standard Webhooks."""

    model = WebhookEndpoint
    serializer_class = WebhookSerializer
    needs = dict.fromkeys(
        (
            "list", "retrieve", "create", "partial_update", "destroy", "enable", "disable",
            "rotate_secret", "test",
        ),
        MANAGE,
    )  # fmt: skip

    @extend_schema(request=NewWebhookSerializer, responses={201: WebhookWithSecretSerializer})
    def create(self, request: Request) -> Response:
        """Answers with the secret that signs what is told; it is not shown again."""
        endpoint, secret = services.create_endpoint(**self.input_as(NewWebhookSerializer))
        return self._with_secret(endpoint, secret, 201)

    @extend_schema(request=ChangedWebhookSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        endpoint = self.get_object()
        changes = self.input_as(ChangedWebhookSerializer)
        return self.answer(services.change_endpoint(endpoint=endpoint, **changes))

    def destroy(self, request: Request, pk: UUID) -> Response:
        """The address, and the story of what it was told."""
        services.delete_endpoint(endpoint=self.get_object())
        return Response(status=204)

    @extend_schema(request=EmptySerializer, responses={200: WebhookSerializer})
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: UUID) -> Response:
        """Tell it again, first of all what has waited."""
        self.input_as(EmptySerializer)
        return self.answer(services.enable(endpoint=self.get_object()))

    @extend_schema(request=EmptySerializer, responses={200: WebhookSerializer})
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: UUID) -> Response:
        """Tell it nothing more; what waits goes on waiting."""
        self.input_as(EmptySerializer)
        return self.answer(services.disable(endpoint=self.get_object()))

    @extend_schema(request=EmptySerializer, responses={200: WebhookWithSecretSerializer})
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: UUID) -> Response:
        """A new secret, shown this once; for a day the one before signs beside it."""
        self.input_as(EmptySerializer)
        endpoint = self.get_object()
        return self._with_secret(endpoint, services.rotate_secret(endpoint=endpoint), 200)

    @extend_schema(request=EmptySerializer, responses={201: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: UUID) -> Response:
        """Send an event of the type `webhook.test`."""
        self.input_as(EmptySerializer)
        delivery = services.send_test(endpoint=self.get_object())
        return Response(DeliverySerializer(delivery).data, status=201)

    def _with_secret(self, endpoint: WebhookEndpoint, secret: str, status: int) -> Response:
        return Response(self.get_serializer(endpoint).data | {"secret": secret}, status=status)


class DeliveryViewSet(ListModelMixin, RetrieveModelMixin, NativeViewSet):
    """What each address was told, newest first, with every attempt."""

    model = WebhookDelivery
    serializer_class = DeliverySerializer
    needs = {"list": MANAGE, "retrieve": MANAGE, "replay": MANAGE}
    queries = {"list": DeliveriesQuery}

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset().select_related("event", "endpoint")
        return rows.prefetch_related("attempts")

    @extend_schema(request=EmptySerializer, responses={200: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: UUID) -> Response:
        """Try again now, whatever became of it before; its id stays the same."""
        self.input_as(EmptySerializer)
        return self.answer(services.replay(delivery=self.get_object()))
