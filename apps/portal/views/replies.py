"""Canned replies: the company's own, kept here and picked at the desk."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_answer
from apps.chatbot.models import CannedReply, Conversation
from apps.chatbot.services.replies import delete_reply, replies_for, write_reply
from apps.portal import refusals
from apps.portal.reply_form import ReplyForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError

PER_PAGE = 100


@require_safe
@tenant_page()
def replies(request: TenantRequest) -> HttpResponse:
    """Every one of them, narrowed by words."""
    text = " ".join(request.GET.get("text", "").split())[:200]
    found = CannedReply.objects.all()
    if text:
        found = found.filter(Q(shortcut__icontains=text.lstrip("/")) | Q(text__icontains=text))
    context = {
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "total": CannedReply.objects.count(),
        "text": text,
        "may_write": can_answer(request.membership),
    }
    return render(request, "portal/replies/replies.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_answer)
def new(request: TenantRequest) -> HttpResponse:
    return _editor(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page()
def reply(request: TenantRequest, reply_id: UUID) -> HttpResponse:
    found = get_object_or_404(CannedReply, pk=reply_id)
    if request.method == "POST" and not can_answer(request.membership):
        raise PermissionDenied
    return _editor(request, found)


@require_POST
@tenant_page(can_answer)
def delete(request: TenantRequest, reply_id: UUID) -> HttpResponse:
    found = get_object_or_404(CannedReply, pk=reply_id)
    delete_reply(reply=found)
    messages.success(request, _("%(reply)s is deleted.") % {"reply": found})
    return _to_list(request)


@require_safe
@tenant_page(can_answer)
def offered(request: TenantRequest, conversation_id: UUID) -> HttpResponse:
    """What fits to what was typed behind the slash, filled in for this conversation."""
    rows = Conversation.objects.select_related("contact", "inbox")
    conversation = get_object_or_404(rows, pk=conversation_id)
    asked = request.GET.get("q", "")
    found = replies_for(conversation=conversation, agent=request.user, asked=asked)
    return render(request, "portal/desk/_replies.html", {"replies": found})


def _editor(request: TenantRequest, found: CannedReply | None) -> HttpResponse:
    initial: dict[str, Any] = {}
    if found is not None:
        initial = {name: getattr(found, name) for name in ReplyForm.base_fields}
    form = ReplyForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        try:
            saved = write_reply(reply=found, **form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            messages.success(request, _("Saved. Agents type %(reply)s.") % {"reply": saved})
            return _to_list(request)
    context = {"reply": found, "form": form, "may_write": can_answer(request.membership)}
    status = 400 if form.errors else 200
    return render(request, "portal/replies/reply.html", context, status=status)


def _to_list(request: TenantRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:replies", args=[request.tenant.slug]))
