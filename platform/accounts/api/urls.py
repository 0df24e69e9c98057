"""Ids are UUIDs already in the address: anything else is no address at all."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import views
from accounts.api.usage import UsageViewSet
from accounts.api.webhooks import DeliveryViewSet, WebhookViewSet

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in (
    ("members", views.MemberViewSet),
    ("invitations", views.InvitationViewSet),
    ("keys", views.ApiKeyViewSet),
    ("audit", views.AuditViewSet),
    ("webhooks", WebhookViewSet),
    ("webhook-deliveries", DeliveryViewSet),
):
    router.register(prefix, viewset, basename=prefix)

tenant = views.TenantViewSet.as_view({"get": "retrieve", "patch": "partial_update"})
usage = UsageViewSet.as_view({"get": "retrieve"})
urlpatterns = [
    path("tenant/", tenant, name="tenant"),
    path("usage/", usage, name="usage"),
    *router.urls,
]
