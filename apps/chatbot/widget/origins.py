"""From which sites a widget may be used: the tenant's list, compared exactly, and nothing by default."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest

from apps.chatbot.uploads_host import is_uploads_host

# scheme://host[:port], nothing behind it; a name in letters of its own comes as punycode.
_ORIGIN = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
    r"|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?",
)


def is_origin(text: str) -> bool:
    """Whether this is an origin as a browser writes it: no path, no wildcard, no capital letters."""
    return bool(_ORIGIN.fullmatch(text)) and not text.endswith((":80", ":443"))


def origin_of(request: HttpRequest) -> str:
    """What the browser says; "" where it says nothing. Only browsers' word counts for browsers."""
    return request.META.get("HTTP_ORIGIN", "")


def is_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Exactly one of the list. "null", a suffix, another port or scheme are other origins."""
    return is_origin(origin) and origin in allowed


def is_panel(request: HttpRequest, origin: str) -> bool:
    """The panel's own frame, which is served by us: its requests come from our own origin. On the
    host of uploads, which serves no panel, from the site's."""
    if settings.WIDGET_ORIGINS:
        return origin in settings.WIDGET_ORIGINS
    if is_uploads_host(request):
        return origin in settings.CSRF_TRUSTED_ORIGINS
    return origin == f"{request.scheme}://{request.get_host()}"
