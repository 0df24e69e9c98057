"""One decorator for every route of the widget: origin, token, scope, JSON in and problem details out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from apps.chatbot.models import Inbox, WidgetSession
from common.api import PROBLEM, problem_document
from common.errors import ApplicationError
from common.strict_json import loads
from tenancy.audit import Actor, acting
from tenancy.models import Tenant
from tenancy.scope import system_scope, tenant_scope

from .errors import NotAdmittedError, SessionOverError
from .languages import language_of
from .origins import is_allowed, is_panel, origin_of
from .tokens import read_access

MOST_BODY = 64 * 1024
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Visit:
    """Who is at the door: by which inbox, from which site, and in which session, if there is one."""

    inbox: Inbox
    origin: str
    session: WidgetSession | None = None


Handler = Callable[..., Any]

# No cookie of ours counts at this door, so that there is nothing that another site could ride on.
without_cookies = csrf_exempt


def by_key(handler: Handler) -> Callable[..., HttpResponse]:
    """A route for the loader, which stands in the customer's page and knows the inbox's public key:
    `handler(request, visit, asked)`."""

    def admitted(request: HttpRequest, asked: dict[str, Any]) -> Visit:
        inbox = inbox_of(asked.get("key"))
        origin = origin_of(request)
        if inbox is None or not is_allowed(origin, inbox.allowed_origins):
            raise NotAdmittedError
        return Visit(inbox, origin)

    return _door(handler, admitted)


def by_token(handler: Handler) -> Callable[..., HttpResponse]:
    """A route for the panel, which holds an access token: `handler(request, visit, asked, ...)`."""

    def admitted(request: HttpRequest, asked: dict[str, Any]) -> Visit:
        return visit_of(request)

    return _door(handler, admitted)


def by_token_with_file(handler: Handler) -> Callable[..., HttpResponse]:
    """The same where the body is a file: what else is asked stands in a header."""

    def admitted(request: HttpRequest, asked: dict[str, Any]) -> Visit:
        return visit_of(request)

    return _door(handler, admitted, asked_beside_file)


def visit_of(request: HttpRequest) -> Visit:
    """The visit that an access token stands for. Raises NotAdmittedError, SessionOverError."""
    kind, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer":
        raise SessionOverError
    claims = read_access(token.strip())
    with tenant_scope(claims.tenant_id):
        session = (
            WidgetSession.objects.select_related("inbox", "contact", "tenant")
            .filter(pk=claims.session_id, revoked_at=None, tenant__state=Tenant.State.ACTIVE)
            .first()
        )
    if session is None:
        raise SessionOverError
    origin = origin_of(request)
    # The site may have been taken off the list since the session began.
    if not is_allowed(session.origin, session.inbox.allowed_origins):
        raise NotAdmittedError
    if not (origin == session.origin or is_panel(request, origin)):
        raise NotAdmittedError
    _note_seen(session)
    return Visit(session.inbox, session.origin, session)


def _note_seen(session: WidgetSession) -> None:
    """To the minute, so that hardly a request writes."""
    now = timezone.now()
    if now - session.seen_at > SEEN_EVERY:
        with tenant_scope(session.tenant_id):
            WidgetSession.objects.filter(pk=session.pk).update(seen_at=now)


def inbox_of(key: Any) -> Inbox | None:
    if not isinstance(key, str):
        return None
    with system_scope("find the tenant of a widget"):
        return (
            Inbox.objects.select_related("tenant")
            .filter(key=key[:40], tenant__state=Tenant.State.ACTIVE)
            .first()
        )


def _door(
    handler: Handler,
    admitted: Callable[[HttpRequest, dict[str, Any]], Visit],
    read: Callable[[HttpRequest], dict[str, Any]] | None = None,
) -> Callable[..., HttpResponse]:
    @without_cookies
    @functools.wraps(handler)
    def door(request: HttpRequest, **values: Any) -> HttpResponse:
        if request.method != "POST":
            # Always POST: a browser then always says where it comes from.
            return HttpResponseNotAllowed(["POST"])
        visit: Visit | None = None
        with translation.override(language_of(request)):
            try:
                asked = (read or asked_of)(request)
                visit = admitted(request, asked)
                with tenant_scope(visit.inbox.tenant_id), acting(_actor(visit)):
                    response = handler(request, visit, asked, **values)
            except ApplicationError as error:
                response = refusal(error)
        return with_origin(response, request, visit)

    return door


def refusal(error: Exception) -> HttpResponse:
    document = problem_document(error) or {}
    response = JsonResponse(document, status=document.get("status", 500), content_type=PROBLEM)
    if getattr(error, "wait", None):
        response["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    return response


def with_origin(response: Any, request: HttpRequest, visit: Visit | None) -> Any:
    """CORS for exactly the site that was admitted; nobody else is told anything."""
    origin = origin_of(request)
    if visit is not None and origin == visit.origin:
        response["Access-Control-Allow-Origin"] = origin
    response["Vary"] = "Origin"
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def asked_of(request: HttpRequest) -> dict[str, Any]:
    """The body, an object of JSON. As text/plain as well: that is what a page on another origin can
    send without asking first, and it changes nothing, for no cookie counts here."""
    if (request.content_type or "") not in ("application/json", "text/plain"):
        raise ApplicationError("not_json", _("The body must be JSON."), status_hint=415)
    body = request.read(MOST_BODY + 1)
    if len(body) > MOST_BODY:
        raise ApplicationError("too_large", _("The request is too large."), status_hint=413)
    asked = loads(body) if body.strip() else {}
    if not isinstance(asked, dict):
        raise ApplicationError("invalid", _("The body must be an object."))
    return asked


def asked_beside_file(request: HttpRequest) -> dict[str, Any]:
    """X-Parley-File: an object of JSON, percent-encoded, for a header holds no Chinese."""
    if (request.content_type or "") != "application/octet-stream":
        raise ApplicationError("not_a_file", _("The body must be a file."), status_hint=415)
    given = request.META.get("HTTP_X_PARLEY_FILE", "")[:MOST_BODY]
    asked = loads(unquote_to_bytes(given)) if given else {}
    if not isinstance(asked, dict):
        raise ApplicationError("invalid", _("The body must be an object."))
    return asked


def _actor(visit: Visit) -> Actor:
    return Actor("visitor", str(visit.session.pk) if visit.session else "")
