"""Webhooks, for the platform's staff: what did not arrive, and once more."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from common.errors import ApplicationError
from tenancy.operating import OperatorAdmin
from tenancy.scope import tenant_scope
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tenancy.webhooks.services import replay

COLOURS = {
    WebhookDelivery.State.WAITING: "info",
    WebhookDelivery.State.DELIVERED: "success",
    WebhookDelivery.State.FAILED: "danger",
}


class SeenAdmin(OperatorAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(TabularInline):
    model = WebhookAttempt
    fields = ["number", "created_at", "status", "error", "latency_ms", "excerpt"]
    readonly_fields = fields
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(SeenAdmin):
    list_display = ["url", "tenant", "state", "disabled_reason", "failing_since", "created_at"]
    list_filter = ["state", "disabled_reason"]
    list_select_related = ["tenant"]
    search_fields = ["url", "tenant__slug"]
    # The sealed secrets stay out of sight, sealed as they are.
    fields = [
        "tenant", "url", "description", "events", "state", "disabled_reason", "disabled_at",
        "failing_since", "created_at",
    ]  # fmt: skip
    readonly_fields = fields


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(SeenAdmin):
    list_display = ["event", "tenant", "endpoint", "shown_state", "tries", "next_attempt_at",
                    "created_at"]  # fmt: skip
    list_filter = ["state"]
    list_select_related = ["tenant", "endpoint", "event"]
    search_fields = ["endpoint__url", "event__type", "tenant__slug"]
    date_hierarchy = "created_at"
    inlines = [AttemptInline]
    actions = ["deliver_again"]

    @display(description=_("state"), ordering="state", label=COLOURS)
    def shown_state(self, delivery: WebhookDelivery) -> tuple[str, str]:
        return delivery.state, delivery.get_state_display()

    @admin.action(description=_("Deliver again"), permissions=["operate"])
    def deliver_again(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        done = 0
        for delivery in rows:
            try:
                with tenant_scope(delivery.tenant_id):
                    replay(delivery=delivery)
                done += 1
            except ApplicationError as error:
                self.message_user(request, f"{delivery}: {error.detail}", messages.WARNING)
        if done:
            self.message_user(
                request, _("%(count)d are tried again now.") % {"count": done}, messages.SUCCESS
            )
