"""Labelling tasks are made, changed, paused and closed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import tenant_page
from accounts.permissions import can_train
from apps.portal.labelling_form import LabelingTaskForm
from apps.portal.requests import TenantRequest
from common.errors import ApplicationError
from labeling.models import Dataset, LabelingTask
from labeling.queue.setup import change_task, create_task, has_answers


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_train)
def new(request: TenantRequest) -> HttpResponse:
    """The form of a new task, for the dataset that was asked for."""
    if request.method != "POST":
        asked = request.GET.get("dataset")
        form = LabelingTaskForm(initial={"dataset": asked})
        return _page(request, form, {"has_datasets": Dataset.objects.exists()})
    form = LabelingTaskForm(request.POST)
    if form.is_valid():
        try:
            task = create_task(created_by=request.user, **form.cleaned_data)
        except ApplicationError as error:
            _blame(form, error)
        else:
            messages.success(request, _("The task is there. Its queue is being filled."))
            return redirect("portal:label", request.tenant.slug, task.pk)
    return _page(request, form, {"has_datasets": True}, status=400)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_page(can_train)
def edit(request: TenantRequest, task_id: UUID) -> HttpResponse:
    """The same form for a task that is there."""
    task = get_object_or_404(LabelingTask, pk=task_id)
    context = {"task": task, "has_datasets": True, "has_answers": has_answers(task)}
    if request.method != "POST":
        return _page(request, LabelingTaskForm.of_task(task), context)
    form = LabelingTaskForm.of_task(task, request.POST)
    if form.is_valid():
        try:
            change_task(task=task, **form.cleaned_data)
        except ApplicationError as error:
            _blame(form, error)
        else:
            messages.success(request, _("The task is changed."))
            return redirect("portal:labelling", request.tenant.slug)
    return _page(request, form, context, status=400)


@require_POST
@tenant_page(can_train)
def state(request: TenantRequest, task_id: UUID) -> HttpResponse:
    """Pause a task, open it again, close it."""
    task = get_object_or_404(LabelingTask, pk=task_id)
    wanted = request.POST.get("state", "")
    if wanted in LabelingTask.State.values and wanted != task.state:
        change_task(task=task, state=wanted)
    return redirect("portal:labelling", request.tenant.slug)


def _page(
    request: TenantRequest, form: LabelingTaskForm, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    context |= {"form": form}
    return render(request, "portal/labelling/task.html", context, status=status)


def _blame(form: LabelingTaskForm, error: ApplicationError) -> None:
    form.add_error(error.field if error.field in form.fields else None, str(error.detail))
