"""By setting, visitors' files are given out by a host of their own: no file elsewhere, nothing else there.

A file that a browser takes for a page after all, whatever its headers say, is then of an origin that
has no page, no cookie and no API of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.http.request import split_domain_port
from django.utils.decorators import sync_and_async_middleware

from common.api import PROBLEM, problem_document

# The panel's door to a file, and the desk's.
GIVEN_OUT_BY = ("/widget/v1/file/", "/uploads/")


@sync_and_async_middleware
def keep_uploads_apart(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware, in front of whatever answers by itself. Without PARLEY_UPLOADS_ORIGIN it does
    nothing."""

    async def awaited(request: HttpRequest) -> HttpResponseBase:
        return refused(request) or await get_response(request)

    def called(request: HttpRequest) -> HttpResponseBase:
        return refused(request) or get_response(request)

    return awaited if iscoroutinefunction(get_response) else called


def refused(request: HttpRequest) -> HttpResponseBase | None:
    """The answer to what this host does not serve; None where it does."""
    if not settings.UPLOADS_ORIGIN:
        return None
    if is_uploads_host(request) == (request.path_info in GIVEN_OUT_BY):
        return None
    # Our page for it would ask this host for its style.
    return JsonResponse(problem_document(Http404()), status=404, content_type=PROBLEM)


def is_uploads_host(request: HttpRequest) -> bool:
    if not settings.UPLOADS_ORIGIN:
        return False
    return _plain(request.get_host()) == _plain(settings.UPLOADS_ORIGIN.partition("://")[2])


def _plain(host: str) -> str:
    """However it is written: in capitals, with a dot at its end, with the port that goes without
    saying."""
    domain, port = split_domain_port(host.lower())
    return domain if port in ("", "80", "443") else f"{domain}:{port}"
