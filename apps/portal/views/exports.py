"""Exports: ask for one, stop it, take the file, take it away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_train
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from gpt_core import services
from gpt_core.models import Checkpoint, Export
from gpt_core.services.exports import answer_with


@require_POST
@tenant_page(can_train)
def start(request: TenantRequest, checkpoint_id: UUID) -> HttpResponse:
    """Put an export in the queue; what is there already is shown again."""
    checkpoint = get_object_or_404(
        Checkpoint.objects.select_related("base_model"), pk=checkpoint_id
    )
    return _done(
        request,
        checkpoint_id,
        lambda: services.start_export(
            checkpoint=checkpoint,
            kind=request.POST.get("kind", ""),
            precision=request.POST.get("precision", "auto"),
            actor=request.user,
        ),
        _("The export is in the queue. You may close this page; the file waits for you here."),
    )


@require_POST
@tenant_page(can_train)
def cancel(request: TenantRequest, export_id: UUID) -> HttpResponse:
    export = get_object_or_404(Export, pk=export_id)
    return _done(
        request,
        export.checkpoint_id,
        lambda: services.cancel_job(export),
        _("The export stops."),
    )


@require_POST
@tenant_page(can_train)
def delete(request: TenantRequest, export_id: UUID) -> HttpResponse:
    export = get_object_or_404(Export, pk=export_id)
    return _done(
        request,
        export.checkpoint_id,
        lambda: services.delete_export(export=export, actor=request.user),
        _("The file is deleted. It can be made again at any time."),
    )


@require_safe
@tenant_page(can_train)
async def download(request: TenantRequest, export_id: UUID) -> HttpResponseBase:
    """The file itself, for those who may train: whoever has it has the model."""
    user = request.user

    def opened() -> HttpResponseBase:
        export = get_object_or_404(Export, pk=export_id)
        try:
            return answer_with(export, actor=user)
        except ApplicationError as error:
            messages.error(request, _why(error))
            return _back(request, export.checkpoint_id)

    return await sync_to_async(opened)()


def _done(
    request: TenantRequest, checkpoint_id: Any, act: Callable[[], Any], said: str
) -> HttpResponse:
    try:
        act()
    except ApplicationError as error:
        messages.error(request, _why(error))
    else:
        messages.success(request, said)
    return _back(request, checkpoint_id)


def _why(error: ApplicationError) -> str:
    return _("%(why)s (code: %(code)s)") % {"why": error.detail, "code": error.code}


def _back(request: TenantRequest, checkpoint_id: Any) -> HttpResponse:
    address = reverse("portal:checkpoint", args=[request.tenant.slug, checkpoint_id])
    return HttpResponseRedirect(f"{address}#checkpoint-exports")
