"""The platform's own admin: for staff, across tenants, each page in a logged system scope."""

import functools
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite

# unfold's pages carry inline styles, inline scripts and Alpine, which evaluates attributes.
# Loosened here and nowhere else; the answer of every other page keeps the strict policy.
LOOSER_POLICY = {
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}


class PlatformAdminSite(UnfoldAdminSite):
    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        """Django asks for permission first and then calls the view, here in the scope."""

        @functools.wraps(view)
        def scoped(request: HttpRequest, *args: Any, **values: Any) -> HttpResponse:
            # Imported late: this module is read before the models are.
            from tenancy.audit import Actor, acting
            from tenancy.scope import system_scope

            actor = Actor("person", str(request.user.pk))
            structlog.contextvars.bind_contextvars(actor=f"{actor.kind}:{actor.id}")
            with system_scope(f"admin {request.method} {request.path}"), acting(actor):
                response = view(request, *args, **values)
                if hasattr(response, "render") and callable(response.render):
                    response = response.render()
            response._csp_replace = LOOSER_POLICY
            return response

        return super().admin_view(scoped, cacheable)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Sign-in is allauth's alone, so that a second factor cannot be walked around."""
        from allauth.account.decorators import secure_admin_login

        return secure_admin_login(super().login)(request, extra_context)


class PlatformAdminConfig(AdminConfig):
    """Stands in INSTALLED_APPS in place of django.contrib.admin."""

    default_site = "accounts.admin_site.PlatformAdminSite"
