"""By setting, the administration has a host of its own: nothing of it elsewhere, nothing else there.

A page of a company, whatever it may be tricked into, is then of another origin than the admin: its
scripts cannot read it, its cookies are not the admin's, and the admin's looser policy is none of its
business.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import sync_and_async_middleware

from common.api import not_found

# What the admin's host serves besides: signing in, the language, files and health.
BESIDES = ("/admin/", "/accounts/", "/i18n/", "/static/", "/health/", "/metrics")


@sync_and_async_middleware
def keep_hosts_apart(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware. Without PARLEY_ADMIN_HOST it does nothing."""

    async def awaited(request: HttpRequest) -> HttpResponseBase:
        return refused(request) or await get_response(request)

    def called(request: HttpRequest) -> HttpResponseBase:
        return refused(request) or get_response(request)

    return awaited if iscoroutinefunction(get_response) else called


def refused(request: HttpRequest) -> HttpResponseBase | None:
    """The answer to what this host does not serve; None where it does."""
    if not settings.ADMIN_HOST:
        return None
    path = request.path_info
    if request.get_host().lower() != settings.ADMIN_HOST:
        return not_found(request, Http404()) if path.startswith("/admin/") else None
    if path == "/":
        return redirect("admin:index")
    return None if path.startswith(BESIDES) else not_found(request, Http404())
