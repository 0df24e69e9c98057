"""Conversations as files: ask for one, watch it, take it, delete it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_answer, can_manage
from apps.chatbot.models import ConversationExport
from apps.chatbot.services.exports import answer_with, delete_export, start_export
from apps.portal import refusals
from apps.portal.conversation_export_form import ExportForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling.services import cancel_work

MOST = 20


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_manage)
def exports(request: TenantRequest) -> HttpResponse:
    """The form, and what was asked for before."""
    notes = can_answer(request.membership)
    form = ExportForm(request.POST if request.method == "POST" else None, notes=notes)
    if form.is_bound and form.is_valid():
        try:
            start_export(actor=request.user, **form.cleaned_data)
        except ApplicationError as error:
            refusals.into(form, error)
        else:
            return _back(request)
    context = _list(request) | {"form": form}
    status = 400 if form.errors else 200
    return render(request, "portal/exports/exports.html", context, status=status)


@require_safe
@tenant_page(can_manage)
def live(request: TenantRequest) -> HttpResponse:
    """The list, asked for again while one is being written."""
    return render(request, "portal/exports/_exports.html", _list(request))


@require_safe
@tenant_page(can_manage)
async def download(request: TenantRequest, export_id: UUID) -> HttpResponseBase:
    """The file, piece by piece; who took it is on the audit log."""
    membership = request.membership

    def opened() -> HttpResponseBase:
        export = _found(export_id)
        if export.with_notes and not can_answer(membership):
            raise PermissionDenied
        try:
            return answer_with(export)
        except ApplicationError as error:
            refusals.say(request, error)
            return _back(request)

    return await sync_to_async(opened)()


@require_POST
@tenant_page(can_manage)
def cancel(request: TenantRequest, export_id: UUID) -> HttpResponse:
    cancel_work(_found(export_id))
    messages.success(request, _("The export stops."))
    return _back(request)


@require_POST
@tenant_page(can_manage)
def delete(request: TenantRequest, export_id: UUID) -> HttpResponse:
    try:
        delete_export(export=_found(export_id))
    except ApplicationError as error:
        refusals.say(request, error)
    else:
        messages.success(request, _("The file is deleted. It can be made again at any time."))
    return _back(request)


def _found(export_id: UUID) -> ConversationExport:
    return get_object_or_404(ConversationExport.objects.select_related("result"), pk=export_id)


def _list(request: TenantRequest) -> dict[str, Any]:
    rows = ConversationExport.objects.select_related("result", "inbox", "contact")
    found = list(rows.order_by("-created_at")[:MOST])
    return {
        "exports": found,
        "is_writing": any(one.is_open for one in found),
        "live": reverse("portal:conversation-exports-live", args=[request.tenant.slug]),
    }


def _back(request: TenantRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:conversation-exports", args=[request.tenant.slug]))
