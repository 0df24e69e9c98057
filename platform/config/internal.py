"""What the platform says about itself: to a stranger nearly nothing, to the token everything."""

import hmac

from django.conf import settings
from django.http import HttpRequest


def holds_token(request: HttpRequest) -> bool:
    """Whether `Authorization: Bearer <PARLEY_METRICS_TOKEN>` is there; never while none is set."""
    if not settings.METRICS_TOKEN:
        return False
    given = request.META.get("HTTP_AUTHORIZATION", "")
    return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
