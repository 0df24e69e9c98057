"""What agents see of each other at the desk: who is there, who is where, whom a note may name."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_answer
from apps.chatbot import services
from apps.chatbot.models import Conversation
from apps.chatbot.querysets import holds
from apps.portal import desk_queue
from apps.portal.requests import TenantRequest
from tenancy.models import Membership

MOST_OFFERED = 8


@require_POST
@tenant_page(can_answer)
def available(request: TenantRequest) -> HttpResponse:
    """On or off, as the button said that was pressed."""
    on = request.POST.get("to") == "on"
    services.set_available(agent=request.user, available=on)
    if on:
        messages.success(request, _("You are available: what waits comes to you."))
    else:
        messages.success(request, _("You are away: what you have stays yours, nothing new comes."))
    address = reverse("portal:desk", args=[request.tenant.slug])
    query = desk_queue.kept(request.GET)
    return HttpResponseRedirect(f"{address}?{query}" if query else address)


@require_safe
@tenant_page(can_answer)
def members(request: TenantRequest) -> HttpResponse:
    """Whom a note may name, by what was typed behind the @."""
    asked = request.GET.get("q", "")[:100]
    rows = Membership.objects.filter(holds("user__name", asked) | holds("user__email", asked))
    rows = rows.exclude(user=request.user).select_related("user")
    context = {"members": rows.order_by("user__name", "user__email")[:MOST_OFFERED]}
    return render(request, "portal/desk/_members.html", context)


@require_safe
@tenant_page()
def others(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """Who else has it open, and who writes."""
    found = get_object_or_404(Conversation, pk=conversation_id)
    here = services.others_at(conversation=found.pk, member=request.user)
    return render(request, "portal/desk/_others.html", {"others": here})


@require_POST
@tenant_page(can_answer)
def typing(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """They write in it, at this moment."""
    found = get_object_or_404(Conversation, pk=conversation_id)
    services.note_presence(conversation=found.pk, member=request.user, typing=True)
    return HttpResponse(status=204)
