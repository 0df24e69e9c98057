"""What is made for a person who is signed in stays in no cache, the browser's own among them.

After signing out, or a step later in a wizard, "back" would otherwise show a page as it was then.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def keep_out_of_caches(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware. A view that says itself how it may be kept is left alone."""

    async def awaited(request: HttpRequest) -> HttpResponseBase:
        return marked(request, await get_response(request))

    def called(request: HttpRequest) -> HttpResponseBase:
        return marked(request, get_response(request))

    return awaited if iscoroutinefunction(get_response) else called


def marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response
