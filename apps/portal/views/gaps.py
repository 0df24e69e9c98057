"""Questions of visitors that no article answers."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_annotate
from apps.chatbot import services
from apps.chatbot.models import Gap
from apps.portal.gaps_page import page_of
from apps.portal.requests import TenantRequest


@require_safe
@tenant_page()
def gaps(request: TenantRequest) -> HttpResponse:
    """By their matter, what is asked most first."""
    context = {
        "page": page_of(request.GET.get("page")),
        "can_annotate": can_annotate(request.membership),
    }
    return render(request, "portal/knowledge/gaps.html", context)


@require_POST
@tenant_page(can_annotate)
def dismiss(request: TenantRequest, gap_id: UUID) -> HttpResponse:
    services.dismiss_gap(gap=get_object_or_404(Gap, pk=gap_id))
    messages.success(request, _("Dismissed. It does not come back when it is asked again."))
    return HttpResponseRedirect(reverse("portal:gaps", args=[request.tenant.slug]))
