"""Ids are UUIDs already in the address: anything else is no address at all."""

from rest_framework.routers import SimpleRouter

from accounts.api.views import ApiKeyViewSet, InvitationViewSet, MemberViewSet

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in (
    ("members", MemberViewSet),
    ("invitations", InvitationViewSet),
    ("keys", ApiKeyViewSet),
):
    router.register(prefix, viewset, basename=prefix)

urlpatterns = router.urls
