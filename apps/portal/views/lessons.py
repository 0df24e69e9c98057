"""Lessons in answering from articles, made of a dataset's answers."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import tenant_page
from accounts.permissions import can_train
from apps.chatbot import services
from apps.chatbot.models import LessonRun
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling.models import Dataset
from labeling.services import cancel_work


@require_POST
@tenant_page(can_train)
def make(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    """Begin; what is long goes on by itself."""
    found = get_object_or_404(Dataset, pk=dataset_id)
    try:
        services.make_lessons(source=found, actor=request.user)
    except ApplicationError as error:
        messages.error(request, str(error.detail))
    return _back(request, found.pk)


@require_safe
@tenant_page()
def live(request: TenantRequest, run_id: UUID) -> HttpResponse:
    """How far it is; once it is over the whole page is worth another look."""
    run = get_object_or_404(LessonRun.objects.select_related("dataset"), pk=run_id)
    context = {"lessons": run, "can_train": can_train(request.membership)}
    response = render(request, "portal/_lessons.html", context)
    if not run.is_open:
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
@tenant_page(can_train)
def cancel(request: TenantRequest, run_id: UUID) -> HttpResponse:
    run = get_object_or_404(LessonRun, pk=run_id)
    cancel_work(run)
    messages.success(request, _("It stops. The lessons made so far stay."))
    return _back(request, run.source_id)


def _back(request: TenantRequest, dataset_id: UUID) -> HttpResponse:
    return HttpResponseRedirect(reverse("portal:dataset", args=[request.tenant.slug, dataset_id]))
