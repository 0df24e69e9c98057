"""A suggested reply at the desk: asked for, shown as it comes, taken into the box or rejected."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import tenant_page
from accounts.permissions import can_answer
from apps.chatbot.answering import suggesting
from apps.chatbot.models import Conversation
from apps.portal import desk_queue, refusals
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_answer)
def suggestion(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """As it stands now; posted to, one is asked for."""
    found = get_object_or_404(Conversation, pk=conversation_id)
    if request.method == "POST":
        try:
            suggesting.suggest_reply(conversation=found, agent=request.user)
        except ApplicationError as error:
            if _wants_json(request):
                told = {"code": error.code, "detail": refusals.sentence(error)}
                return JsonResponse(told, status=error.status_hint)
            refusals.say(request, error)
        return _done(request, found)
    context = {
        "suggestion": suggesting.current(conversation=found.pk, agent=request.user),
        "conversation": found,
        "query": desk_queue.kept(request.GET),
    }
    return render(request, "portal/desk/_suggestion.html", context)


@require_POST
@tenant_page(can_answer)
def reject(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """The agent's own, as it stands there."""
    found = get_object_or_404(Conversation, pk=conversation_id)
    one = suggesting.current(conversation=found.pk, agent=request.user)
    if one is not None:
        suggesting.reject(one)
    return _done(request, found)


def _done(request: TenantRequest, found: Conversation) -> HttpResponse:
    if _wants_json(request):
        return JsonResponse({})
    address = reverse("portal:desk-conversation", args=[request.tenant.slug, found.pk])
    return HttpResponseRedirect(f"{address}?{desk_queue.kept(request.GET)}")


def _wants_json(request: TenantRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")
