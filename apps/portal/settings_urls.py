"""The routes under /t/<slug>/settings/."""

from django.urls import path

from apps.portal.views.settings import audit, keys, members, tenant, usage, webhooks

urlpatterns = [
    path("", tenant.settings, name="settings"),
    path("leave/", tenant.leave, name="leave"),
    path("members/", members.members, name="members"),
    path("members/invite/", members.invite, name="invite"),
    path("members/<uuid:membership_id>/", members.member, name="member"),
    path("members/<uuid:membership_id>/remove/", members.remove, name="member-remove"),
    path("invitations/<uuid:invitation_id>/renew/", members.renew, name="invitation-renew"),
    path("invitations/<uuid:invitation_id>/revoke/", members.revoke, name="invitation-revoke"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.create, name="key-new"),
    path("keys/<uuid:key_id>/", keys.key, name="key"),
    path("keys/<uuid:key_id>/days/", usage.key_days, name="key-days"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("usage/", usage.usage, name="usage"),
    path("usage/days/", usage.days, name="usage-days"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/new/", webhooks.create, name="webhook-new"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/live/", webhooks.live, name="webhook-live"),
    path("webhooks/<uuid:endpoint_id>/rotate/", webhooks.rotate, name="webhook-rotate"),
    path("webhooks/<uuid:endpoint_id>/switch/", webhooks.switch, name="webhook-switch"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.send_test, name="webhook-test"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.delete, name="webhook-delete"),
    path("deliveries/<uuid:delivery_id>/replay/", webhooks.replay, name="delivery-replay"),
    path("audit/", audit.audit, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
]
